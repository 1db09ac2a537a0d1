"""Deadlines of many connections, with one timer of the loop's for all of them.

A timer of its own costs a connection 600 bytes, more than its whole state of the protocol.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

__all__ = ["Deadline", "Deadlines", "Waiter"]

GRAIN = 1 / 16
"""Seconds by which a deadline may be late: those that are that near to each other are one."""


class Waiter(Protocol):
    """Who has a deadline."""

    def on_deadline(self) -> None:
        """Hear that it has come."""


class Deadline:
    """A moment, and who is told then."""

    __slots__ = ("moment", "waiters")

    def __init__(self, moment: int) -> None:
        self.moment = moment
        self.waiters: set[Waiter] = set()


class Deadlines:
    """Tells connections when it is time.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        Whose time it is.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._deadlines: dict[int, Deadline] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0

    def add(self, due: float, waiter: Waiter) -> Deadline:
        """Have `waiter` told at a time of the loop's clock, or up to `GRAIN` seconds later."""
        moment = int(due / GRAIN) + 1
        deadline = self._deadlines.get(moment)
        if deadline is None:
            deadline = self._deadlines[moment] = Deadline(moment)
            if self._timer is None or moment < self._next:
                self._set_timer(moment)
        deadline.waiters.add(waiter)
        return deadline

    def remove(self, deadline: Deadline, waiter: Waiter) -> None:
        """Tell `waiter` nothing; a deadline that has come already is none."""
        deadline.waiters.discard(waiter)
        if not deadline.waiters and self._deadlines.get(deadline.moment) is deadline:
            del self._deadlines[deadline.moment]
        if not self._deadlines and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self, moment: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = moment
        self._timer = self._loop.call_at(moment * GRAIN, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = self._loop.time() / GRAIN
        for moment in [moment for moment in self._deadlines if moment <= now]:
            for waiter in self._deadlines.pop(moment).waiters:
                self._loop.call_soon(waiter.on_deadline)  # what it raises stays its own
        if self._deadlines:
            self._set_timer(min(self._deadlines))
