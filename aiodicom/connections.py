"""The connections of a server: opened, counted, limited, ended."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
from collections.abc import Callable, Sequence
from ssl import SSLContext, SSLError
from typing import TYPE_CHECKING, Any

import anyio

from aiodicom.accepting import Accepting
from aiodicom.describe import escape
from aiodicom.errors import AssociationRejected
from aiodicom.handshakes import why_no_tls
from aiodicom.protocol import AcceptorConnection, Surroundings
from aiodicom.requests import AssociationInfo
from aiodicom.shares import Share

if TYPE_CHECKING:
    from aiodicom.tls import AcceptorTLS
    from aiodicom.tls.alerts import Handshake

__all__ = ["Connections"]

logger = logging.getLogger("aiodicom.server")

LAST_WORDS = 1.0
"""Seconds that peers have to take our A-ABORT when the server stops."""

HANDSHAKE = 60.0
"""Seconds for a TLS handshake, where the deadline for a request does not say."""


class Connections:
    """What a server has of peers: connections that are opened, and those that are made.

    It counts them, and their associations, with those of other workers.

    Parameters
    ----------
    share : Share
        What this process and others know of each other.
    ssl : ssl.SSLContext, AcceptorTLS or None
        Makes every connection one of TLS. What reads its files again is asked for each one.

    Attributes
    ----------
    made : set of AcceptorConnection
        Those that there are, with or without an association.
    opening : set of asyncio.Task
        Those that are being opened: their TLS handshake takes its time.
    """

    def __init__(self, share: Share, ssl: SSLContext | AcceptorTLS | None = None) -> None:
        self.made: set[AcceptorConnection] = set()
        self.opening: set[asyncio.Task[None]] = set()
        self._share = share
        self._ssl = ssl
        self._around: Surroundings
        self._accepting: Accepting | None = None
        self._unmade: set[int] = set()  # numbers of connections that are being opened
        self._accepted = 0
        self._changed = asyncio.Event()
        self._stopping = False

    # Starting and stopping -----------------------------------------------------------------------

    def accept(self, sockets: Sequence[socket.socket], around: Surroundings) -> None:
        """Accept connections from listening sockets, which are this object's from now on."""
        self._around = around
        self._accepting = Accepting(sockets, self._share, self._open)

    def stop_accepting(self) -> None:
        """Accept no more; what there is goes on."""
        if self._accepting is not None:
            self._accepting.close()

    def stop(self) -> None:
        """Accept no more; have associations finish what runs; end the rest."""
        self._stopping = True
        self.stop_accepting()
        if self._ssl is not None:  # these have nothing that could be finished
            for task in self.opening:
                task.cancel()
        for connection in list(self.made):
            connection.stop()

    async def abort(self) -> None:
        """End all that there are."""
        for connection in list(self.made):
            connection.abort()
        await self.wait_empty(LAST_WORDS)
        for connection in list(self.made):
            connection.kill()

    async def wait_empty(self, seconds: float) -> bool:
        """Wait until there is no connection and no handler left; tell whether that came true."""
        with anyio.move_on_after(seconds):
            while self.made or self.opening:
                self._changed.clear()
                await self._changed.wait()
        return not self.made

    def take(self, accepted: socket.socket) -> None:
        """Have a connection that somebody else has accepted."""
        self._open(accepted, accepted.getpeername())

    # Opening -------------------------------------------------------------------------------------

    def _open(self, accepted: socket.socket, address: tuple[Any, ...]) -> None:
        service = self._around.service
        if service.access is not None and not service.access.allows(str(address[0])):
            # Before TLS and an A-ASSOCIATE-RQ: who may not call is not worth a handshake.
            key, host = (address[0], "address"), _host(address)
            message = "A connection from %s is closed: its address is not allowed"
            service.seldom.log(logger, logging.WARNING, key, message, host)
            accepted.close()
            return
        if self._share.add_connection() > self._around.limits.connections:
            seldom = self._around.service.seldom
            seldom.log(logger, logging.WARNING, "full", "Too many connections: one is closed")
            accepted.close()
            self._share.add_connection(-1)
            return
        accepted.setblocking(False)
        number = self._accepted = self._accepted + 1
        self._unmade.add(number)
        task = self._around.loop.create_task(self._connect(number, accepted, address))
        self.opening.add(task)
        task.add_done_callback(functools.partial(self._opened, number, accepted))

    async def _connect(
        self, number: int, accepted: socket.socket, address: tuple[Any, ...]
    ) -> None:
        factory = functools.partial(AcceptorConnection, self._around, number)
        peer = _host(address)
        try:
            if self._ssl is not None:
                await self._connect_tls(factory, accepted, peer)
            else:
                await self._around.loop.connect_accepted_socket(factory, accepted)
        except OSError as error:
            logger.info("A connection from %s failed at once: %s", peer, error)
            accepted.close()

    async def _connect_tls(
        self, factory: Callable[[], AcceptorConnection], accepted: socket.socket, peer: str
    ) -> None:
        from aiodicom.tls.alerts import expect_handshake

        assert self._ssl is not None
        handshake = expect_handshake(accepted)
        seconds = self._around.timeouts.association or HANDSHAKE
        try:
            await self._around.loop.connect_accepted_socket(
                factory,
                accepted,
                ssl=self._ssl if isinstance(self._ssl, SSLContext) else self._ssl.context,
                ssl_handshake_timeout=seconds,
            )
        except OSError as error:
            self._has_no_tls(peer, error, handshake, seconds)
            accepted.close()

    def _has_no_tls(self, peer: str, error: OSError, handshake: Handshake, seconds: float) -> None:
        """Say why a handshake has failed: all the lines of that are made here."""
        if isinstance(error, SSLError):
            level, why = logging.WARNING, escape(why_no_tls(error))
        elif isinstance(error, ConnectionAbortedError):  # so both loops say that it lasts too long
            level, why = logging.WARNING, f"its handshake takes longer than {seconds:g} s"
        elif handshake.is_silent:  # a probe
            level, why = logging.INFO, "it has closed the connection without a word"
        else:
            level = logging.WARNING
            why = "it has closed the connection in the middle of the handshake, as who does not"
            why += " trust our certificate may"
        seldom = self._around.service.seldom
        seldom.log(logger, level, (peer, why), "No TLS connection with %s: %s", peer, why)

    def _opened(self, number: int, accepted: socket.socket, task: asyncio.Task[None]) -> None:
        self.opening.discard(task)
        if task.cancelled():  # perhaps before it began
            accepted.close()
        if number in self._unmade:
            self._unmade.remove(number)
            self._count_out()
        self._changed.set()

    # Called by connections -----------------------------------------------------------------------

    def has_made(self, connection: AcceptorConnection) -> None:
        """Hear that a connection is there."""
        self._unmade.discard(connection.number)
        self.made.add(connection)
        if self._stopping:
            connection.abort()

    def has_lost(self, connection: AcceptorConnection) -> None:
        """Hear that a connection has gone, with its handlers."""
        if connection in self.made:
            self.made.remove(connection)
            self._count_out()
        self._changed.set()

    def _count_out(self) -> None:
        self._share.add_connection(-1)
        if self._accepting is not None:
            self._accepting.has_fewer()

    def admit(self, _: AssociationInfo) -> None:
        """Count an association in.

        Raises
        ------
        AssociationRejected
            Where it is one too many.
        """
        if self._share.add_association() > self._around.limits.associations:
            raise AssociationRejected("too many associations", 2, 3, 2)

    def leave(self, _: AssociationInfo) -> None:
        """Count an association out."""
        self._share.add_association(-1)


def _host(address: tuple[Any, ...]) -> str:
    """Return the IP address of a peer, which may be an IPv4 address in an IPv6 one."""
    return str(address[0]).removeprefix("::ffff:")
