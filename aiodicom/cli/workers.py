"""``--workers``: several processes on one port, and what does not go with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from aiodicom.cli.options import Option, UsageError, count

__all__ = ["WORKERS", "needs_one_worker"]

MAXIMUM_WORKERS = 128
"""More would have too little each of the memory that all of them may use."""

_some_workers = count(1, MAXIMUM_WORKERS)


def _workers(text: str) -> int:
    """Convert a number of workers."""
    if text != "auto":
        return _some_workers(text)
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MAXIMUM_WORKERS)
    return min(os.cpu_count() or 1, MAXIMUM_WORKERS)


WORKERS = Option(
    ("--workers",),
    "workers",
    "number of processes that share the port (default: 1; auto: one a core)",
    "[n]umber",
    _workers,
)
"""Of all receivers."""


def needs_one_worker(why: str, *names: str) -> Callable[[Mapping[str, object]], None]:
    """Return the check that some options, by their long names, are not used with several workers.

    Parameters
    ----------
    why : str
        Why not.
    """

    def check(settings: Mapping[str, object]) -> None:
        given = settings["given"]
        assert isinstance(given, frozenset)
        for name in names:
            if settings["workers"] != 1 and name in given:
                raise UsageError(f"{name} not allowed with --workers {settings['workers']}: {why}")

    return check
