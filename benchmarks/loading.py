"""The loads that a receiver is put under in each kind of cell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from benchmarks.cells import MIXED_LARGE, MIXED_LARGE_SIZE, Cell, Kind
from benchmarks.generator import run_load, run_loads
from benchmarks.load.order import Order, Outcome
from benchmarks.measurement import Measurement
from benchmarks.messages import LARGE
from benchmarks.receivers.process import Running
from benchmarks.receivers.receiver import Receiver

__all__ = ["Loading", "Sent", "Source", "measurement_of"]

PILOT_SECONDS = 0.3
"""Enough to warm a receiver up, and to see how many objects it takes."""

RUN = 10**8
"""So many numbers of objects each run has to itself."""

PATIENCE = 10.0
LARGE_PATIENCE = 60.0
"""Seconds without an answer: some decode and encode a large object before they give one."""

IDLE_FACTOR = 5
"""Idle associations are watched so many times longer than others are measured."""

MANY = 10**7

Sent = dict[Path, set[int]]
"""The numbers of the objects that were acknowledged, by the file of their dataset."""


class Source(Protocol):
    """Where datasets come from, and how many there is room for."""

    def dataset(self, size: int) -> Path:
        """Return the file of object number 0 of a size in bytes."""

    def most(self, size: int) -> int:
        """Return how many objects of a size there is room for."""


@dataclass(slots=True)
class Loading:
    """Puts a receiver that runs under the load of a cell.

    Attributes
    ----------
    source : Source
        Where datasets come from.
    receiver, running : Receiver, Running
        Who is loaded.
    seconds : float
        How long, about.
    sent : Sent
        What was acknowledged so far.
    """

    source: Source
    receiver: Receiver
    running: Running
    seconds: float
    sent: Sent
    _runs: int = 0

    def measure(self, cell: Cell) -> Measurement:
        """Load it as the cell says.

        Raises
        ------
        LoadError
            Where anything but success came back, or nothing at all.
        """
        match cell.kind:
            case Kind.IDLE:
                measured = self._idle(cell)
            case Kind.MIXED:
                measured = self._mixed(cell)
            case Kind.BESIDE_IDLE:
                measured = self._beside_idle(cell)
            case _:
                order = self._order(cell.size, cell.associations)
                order = replace(order, each_alone=cell.kind is Kind.EACH_ALONE)
                paced = self._paced(order, cell.objects)
                measured = measurement_of(self._run(paced), self._bytes(paced))
        return replace(measured, idle_mb=self.running.idle / 1e6)

    def _idle(self, cell: Cell) -> Measurement:
        order = replace(self._order(0, 0), idle=cell.idle, seconds=IDLE_FACTOR * self.seconds)
        outcome = run_load(order)
        return Measurement(idle_kb=outcome.idle_memory / 1e3, idle_share=outcome.idle_share)

    def _beside_idle(self, cell: Cell) -> Measurement:
        paced = self._paced(self._order(cell.size, cell.associations), cell.objects)
        before, beside, after = (
            self._run(replace(paced, idle=count)) for count in (0, cell.idle, 0)
        )
        alone = sum(each.objects / each.seconds for each in (before, after)) / 2
        return replace(measurement_of(beside, self._bytes(paced)), alone_per_second=alone)

    def _mixed(self, cell: Cell) -> Measurement:
        """Let two generators run at the same time, both by the clock."""
        small = self._order(cell.size, cell.associations - MIXED_LARGE)
        large = self._order(MIXED_LARGE_SIZE, MIXED_LARGE)
        for order in (small, large):
            self._run(replace(order, objects=1))
        together = [self._numbered(each) for each in (small, large)]
        outcomes = run_loads(together)
        for order, outcome in zip(together, outcomes, strict=True):
            self._note(order, outcome)
        few, many = outcomes
        rate = many.objects / many.seconds * self._bytes(large) / 1e6
        # The receiver's time is that of both.
        measured = measurement_of(few, self._bytes(small))
        return replace(measured, large_megabytes_per_second=rate, processor_us=0.0)

    def _order(self, size: int, associations: int) -> Order:
        most = self.source.most(size) // associations if size and associations else MANY
        return Order(
            receiver=self.running.pid,
            port=self.running.port,
            dataset=str(self.source.dataset(size)) if size else "",
            associations=associations,
            objects=max(most, 1),
            seconds=self.seconds,
            patience=LARGE_PATIENCE if size >= LARGE else PATIENCE,
            together=not self.receiver.one_at_a_time,
        )

    def _paced(self, order: Order, least: int) -> Order:
        """Return an order of about `seconds` of work, by the pace of a pilot.

        All associations have as much to do then, and end together.
        """
        pilot = self._run(replace(order, seconds=PILOT_SECONDS))
        pace = pilot.objects / pilot.seconds / order.associations
        objects = max(round(pace * order.seconds), least, 1)
        limit = max(4 * order.seconds, least / pace * 4)
        return replace(order, objects=min(objects, order.objects), seconds=limit)

    def _run(self, order: Order) -> Outcome:
        order = self._numbered(order)
        outcome = run_load(order)
        self._note(order, outcome)
        return outcome

    def _numbered(self, order: Order) -> Order:
        self._runs += 1
        return replace(order, first=self._runs * RUN)

    def _note(self, order: Order, outcome: Outcome) -> None:
        if order.dataset:
            self.sent.setdefault(Path(order.dataset), set()).update(_numbers(order, outcome))

    def _bytes(self, order: Order) -> int:
        return Path(order.dataset).stat().st_size if order.dataset else 0


def _numbers(order: Order, outcome: Outcome) -> set[int]:
    """Return the numbers of the objects that were acknowledged."""
    step = order.associations
    return {
        number
        for index, count in enumerate(outcome.acknowledged)
        for number in range(order.first + index, order.first + index + count * step, step)
    }


def measurement_of(outcome: Outcome, size: int) -> Measurement:
    """Return what an outcome comes to, of objects of a size in bytes."""
    objects = outcome.objects
    return Measurement(
        objects=objects,
        objects_per_second=objects / outcome.seconds,
        megabytes_per_second=objects * size / outcome.seconds / 1e6,
        p50_ms=outcome.p50 * 1e3,
        p99_ms=outcome.p99 * 1e3,
        processor_us=outcome.receiver / objects * 1e6,
        generator_us=outcome.generator / objects * 1e6,
        peak_mb=outcome.peak / 1e6,
    )
