"""Monitor: a watcher that knows what a server has done and does, over all of its workers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Self

from aiodicom.describe import uid_name
from aiodicom.events import Event, Watcher
from aiodicom.failures import log_failure
from aiodicom.monitor.recorder import Recorder, without_present
from aiodicom.monitor.slots import Slots
from aiodicom.monitor.snapshots import snapshot_of
from aiodicom.seldom import Seldom
from aiodicom.storage.free_space import Room
from aiodicom.wire.negotiation import VERIFICATION

__all__ = ["Monitor"]

logger = logging.getLogger("aiodicom.monitor")

PERIOD = 0.25
"""Seconds between two reports of a worker, at least, and only after something has happened."""

LONGEST_PERIOD = 8.0
"""Seconds between two looks at datasets that still come, where none moves or nobody looks."""

WATCHED = 3.0
"""Seconds for which somebody who has looked may look again."""

FRESH = 1.0
"""Seconds for which the free space is not asked for again, and that an answer is waited for."""


class Monitor:
    """Counts, measures and lists what a server does. Given to ``serve(watchers=...)``.

    It costs a few µs an object, and nothing while nothing happens. Its memory is bounded, whatever
    peers do. With several workers each of them knows what all have done; who replaces one that has
    died goes on from what that has counted.

    Parameters
    ----------
    free_space : callable, optional
        Tells what room there is where objects are stored, such as `FileStorage.room`. It is called
        in a thread.
    """

    def __init__(self, free_space: Callable[[], Room | None] | None = None) -> None:
        self._free_space = free_space
        self._record = Recorder()
        self._room: Room | None = None
        self._looking: asyncio.Future[Room | None] | None = None
        self._looked_at = 0.0
        self._slots: Slots | None = None
        self._index: int | None = None  # of this worker
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._delay = PERIOD
        self._came = 0
        self._seldom = Seldom()
        self._is_unreadable = False

    def __call__(self, event: Event) -> None:
        """Take an event."""
        self._record.take(event)
        if self._slots is not None and (self._timer is None or self._delay > PERIOD):
            self._report_later(PERIOD)

    @property
    def hear(self) -> Watcher:
        """What is called with events instead of this, because that is quicker."""
        return self if self._slots is not None else self._record.take

    # Its life ------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Get ready in the event loop that serves."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(uid_name, VERIFICATION)  # imports the names of all UIDs
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Report for the last time."""
        if self._timer is not None:
            self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()
        self._timer = self._looking = None
        self._publish()
        self._loop = None

    def share(self, workers: int) -> None:
        """Make what several workers tell each other by, before they are forked.

        Raises
        ------
        RuntimeError
            Where another server has this monitor.
        """
        if self._loop is not None:
            raise RuntimeError("a monitor has one server: give each one of its own")
        self._slots = Slots(workers) if workers > 1 else None

    def work(self, index: int) -> None:
        """Be one of them, in its process."""
        self._index = index
        if self._slots is not None:
            before = self._slots.read(index)
            self._record = Recorder(before and without_present(before))

    def restarted(self, index: int) -> None:
        """Hear in the parent that a worker has died: what it had has ended."""
        if self._slots is not None:
            self._slots.restarted(index)
            before = self._slots.read(index)
            if before is not None:
                self._slots.write(index, without_present(before))

    # Reporting to other workers ------------------------------------------------------------------

    def _report_later(self, delay: float) -> None:
        if self._loop is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._delay = delay
        self._timer = self._loop.call_later(delay, self._report)

    def _report(self) -> None:
        """Report what has happened; go on while datasets come that somebody wants to see come."""
        assert self._slots is not None
        assert self._index is not None
        self._timer = None
        came = self._record.came()
        self._publish()
        if self._record.running:
            is_watched = _milliseconds() - self._slots.looked(self._index) < 1000 * WATCHED
            moves = is_watched and came != self._came
            self._report_later(PERIOD if moves else min(2 * self._delay, LONGEST_PERIOD))
        self._came = came

    def _publish(self) -> None:
        if self._slots is not None and self._index is not None:
            self._slots.write(self._index, self._record.report())

    # Asked ---------------------------------------------------------------------------------------

    @property
    def is_listening(self) -> bool:
        """Whether the server accepts connections in this process."""
        return self._record.is_listening

    @property
    def lacking(self) -> str:
        """Why there is no room where objects are stored, in words; empty where there is."""
        if self._looking is not None:
            return "the storage does not answer"
        if self._is_unreadable:
            return "the storage cannot tell its free space"
        return "" if self._room is None else self._room.lacking

    async def refresh(self) -> None:
        """Ask for the free space, unless that was done a moment ago.

        A storage that does not answer is waited for a second; `lacking` tells.
        """
        if self._free_space is None:
            return
        loop = asyncio.get_running_loop()
        if self._looking is None:
            if loop.time() - self._looked_at < FRESH and self._looked_at:
                return
            self._looked_at = loop.time()
            self._looking = loop.run_in_executor(None, self._free_space)
        looking = self._looking
        await asyncio.wait([looking], timeout=FRESH)
        if looking.done() and looking is self._looking:
            self._looking = None
            error = looking.exception()
            self._is_unreadable = error is not None
            self._room = None if error is not None else looking.result()
            if error is not None:
                log_failure(logger, "The storage cannot tell its free space", error, self._seldom)

    def snapshot(self) -> dict[str, Any]:
        """Return what is known, of all workers, as plain values that JSON can hold."""
        own, slots = self._record.report(), self._slots
        if slots is None:
            return snapshot_of([own], self._room, restarts=0, now=time.time())
        if self._index is not None:
            slots.write(self._index, own)  # what was told once stays told, whoever dies
        indexes = range(slots.count)
        reports = [own if index == self._index else self._of_other(index) for index in indexes]
        return snapshot_of(reports, self._room, restarts=slots.restarts(), now=time.time())

    def _of_other(self, index: int) -> dict[str, Any]:
        assert self._slots is not None
        self._slots.look(index, _milliseconds())
        return self._slots.read(index) or Recorder().report()


def _milliseconds() -> int:
    return int(1000 * time.monotonic())
