"""What libFuzzer says of a run."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Statistics", "statistics_of"]

_PROGRESS = re.compile(r"^#\d+\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)/", re.MULTILINE)
_INPUTS = re.compile(r"^stat::number_of_executed_units:\s*(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Statistics:
    """One run, or several.

    Parameters
    ----------
    inputs : int
        How many were tried.
    branches, features, kept : int
        What they reached of the code, in libFuzzer's counts, and how many inputs that takes.
    is_good : bool
        Whether it ended without a finding.
    """

    inputs: int = 0
    branches: int = 0
    features: int = 0
    kept: int = 0
    is_good: bool = True

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(
            self.inputs + other.inputs,
            self.branches + other.branches,
            self.features + other.features,
            self.kept + other.kept,
            self.is_good and other.is_good,
        )

    def __str__(self) -> str:
        end = "" if self.is_good else ", FAILED"
        return (
            f"{self.inputs} inputs, {self.branches} branches, {self.features} features, "
            f"{self.kept} kept{end}"
        )


def statistics_of(log: str, *, is_good: bool) -> Statistics:
    """Read a log, whose run ended well or not."""
    progress, inputs = _PROGRESS.findall(log), _INPUTS.findall(log)
    branches, features, kept = map(int, progress[-1]) if progress else (0, 0, 0)
    return Statistics(int(inputs[-1]) if inputs else 0, branches, features, kept, is_good)
