"""One sink: what waits for it, in order, and how it is tried until it has got it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

from aiodicom.announcing.announcements import Announcement
from aiodicom.announcing.retries import Retries, TryAgain, Undeliverable
from aiodicom.describe import system_reason
from aiodicom.failures import cancels_us, log_failure
from aiodicom.seldom import Seldom

__all__ = ["Counts", "Outbox", "Sink"]

logger = logging.getLogger("aiodicom.announcing")

Sink = Callable[[Announcement], Awaitable[object]]
"""Takes an announcement. It raises `TryAgain` or `OSError` to get it again later.

Where it is an asynchronous context manager it is entered with the announcer.
"""

LAST_WORDS = 1.0
"""Seconds that a sink which is cancelled may take to end."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What has become of a sink's announcements, so far.

    Parameters
    ----------
    name : str
        The sink's: without secrets.
    queued : int
        How many wait, or are being sent, now.
    sent : int
        How many it has taken.
    retried : int
        How many attempts were not the first one.
    failed : int
        How many it has not taken: it said so, or there was no more time.
    dropped : int
        How many were never sent, or not to their end: the queue was full, or the receiver stopped.
    """

    name: str
    queued: int = 0
    sent: int = 0
    retried: int = 0
    failed: int = 0
    dropped: int = 0


class Outbox:
    """A sink's own queue. It has tasks only while something waits in it.

    Parameters
    ----------
    sink : callable
        The sink.
    name : str
        What it is called in the log.
    room : int
        Announcements that may wait. The oldest one is dropped for one more.
    at_once : int
        Announcements that are sent at a time. With 1 they arrive in order.
    retries : Retries
        How often it is tried.
    """

    def __init__(self, sink: Sink, name: str, room: int, at_once: int, retries: Retries) -> None:
        self.name = name
        self._sink = sink
        self._room = room
        self._at_once = at_once
        self._retries = retries
        self._waiting: deque[Announcement] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        # Not that of the association whose object happens to be the first one.
        self._context = contextvars.copy_context()
        self._seldom = Seldom()
        self._rests_until = 0.0
        self._stopping = asyncio.Event()
        self._sending = self._sent = self._retried = self._failed = self._dropped = 0

    @property
    def counts(self) -> Counts:
        """What has become of what was put into it."""
        queued = len(self._waiting) + self._sending
        return Counts(
            self.name, queued, self._sent, self._retried, self._failed, self._dropped
        )  # fmt: skip

    def put(self, announcement: Announcement) -> None:
        """Have an announcement sent; returns at once."""
        # The oldest goes: it is what the sink has missed for longest, and what is announced of
        # its study comes after it and counts it.
        while len(self._waiting) >= self._room:
            self._waiting.popleft()
            self._dropped += 1
            self._warn("full", "The announcements for %s are too many: the oldest is dropped")
        self._waiting.append(announcement)
        if len(self._tasks) < self._at_once:
            task = asyncio.get_running_loop().create_task(self._work(), context=self._context)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)  # of one that never began

    async def close(self, grace: float) -> None:
        """Send what waits, for some seconds, and drop what is left.

        What was to be tried again later is tried at once, and everything only once.
        """
        self._stopping.set()
        before = self._failed
        try:
            if self._tasks:
                await asyncio.wait(set(self._tasks), timeout=grace)
        finally:
            left, settled = len(self._waiting) + self._sending, self._sent + self._failed
            self._waiting.clear()
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(set(self._tasks), timeout=LAST_WORDS)
            left -= self._sent + self._failed - settled  # who has ended with it when cancelled
            self._dropped += left
            lost = left + self._failed - before
            if lost:
                logger.error("Not announced to %s at the end: %d", self.name, lost)

    async def _work(self) -> None:
        try:
            while self._waiting:
                announcement = self._waiting.popleft()
                self._sending += 1
                try:
                    await self._deliver(announcement)
                finally:
                    self._sending -= 1
        finally:  # in this very turn: what is put in the next one needs another task
            self._tasks.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _deliver(self, announcement: Announcement) -> None:
        """Try until the sink has taken it, refused it, or there is no more time."""
        loop = asyncio.get_running_loop()
        await self._rest(self._rests_until)
        until = loop.time() + self._retries.give_up
        attempt = 0
        while (again := await self._attempt(announcement)) is not None:
            if again.after:
                self._rests_until = loop.time() + again.after
            due = max(loop.time() + self._retries.wait(attempt), self._rests_until)
            if due > until or self._stopping.is_set():
                self._fail(again.why)
                return
            what = "An announcement to %s is tried again: " + again.why.replace("%", "%%")
            self._warn(("again", again.why), what)
            await self._rest(due)
            attempt += 1
            self._retried += 1

    async def _attempt(self, announcement: Announcement) -> TryAgain | None:
        """Give it to the sink; return why it is to be tried again, or None where it is not."""
        try:
            await self._sink(announcement)
        except TryAgain as error:
            return error
        except OSError as error:
            return TryAgain(system_reason(error) if error.errno else type(error).__name__)
        except Undeliverable as error:
            self._fail(error.why)
        except (Exception, asyncio.CancelledError) as error:
            if cancels_us(error):
                raise
            self._fail_with(error)
        else:
            self._sent += 1
        return None

    async def _rest(self, until: float) -> None:
        """Wait until a time, or until the receiver stops."""
        seconds = until - asyncio.get_running_loop().time()
        if seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    await self._stopping.wait()
            except TimeoutError:
                pass

    def _fail(self, why: str) -> None:
        self._failed += 1
        self._warn(("failed", why), "An announcement to %s failed: " + why.replace("%", "%%"))

    def _fail_with(self, error: BaseException) -> None:
        self._failed += 1
        log_failure(logger, f"An announcement to {self.name} failed", error, self._seldom)

    def _warn(self, key: object, message: str) -> None:
        self._seldom.log(logger, logging.WARNING, key, message, self.name)
