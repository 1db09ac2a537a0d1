"""Announcer: tells other programs of durable objects and quiet studies, and delays no response."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from typing import Self
from urllib.parse import quote

import anyio

from aiodicom.announcing.announcements import Announcement, ObjectStored, StudyQuiet
from aiodicom.announcing.outbox import Counts, Outbox, Sink
from aiodicom.announcing.retries import Retries
from aiodicom.storage.stored import EndedStudy, StoredObject
from aiodicom.storage.studies import Studies

__all__ = ["Announcer"]

ROOM = 10_000
"""Announcements that may wait for one sink: some 10 MB."""

MOST_STUDIES = 10_000
"""Studies that may be under way: some 20 MB. One more ends the one that has been quiet longest."""


class Announcer:
    """Announces stored objects and quiet studies; `FileStorage` takes it as `announcer`.

    Each sink has a queue of its own: one that hangs delays no other, and no response. What is
    announced is sent at least once while the process lives: after a lost answer twice, with the
    same ``id``. What waits when the process is killed is lost.

    An asynchronous context manager, which `FileStorage` enters; whoever uses it otherwise does.

    Parameters
    ----------
    sinks : callable
        Who is told: `HttpPost`, `Command`, any ``async def hook(announcement)``. A sink that
        raises `TryAgain` or an `OSError` is given it again, after anything else it is not.
    quiet : float, optional
        Seconds without an object after which a study is announced. None: no study is.
    source : str, optional
        The ``source`` of the events, a URI reference; by default ``/aiodicom/<host name>``.
    retries : Retries, optional
        How often it is tried, and how long.
    at_once : int
        Announcements that each sink is sent at a time. With 1, the default, they come in order.
    room : int
        Announcements that may wait for each sink, by default 10,000. For one more the oldest one
        is dropped.
    grace : float
        Seconds that announcements have when it is left.

    Raises
    ------
    ValueError
        Where a number is too small.
    """

    def __init__(
        self,
        *sinks: Sink,
        quiet: float | None = None,
        source: str = "",
        retries: Retries | None = None,
        at_once: int = 1,
        room: int = ROOM,
        grace: float = 5,
    ) -> None:
        if at_once < 1 or room < 1:
            raise ValueError(f"at_once={at_once} and room={room}: 1 or more of each")
        if not grace >= 0:
            raise ValueError(f"{grace} s are no grace: 0 or more")
        self._sinks = sinks
        self._studies: Studies | None = None
        if quiet is not None:
            self._studies = Studies(timeout=quiet, on_end=self._study_ended, most=MOST_STUDIES)
        self._source = source
        self._retries = retries or Retries()
        self._at_once, self._room, self._grace = at_once, room, grace
        self._outboxes: tuple[Outbox, ...] = ()
        self._ids, self._number = "", 0
        self._entered = contextlib.AsyncExitStack()
        self._users = 0
        self._changing = anyio.Lock()

    async def __aenter__(self) -> Self:
        """Enter the sinks that are context managers."""
        async with self._changing:
            if not self._users:
                await self._start()
            self._users += 1
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Announce the studies that are under way, and give all that waits the grace."""
        async with self._changing:
            if self._users == 1:
                await self._stop()
            self._users -= 1

    async def _start(self) -> None:
        # Of this process alone: workers are forked before they enter it.
        self._ids, self._number = os.urandom(12).hex(), 0
        self._source = self._source or f"/aiodicom/{quote(socket.gethostname(), safe='')}"
        async with contextlib.AsyncExitStack() as entered:
            for sink in self._sinks:
                if isinstance(sink, contextlib.AbstractAsyncContextManager):
                    await entered.enter_async_context(sink)
            self._entered = entered.pop_all()
        self._outboxes = tuple(
            Outbox(sink, name, self._room, self._at_once, self._retries)
            for sink, name in zip(self._sinks, _names(self._sinks), strict=True)
        )

    async def _stop(self) -> None:
        try:
            if self._studies is not None:
                await self._studies.close()
            closing = (outbox.close(self._grace) for outbox in self._outboxes)
            await asyncio.gather(*closing)
        finally:
            self._ids = ""
            await self._entered.aclose()

    @property
    def studies(self) -> Studies | None:
        """Who keeps the studies apart; a storage tells it of objects that come."""
        return self._studies

    @property
    def counts(self) -> tuple[Counts, ...]:
        """What has become of the announcements of this process, for each sink in order."""
        return tuple(outbox.counts for outbox in self._outboxes)

    def stored(self, stored: StoredObject) -> None:
        """Announce an object that is durable; returns at once.

        Parameters
        ----------
        stored : StoredObject
            The object.

        Raises
        ------
        RuntimeError
            Where nobody has entered the announcer.
        """
        self._announce(ObjectStored(self._id(), self._source, stored.at or time.time(), stored))

    def _study_ended(self, study: EndedStudy) -> None:
        self._announce(StudyQuiet(self._id(), self._source, time.time(), study))

    def _id(self) -> str:
        if not self._ids:
            raise RuntimeError("the announcer is not running: enter it, or give it to FileStorage")
        self._number += 1
        return f"{self._ids}-{self._number}"

    def _announce(self, announcement: Announcement) -> None:
        for outbox in self._outboxes:
            outbox.put(announcement)


def _names(sinks: tuple[Sink, ...]) -> list[str]:
    """Return what the log calls the sinks; those that have the same name get numbers."""
    names = [
        str(getattr(sink, "name", "") or getattr(sink, "__qualname__", type(sink).__name__))
        for sink in sinks
    ]
    return [
        name if names.count(name) == 1 else f"{name} ({names[: index + 1].count(name)})"
        for index, name in enumerate(names)
    ]
