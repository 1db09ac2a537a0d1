"""Who watches a receiving command: its options, and the watchers that they make."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from aiodicom.cli.common import Failed
from aiodicom.cli.http import HTTP
from aiodicom.cli.options import Group, Option, UsageError
from aiodicom.events import Watcher

__all__ = ["WATCHING", "WATCHING_DEFAULTS", "check_watching", "watchers_of"]

WATCHING = Group(
    "watching",
    (
        HTTP,
        Option(("--json-log",), "json_log",
               "append a line of JSON for each association and object to file f (-: stdout)",
               "[f]ilename"),
        Option(("--otel",), "otel",
               "send spans with OpenTelemetry, as the variables OTEL_... say"),
    ),
)  # fmt: skip
"""Of all receivers."""

WATCHING_DEFAULTS: Mapping[str, object] = {"json_log": None, "otel": False}


def check_watching(settings: Mapping[str, object]) -> None:
    """Check that the peer does not get what is for others.

    Raises
    ------
    UsageError
        Where standard output is the connection.
    """
    if settings.get("inetd") and settings["json_log"] == "-":
        raise UsageError("--json-log - not allowed with --inetd: that is the connection")


def watchers_of(settings: Mapping[str, Any]) -> tuple[Watcher, ...]:
    """Return the watchers that a command line asks for.

    Raises
    ------
    Failed
        Where something is not installed.
    """
    watchers: list[Watcher] = []
    if settings["json_log"] is not None:
        from aiodicom.monitor.json_log import JsonLog

        name = settings["json_log"]
        watchers.append(JsonLog(sys.stdout if name == "-" else name))
    if settings["otel"]:
        watchers.append(_tracing())
    return tuple(watchers)


def _tracing() -> Watcher:
    try:
        from aiodicom.monitor.exporting import ExportError, provider_maker
        from aiodicom.monitor.tracing import Tracing
    except ImportError:
        raise Failed("--otel needs OpenTelemetry: pip install 'aiodicom[otel]'") from None
    try:
        return Tracing(make_provider=provider_maker())
    except ExportError as error:
        raise Failed(f"--otel: {error}") from None
