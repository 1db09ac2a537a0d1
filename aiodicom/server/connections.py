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

from aiodicom.acceptor.protocol import AcceptorConnection, Surroundings
from aiodicom.describe import escape
from aiodicom.errors import AssociationRejected
from aiodicom.events import ConnectionRefused, Refusal
from aiodicom.handshakes import why_no_tls
from aiodicom.listening import ListenedOn, Listener, listener_of
from aiodicom.requests import AssociationInfo
from aiodicom.server.accepting import Accepting
from aiodicom.workers.shares import Share

if TYPE_CHECKING:
    from aiodicom.tls import AcceptorTLS
    from aiodicom.tls.alerts import Handshake

__all__ = ["Connections"]

logger = logging.getLogger("aiodicom.server")

LAST_WORDS = 1.0
"""Seconds that peers have to take our A-ABORT when the server stops."""

LAST_MOMENT = 0.1
"""Seconds that connections which were closed without them have to be gone."""

_CONNECTIONS, _ASSOCIATIONS, _TITLE = "connections ", "associations ", "title "
"""What is counted of an address or a title, in the tally."""

HANDSHAKE = 60.0
"""Seconds for a TLS handshake, where the deadline for a request does not say."""


class Connections:
    """What a server has of peers: connections that are opened, and those that are made.

    It counts them, and their associations, with those of other workers.

    Parameters
    ----------
    share : Share
        What this process and others know of each other.

    Attributes
    ----------
    made : set of AcceptorConnection
        Those that there are, with or without an association.
    opening : set of asyncio.Task
        Those that are being opened: their TLS handshake takes its time.
    """

    def __init__(self, share: Share) -> None:
        self.made: set[AcceptorConnection] = set()
        self.opening: set[asyncio.Task[None]] = set()
        # Those of `opening` that have TLS, and no connection yet, by its number.
        self._shaking: dict[int, asyncio.Task[None]] = {}
        self._listeners: dict[socket.socket, Listener] = {}
        self._share = share
        self._around: Surroundings
        self._ask: Callable[[AssociationInfo], None] | None = None
        self._accepting: Accepting | None = None
        self._unmade: dict[int, str] = {}  # connections that are being opened: number, address
        self._accepted = 0
        self._changed = asyncio.Event()
        self._stopping = False

    # Starting and stopping -----------------------------------------------------------------------

    def accept(self, sockets: Sequence[ListenedOn], around: Surroundings) -> None:
        """Accept connections from listening sockets, which are this object's from now on."""
        self._listeners = {each.socket: each.listener for each in sockets}
        self._around = around
        self._ask = getattr(around.service.store, "admit", None)
        self._accepting = Accepting(tuple(self._listeners), self._share, self._accept)

    def stop_accepting(self) -> None:
        """Accept no more; what there is goes on."""
        if self._accepting is not None:
            self._accepting.close()

    def stop(self) -> None:
        """Accept no more; have associations finish what runs; end the rest."""
        self._stopping = True
        self.stop_accepting()
        for task in self._shaking.values():  # these have nothing that could be finished
            task.cancel()
        for connection in list(self.made):
            connection.stop()

    async def abort(self) -> None:
        """End all that there are."""
        for connection in list(self.made):
            connection.abort()
        await self.wait_empty(LAST_WORDS)
        if self.made:
            for connection in list(self.made):
                connection.kill()
            await self.wait_empty(LAST_MOMENT)

    async def wait_empty(self, seconds: float) -> bool:
        """Wait until there is no connection and no handler left; tell whether that came true."""
        with anyio.move_on_after(seconds):
            while self.made or self.opening:
                self._changed.clear()
                await self._changed.wait()
        return not self.made

    def take(self, accepted: socket.socket, listeners: Sequence[Listener]) -> None:
        """Have a connection that somebody else has accepted, unless its peer has gone meanwhile."""
        try:
            address, listener = accepted.getpeername(), listener_of(listeners, accepted)
        except OSError:
            logger.info("The connection was lost before it was served")
            accepted.close()
            self._refused("", "silent", "it was lost before it was served")
            return
        self._open(accepted, address, listener)

    def _refused(self, address: str, reason: Refusal, text: str) -> None:
        tell = self._around.service.tell
        if tell is not None:
            tell(ConnectionRefused(address, reason, text))

    # Opening -------------------------------------------------------------------------------------

    def _accept(
        self, accepted: socket.socket, address: tuple[Any, ...], listening: socket.socket
    ) -> None:
        self._open(accepted, address, self._listeners[listening])

    def _open(self, accepted: socket.socket, address: tuple[Any, ...], listener: Listener) -> None:
        service = self._around.service
        host, port = _host(address), int(address[1])
        if service.access is not None and not service.access.allows(host):
            # Before TLS and an A-ASSOCIATE-RQ: who may not call is not worth a handshake.
            message = "A connection from %s is closed: its address is not allowed"
            service.seldom.log(logger, logging.WARNING, (host, "address"), message, host)
            accepted.close()
            self._refused(host, "address", "its address is not allowed")
            return
        too_many = self._count_in(host)
        if too_many is not None:
            key, message = (too_many, "full"), "Too many connections%s: one is closed"
            service.seldom.log(logger, logging.WARNING, key, message, too_many)
            accepted.close()
            self._uncount(host)
            self._refused(host, "too many", f"too many connections{too_many}")
            return
        accepted.setblocking(False)
        number = self._accepted = self._accepted + 1
        self._unmade[number] = host
        connecting = self._connect(number, accepted, (host, port), listener)
        task = self._around.loop.create_task(connecting)
        self.opening.add(task)
        if listener.ssl is not None:
            self._shaking[number] = task
        task.add_done_callback(functools.partial(self._opened, number, accepted))

    async def _connect(
        self, number: int, accepted: socket.socket, peer: tuple[str, int], listener: Listener
    ) -> None:
        factory = functools.partial(
            AcceptorConnection, self._around, number, peer, local_port=listener.port
        )
        try:
            if listener.ssl is not None:
                await self._connect_tls(factory, accepted, peer[0], listener.ssl)
            else:
                await self._around.loop.connect_accepted_socket(factory, accepted)
        except OSError as error:
            logger.info("A connection from %s failed at once: %s", peer[0], error)
            accepted.close()
            self._refused(peer[0], "silent", f"it failed at once: {error}")

    async def _connect_tls(
        self,
        factory: Callable[[], AcceptorConnection],
        accepted: socket.socket,
        peer: str,
        tls: SSLContext | AcceptorTLS,
    ) -> None:
        from aiodicom.tls.alerts import expect_handshake

        handshake = expect_handshake(accepted)
        seconds = self._around.timeouts.association or HANDSHAKE
        try:
            await self._around.loop.connect_accepted_socket(
                factory,
                accepted,
                ssl=tls if isinstance(tls, SSLContext) else tls.context,  # which may be a new one
                ssl_handshake_timeout=seconds,
            )
        except OSError as error:
            self._has_no_tls(peer, error, handshake, seconds)
            accepted.close()

    def _has_no_tls(self, peer: str, error: OSError, handshake: Handshake, seconds: float) -> None:
        """Say why a handshake has failed: all the lines of that are made here."""
        reason: Refusal = "tls"
        if isinstance(error, SSLError):
            level, why = logging.WARNING, escape(why_no_tls(error))
        elif isinstance(error, ConnectionAbortedError):  # so both loops say that it lasts too long
            level, why = logging.WARNING, f"its handshake takes longer than {seconds:g} s"
        elif handshake.is_silent:  # a probe
            level, why = logging.INFO, "it has closed the connection without a word"
            reason = "silent"
        else:
            level = logging.WARNING
            why = "it has closed the connection in the middle of the handshake, as who does not"
            why += " trust our certificate may"
        seldom = self._around.service.seldom
        seldom.log(logger, level, (peer, why), "No TLS connection with %s: %s", peer, why)
        self._refused(peer, reason, why)

    def _opened(self, number: int, accepted: socket.socket, task: asyncio.Task[None]) -> None:
        self.opening.discard(task)
        self._shaking.pop(number, None)
        if task.cancelled():  # perhaps before it began
            accepted.close()
        if number in self._unmade:
            address = self._unmade.pop(number)
            self._count_out(address)
            if task.cancelled():
                self._refused(address, "tls", "the server stopped during the handshake")
        self._changed.set()

    # Called by connections -----------------------------------------------------------------------

    def has_made(self, connection: AcceptorConnection) -> None:
        """Hear that a connection is there."""
        self._unmade.pop(connection.number, None)
        # A task that is cancelled closes its transport. With TLS a transport of asyncio's that is
        # closed twice forgets its connection, which could not even be aborted: no task is
        # cancelled any more that has one, and one that was comes first.
        self._shaking.pop(connection.number, None)
        self.made.add(connection)
        if self._stopping:
            self._around.loop.call_soon(connection.abort)

    def has_lost(self, connection: AcceptorConnection) -> None:
        """Hear that a connection has gone, with its handlers."""
        if connection in self.made:
            self.made.remove(connection)
            self._count_out(connection.peer[0])
        self._changed.set()

    # Counting ------------------------------------------------------------------------------------

    def _count_in(self, address: str) -> str | None:
        """Count a connection; where it is one too many, return of whom, else None."""
        limits, most = self._around.limits, self._around.limits.connections_per_address
        of_all = self._share.add_connection()
        if most is not None and self._share.tally.add(_CONNECTIONS + address) > most:
            return f" from {address}"
        return "" if of_all > limits.connections else None

    def _uncount(self, address: str) -> None:
        self._share.add_connection(-1)
        if self._around.limits.connections_per_address is not None:
            self._share.tally.add(_CONNECTIONS + address, -1)

    def _count_out(self, address: str) -> None:
        self._uncount(address)
        if self._accepting is not None:
            self._accepting.has_fewer()

    def admit(self, info: AssociationInfo) -> None:
        """Count an association in, and ask the store handler whether it can take any.

        Raises
        ------
        AssociationRejected
            Where it is one too many, or the handler says so.
        """
        address, title = _ASSOCIATIONS + info.address, _TITLE + info.calling_ae_title
        too_many = ""
        limits, tally = self._around.limits, self._share.tally
        # All of them are counted, whatever the first one comes to: `leave` undoes all.
        if self._share.add_association() > limits.associations:
            too_many = "too many associations"
        most = limits.associations_per_address
        if most is not None and tally.add(address) > most:
            too_many = "too many associations of this address"
        most = limits.associations_per_title
        if most is not None and tally.add(title) > most:
            too_many = "too many associations of this AE title"
        if too_many:
            raise AssociationRejected(too_many, 2, 3, 2)
        if self._ask is not None:
            self._ask(info)

    def leave(self, info: AssociationInfo) -> None:
        """Count an association out."""
        limits, tally = self._around.limits, self._share.tally
        self._share.add_association(-1)
        if limits.associations_per_address is not None:
            tally.add(_ASSOCIATIONS + info.address, -1)
        if limits.associations_per_title is not None:
            tally.add(_TITLE + info.calling_ae_title, -1)


def _host(address: tuple[Any, ...]) -> str:
    """Return the IP address of a peer, which may be an IPv4 address in an IPv6 one."""
    host = str(address[0])
    return host.removeprefix("::ffff:") if "." in host else host
