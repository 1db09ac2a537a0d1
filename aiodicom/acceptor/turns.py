"""Turns of the event loop: who has sent much rests until the others had theirs.

uvloop reads a connection up to 32 times before it does anything else, while there is something to
read. Of a large object that was all that an association may hold at once: its handler heard of
nothing before, and was at work while nothing was read, by turns.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

__all__ = ["TURN", "Reader", "Turns"]

TURN = 1 << 19
"""Bytes of a connection in one turn of the loop, about: half of a slab."""


class Reader(Protocol):
    """Who reads from a peer."""

    def rest(self) -> None:
        """Read no more in this turn."""

    def go_on(self) -> None:
        """Read again, unless there is something else against it."""


class Turns:
    """Lets connections rest that have brought much in one turn.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        Whose turns they are.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._read: dict[Reader, int] = {}

    def count(self, reader: Reader, nbytes: int) -> None:
        """Count what was read, and have `reader` rest until the next turn where that is much."""
        if not self._read:
            self._loop.call_soon(self._end)
        self._read[reader] = count = self._read.get(reader, 0) + nbytes
        if count >= TURN:
            reader.rest()

    def _end(self) -> None:
        """Begin anew: by now whoever was woken by what has come had their turn."""
        read, self._read = self._read, {}
        for reader, count in read.items():
            if count >= TURN:
                reader.go_on()
