"""Measures all cells, in rounds in which the receivers take turns."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.bench import Bench
from benchmarks.cells import Cell, Kind
from benchmarks.measurement import Measurement
from benchmarks.receivers.packages import HOW_TO_GET, packages
from benchmarks.receivers.receiver import Receiver
from benchmarks.results import CellResults, Results

__all__ = ["available", "run", "say"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One measurement that is to be made."""

    cell: Cell
    receiver: Receiver
    number: int


def available(receivers: Sequence[Receiver]) -> list[Receiver]:
    """Return those whose package is there; say how to get the others'."""
    found = packages()
    for package in dict.fromkeys(each.package for each in receivers):
        if package not in found:
            say(f"{package} is not installed and left out. To get it: {HOW_TO_GET[package]}")
    return [each for each in receivers if each.package in found]


def run(
    bench: Bench,
    cells: Sequence[Cell],
    receivers: Sequence[Receiver],
    rounds: int,
    results: Results,
    save: Callable[[], None],
) -> None:
    """Measure what `results` does not hold yet.

    Parameters
    ----------
    bench : Bench
        Where.
    cells : sequence of Cell
        What.
    receivers : sequence of Receiver
        Of whom.
    rounds : int
        How often.
    results : Results
        Where it is put.
    save : callable
        Called after each round of a cell.
    """
    results.receivers |= {each.key: each.name for each in receivers}
    for cell in cells:
        results.of(cell).left_out |= {
            each.key: why for each in receivers if (why := each.cannot(cell))
        }
    turns = [turn for turn in _turns(cells, receivers, rounds) if _is_open(results, turn)]
    begun, done, spent = time.monotonic(), 0.0, 0.0
    for index, turn in enumerate(turns):
        if _is_open(results, turn):
            start = time.monotonic()
            measured = bench.measure(turn.receiver, turn.cell)
            spent += time.monotonic() - start
            results.of(turn.cell).rounds.setdefault(turn.receiver.key, []).append(measured)
            done += 1
            left = sum(_is_open(results, each) for each in turns[index + 1 :])
            minutes = spent / done * left / 60
            say(f"{_said(turn, measured)}  [{left} to do, about {minutes:.0f} min]")
        following = turns[index + 1] if index + 1 < len(turns) else None
        if following is None or (following.cell, following.number) != (turn.cell, turn.number):
            save()
        if following is None or following.cell != turn.cell:
            bench.forget_datasets()
    say(f"done in {(time.monotonic() - begun) / 60:.1f} minutes")


def say(line: str) -> None:
    """Tell the one who waits."""
    print(line, file=sys.stderr, flush=True)


def _turns(cells: Sequence[Cell], receivers: Sequence[Receiver], rounds: int) -> list[Turn]:
    turns = []
    for cell in cells:
        taking_part = [each for each in receivers if each.cannot(cell) is None]
        for number in range(rounds):
            # Another one begins each time: a machine that slows down hits them all.
            first = number % max(len(taking_part), 1)
            order = taking_part[first:] + taking_part[:first]
            turns += [Turn(cell, each, number) for each in order]
    return turns


def _is_open(results: Results, turn: Turn) -> bool:
    """Tell whether it is still to be measured; what has failed once is not tried again."""
    rounds = results.of(turn.cell).rounds.get(turn.receiver.key, [])
    return len(rounds) <= turn.number and not any(each.error for each in rounds)


def _said(turn: Turn, measured: Measurement) -> str:
    cell = turn.cell
    if measured.error:
        what = f"FAILED: {measured.error}"
    elif cell.kind is Kind.IDLE:
        what = f"{measured.idle_kb:.1f} kB each, {measured.idle_share:.1%} of a core"
    else:
        what = f"{measured.objects_per_second:,.1f}/s"
    return f"{cell.key}, round {turn.number + 1}, {turn.receiver.key}: {what}"


def failures(results: Results) -> list[str]:
    """Return what has failed, a line each."""
    return [
        f"{cell.cell.title}: {results.receivers[key]}: {each.error}"
        for cell in results.cells.values()
        for key, rounds in _named(cell)
        for each in rounds
        if each.error
    ]


def _named(cell: CellResults) -> list[tuple[str, list[Measurement]]]:
    return list(cell.rounds.items())
