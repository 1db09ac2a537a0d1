"""Commands that are run when an object was stored, and when a study has ended.

What a peer has chosen is data: it is handed over as a word of the command's, or as a variable of
its environment, and never becomes a part of what a shell reads. The free text in it, the AE
titles, loses what a shell could take for its own in any case: a command may hand its words to
another shell (``sh -c``, ``eval``, ``ssh``), of which nothing is known here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Self

from aiodicom.announcing.templates import Template
from aiodicom.announcing.words import command_line, safe
from aiodicom.describe import escape
from aiodicom.storage.stored import EndedStudy, StoredObject

__all__ = ["Actions"]

logger = logging.getLogger("aiodicom.actions")

MAXIMUM_WAITING = 1000
"""Commands that wait for their turn before the responses to further objects wait for them."""

LOOKUP = 2.0
"""Seconds that the name of a peer's host is waited for."""

MAXIMUM_PEERS = 1024
"""Addresses whose names are remembered."""


class _Peers:
    """The names of peers' hosts."""

    def __init__(self, looks_up: bool) -> None:
        self._looks_up = looks_up
        self._known: dict[str, str] = {}

    def name(self, address: str) -> str:
        """Return a host's name up to the first dot, or its address; waits for the network."""
        if not self._looks_up or not address:
            return address
        name = self._known.get(address)
        if name is None:
            answers: queue.SimpleQueue[str] = queue.SimpleQueue()
            looking = threading.Thread(target=lambda: answers.put(_host_name(address)), daemon=True)
            looking.start()
            try:
                name = answers.get(timeout=LOOKUP)
            except queue.Empty:  # a name server that does not answer is not asked again
                name = address
            if len(self._known) >= MAXIMUM_PEERS:
                self._known.clear()
            self._known[address] = name
        return name


def _host_name(address: str) -> str:
    try:
        name = socket.gethostbyaddr(address)[0]
    except (OSError, UnicodeError):
        return address
    return safe(name.partition(".")[0]) or address


@dataclass(slots=True)
class _Job:
    template: Template
    last: StoredObject
    started: asyncio.Future[None]
    ended: asyncio.Future[None]


class Actions:
    """Runs the commands that follow stored objects and ended studies.

    Some run at a time, the others wait in the order they came. Where `MAXIMUM_WAITING` wait, the
    responses to further objects wait until their commands have begun: none is dropped, and a
    sender that is faster than the commands is slowed down. An asynchronous context manager, which
    waits for the commands in the end; those that still run then are left to it.

    Parameters
    ----------
    on_reception, on_study_end : Template or None
        The commands.
    waits : bool
        Whether the response to an object waits for its command.
    looks_up : bool
        Whether ``#r`` is the name of the peer's host rather than its address.
    at_once : int or None
        How many commands may run at a time; None for one for each processor.
    patience : float
        Seconds that they are waited for in the end.
    """

    def __init__(
        self,
        *,
        on_reception: Template | None = None,
        on_study_end: Template | None = None,
        waits: bool = False,
        looks_up: bool = True,
        at_once: int | None = None,
        patience: float = 10,
    ) -> None:
        self._on_reception = on_reception
        self._on_study_end = on_study_end
        self._waits = waits
        self._peers = _Peers(looks_up)
        self._at_once = at_once or os.cpu_count() or 1
        self._patience = patience
        self._waiting: deque[_Job] = deque()
        self._running = 0
        self._idle = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                while self._running or self._waiting:
                    self._idle.clear()
                    await self._idle.wait()
        if self._running:
            logger.warning("%d commands have not ended; they run on", self._running)
        while self._waiting:
            job = self._waiting.popleft()
            _finish(job.started)
            _finish(job.ended)
            logger.error("Not run, for want of time: %s for %s", job.template.name, job.last.name)

    def stored(self, stored: StoredObject) -> Awaitable[None] | None:
        """Run the command for an object: what `FileStorage` takes as `on_stored`."""
        if self._on_reception is None:
            return None
        is_full = len(self._waiting) >= MAXIMUM_WAITING
        job = self._submit(self._on_reception, stored)
        if self._waits:
            return job.ended
        return job.started if is_full else None

    def study_ended(self, ended: EndedStudy) -> None:
        """Run the command for a study: what `Studies` takes as `on_end`."""
        if self._on_study_end is not None:
            self._submit(self._on_study_end, ended.last)

    def _submit(self, template: Template, last: StoredObject) -> _Job:
        loop = asyncio.get_running_loop()
        job = _Job(template, last, loop.create_future(), loop.create_future())
        self._waiting.append(job)
        self._start(loop)
        return job

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting and self._running < self._at_once:
            job = self._waiting.popleft()
            self._running += 1
            _finish(job.started)
            # A daemon: a command that does not end must not keep the process from ending.
            thread = threading.Thread(target=self._work, args=(job, loop), daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the system has no more of them
                logger.warning("Cannot run %s: %s", escape(job.template.name), error)
                self._running -= 1
                _finish(job.ended)

    def _ended(self, job: _Job) -> None:
        self._running -= 1
        _finish(job.ended)
        self._start(asyncio.get_running_loop())
        if not self._running:
            self._idle.set()

    # In the threads ------------------------------------------------------------------------------

    def _work(self, job: _Job, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._run(job.template, job.last)
        except (OSError, ValueError) as error:
            logger.warning("Cannot run %s: %s", escape(job.template.name), error)
        finally:
            with contextlib.suppress(RuntimeError):  # the loop has ended before the command
                loop.call_soon_threadsafe(self._ended, job)

    def _run(self, template: Template, last: StoredObject) -> None:
        peer = self._peers.name(last.address)
        arguments, variables = command_line(template, last, peer)
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **variables},
            start_new_session=True,  # Ctrl-C is for the receiver, which waits for the command
        )
        code = process.wait()
        if code:
            how = f"exit code {code}" if code > 0 else f"signal {-code}"
            logger.warning("The command %s ended with %s", escape(template.name), how)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
