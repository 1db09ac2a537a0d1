"""Alerts that reach the peer: why a handshake has failed is its business too.

asyncio and uvloop close a connection whose handshake has failed at once, and with it goes the alert
that OpenSSL has written (RFC 8446 section 6.2). So a failing handshake is told here, by whom the
loop asks for it, which socket it is about, and sends its last bytes itself.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from contextvars import ContextVar

__all__ = ["AlertingContext", "Handshake", "expect_handshake"]

_expected: ContextVar[Handshake | None] = ContextVar("handshake", default=None)


class Handshake:
    """A handshake that goes on.

    Parameters
    ----------
    socket : socket.socket
        The connection, which does not block.

    Attributes
    ----------
    turns : int or None
        How often it was taken further, each time but the first because bytes had come; None where
        its context is no `AlertingContext`.
    """

    __slots__ = ("_socket", "turns")

    def __init__(self, socket: socket.socket) -> None:
        self._socket = socket
        self.turns: int | None = None

    @property
    def is_silent(self) -> bool:
        """Whether the peer has not sent a byte."""
        return self.turns is not None and self.turns <= 1

    def send(self, alert: bytes) -> None:
        """Send what OpenSSL still had to say, if the connection takes it."""
        with contextlib.suppress(OSError):
            self._socket.send(alert)


def expect_handshake(socket: socket.socket) -> Handshake:
    """Say that the present task is about to hand a socket to the loop, for TLS."""
    handshake = Handshake(socket)
    _expected.set(handshake)
    return handshake


class _AlertingObject(ssl.SSLObject):
    """One end of a connection, whose last words leave although its handshake has failed."""

    handshake: Handshake | None = None
    outgoing: ssl.MemoryBIO | None = None

    def do_handshake(self) -> None:
        handshake, outgoing = self.handshake, self.outgoing
        if handshake is None or outgoing is None:
            super().do_handshake()
            return
        assert handshake.turns is not None
        handshake.turns += 1
        try:
            super().do_handshake()
        except ssl.SSLWantReadError:
            raise
        except ssl.SSLError:
            handshake.send(outgoing.read())
            raise
        self.handshake = self.outgoing = None


class AlertingContext(ssl.SSLContext):
    """A context of which failed handshakes tell their peers why, see `expect_handshake`."""

    sslobject_class = _AlertingObject

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Return an end of a connection, see `ssl.SSLContext.wrap_bio`."""
        end = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        assert isinstance(end, _AlertingObject)
        handshake = _expected.get()
        if handshake is not None and handshake.turns is None:  # others inherit it: it is for one
            handshake.turns = 0
            end.handshake, end.outgoing = handshake, outgoing
        return end
