"""Runs an order: all associations in one thread, by epoll."""

from __future__ import annotations

import contextlib
import gc
import select
import time
from collections.abc import Iterable, Sequence

from aiodicom.errors import ProtocolError
from benchmarks.load.association import Association, hung
from benchmarks.load.idle import idle_associations, watch_idle
from benchmarks.load.order import Order, Outcome
from benchmarks.load.run import Run
from benchmarks.messages import LoadError, Messages

__all__ = ["perform"]

_EVENTS = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET


def perform(order: Order) -> Outcome:
    """Do what is ordered; whatever goes wrong is told in the outcome."""
    gc.disable()  # nothing here makes cycles
    run = Run(order)
    slots = [Slot(run, index) for index in range(order.associations)]
    error = ""
    try:
        if not order.associations:
            return watch_idle(order)
        with idle_associations(order) if order.idle else contextlib.nullcontext():
            _run(order, run, slots)
    except (LoadError, ProtocolError) as problem:
        error = str(problem)
    except OSError as problem:
        error = problem.strerror or type(problem).__name__
    return _outcome(run, slots, error)


class Slot:
    """One association, or, where each object has its own, one after the other.

    Parameters
    ----------
    run : Run
        What it is part of.
    index : int
        Which one of the associations at a time.
    """

    def __init__(self, run: Run, index: int) -> None:
        self.acknowledged = 0
        self.latencies: list[float] = []
        self.begun = 0.0
        self.ended = 0.0
        self._run = run
        self._order = run.order
        self._number = run.order.first + index
        self._messages = Messages(run.order.dataset)
        self._opened = 0.0

    def open(self, *, blocking: bool) -> Association:
        """Begin with an association."""
        objects = 1 if self._order.each_alone else self._order.objects
        association = Association(self._run, self._number, objects, self._messages)
        self._opened = time.perf_counter()
        self.begun = self.begun or self._opened
        association.connect(blocking=blocking)
        return association

    def close(self, association: Association) -> bool:
        """Take what an association has done that is done; tell whether another one follows."""
        self.acknowledged += association.acknowledged
        if not self._order.each_alone:
            self.latencies = association.latencies
            self.begun, self.ended = association.first_begun, association.last_answered
            return False
        self.ended = time.perf_counter()
        self.latencies.append(self.ended - self._opened)
        self._number += self._order.associations
        return self.ended < self._run.stop_at and self.acknowledged < self._order.objects


def _run(order: Order, run: Run, slots: Sequence[Slot]) -> None:
    if order.each_alone:
        run.begin()
        _run_all(order, slots)
        run.end()
    elif order.associations > 1:
        _run_all(order, slots)
    else:
        association = slots[0].open(blocking=True)
        association.run_alone()
        slots[0].close(association)


def _run_all(order: Order, slots: Iterable[Slot]) -> None:
    """Run several associations at once."""
    epoll = select.epoll()
    by_descriptor: dict[int, tuple[Slot, Association]] = {}

    def begin(slot: Slot) -> None:
        association = slot.open(blocking=False)
        descriptor = association.socket.fileno()
        by_descriptor[descriptor] = slot, association
        epoll.register(descriptor, _EVENTS)

    for slot in slots:
        begin(slot)
    while by_descriptor:
        ready = epoll.poll(order.patience)
        if not ready:
            raise LoadError(hung(order.patience))
        for descriptor, events in ready:
            slot, association = by_descriptor[descriptor]
            association.ready(events)
            if association.is_done:
                del by_descriptor[descriptor]
                if slot.close(association):
                    begin(slot)


def _outcome(run: Run, slots: Sequence[Slot], error: str) -> Outcome:
    latencies = sorted(second for each in slots for second in each.latencies)
    acknowledged = [each.acknowledged for each in slots]
    if not latencies:
        return Outcome(acknowledged, error=error or "nothing was acknowledged")
    begun = min(each.begun for each in slots if each.acknowledged)
    seconds = max(each.ended for each in slots) - begun
    p50, p99 = (latencies[int(len(latencies) * part)] for part in (0.5, 0.99))
    return Outcome(
        acknowledged, seconds, p50, p99, run.generator, run.receiver, run.peak, error=error
    )
