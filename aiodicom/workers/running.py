"""A process that is a server and nothing else: what `Server.run` does, here or in a worker."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Protocol, Self

import anyio

from aiodicom.systemd import Notifier
from aiodicom.workers.signals import Signals
from aiodicom.workers.worker import Worker

__all__ = ["Runnable", "StoppedEarly", "run_here", "run_worker"]

logger = logging.getLogger("aiodicom.server")


class StoppedEarly(RuntimeError):
    """A server was stopped before it served."""

    def __init__(self) -> None:
        super().__init__("the server was stopped while it started")


class Runnable(Protocol):
    """A server, as the process that it runs in sees it."""

    async def __aenter__(self) -> Self:
        """Start."""

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""

    @property
    def where(self) -> str:
        """Where it is to be found."""

    async def converse(self, connected: socket.socket) -> None:
        """Serve a connection to its end."""

    def hurry(self) -> None:
        """Give what runs no more time, now or when it stops."""

    async def reload(self) -> bool:
        """Read files again."""


def run_here(
    server: Runnable,
    notifier: Notifier,
    connected: socket.socket | None = None,
    *,
    is_last: bool = False,
) -> None:
    """Run a server in this process until SIGINT or SIGTERM, or for one connection."""
    with Signals(is_last=is_last) as signals:
        _run(lambda: _serve(server, signals, notifier, connected))


def run_worker(server: Runnable, worker: Worker) -> None:
    """Run a server in a worker's process until its parent says so."""
    _run(lambda: _work(server, worker))


def _run(serve: Callable[[], Awaitable[None]]) -> None:
    uvloop_is_there = importlib.util.find_spec("uvloop") is not None
    anyio.run(serve, backend_options={"use_uvloop": uvloop_is_there})


async def _serve(
    server: Runnable, signals: Signals, notifier: Notifier, connected: socket.socket | None
) -> None:
    told = _Told(server, notifier)
    with signals.heard_by(told), contextlib.suppress(StoppedEarly):
        async with _watched(notifier), server, told.reloads:
            if connected is None:
                notifier.ready(f"Listening on {server.where}")
                await told.to_stop.wait()
            else:
                await _first(server.converse(connected), told.to_stop.wait())
            notifier.stopping()


async def _first(*awaitables: Coroutine[object, object, object]) -> None:
    """Wait until one of several has ended; the others are cancelled."""
    tasks = [asyncio.create_task(each) for each in awaitables]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


@contextlib.asynccontextmanager
async def _watched(notifier: Notifier) -> AsyncIterator[None]:
    """Tell again and again that the loop goes round, where somebody wants to know."""
    task = None if notifier.watchdog is None else asyncio.create_task(_tell_alive(notifier))
    try:
        yield
    finally:
        if task is not None:
            task.cancel()


async def _tell_alive(notifier: Notifier) -> None:
    while notifier.watchdog is not None:
        notifier.alive()
        await asyncio.sleep(notifier.watchdog)


async def _work(server: Runnable, worker: Worker) -> None:
    reloads = _Reloads(server.reload)
    attending = worker.attending(hurry=server.hurry, reload=reloads.ask)
    with attending, contextlib.suppress(StoppedEarly):
        async with server, reloads:
            await worker.wait_stop()


class _Reloads:
    """Reloads that are asked for at any time, and done while the body runs, one at a time."""

    def __init__(self, reload: Callable[[], Awaitable[object]]) -> None:
        self._reload = reload
        self._is_wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def ask(self) -> None:
        """Have it done: once more after one that has begun."""
        self._is_wanted.set()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _work(self) -> None:
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            await self._reload()


class _Told:
    """What a process was told by signals."""

    def __init__(self, server: Runnable, notifier: Notifier) -> None:
        self.to_stop = asyncio.Event()
        self.reloads = _Reloads(self._reload)
        self._server = server
        self._notifier = notifier

    def stop(self, number: signal.Signals) -> None:
        logger.info("Stopping: %s", number.name)
        self.to_stop.set()

    def hurry(self, number: signal.Signals) -> None:
        logger.warning("Hurrying: %s again", number.name)
        self._server.hurry()

    def reload(self) -> None:
        self.reloads.ask()

    async def _reload(self) -> None:
        self._notifier.reloading()
        await self._server.reload()
        self._notifier.reloaded()
