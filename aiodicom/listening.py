"""Listening sockets, one port for all of them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["is_listening", "listen", "listen_now", "why_not_listening", "why_not_tcp"]

BACKLOG = 1024
"""Connections that wait to be accepted."""

_STREAM, _PASSIVE = socket.SOCK_STREAM, socket.AI_PASSIVE

_Found = Sequence[tuple[Any, Any, int, str, tuple[Any, ...]]]


async def listen(host: str | None, port: int) -> list[socket.socket]:
    """Open the listening sockets of a server.

    Parameters
    ----------
    host : str or None
        A name or address; None and an empty string are all interfaces, by IPv4 and IPv6.
    port : int
        A TCP port; 0 is any that is free, the same for all sockets.

    Raises
    ------
    OSError
        Where that is not possible; says what was wanted.
    """
    with _saying(host, port):
        found: _Found = ()
        if host:
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(host, port, type=_STREAM, flags=_PASSIVE)
        return _open(found, port)


def listen_now(host: str | None, port: int) -> list[socket.socket]:
    """Do what `listen` does where there is no event loop; a name is looked up meanwhile."""
    with _saying(host, port):
        found: _Found = ()
        if host:
            found = socket.getaddrinfo(host, port, type=_STREAM, flags=_PASSIVE)
        return _open(found, port)


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
def _saying(host: str | None, port: int) -> Iterator[None]:
    """Have errors say what was wanted."""
    try:
        yield
    except OSError as error:
        where = f"port {port} of {host or 'all interfaces'}"
        reason = f"cannot listen on {where}: {error.strerror}"
        raise OSError(error.errno, reason) from None


def _open(found: _Found, port: int) -> list[socket.socket]:
    """Open the listening sockets, on all interfaces where no address was asked for; of port 0
    all get the same one."""
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
