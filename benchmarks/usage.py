"""What a receiver uses, from /proc: it and the processes that it has forked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["is_listening", "peak_memory", "processor_seconds", "processor_times"]

_LISTEN = "0A"


def processor_times(pid: int) -> dict[int, int]:
    """Return the user and system time, in ns, of each thread of a process and its children.

    The scheduler's own account: the usual one counts hundredths of a second for each process,
    which is too coarse for a dozen children.
    """
    return {
        thread: int((_read(member, f"task/{thread}/schedstat").split() or ["0"])[0])
        for member in _family(pid)
        for thread in _threads(member)
    }


def processor_seconds(before: Mapping[int, int], after: Mapping[int, int]) -> float:
    """Return the time between two calls of `processor_times`; what has ended is left out."""
    return sum(after[thread] - before.get(thread, 0) for thread in after) / 1e9


def peak_memory(pid: int) -> int:
    """Return the largest resident size so far, in bytes, summed over the living processes.

    A process that has forked counts pages which it shares with its children once for each.
    """
    return sum(_high_water(member) for member in _family(pid))


def is_listening(pid: int, port: int) -> bool:
    """Tell whether somebody listens on a TCP port, without connecting to it."""
    sockets = _read(pid, "net/tcp").splitlines()[1:] + _read(pid, "net/tcp6").splitlines()[1:]
    fields = (line.split() for line in sockets)
    return any(row[1].endswith(f":{port:04X}") and row[3] == _LISTEN for row in fields)


def _family(pid: int) -> list[int]:
    children = [int(child) for child in _read(pid, f"task/{pid}/children").split()]
    return [pid, *(member for child in children for member in _family(child))]


def _threads(pid: int) -> list[int]:
    try:
        return [int(thread) for thread in os.listdir(f"/proc/{pid}/task")]
    except FileNotFoundError:
        return []


def _high_water(pid: int) -> int:
    for line in _read(pid, "status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0  # a zombie


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
