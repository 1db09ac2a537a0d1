"""What was counted since a server began: it only ever grows, and takes bounded memory."""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from aiodicom.events import How, Refusal

__all__ = ["BOUNDS", "DIED", "Counts", "Histogram", "Totals", "added"]

DIED = "died"
"""How associations have ended whose worker has."""

MOST_KINDS = 64
"""Kinds that are counted apart. Statuses and reasons may be any number that a handler likes."""

OTHER = "other"

BOUNDS: Mapping[str, tuple[float, ...]] = {
    "sizes": tuple(1024.0 * 4**power for power in range(12)),
    "settled": (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    "lasted": (0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14400),
}
"""What the buckets of histograms reach up to: bytes of objects, seconds to the answer, seconds
of associations."""


KINDS: Mapping[str, tuple[str, ...]] = {
    "refused": get_args(Refusal),
    "rejected": (),
    "ended": (*get_args(How), DIED),
    "requests": ("C-ECHO 0x0000", "C-STORE 0x0000"),
    "interrupted": ("C-STORE",),
}
"""What is told of before there is any: the first one is then seen to be one more."""


class Counts:
    """How often there was what, of a bounded number of kinds."""

    __slots__ = ("of",)

    def __init__(self, of: Mapping[str, int] | None = None) -> None:
        self.of = dict(of or {})

    def add(self, kind: str, count: int = 1) -> None:
        """Count one, or several."""
        if kind not in self.of and len(self.of) >= MOST_KINDS:
            kind = OTHER
        self.of[kind] = self.of.get(kind, 0) + count


class Histogram:
    """How many values there were up to each of some bounds, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...], values: Mapping[str, Any] | None = None) -> None:
        self.bounds = bounds
        self.counts: list[int] = [0] * (len(bounds) + 1)
        self.sum = 0.0
        if values is not None:
            self.counts, self.sum = list(values["counts"]), values["sum"]

    def observe(self, value: float) -> None:
        """Count a value: the last bucket has what is above all bounds."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def values(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"counts": self.counts.copy(), "sum": self.sum}


class Totals:
    """All that was counted by one process, or by it and those that it has replaced.

    Parameters
    ----------
    values : mapping, optional
        What to go on from: what `values` has returned.

    Attributes
    ----------
    objects, bytes : int
        Objects that were stored, and bytes of datasets that have come, stored or not.
    successes : int
        Those objects whose answer was 0x0000. All other answers are in `requests`.
    accepted : int
        Associations.
    refused, rejected, ended : Counts
        Connections by reason; proposals by ``result source reason``; associations by how.
    requests, interrupted : Counts
        By ``operation status``; those that were never answered by operation.
    sizes, settled, lasted : Histogram
        Of objects in bytes; from the last fragment to the answer, and of associations, in seconds.
    """

    __slots__ = (
        *("accepted", "bytes", "ended", "interrupted", "lasted", "objects", "refused"),
        *("rejected", "requests", "settled", "sizes", "successes"),
    )

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        values = values or {}
        self.objects: int = values.get("objects", 0)
        self.bytes: int = values.get("bytes", 0)
        self.accepted: int = values.get("accepted", 0)
        self.successes = 0  # those of `values` are among its requests
        self.refused, self.rejected, self.ended, self.requests, self.interrupted = (
            Counts(values.get(name) or dict.fromkeys(KINDS[name], 0)) for name in KINDS
        )
        self.sizes, self.settled, self.lasted = (
            Histogram(BOUNDS[name], values.get(name)) for name in ("sizes", "settled", "lasted")
        )

    def values(self) -> dict[str, Any]:
        """Return them as plain values, which JSON can hold."""
        if self.successes:
            self.requests.add("C-STORE 0x0000", self.successes)
            self.successes = 0
        return {
            "objects": self.objects,
            "bytes": self.bytes,
            "accepted": self.accepted,
            "refused": self.refused.of.copy(),
            "rejected": self.rejected.of.copy(),
            "ended": self.ended.of.copy(),
            "requests": self.requests.of.copy(),
            "interrupted": self.interrupted.of.copy(),
            "sizes": self.sizes.values(),
            "settled": self.settled.values(),
            "lasted": self.lasted.values(),
        }


def added(several: Iterable[Any]) -> dict[str, Any]:
    """Return the sum of what `Totals.values` has returned in several processes."""
    total: dict[str, Any] = functools.reduce(_sum, several)
    return total


def _sum(one: Any, other: Any) -> Any:
    """Add numbers, lists of as many numbers, and mappings of any of these."""
    if isinstance(one, Mapping):
        both = {**one, **other}
        return {k: _sum(one[k], other[k]) if k in one and k in other else both[k] for k in both}
    if isinstance(one, list):
        return [a + b for a, b in zip(one, other, strict=True)]
    return one + other
