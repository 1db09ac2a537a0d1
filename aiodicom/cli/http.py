"""``--http``: metrics, health and the live page of a receiving command."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

from aiodicom.cli.common import Failed
from aiodicom.cli.options import Option, port
from aiodicom.events import Watcher
from aiodicom.storage.free_space import Room

__all__ = ["HTTP", "HTTP_DEFAULTS", "pages_of"]

NEEDED = ("prometheus_client", "starlette", "uvicorn")


def _where(text: str) -> tuple[str, int]:
    """Convert ``PORT``, ``HOST:PORT`` or ``[ADDRESS]:PORT``."""
    host, colon, number = text.rpartition(":")
    if not colon:
        return "127.0.0.1", port(number)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{text!r} is not clear: write an IPv6 address as [::1]:8080")
    if not host:
        raise ValueError(f"{text!r} names no host: 0.0.0.0:{number} is every interface")
    return host, port(number)


HTTP = Option(
    ("--http",), "http",
    "serve metrics, health and a live page on that port, of 127.0.0.1 where no host is said",
    "[host:]port", _where,
)  # fmt: skip
"""Of all receivers."""

HTTP_DEFAULTS: Mapping[str, object] = {"http": None}


def pages_of(
    settings: Mapping[str, Any], room: Callable[[], Room | None] | None
) -> tuple[Watcher, ...]:
    """Return the watchers that a command line asks for.

    Parameters
    ----------
    settings : mapping
        What it says.
    room : callable or None
        Tells the free space where objects are stored.

    Raises
    ------
    Failed
        Where what they need is not installed.
    """
    if settings["http"] is None:
        return ()
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        raise Failed("--http needs more than is installed: pip install 'aiodicom[http]'")
    from aiodicom.http import Pages
    from aiodicom.monitor import Monitor

    host, number = settings["http"]
    monitor = Monitor(room)
    return (monitor, Pages(monitor, host=host, port=number))
