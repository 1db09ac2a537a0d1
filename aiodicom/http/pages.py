"""Pages: a server's metrics, health and live page, on a port of their own."""

from __future__ import annotations

import asyncio
import logging
import socket
from functools import partial
from typing import Self

from uvicorn.config import Config
from uvicorn.server import ServerState

from aiodicom.events import Event
from aiodicom.http.app import application
from aiodicom.http.guard import is_loopback
from aiodicom.http.pace import Pace
from aiodicom.http.protocol import Connection, SeldomLogger
from aiodicom.listening import Listener, listen_now
from aiodicom.monitor import Monitor

__all__ = ["Pages"]

logger = logging.getLogger("aiodicom.http")

LAST_WORDS = 0.5
"""Seconds that answers which are being sent have when the server has stopped."""


class Pages:
    """Serves what a monitor knows, in the event loop of the server that it watches.

    Given to ``serve(watchers=[monitor, pages])``. With several workers all of them serve it, on one
    port, and each tells of all.

    Parameters
    ----------
    monitor : Monitor
        What is shown; a watcher of the same server, before this one.
    host : str
        A name or address to listen on. On the loopback, which is the default, only requests for a
        name of this machine are answered. There is no password: whoever reaches it may read it.
    port : int
        A TCP port; 0 for any that is free (see `port`).
    """

    def __init__(self, monitor: Monitor, *, host: str = "127.0.0.1", port: int) -> None:
        if not 0 <= port <= 65535:
            raise ValueError(f"{port} is no TCP port: 0 to 65535")
        self._host = host
        self._port = port
        self._sockets: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._state = ServerState()
        self._config = Config(
            Pace(application(monitor, loopback_only=is_loopback(host))),
            lifespan="off",
            ws="none",
            log_config=None,
            server_header=False,
            date_header=False,
            proxy_headers=False,
        )

    hear = None
    """Not told of what happens in associations: the monitor is."""

    @property
    def port(self) -> int:
        """The TCP port that it listens on: the one chosen, where 0 was asked for."""
        return self._port

    def __call__(self, event: Event) -> None:
        """Hear of an event: the monitor has heard of it as well."""

    def share(self, workers: int) -> None:
        """Listen, before any worker is forked.

        Raises
        ------
        OSError
            Where the port cannot be listened on.
        """
        try:
            opened = listen_now([Listener(self._port, self._host)])
        except OSError as error:
            raise OSError(error.errno, f"HTTP: {error.strerror}") from None
        self._sockets = [each.socket for each in opened]
        for each in self._sockets:
            each.setblocking(False)
        self._port = self._sockets[0].getsockname()[1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        logger.info("Live page and metrics on http://%s:%d/", host, self._port)

    async def __aenter__(self) -> Self:
        """Answer from now on."""
        if not self._config.loaded:
            self._config.load()
        loop = asyncio.get_running_loop()
        make = partial(Connection, self._config, self._state, SeldomLogger(logger))
        for each in self._sockets:
            self._servers.append(await loop.create_server(make, sock=each))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Answer no more: what is being answered is finished, if it is soon."""
        for server in self._servers:
            server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        await self._answered()
        for connection in list(self._state.connections):
            connection.transport.abort()
        await self._answered()  # to who has gone
        self._servers = []

    async def _answered(self) -> None:
        """Wait until nothing is being answered, for a moment at most."""
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=LAST_WORDS)

    def close(self) -> None:
        """Give the port back, after the last worker."""
        for each in self._sockets:
            each.close()
        self._sockets = []
