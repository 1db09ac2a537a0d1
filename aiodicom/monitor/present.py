"""The associations that there are now: who sends what, at which rate."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Any

from aiodicom.describe import escape, uid_name
from aiodicom.events import RequestBegun
from aiodicom.requests import AssociationInfo

__all__ = ["LONGEST_TITLE", "MOST_LISTED", "Presence", "busiest", "listed"]

MOST_LISTED = 100
"""Associations that are listed, the busiest ones: all are counted."""

LONGEST_TITLE = 16
"""Characters of an AE title (PS3.5 6.2); what is longer is cut."""

STRETCH = 2.0
"""Seconds that a rate is measured over, at least: up to twice that."""

QUIET = 5.0
"""Seconds without anything after which an association sends nothing."""


class Presence:
    """One association that there is.

    Parameters
    ----------
    info : AssociationInfo
        Whose.
    at : float
        Since when, in seconds since the epoch.
    now : float
        The same by the monotonic clock.

    Attributes
    ----------
    objects : int
        Objects that were stored.
    running : set of RequestBegun
        Those that have no answer yet.
    last : RequestBegun or None
        The last one that has begun.
    """

    __slots__ = (
        *("_at", "_counted", "_ended", "_info", "_marks", "_settled_at"),
        *("last", "objects", "running"),
    )

    def __init__(self, info: AssociationInfo, at: float, now: float) -> None:
        self._info = info
        self._at = at
        self._ended = 0  # bytes of requests that have ended
        self._counted = 0  # bytes that are in totals and rates
        self._settled_at = now
        self._marks = ((now, 0), (now, 0))  # when there were how many bytes: an older, a newer one
        self.objects = 0
        self.running: set[RequestBegun] = set()
        self.last: RequestBegun | None = None

    @property
    def bytes(self) -> int:
        """Bytes of datasets that have come, those that still come included."""
        return self._ended + sum(request.size for request in self.running)

    def begin(self, request: RequestBegun, now: float) -> None:
        """Hear that a request has begun."""
        if not self.running:
            if now - self._settled_at > QUIET:
                self._marks = (now, self._counted), (now, self._counted)
            self._settled_at = now
        self.running.add(request)
        self.last = request

    def end(self, request: RequestBegun, size: int) -> None:
        """Hear that a request, of so many bytes, has ended."""
        self.running.discard(request)
        self._ended += size

    def settle(self, now: float) -> tuple[int, float]:
        """Return how many bytes have come that were not counted yet, and since when."""
        total = self._ended if not self.running else self.bytes
        new, since = total - self._counted, self._settled_at
        self._counted, self._settled_at = total, now
        if now - self._marks[1][0] >= STRETCH:
            self._marks = self._marks[1], (now, total)
        return new, since

    def is_quiet(self, now: float) -> bool:
        """Tell whether nothing has come for some time. Asked before `settle`."""
        return not self.running and now - self._settled_at > QUIET

    def rate(self, now: float) -> float:
        """Return the bytes a second of the last seconds."""
        since, then = self._marks[0] if now - self._marks[1][0] < STRETCH else self._marks[1]
        return (self._counted - then) / max(now - since, 0.25)

    def values(self, now: float, rate: float) -> dict[str, Any]:
        """Return it as plain values; what the peer says is escaped and cut."""
        info, last = self._info, self.last
        return {
            "calling_ae_title": escape(info.calling_ae_title, LONGEST_TITLE),
            "called_ae_title": escape(info.called_ae_title, LONGEST_TITLE),
            "address": info.address,
            "port": info.port,
            "since": self._at,
            "objects": self.objects,
            "bytes": self._counted,
            "bytes_per_second": round(rate),
            "running": len(self.running),
            "sop_class": "" if last is None else uid_name(last.sop_class_uid),
        }


def listed(present: Iterable[Presence], now: float) -> list[dict[str, Any]]:
    """Return the busiest associations of one process as plain values, those first."""
    busy: list[tuple[float, int, Presence]] = []
    quiet: list[Presence] = []
    for each in present:
        if each.is_quiet(now):
            if len(quiet) < MOST_LISTED:
                quiet.append(each)
        else:
            busy.append((each.rate(now), id(each), each))
    chosen = [(presence, rate) for rate, _, presence in heapq.nlargest(MOST_LISTED, busy)]
    chosen += [(presence, 0.0) for presence in quiet]
    return [presence.values(now, rate) for presence, rate in chosen[:MOST_LISTED]]


def busiest(several: Iterable[Iterable[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the busiest associations of several processes."""
    every = (each for values in several for each in values)
    return heapq.nlargest(MOST_LISTED, every, key=lambda each: each["bytes_per_second"])
