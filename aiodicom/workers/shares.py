"""What the workers of one port know of each other: counters in memory that all of them see.

Each worker writes its own slot only, so nothing is locked. Limits hold over all slots, and new
connections are left to the worker that has the fewest.
"""

from __future__ import annotations

import mmap

from aiodicom.workers.tallies import Tally, clear_rows, make_rows

__all__ = ["BATCH", "Share", "Shares"]

BATCH = 64
"""Connections that are accepted before other work has its turn."""

OVERLOOKED = 10
"""Times in a row that connections are left in vain to a worker before it is passed over."""

SLOT = 8
"""Numbers from one slot to the next: a cache line, for which no two workers compete."""

_SERVING, _ACCEPTED, _CONNECTIONS, _ASSOCIATIONS = range(4)


class Shares:
    """The slots of all workers.

    Parameters
    ----------
    workers : int
        How many there are. Those of several are seen by processes that are forked later.
    """

    def __init__(self, workers: int = 1) -> None:
        size = 8 * SLOT * workers
        memory = mmap.mmap(-1, size) if workers > 1 else bytearray(size)
        self._numbers = memoryview(memory).cast("q")
        self.serving = self._numbers[_SERVING::SLOT]
        self.accepted = self._numbers[_ACCEPTED::SLOT]
        self.connections = self._numbers[_CONNECTIONS::SLOT]
        self.associations = self._numbers[_ASSOCIATIONS::SLOT]
        self.rows = make_rows(workers)

    def clear(self, index: int) -> None:
        """Forget a worker that is gone."""
        for number in range(SLOT * index, SLOT * (index + 1)):
            self._numbers[number] = 0
        if self.rows:
            clear_rows(self.rows[index])


class Share:
    """One worker's own slot, and what it makes of the others'.

    Parameters
    ----------
    shares : Shares
        Everybody's.
    index : int
        Which worker this is, from 0.

    Attributes
    ----------
    tally : Tally
        How many connections and associations single addresses and titles have.
    """

    def __init__(self, shares: Shares, index: int = 0) -> None:
        self.index = index
        self.tally = Tally(shares.rows, index)
        self._all = shares
        self._left_to = (index, 0)
        self._in_vain = 0
        self._passed_over: dict[int, int] = {}

    # Counting: ours first, then everybody's, so that a limit is never exceeded -------------------

    @property
    def associations(self) -> int:
        """How many associations this worker has."""
        return self._all.associations[self.index]

    def serve(self, is_serving: bool) -> None:
        """Say whether this worker accepts connections."""
        self._all.serving[self.index] = is_serving

    def accepted(self) -> None:
        """Count a connection that was taken from the listening socket."""
        self._all.accepted[self.index] += 1

    def add_connection(self, number: int = 1) -> int:
        """Count a connection more, or less; return how many all workers have."""
        self._all.connections[self.index] += number
        return sum(self._all.connections)

    def add_association(self, number: int = 1) -> int:
        """Count an association more, or less; return how many all workers have."""
        self._all.associations[self.index] += number
        return sum(self._all.associations)

    # Spreading -----------------------------------------------------------------------------------

    def room(self) -> int:
        """Return how many connections this worker may take before another one should.

        An eighth more than the one with the fewest is as good as even: with many connections
        nobody waits for the sake of a few.
        """
        least = self._least()
        if least is None:
            return BATCH
        fewest = self._all.connections[least]
        return min(fewest + (fewest >> 3) + 1 - self._all.connections[self.index], BATCH)

    def leave(self) -> None:
        """Begin to leave connections to the worker that has the fewest."""
        least = self._least()
        if least is not None:
            self._left_to = least, self._all.accepted[least]

    def come_back(self) -> int:
        """Having left connections to another one for a moment, return how many to take now.

        One all the same, and ever more while the other one takes none: somebody who is stuck must
        not delay anybody.
        """
        if self._has_moved():
            return max(self.room(), 1)
        return 1 << (self._in_vain >> 1)

    def left_in_vain(self, is_in_vain: bool) -> None:
        """Hear whether what was left to another one was still there.

        Who lets that happen time and again is passed over, until it accepts something.
        """
        if not is_in_vain or self._has_moved():
            self._in_vain = 0
            return
        self._in_vain += 1
        if self._in_vain == OVERLOOKED:
            self._in_vain = 0
            other, accepted = self._left_to
            self._passed_over[other] = accepted

    def _has_moved(self) -> bool:
        """Tell whether the one that connections were left to has taken any."""
        other, accepted = self._left_to
        return self._all.accepted[other] != accepted

    def _least(self) -> int | None:
        """Return which other worker has the fewest connections, of those that accept any."""
        least, fewest = None, 0
        for index, count in enumerate(self._all.connections):
            if index == self.index or not self._all.serving[index]:
                continue
            if self._passed_over and self._is_passed_over(index):
                continue
            if least is None or count < fewest:
                least, fewest = index, count
        return least

    def _is_passed_over(self, index: int) -> bool:
        accepted = self._passed_over.get(index)
        if accepted is not None and accepted != self._all.accepted[index]:
            del self._passed_over[index]
            return False
        return accepted is not None
