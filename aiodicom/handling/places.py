"""Places in handlers that store so many objects at a time: an object takes all that it needs."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable

import anyio

from aiodicom.errors import Refused
from aiodicom.wire.dimse import Status

__all__ = ["Limit", "Places"]

_numbers = itertools.count()


class Limit:
    """So many objects at a time.

    Parameters
    ----------
    places : int
        How many.
    waits : bool
        Whether one more waits for its turn. Otherwise it is refused.

    Attributes
    ----------
    number : int
        Its place in the order in which all objects take what they need.
    """

    __slots__ = ("_free", "_waits", "number")

    def __init__(self, places: int, waits: bool) -> None:
        self._free = anyio.Semaphore(places)
        self._waits = waits
        self.number = next(_numbers)

    async def take(self) -> None:
        """Take a place, the longest waiting first.

        Raises
        ------
        Refused
            0xA700 where there is none and nobody waits.
        """
        try:
            self._free.acquire_nowait()
        except anyio.WouldBlock:
            if not self._waits:
                comment = "too many objects at a time"
                raise Refused(Status.OUT_OF_RESOURCES, comment) from None
            await self._free.acquire()

    def give_back(self) -> None:
        """Give a place back."""
        self._free.release()


class Places:
    """The places of one object: one for each limit, however many of its handlers are under it.

    They are taken before any handler begins. Of handlers that share a dataset one that waits for
    its turn keeps all from reading on: to begin some and have others wait could end in two objects
    each of which waits for what the other one has.

    Parameters
    ----------
    limits : iterable of Limit
        What it needs: one for each handler that will `end` it.
    """

    __slots__ = ("_taken", "_uses")

    def __init__(self, limits: Iterable[Limit]) -> None:
        self._uses = Counter(limits)
        self._taken: set[Limit] = set()

    async def take(self) -> None:
        """Take all of them, each object in the same order.

        Raises
        ------
        Refused
            0xA700 where one too many does not wait.
        """
        # The youngest first: a limit is younger than those within it, and comes before them.
        for limit in sorted(self._uses, key=lambda limit: -limit.number):
            await limit.take()
            self._taken.add(limit)

    def end(self, limit: Limit) -> None:
        """Hear that a handler has ended that is under a limit: the last one gives it back."""
        self._uses[limit] -= 1
        if not self._uses[limit]:
            self._taken.discard(limit)
            limit.give_back()

    def end_all(self) -> None:
        """Give back what is left."""
        while self._taken:
            self._taken.pop().give_back()
