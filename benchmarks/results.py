"""What several rounds come to: medians, and ratios within each round."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from benchmarks.cells import Cell, Measurement

__all__ = ["Ratio", "Results", "median", "ratio"]

Results = Mapping[Cell, Mapping[str, Sequence[Measurement]]]
"""The rounds of each receiver, by its key, of each cell."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times the objects per second of another: the median of the rounds, and its range."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        if self.least == self.most:
            return f"{self.median:.2f}"
        return f"{self.median:.2f} ({self.least:.2f}-{self.most:.2f})"


def median(rounds: Sequence[Measurement]) -> Measurement:
    """Return the median of each number; an error of any round is the error of all."""
    for measurement in rounds:
        if measurement.error:
            return Measurement(error=measurement.error)
    names = [field.name for field in fields(Measurement) if field.name != "error"]
    return Measurement(
        **{name: statistics.median(getattr(each, name) for each in rounds) for name in names}
    )


def ratio(ours: Sequence[Measurement], other: Sequence[Measurement]) -> Ratio | None:
    """Compare within each round, where the machine was the same for both; None after an error."""
    if not ours or not other or any(each.error for each in (*ours, *other)):
        return None
    pairs = zip(ours, other, strict=True)
    ratios = [mine.objects_per_second / theirs.objects_per_second for mine, theirs in pairs]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))
