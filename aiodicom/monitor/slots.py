"""What the workers of one port report to each other: memory that all of them see.

Each worker writes its own slot, which has two places: one is read while the other is written. So
nothing is locked, and a worker that dies in the middle leaves what it had reported before.
"""

from __future__ import annotations

import json
import mmap
import struct
import zlib
from typing import Any

__all__ = ["Slots"]

PLACE = 256 << 10
"""Bytes of one report at most. What is never written takes no memory."""

_WRITTEN, _RESTARTS, _LOOKED, _NUMBERS = range(4)
"""Of each slot: how many reports were written into it; how often its worker was replaced; when
somebody last read it, in milliseconds of the monotonic clock."""

_LABEL = struct.Struct("=II")
"""Length and CRC of a report: of one that was overwritten meanwhile it is wrong."""

_SLOT = 2 * PLACE

_ATTEMPTS = 5


class Slots:
    """The reports of all workers.

    Parameters
    ----------
    count : int
        How many workers there are. They are seen by processes that are forked later.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._numbers = memoryview(mmap.mmap(-1, 8 * _NUMBERS * count)).cast("Q")
        self._memory = mmap.mmap(-1, _SLOT * count)

    def write(self, index: int, report: dict[str, Any]) -> bool:
        """Replace a worker's report; tell whether there was room for it."""
        data = json.dumps(report, separators=(",", ":")).encode()
        if len(data) > PLACE - _LABEL.size:
            return False
        written = self._numbers[_NUMBERS * index + _WRITTEN]
        at = self._place(index, written + 1)
        self._memory[at + _LABEL.size : at + _LABEL.size + len(data)] = data
        _LABEL.pack_into(self._memory, at, len(data), zlib.crc32(data))
        self._numbers[_NUMBERS * index + _WRITTEN] = written + 1
        return True

    def read(self, index: int) -> dict[str, Any] | None:
        """Return a worker's last report; None where there is none."""
        for _ in range(_ATTEMPTS):
            written = self._numbers[_NUMBERS * index + _WRITTEN]
            if not written:
                return None
            at = self._place(index, written)
            length, crc = _LABEL.unpack_from(self._memory, at)
            data = self._memory[at + _LABEL.size : at + _LABEL.size + min(length, PLACE)]
            if zlib.crc32(data) == crc:
                found: dict[str, Any] = json.loads(data)
                return found
        return None

    def restarts(self) -> int:
        """Return how often workers were replaced."""
        return sum(self._numbers[_RESTARTS::_NUMBERS])

    def restarted(self, index: int) -> None:
        """Count that a worker was replaced: only their parent does."""
        self._numbers[_NUMBERS * index + _RESTARTS] += 1

    def look(self, index: int, milliseconds: int) -> None:
        """Say that somebody wants to know of a worker."""
        self._numbers[_NUMBERS * index + _LOOKED] = milliseconds

    def looked(self, index: int) -> int:
        """Return when somebody last wanted to know."""
        return self._numbers[_NUMBERS * index + _LOOKED]

    def _place(self, index: int, number: int) -> int:
        return _SLOT * index + PLACE * (number & 1)
