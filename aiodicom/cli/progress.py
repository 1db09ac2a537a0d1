"""How far sending has come, in words: now and then a line."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self

__all__ = ["Lines", "Progress", "readable_size"]

INTERVAL = 10.0
"""Seconds between two lines."""


class Progress:
    """Is told how far it has come; this one says nothing."""

    def sent(self, count: int) -> None:
        """Hear that so many bytes more are on their way."""

    def done(self) -> None:
        """Hear that one object more has its result."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        return None


class Lines(Progress):
    """Says a line from time to time.

    Parameters
    ----------
    files, size : int
        How many objects and bytes there are.
    say : callable
        Takes a line.
    clock : callable
        Returns the time in seconds.
    """

    def __init__(
        self,
        files: int,
        size: int,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._size = size
        self._say = say
        self._clock = clock
        self._started = self._said = clock()
        self._done = 0
        self._sent = 0

    def __enter__(self) -> Self:
        self._started = self._said = self._clock()  # a connection may have been long in coming
        return self

    def sent(self, count: int) -> None:
        """Count bytes, and say a line if it is time for one."""
        self._sent += count
        now = self._clock()
        if now - self._said >= INTERVAL:
            self._said = now
            self._say(self._line(now))

    def done(self) -> None:
        """Count an object."""
        self._done += 1

    def _line(self, now: float) -> str:
        rate = self._sent / (now - self._started)
        left = max(self._size - self._sent, 0) / rate if rate else 0
        return (
            f"{self._done} of {self._files} files, {readable_size(self._sent)} of "
            f"{readable_size(self._size)}, {readable_size(rate)}/s, {left:.0f} s left"
        )


def readable_size(count: float) -> str:
    """Return a number of bytes as a person reads it."""
    units = ["bytes", "kB", "MB", "GB", "TB"]
    while round(count, 1) >= 1000 and len(units) > 1:
        count /= 1000
        del units[0]
    return f"{count:.0f} bytes" if units[0] == "bytes" else f"{count:.1f} {units[0]}"
