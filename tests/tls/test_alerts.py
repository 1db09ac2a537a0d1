"""Alerts of failed handshakes, which the loops would drop."""

from __future__ import annotations

import contextvars
import socket
import ssl
from collections.abc import Iterator

import pytest

from aiodicom.tls import TLS, acceptor_context
from aiodicom.tls.alerts import Handshake, expect_handshake


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        there.setblocking(False)
        yield here, there


def wrapped(context: ssl.SSLContext, incoming: bytes) -> ssl.SSLObject:
    """An acceptor's end, to which these bytes have come."""
    bio = ssl.MemoryBIO()
    bio.write(incoming)
    return context.wrap_bio(bio, ssl.MemoryBIO(), server_side=True)


def test_a_failed_handshake_sends_its_alert(
    both: TLS, ends: tuple[socket.socket, socket.socket]
) -> None:
    def fail() -> Handshake:
        handshake = expect_handshake(ends[0])
        with pytest.raises(ssl.SSLError):
            wrapped(context, b"\x16\3\1\0\4\1\0\0\0").do_handshake()
        return handshake

    context = acceptor_context(both)
    assert contextvars.copy_context().run(fail).turns == 1
    assert ends[1].recv(100)[0] == 21  # RFC 8446 5.1: alert


def test_a_handshake_is_for_one_connection(
    both: TLS, ends: tuple[socket.socket, socket.socket]
) -> None:
    """What its connection starts inherits it, and may be behind TLS with somebody else."""

    def fail() -> None:
        expect_handshake(ends[0])
        wrapped(context, b"")
        with pytest.raises(ssl.SSLError):
            wrapped(context, b"\x16\3\1\0\4\1\0\0\0").do_handshake()

    context = acceptor_context(both)
    contextvars.copy_context().run(fail)
    with pytest.raises(BlockingIOError):
        ends[1].recv(1)


def test_a_peer_that_is_gone_is_told_nothing(
    both: TLS, ends: tuple[socket.socket, socket.socket]
) -> None:
    handshake = Handshake(ends[0])
    ends[0].close()
    handshake.send(b"alert")


def test_a_context_is_used_by_others_as_any_is(both: TLS) -> None:
    with pytest.raises(ssl.SSLError, match=r"\[SSL"):
        wrapped(acceptor_context(both), b"\x16\3\1\0\4\1\0\0\0").do_handshake()
