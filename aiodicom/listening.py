"""What a server listens on: ports, with TLS or without, and their sockets."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssl import SSLContext

    from aiodicom.tls import AcceptorTLS

__all__ = [
    "ListenedOn",
    "Listener",
    "is_listening",
    "listen",
    "listen_now",
    "listener_of",
    "take_over",
    "why_not_listening",
    "why_not_tcp",
]

BACKLOG = 1024
"""Connections that wait to be accepted."""

_STREAM, _PASSIVE = socket.SOCK_STREAM, socket.AI_PASSIVE

_Found = Sequence[tuple[Any, Any, int, str, tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class Listener:
    """A port that a server listens on: one of ``serve(listeners=[...])``.

    Parameters
    ----------
    port : int
        A TCP port; 0 for any that is free (see `Server.ports`).
    host : str, optional
        A name or address; by default all interfaces, IPv4 and IPv6.
    ssl : ssl.SSLContext or aiodicom.tls.AcceptorTLS, optional
        Makes every connection to this port one of TLS (PS3.15 B); by default none is.

    Raises
    ------
    ValueError
        Where the port is none.
    """

    port: int
    host: str | None = None
    ssl: SSLContext | AcceptorTLS | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"{self.port} is no TCP port: 0 to 65535")


@dataclass(frozen=True, slots=True)
class ListenedOn:
    """A listening socket, and the listener that it belongs to, with the port that it has."""

    socket: socket.socket
    listener: Listener


def listener_of(listeners: Sequence[Listener], connected: socket.socket) -> Listener:
    """Tell whose a connection is that somebody else has accepted: of several, its port's.

    A single one may be for any port. What is returned has the one that the connection came to.

    Raises
    ------
    OSError
        Where there is no connection any more.
    ValueError
        Where no listener is for its port, or several are whose TLS differs.
    """
    port = connected.getsockname()[1]
    found = [each for each in listeners if each.port == port or len(listeners) == 1]
    if not found:
        raise ValueError(f"a connection to port {port}, which no listener is for")
    if any(each.ssl is not found[0].ssl for each in found):
        raise ValueError(f"a connection to port {port}: which listener of it is meant is unclear")
    return replace(found[0], port=port)


async def listen(listeners: Sequence[Listener]) -> list[ListenedOn]:
    """Open the listening sockets of a server: all of them, or none.

    Of one listener all sockets have the same port, also where that may be any.

    Raises
    ------
    OSError
        Where that is not possible; says what was wanted.
    """
    loop = asyncio.get_running_loop()
    found: list[_Found] = []
    for each in listeners:
        with _saying(each):
            host, port = each.host, each.port
            found.append(
                await loop.getaddrinfo(host, port, type=_STREAM, flags=_PASSIVE) if host else ()
            )
    return _open_all(listeners, found)


def listen_now(listeners: Sequence[Listener]) -> list[ListenedOn]:
    """Do what `listen` does where there is no event loop; names are looked up meanwhile."""
    found: list[_Found] = []
    for each in listeners:
        with _saying(each):
            host, port = each.host, each.port
            found.append(
                socket.getaddrinfo(host, port, type=_STREAM, flags=_PASSIVE) if host else ()
            )
    return _open_all(listeners, found)


def take_over(listeners: Sequence[Listener], given: Sequence[socket.socket]) -> list[ListenedOn]:
    """Tell whose the sockets are that somebody else has opened.

    A socket belongs to the listener of its port, else to the one of port 0. So none is served
    without TLS that was meant to have it.

    Raises
    ------
    ValueError
        Where there is none, one does not listen or is nobody's, or a listener has none.
    """
    if not given:
        raise ValueError("no sockets: leave them out to listen on a port")
    for each in given:
        why = why_not_listening(each)
        if why:
            raise ValueError(f"a socket to listen on {why}")
    by_port = {listener.port: listener for listener in listeners}
    if len(by_port) < len(listeners):
        raise ValueError("two listeners of one port: which of them sockets belong to is unclear")
    taken: list[ListenedOn] = []
    for each in given:
        port = each.getsockname()[1]
        listener = by_port.get(port, by_port.get(0))
        if listener is None:
            raise ValueError(f"a socket listens on port {port}, which no listener is for")
        taken.append(_listened_on(each, listener))
    for port in by_port.keys() - {0} - {each.listener.port for each in taken}:
        raise ValueError(f"no socket listens on port {port}, which a listener is for")
    return taken


def why_not_listening(given: socket.socket) -> str:
    """Return why a socket of somebody else's cannot be served on, or nothing where it can."""
    return why_not_tcp(given) or ("" if is_listening(given) else "does not listen")


def is_listening(given: socket.socket) -> bool:
    """Tell whether connections are accepted from a socket."""
    return given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) != 0


def why_not_tcp(given: socket.socket) -> str:
    """Return why a socket of somebody else's is none of TCP, or nothing where it is one."""
    if given.family not in (socket.AF_INET, socket.AF_INET6):
        return f"is a socket of {_family(given.family)}, not of TCP"
    if given.type != socket.SOCK_STREAM:
        return "is no stream socket"
    return ""


def _family(number: int) -> str:
    try:
        return socket.AddressFamily(number).name
    except ValueError:
        return f"address family {number}"


@contextlib.contextmanager
def _saying(wanted: Listener) -> Iterator[None]:
    """Have errors say what was wanted."""
    try:
        yield
    except OSError as error:
        where = f"port {wanted.port} of {wanted.host or 'all interfaces'}"
        reason = f"cannot listen on {where}: {error.strerror}"
        raise OSError(error.errno, reason) from None


def _open_all(listeners: Sequence[Listener], found: Sequence[_Found]) -> list[ListenedOn]:
    with contextlib.ExitStack() as opened:
        sockets: list[ListenedOn] = []
        for listener, addresses in zip(listeners, found, strict=True):
            with _saying(listener):
                listening = _open(addresses, listener.port)
            for each in listening:
                opened.enter_context(each)
            sockets += (_listened_on(each, listener) for each in listening)
        opened.pop_all()
    return sockets


def _listened_on(listening: socket.socket, listener: Listener) -> ListenedOn:
    return ListenedOn(listening, replace(listener, port=listening.getsockname()[1]))


def _open(found: _Found, port: int) -> list[socket.socket]:
    """Open the listening sockets of one listener, on all interfaces where no address was asked
    for; of port 0 all get the same one."""
    if not found:
        return [_everywhere(port)]
    addresses = list(dict.fromkeys((family, address) for family, *_, address in found))
    for attempt in range(10):
        try:
            return _on(addresses, port)
        except OSError as error:
            # The port that was free for the first address may be taken for the second.
            if port or error.errno != errno.EADDRINUSE or attempt == 9:
                raise
    raise AssertionError("unreachable")


def _everywhere(port: int) -> socket.socket:
    """Listen on all interfaces with one socket, for IPv6 as well where there is any."""
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):
            return socket.create_server(
                ("", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
            )
    return socket.create_server(("", port), backlog=BACKLOG)


def _on(addresses: Sequence[tuple[int, tuple[Any, ...]]], port: int) -> list[socket.socket]:
    with contextlib.ExitStack() as opened:
        sockets: list[socket.socket] = []
        for family, (address, _, *rest) in addresses:
            chosen = port or (sockets[0].getsockname()[1] if sockets else 0)
            listening = socket.create_server(
                (address, chosen, *rest), family=family, backlog=BACKLOG
            )
            sockets.append(opened.enter_context(listening))
        opened.pop_all()
    return sockets
