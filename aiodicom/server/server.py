"""Server: listening, starting, stopping."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import math
import socket
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Self

import anyio

from aiodicom.acceptor.association import Service
from aiodicom.acceptor.protocol import Surroundings
from aiodicom.ae_titles import check_ae_title
from aiodicom.describe import uid_name
from aiodicom.events import ServerListening, ServerStopping, Watcher
from aiodicom.limits import Limits, Timeouts
from aiodicom.listening import ListenedOn, Listener, listen, listen_now, take_over
from aiodicom.open_files import raise_open_files_limit
from aiodicom.reloading import Reloading
from aiodicom.server.connections import Connections
from aiodicom.server.watching import Watchers
from aiodicom.systemd import Notifier
from aiodicom.wire.buffers import SLAB_SIZE, Pool
from aiodicom.wire.negotiation import VERIFICATION
from aiodicom.workers.parent import Workers
from aiodicom.workers.running import StoppedEarly, run_here, run_worker
from aiodicom.workers.shares import Share, Shares
from aiodicom.workers.worker import Worker

__all__ = ["Server"]

logger = logging.getLogger("aiodicom.server")

LINGER = 1.0
"""Seconds for which a stop lets associations go on, at most half of the grace."""


class Server:
    """A DICOM acceptor. Made by `serve`; an asynchronous context manager.

    Entered it listens, as `start` says; left it stops, as `stop` says.

    Attributes
    ----------
    ae_title : str
        Its own AE title.
    """

    def __init__(
        self,
        service: Service,
        *,
        ae_title: str,
        listeners: Sequence[Listener],
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        grace: float = 5,
        workers: int = 1,
        sockets: Sequence[socket.socket] | None = None,
        watchers: Sequence[Watcher] = (),
    ) -> None:
        if not grace >= 0:
            raise ValueError(f"{grace} s are no grace: 0 or more")
        self._limits = limits or Limits()
        _check_workers(workers, self._limits)
        if not listeners:
            raise ValueError("no listeners: leave them out to listen on one port")
        self.ae_title = check_ae_title(ae_title)
        self._service = service
        self._listeners = tuple(listeners)
        self._timeouts = timeouts or Timeouts()
        self._grace = grace
        self._workers = workers
        self._worker: Worker | None = None
        self._watchers = Watchers(watchers, service.seldom)
        self._share = Share(Shares())
        self._connections = Connections(self._share)
        self._given: Sequence[ListenedOn] | None = None
        if sockets is not None:
            self._given = take_over(self._listeners, sockets)
        self._listened_on: list[ListenedOn] = []
        self._handlers = contextlib.AsyncExitStack()
        self._tls = tuple(each.ssl for each in self._listeners if each.ssl is not None)
        parts = (service.access, *self._tls, service.store, service.echo)
        self._reloading = Reloading((*parts, service.authorize, *watchers))
        self._surroundings: Surroundings | None = None
        self._has_listened = False
        self._stopped = asyncio.Event()
        self._ended = asyncio.Event()
        self._starting: anyio.CancelScope | None = None
        self._start_ended = asyncio.Event()
        self._patience: anyio.CancelScope | None = None
        self._deadline = math.inf  # of the stores that run when it stops

    # What it is ----------------------------------------------------------------------------------

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """The IP addresses and TCP ports that it listens on, in the order of its listeners."""
        return [each.socket.getsockname()[:2] for each in self._listened_on]

    @property
    def ports(self) -> tuple[int, ...]:
        """The TCP ports that it listens on, each once, in the order of its listeners."""
        return tuple(dict.fromkeys(listener.port for listener in self._listeners))

    @property
    def port(self) -> int:
        """The TCP port that it listens on, the first of several: the one chosen for a 0."""
        return self._listeners[0].port

    @property
    def where(self) -> str:
        """Where it is to be found: its ports, which of them have TLS, and its AE title."""
        ports = [f"{port}{self._tls_of(port)}" for port in self.ports]
        return f"port{'s' if len(ports) > 1 else ''} {', '.join(ports)} as {self.ae_title}"

    def _tls_of(self, port: int) -> str:
        of_port = [each for each in self._listeners if each.port == port]
        secure = [each.host or "all interfaces" for each in of_port if each.ssl is not None]
        if len(secure) < len(of_port):  # the same port of another address has none
            return f" (TLS on {', '.join(secure)})" if secure else ""
        return " (TLS)"

    @property
    def associations(self) -> int:
        """How many associations there are now, their running handlers included."""
        return self._share.associations

    # Starting and stopping -----------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Enter the handlers that are context managers, and listen. A server starts once.

        Raises
        ------
        OSError
            Where the port cannot be listened on, or a handler cannot be set up.
        RuntimeError
            Where it is stopped meanwhile, was started before, or is one of several workers, which
            `run` starts.
        """
        if self._surroundings is not None or self._stopped.is_set():
            raise RuntimeError("a server is started once: make another one")
        if self._workers > 1 and self._worker is None:
            raise RuntimeError("a server of several workers is not entered, but run")
        loop = asyncio.get_running_loop()
        connections = self._connections
        self._surroundings = Surroundings(
            loop,
            Pool(
                self._limits.buffered_bytes // self._workers,
                call_later=loop.call_later,
                call_soon=loop.call_soon_threadsafe,
            ),
            dataclasses.replace(
                self._service,
                admit=connections.admit,
                leave=connections.leave,
                object_bytes=self._limits.object_bytes,
                tell=self._watchers.teller,
            ),
            self._limits,
            self._timeouts,
            connections.has_made,
            connections.has_lost,
        )
        try:
            if self._worker is None:
                self._watchers.share(1)
            with anyio.CancelScope() as self._starting:
                await self._set_up()
            if self._starting.cancelled_caught or self._stopped.is_set():
                raise StoppedEarly
        except BaseException:
            for given in self._given or ():
                given.socket.close()
            with anyio.CancelScope(shield=True):
                await self._leave_handlers()
            raise
        finally:
            self._starting = None
            self._start_ended.set()
        connections.accept(self._listened_on, self._surroundings)
        self._has_listened = True
        pool = self._surroundings.pool
        where = tuple(self.addresses)
        self._watchers.tell(ServerListening(self.ae_title, where, lambda: pool.held))

    async def _set_up(self) -> None:
        if logger.isEnabledFor(self._service.parameters_level):
            await asyncio.to_thread(uid_name, VERIFICATION)  # imports the names of all UIDs
        await self._enter_handlers()
        if self._worker is not None:
            if self._worker.is_behind:
                await self._reloading.catch_up()
            await self._worker.ready()
        else:
            given = self._given
            self._listen(await listen(self._listeners) if given is None else given)
            if self._listened_on:
                logger.info("Listening on %s", self.where)

    def _listen(self, sockets: Sequence[ListenedOn]) -> None:
        self._listened_on = list(sockets)
        for each in sockets:
            each.socket.setblocking(False)
        if sockets:  # as many as they are, with the ports that were chosen
            self._listeners = tuple(dict.fromkeys(each.listener for each in sockets))

    async def _enter_handlers(self) -> None:
        service = self._service
        parts = (service.store, service.echo, service.authorize, *self._tls)
        entered = {id(part): part for part in (*self._watchers, *parts)}  # left in reverse
        for part in entered.values():
            if isinstance(part, contextlib.AbstractAsyncContextManager):
                await self._handlers.enter_async_context(part)

    async def _leave_handlers(self) -> None:
        try:
            await self._handlers.aclose()
        finally:
            if self._worker is None:
                self._watchers.close()

    async def stop(self, grace: float | None = None) -> None:
        """Stop listening, let running stores end, then abort.

        For a moment associations go on as if nothing were: who has just connected is served, and
        who is about to leave may do so. Then what runs is finished, and each association is
        aborted between two messages. After the grace whatever is left is aborted, and its
        handlers are cancelled.

        Parameters
        ----------
        grace : float, optional
            Seconds that running stores have; by default what `serve` was told. A caller that is
            cancelled gives them none. Further calls wait for the first; with a grace of their
            own they can make it shorter.
        """
        if self._stopped.is_set():
            if grace is not None:
                self._shorten(grace)
            await self._ended.wait()
            return
        self._stopped.set()
        self._shorten(self._grace if grace is None else grace)
        try:
            if self._surroundings is not None:
                await self._start_ended.wait()
                await self._drain()
        finally:
            try:
                with anyio.CancelScope(shield=True):
                    self._connections.stop()
                    try:
                        await _to_its_end(self._connections.abort())
                    finally:
                        await self._leave_handlers()
            finally:  # whoever waits for us is not to blame for a handler
                self._ended.set()

    async def _drain(self) -> None:
        """Let what runs end until the deadline; whoever is just now coming or going as well."""
        connections = self._connections
        connections.stop_accepting()
        self._close_sockets()
        if self._has_listened:
            self._watchers.tell(ServerStopping())
        with anyio.CancelScope(deadline=self._deadline) as self._patience:
            grace = self._deadline - asyncio.get_running_loop().time()
            if not await connections.wait_empty(min(LINGER, grace / 2)):
                connections.stop()
                await connections.wait_empty(math.inf)

    def hurry(self) -> None:
        """Give running stores no more time: neither now nor when the server will stop.

        They are aborted. What was acknowledged is stored, and what was not may be.
        """
        self._shorten(0)
        if self._starting is not None:
            self._starting.cancel()

    def _shorten(self, grace: float) -> None:
        due = asyncio.get_running_loop().time() + grace
        self._deadline = min(self._deadline, due)
        if self._patience is not None:
            self._patience.deadline = self._deadline

    def _close_sockets(self) -> None:
        for each in self._listened_on:
            each.socket.close()
        self._listened_on = []

    async def converse(self, connected: socket.socket) -> None:
        """Serve a connection that somebody else has accepted, until there is none.

        Parameters
        ----------
        connected : socket.socket
            A TCP connection; it is the server's from now on.

        Raises
        ------
        ValueError
            Where none of several listeners is for the port that it came to, or some whose TLS
            differs are.
        """
        self._connections.take(connected, self._listeners)
        await self._connections.wait_empty(math.inf)

    def run(self, connected: socket.socket | None = None, *, is_last: bool = False) -> None:
        """Serve until SIGINT or SIGTERM, on uvloop where that is installed.

        For a program that is a DICOM receiver and nothing else: it may have as many files open
        as the system lets it. Of a server of several workers every one of them is a process that
        is forked here: no other thread runs then.

        Parameters
        ----------
        connected : socket.socket, optional
            A connection that somebody else has accepted, as inetd does. It alone is served then,
            to its end, and no port is listened on. Of several listeners it is the one's of the
            port that it came to.
        is_last : bool
            Whether the process ends afterwards: SIGINT, SIGTERM and SIGHUP are ignored then. By
            default it goes on with the signal handlers that it had.

        Raises
        ------
        OSError
            Where the port cannot be listened on, or a handler cannot be set up.
        """
        raise_open_files_limit()
        if connected is not None:
            self._given = ()
        if self._workers == 1 or connected is not None:
            run_here(self, Notifier(), connected, is_last=is_last)
            return
        shares, notifier, given = Shares(self._workers), Notifier(), self._given
        self._watchers.share(self._workers)
        try:
            self._listen(listen_now(self._listeners) if given is None else given)
        except BaseException:
            self._watchers.close()
            raise

        def tell_ready() -> None:
            logger.info("Listening on %s, %d workers", self.where, self._workers)
            notifier.ready(f"Listening on {self.where}, {self._workers} workers")

        try:
            Workers(
                self._workers,
                self._work,
                shares,
                notifier,
                on_ready=tell_ready,
                on_stopping=self._close_sockets,
                on_restarted=self._watchers.restarted,
                grace=self._grace,
                is_last=is_last,
            ).run()
        finally:
            self._close_sockets()
            self._watchers.close()

    def _work(self, worker: Worker) -> None:
        """Be one of several workers, in its process."""
        self._worker, self._share = worker, worker.share
        self._connections = Connections(worker.share)
        self._watchers.work(worker.share.index)
        run_worker(self, worker)

    async def reload(self) -> bool:
        """Read files again: of access rules, keys and certificates, and of handlers.

        Associations go on. What can be read again has a method ``reload`` (`Reloadable`); what
        was read, and what could not be, is logged. `run` does this at SIGHUP.

        Returns
        -------
        bool
            Whether nothing failed. What failed is as it was before.
        """
        return await self._reloading.reload()

    async def wait_stopped(self) -> None:
        """Wait until somebody calls `stop`; see there for how to wait for its end."""
        await self._stopped.wait()


async def _to_its_end(work: Coroutine[object, object, None]) -> None:
    """Await what is short; whoever cancels us, as asyncio does, waits for its end as well."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()


def _check_workers(workers: int, limits: Limits) -> None:
    if workers < 1:
        raise ValueError(f"{workers} workers serve nobody: 1 or more")
    least = 2 * SLAB_SIZE
    if limits.buffered_bytes // workers < least:
        needed = f"{workers} workers need {workers * least} or more"
        raise ValueError(f"buffered_bytes is {limits.buffered_bytes}: {needed}")
