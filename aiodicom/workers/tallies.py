"""How many of something each of many has: connections of an address, associations of a title.

A process knows its own exactly. What the other workers of its port have stands in memory that all
of them see, in two rows of numbers for each worker; a name has one place in each row, which its
hash chooses, and counts as the smaller of its two numbers. So memory is bounded whatever peers
call themselves, each worker writes its own rows only, and nothing is locked. Who shares both
places with others is counted with them: never too few; among 10,000 others one name in fifty.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence

__all__ = ["Tally", "clear_rows", "make_rows"]

PLACES = 1 << 16
"""Numbers in a row: a power of two."""

Rows = memoryview
"""Both rows of one worker, one after the other."""


def make_rows(workers: int) -> list[Rows]:
    """Return the rows of all workers, for processes that are forked later; none for one worker."""
    if workers == 1:
        return []
    numbers = memoryview(mmap.mmap(-1, 2 * 4 * PLACES * workers)).cast("i")  # pages when touched
    return [numbers[start : start + 2 * PLACES] for start in range(0, len(numbers), 2 * PLACES)]


def clear_rows(rows: Rows) -> None:
    """Forget what a worker had that is gone."""
    rows[:] = memoryview(bytes(4 * len(rows))).cast("i")


class Tally:
    """One worker's counts, and what it makes of the others'.

    Parameters
    ----------
    rows : sequence of memoryview
        Everybody's (`make_rows`).
    index : int
        Which worker this is, from 0.
    """

    def __init__(self, rows: Sequence[Rows] = (), index: int = 0) -> None:
        self._own: dict[str, int] = {}
        self._mine = rows[index] if rows else None
        self._others = [row for number, row in enumerate(rows) if number != index]

    def add(self, name: str, number: int = 1) -> int:
        """Count `number` more of somebody, or less; return how many all workers have."""
        count = self._own.get(name, 0) + number
        if count:
            self._own[name] = count
        else:
            self._own.pop(name, None)
        mine = self._mine
        if mine is None:
            return count
        chosen = hash(name)  # by a secret of this process, which those that it forks share
        one, other = chosen % PLACES, PLACES + (chosen >> 32) % PLACES
        mine[one] += number
        mine[other] += number
        ones = others = 0
        for rows in self._others:
            ones += rows[one]
            others += rows[other]
        return count + min(ones, others)

    def __len__(self) -> int:
        """How many of this worker's are counted."""
        return len(self._own)
