"""What several rounds come to: medians, ratios within each round, and the file of it all."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from benchmarks.cells import Cell, Kind
from benchmarks.measurement import Measurement
from benchmarks.receivers.table import OURS

__all__ = ["CellResults", "Ratio", "Results", "load", "median", "merged", "ratio", "save"]


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


@dataclass(slots=True)
class CellResults:
    """All rounds of one cell.

    Attributes
    ----------
    cell : Cell
        Which.
    rounds : dict of str to list of Measurement
        Of each receiver, by its key.
    left_out : dict of str to str
        Why a receiver does not take part, by its key.
    """

    cell: Cell
    rounds: dict[str, list[Measurement]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def median(self, key: str) -> Measurement | None:
        """Return the median of a receiver, None where it took no part."""
        rounds = self.rounds.get(key)
        return median(rounds) if rounds else None

    def ratio(self, key: str, other: str) -> Ratio | None:
        """Return how many times the speed of another one a receiver has."""
        return ratio(self.rounds.get(key, ()), self.rounds.get(other, ()))


@dataclass(slots=True)
class Results:
    """One run of the benchmark on one filesystem.

    Attributes
    ----------
    surroundings : dict
        What they depend on.
    receivers : dict of str to str
        The names of the receivers, by their keys.
    cells : dict of str to CellResults
        By the key of the cell.
    """

    surroundings: dict[str, object]
    receivers: dict[str, str] = field(default_factory=dict)
    cells: dict[str, CellResults] = field(default_factory=dict)

    @property
    def filesystem(self) -> str:
        """What receivers stored to."""
        return str(self.surroundings.get("filesystem"))

    def of(self, cell: Cell) -> CellResults:
        """Return the results of a cell, which may be empty yet."""
        return self.cells.setdefault(cell.key, CellResults(cell))

    def forget_failures(self) -> None:
        """Let whoever has failed be measured again."""
        for each in self.cells.values():
            failed = [key for key, rounds in each.rounds.items() if any(m.error for m in rounds)]
            for key in failed:
                del each.rounds[key]

    def median(self, cell: str, receiver: str) -> Measurement | None:
        """Return a median without an error, None where there is none."""
        found = self.cells.get(cell)
        measured = found.median(receiver) if found else None
        return measured if measured and not measured.error else None


def median(rounds: Sequence[Measurement]) -> Measurement:
    """Return the median of each number; an error of any round is the error of all."""
    for measurement in rounds:
        if measurement.error:
            return Measurement(error=measurement.error)
    names = [each.name for each in fields(Measurement) if each.name != "error"]
    return Measurement(
        **{name: statistics.median(getattr(each, name) for each in rounds) for name in names}
    )


def ratio(ours: Sequence[Measurement], other: Sequence[Measurement]) -> Ratio | None:
    """Compare within each round, where the machine was the same for both; None after an error."""
    pairs = list(zip(ours, other, strict=False))
    if not pairs or any(each.error or not each.objects_per_second for each in (*ours, *other)):
        return None
    ratios = [mine.objects_per_second / theirs.objects_per_second for mine, theirs in pairs]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def load(path: Path) -> list[Results]:
    """Return the runs of a file, none where there is no such file."""
    if not path.exists():
        return []
    return [_run_of(each) for each in json.loads(path.read_text(encoding="utf-8"))["runs"]]


def save(path: Path, runs: Iterable[Results]) -> None:
    """Write runs to a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    text = json.dumps({"runs": [_as_json(each) for each in runs]}, indent=1)
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(path)


def merged(runs: Iterable[Results]) -> list[Results]:
    """Put the runs on each filesystem together; of a cell measured twice the later one counts."""
    by_filesystem: dict[str, Results] = {}
    for run in runs:
        one = by_filesystem.setdefault(run.filesystem, Results(run.surroundings))
        one.receivers |= run.receivers
        one.cells |= run.cells
    return list(by_filesystem.values())


def _as_json(run: Results) -> dict[str, object]:
    return {
        "surroundings": run.surroundings,
        "receivers": run.receivers,
        "cells": [_cell_as_json(each) for each in run.cells.values()],
    }


def _cell_as_json(results: CellResults) -> dict[str, object]:
    cell = results.cell
    receivers = {
        key: {
            "median": median(rounds).as_json(),
            "ours_over_it": str(compared) if (compared := results.ratio(OURS, key)) else None,
            "rounds": [each.as_json() for each in rounds],
        }
        for key, rounds in results.rounds.items()
        if rounds
    }
    return {
        "key": cell.key,
        "title": cell.title,
        "kind": cell.kind.value,
        "associations": cell.associations,
        "size": cell.size,
        "idle": cell.idle,
        "receivers": receivers,
        "left_out": results.left_out,
    }


def _run_of(data: dict[str, Any]) -> Results:
    cells = {each["key"]: _cell_of(each) for each in data["cells"]}
    return Results(data["surroundings"], data["receivers"], cells)


def _cell_of(data: dict[str, Any]) -> CellResults:
    cell = Cell(Kind(data["kind"]), data["associations"], data["size"], idle=data["idle"])
    rounds = {
        key: [Measurement.from_json(each) for each in value["rounds"]]
        for key, value in data["receivers"].items()
    }
    return CellResults(cell, rounds, data["left_out"])
