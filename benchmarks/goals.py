"""What is wanted of the results, and how far they are from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.report import table
from benchmarks.results import CellResults, Results

__all__ = ["Ceiling", "Goal", "goals_table"]

NOT_MEASURED = "not measured"
SHORT = "**short**"


@dataclass(frozen=True, slots=True)
class Goal:
    """A speed, in multiples of another receiver's in the same rounds.

    Attributes
    ----------
    cell, ours, other : str
        Keys: where, who and against whom.
    least : float
        Which multiple, at least.
    filesystem : str
        Where they store.
    """

    cell: str
    ours: str
    other: str
    least: float
    filesystem: str = "tmpfs"


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A number of our own measurements, and its bound.

    Attributes
    ----------
    cell, ours : str
        Keys: where, and who.
    attribute : str
        Of a `Measurement`.
    bound : float
        At most so much, or, where `is_least`, at least.
    text : str
        What it is called.
    """

    cell: str
    ours: str
    attribute: str
    bound: float
    text: str
    is_least: bool = False


_FORK, _PYNETDICOM = "dcmtk-fork", "pynetdicom"

GOALS = (
    Goal("echo-1", "ours", _FORK, 0.9),
    Goal("echo-1", "ours", _PYNETDICOM, 20),
    Goal("6kB-1", "ours", _FORK, 0.9),
    Goal("6kB-1", "ours", _PYNETDICOM, 18),
    Goal("6kB-16", "ours-2", _FORK, 1.0),
    Goal("6kB-8", "ours-2", _PYNETDICOM, 50),
    Goal("530kB-1", "ours", _FORK, 0.95),
    Goal("530kB-1", "ours", _PYNETDICOM, 14),
    Goal("530kB-16", "ours-2", _FORK, 1.0),
    Goal("530kB-8", "ours-2", _PYNETDICOM, 30),
    Goal("530kB-64", "ours-2", _FORK, 4),
    Goal("530kB-256", "ours-2", _FORK, 3),
    Goal("each-16", "ours-2", _FORK, 6),
    Goal("each-16", "ours-2", "dcmtk", 2),
    Goal("each-8", "ours-2", _PYNETDICOM, 100),
    Goal("100MB-1", "ours", _FORK, 0.95),
    Goal("100MB-1", "ours", _PYNETDICOM, 5),
    Goal("1GB-1", "ours", _FORK, 0.95),
    Goal("1GB-1", "ours", _PYNETDICOM, 5),
    Goal("6kB-16", "ours", "orthanc", 10, "ext4"),
)

CEILINGS = (
    Ceiling("idle-10000", "ours", "idle_kb", 6, "kB for each idle association"),
    Ceiling("idle-10000", "ours", "idle_share", 0.02, "of a core for them"),
    Ceiling("1GB-1", "ours", "over_idle_mb", 16, "MB over the idle process"),
    Ceiling("beside-500", "ours", "beside_idle", 0.95, "of its speed alone", is_least=True),
)


def goals_table(runs: Sequence[Results]) -> str:
    """Return a Markdown table of all goals: met, short or not measured."""
    rows = [row for goal in GOALS for row in _goal(runs, goal)]
    rows += [row for ceiling in CEILINGS for row in _ceiling(runs, ceiling)]
    met = sum(row[-1] == "met" for row in rows)
    columns = ("cell", "receiver", "wanted", "measured", "")
    return f"{table(columns, rows, left=3)}\n\n{met} of {len(rows)} are met."


def _goal(runs: Sequence[Results], goal: Goal) -> Iterator[tuple[str, ...]]:
    run = next((each for each in runs if each.filesystem == goal.filesystem), None)
    cell = run.cells.get(goal.cell) if run else None
    wanted = f">= {goal.least:g} of {goal.other}"
    where = f"{goal.cell}, {goal.filesystem}"
    ratio = cell.ratio(goal.ours, goal.other) if cell else None
    if ratio is None:
        yield where, goal.ours, wanted, *_without(cell, goal.ours, goal.other)
    else:
        verdict = "met" if ratio.median >= goal.least else SHORT
        yield where, goal.ours, wanted, str(ratio), verdict


def _ceiling(runs: Sequence[Results], goal: Ceiling) -> Iterator[tuple[str, ...]]:
    run = next((each for each in runs if each.filesystem == "tmpfs"), None)
    measured = run.median(goal.cell, goal.ours) if run else None
    cell = run.cells.get(goal.cell) if run else None
    wanted = f"{'>=' if goal.is_least else '<='} {goal.bound:g} {goal.text}"
    where = f"{goal.cell}, tmpfs"
    if measured is None:
        yield where, goal.ours, wanted, *_without(cell, goal.ours)
    else:
        value: float = getattr(measured, goal.attribute)
        good = value >= goal.bound if goal.is_least else value <= goal.bound
        yield where, goal.ours, wanted, f"{value:.4g}", "met" if good else SHORT


def _without(cell: CellResults | None, ours: str, other: str = "") -> tuple[str, str]:
    """Say why there is no number; who has failed has not met its goal."""
    for key, verdict in ((ours, SHORT), (other, "")):
        measured = cell.median(key) if cell else None
        if measured and measured.error:
            return f"{key} has failed", verdict
    return NOT_MEASURED, ""
