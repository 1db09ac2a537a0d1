"""What all workers have reported, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiodicom.monitor.present import busiest
from aiodicom.monitor.problems import latest
from aiodicom.monitor.rates import together
from aiodicom.monitor.totals import added
from aiodicom.storage.free_space import Room
from aiodicom.wire.identity import __version__

__all__ = ["snapshot_of"]

Report = Mapping[str, Any]


def snapshot_of(
    reports: Sequence[Report], room: Room | None, *, restarts: int, now: float
) -> dict[str, Any]:
    """Return one snapshot of all workers, as plain values."""
    listening = [report for report in reports if report["is_listening"]]
    begun = [report["since"] for report in reports if report["since"] is not None]
    named = (listening or list(reports))[0]
    return {
        "version": __version__,
        "time": now,
        "server": {
            "ae_title": named["ae_title"],
            "addresses": named["addresses"],
            "since": min(begun, default=None),
            "is_listening": bool(listening),
        },
        "associations": sum(report["associations"] for report in reports),
        "running": sum(report["running"] for report in reports),
        "buffered_bytes": sum(report["buffered"] for report in reports),
        "busiest": busiest(report["listed"] for report in reports),
        "totals": added(report["totals"] for report in reports),
        "rates": together((report["rates"] for report in reports), int(now)),
        "part": now % 1,
        "problems": latest(report["problems"] for report in reports),
        "storage": None if room is None else _storage(room),
        "workers": [_worker(report) for report in reports],
        "restarts": restarts,
    }


def _storage(room: Room) -> dict[str, Any]:
    return {
        "free_bytes": room.free_bytes,
        "total_bytes": room.total_bytes,
        "free_inodes": room.free_inodes,
        "total_inodes": room.total_inodes,
        "lacking": room.lacking,
    }


def _worker(report: Report) -> dict[str, Any]:
    return {
        "is_listening": report["is_listening"],
        "associations": report["associations"],
        "running": report["running"],
        "objects": report["totals"]["objects"],
    }
