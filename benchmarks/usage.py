"""What a receiver uses, from /proc: it and the processes that it has forked."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["forget_peak", "is_listening", "peak_memory", "processor_seconds", "resident_memory"]

_LISTEN = "0A"
_TICK = 1 / os.sysconf("SC_CLK_TCK")


def processor_seconds(pid: int) -> float:
    """Return the user and system time so far of a process, its children and what they were.

    Of living threads it is the scheduler's own account: the usual one counts hundredths of a
    second for each process, which is too coarse for a dozen children. It is taken for threads and
    children that have ended.
    """
    return sum(_own_seconds(member) for member in _family(pid))


def peak_memory(pid: int) -> int:
    """Return the largest resident size so far, in bytes, summed over the living processes.

    A process that has forked counts pages which it shares with its children once for each.
    """
    return sum(_memory(member, "VmHWM") for member in _family(pid))


def resident_memory(pid: int) -> int:
    """Return the resident size, in bytes, summed like `peak_memory`."""
    return sum(_memory(member, "VmRSS") for member in _family(pid))


def forget_peak(pid: int) -> None:
    """Let `peak_memory` begin anew with what is resident now, where that is allowed."""
    for member in _family(pid):
        with contextlib.suppress(OSError):
            Path(f"/proc/{member}/clear_refs").write_text("5", encoding="ascii")


def is_listening(pid: int, port: int) -> bool:
    """Tell whether somebody listens on a TCP port, without connecting to it."""
    sockets = _read(pid, "net/tcp").splitlines()[1:] + _read(pid, "net/tcp6").splitlines()[1:]
    fields = (line.split() for line in sockets)
    return any(row[1].endswith(f":{port:04X}") and row[3] == _LISTEN for row in fields)


def _family(pid: int) -> list[int]:
    children = [
        int(child)
        for thread in _threads(pid)
        for child in _read(pid, f"task/{thread}/children").split()
    ]
    return [pid, *(member for child in children for member in _family(child))]


def _threads(pid: int) -> list[int]:
    try:
        return [int(thread) for thread in os.listdir(f"/proc/{pid}/task")]
    except FileNotFoundError:
        return []


def _own_seconds(pid: int) -> float:
    """Return the time of a process, and of those of its children that it has waited for."""
    # proc(5): the command, in parentheses, may hold anything; fields 14 to 17 count after it.
    fields = _read(pid, "stat").rpartition(")")[2].split()[11:15]
    user, system, of_user, of_system = (int(field) * _TICK for field in fields or "0000")
    living = sum(
        int((_read(pid, f"task/{thread}/schedstat").split() or ["0"])[0])
        for thread in _threads(pid)
    )
    return max(user + system, living / 1e9) + of_user + of_system


def _memory(pid: int, name: str) -> int:
    for line in _read(pid, "status").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0  # a zombie


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
