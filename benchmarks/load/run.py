"""What the associations of one run share: when to begin and to end, and what is measured then."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from benchmarks.load.order import Order
from benchmarks.usage import peak_memory, processor_seconds

__all__ = ["Gate", "Run"]


class Gate:
    """Where associations wait for each other.

    Parameters
    ----------
    needed : int
        How many have to be there; then they all go on.
    when_open : callable
        What is done before.
    """

    def __init__(self, needed: int, when_open: Callable[[], None]) -> None:
        self._needed = needed
        self._when_open = when_open
        self._waiting: list[Callable[[], None]] = []

    def arrive(self, go_on: Callable[[], None]) -> None:
        """Take one more; let all go on if it is the last."""
        self._waiting.append(go_on)
        if len(self._waiting) < self._needed:
            return
        self._when_open()
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            with contextlib.suppress(BlockingIOError):
                each()


class Run:
    """One run of an order.

    Accepting and releasing associations is not storing: where the receiver can have them all at
    once, time and usage are those between the last acceptance and the first release. Where each
    object has its own association, they are part of what is measured.
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        if order.each_alone:
            self.beginning = self.ending = Gate(1, lambda: None)
        else:
            together = order.associations if order.together else 1
            self.beginning = Gate(together, self.begin)
            self.ending = Gate(together, self.end)
        self.stop_at = 0.0
        self.generator = self.receiver = 0.0
        self.peak = 0
        self._generator_before = 0.0
        self._receiver_before = 0.0

    def begin(self) -> None:
        """Start the clock, once."""
        if not self.stop_at:
            self._receiver_before = processor_seconds(self.order.receiver)
            self._generator_before = time.process_time()
            self.stop_at = time.perf_counter() + self.order.seconds

    def end(self) -> None:
        """Note what has been used so far."""
        self.generator = time.process_time() - self._generator_before
        self.receiver = processor_seconds(self.order.receiver) - self._receiver_before
        self.peak = peak_memory(self.order.receiver)
