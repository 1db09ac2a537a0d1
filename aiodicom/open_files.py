"""How many files, and so how many associations, a process may have open."""

from __future__ import annotations

import contextlib
import resource

__all__ = ["end_of_connections", "raise_open_files_limit"]

MOST_KEPT = 1024
"""Descriptors that are kept for files, where a quarter of all would be more."""


def raise_open_files_limit() -> None:
    """Raise the soft limit of open files to the hard one: associations need one each."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def end_of_connections() -> int:
    """Return the descriptor from which on they are kept for files, and not for connections.

    Connections may be many, and idle: who stores must still find a descriptor for its file.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 1 << 31
    return soft - min(soft // 4, MOST_KEPT)
