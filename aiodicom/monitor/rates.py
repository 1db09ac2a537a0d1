"""What came in each second of the last minutes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["SECONDS", "Rates", "together"]

SECONDS = 300
"""Seconds that are remembered, the present one included."""

PUT_BACK = 5
"""Seconds that the clock goes back before that is more than two times in the wrong order."""

_NAMES = ("objects", "bytes", "failures")


class Rates:
    """A ring of seconds since the epoch, which is what events have: to ask for a time costs time.

    Nothing turns it but what is counted and who looks at it.

    Parameters
    ----------
    values : mapping, optional
        What to go on from: what `values` has returned.

    Attributes
    ----------
    second : int
        The last second that is in it.
    objects, bytes, failures : list of int
        What came in each; the place of a second is its remainder by `SECONDS`.
    """

    __slots__ = ("bytes", "failures", "objects", "second")

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self.second = 0
        self.objects, self.bytes, self.failures = ([0] * SECONDS for _ in _NAMES)
        if values is not None:
            self.second = last = values["second"]
            for name in _NAMES:
                ring = getattr(self, name)
                for second, count in enumerate(values[name], last - SECONDS + 1):
                    ring[second % SECONDS] = count

    def turn(self, second: int) -> None:
        """Go on to a second. Where the clock was put back, what was before it is forgotten."""
        if second < self.second - PUT_BACK:
            self.second = second - SECONDS
        for each in range(max(self.second, second - SECONDS) + 1, second + 1):
            place = each % SECONDS
            self.objects[place] = self.bytes[place] = self.failures[place] = 0
        self.second = max(self.second, second)

    def spread(self, count: int, since: float) -> None:
        """Count bytes that have come from a time to the last second, evenly."""
        first, last = max(int(since), self.second - SECONDS + 1), self.second
        each, rest = divmod(count, max(last - first, 0) + 1)
        for second in range(first, last):
            self.bytes[second % SECONDS] += each
        self.bytes[last % SECONDS] += each + rest

    def values(self) -> dict[str, Any]:
        """Return it as plain values: the oldest second first."""
        split = (self.second + 1) % SECONDS
        rings = ((name, getattr(self, name)) for name in _NAMES)
        return {"second": self.second} | {n: ring[split:] + ring[:split] for n, ring in rings}


def together(several: Iterable[Mapping[str, Any]], second: int) -> dict[str, Any]:
    """Return the sum of what several rings had in the seconds up to one."""
    total: dict[str, Any] = {"second": second}
    rings = [(values, second - values["second"]) for values in several]
    for name in _NAMES:
        lists = [_moved(values[name], seconds) for values, seconds in rings]
        total[name] = lists[0] if len(lists) == 1 else list(map(sum, zip(*lists, strict=True)))
    return total


def _moved(counts: list[int], seconds: int) -> list[int]:
    """Return what a ring has when it is so many seconds later, or (one that is ahead) earlier."""
    if not seconds:
        return counts
    nothing = [0] * min(abs(seconds), SECONDS)
    return counts[seconds:] + nothing if seconds > 0 else nothing + counts[:seconds]
