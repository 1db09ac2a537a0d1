"""Serving TLS: the same conversation, and handshakes that fail, stall or never come."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from pathlib import Path

import pytest
import trustme

import aiodicom
from aiodicom import Status
from aiodicom.acceptor.protocol import AcceptorConnection
from aiodicom.server import connections
from aiodicom.server.connections import Connections
from aiodicom.wire.pdu import Abort
from tests.peer import PATIENCE, Peer, ct_dataset
from tests.serving import (
    MIB,
    TIMEOUTS,
    Gate,
    Keeper,
    accept,
    discard,
    empty,
    happens,
    serving,
    until,
)
from tests.tls_peer import TLSPeer
from tests.watched import Heard

CA = trustme.CA()


def acceptor(*, wants_certificate: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("127.0.0.1").configure_cert(context)
    if wants_certificate:
        CA.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def requestor(*, trusts: bool = True) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if trusts:
        CA.configure_trust(context)
    return context


def connecting(port: int, context: ssl.SSLContext | None = None) -> TLSPeer:
    return TLSPeer(port, context or requestor(), "127.0.0.1")


def timeouts(association: float | None) -> aiodicom.Timeouts:
    return aiodicom.Timeouts(association=association, network=10, closing=2)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "aiodicom.server"]


async def until_logged(caplog: pytest.LogCaptureFixture, text: str) -> str:
    """Wait for a line of the server's; return it."""
    await until(lambda: any(text in line for line in warnings_of(caplog)))
    return next(line for line in warnings_of(caplog) if text in line)


async def test_echo_store_and_release() -> None:
    keeper = Keeper()
    async with serving(store=keeper, ssl=acceptor()) as server, connecting(server.port) as peer:
        await peer.associate()
        assert await peer.echo() == Status.SUCCESS
        assert await peer.store("1.2.3") == Status.SUCCESS
        assert await keeper.outcome() == ct_dataset("1.2.3")
        await peer.release()
        assert await peer.closed()
        await empty(server)


async def test_a_large_object_reaches_the_disk_byte_for_byte(tmp_path: Path) -> None:
    data = ct_dataset("1.2.3", bytes(range(256)) * (5 * MIB // 256))
    storage = aiodicom.FileStorage(tmp_path)
    async with serving(store=storage, ssl=acceptor()) as server, connecting(server.port) as peer:
        await peer.associate()
        assert await peer.store("1.2.3", data) == Status.SUCCESS
        assert (tmp_path / "CT.1.2.3").read_bytes().endswith(data)


async def test_a_handler_that_does_not_read_stops_its_sender_here_too() -> None:
    gate = Gate()
    limits = aiodicom.Limits(association_bytes=64 << 10)
    data = ct_dataset("1.2.3", bytes(8 * MIB))
    async with (
        serving(store=gate, ssl=acceptor(), limits=limits) as server,
        connecting(server.port) as peer,
    ):
        await peer.associate()
        sending = asyncio.create_task(peer.store("1.2.3", data))
        await happens(gate.entered)
        (connection,) = server._connections.made
        await until(lambda: connection._reading_paused)
        assert connection._account.held < 3 * MIB
        assert not sending.done()
        gate.opened.set()
        assert await sending == Status.SUCCESS
        assert await gate.outcome() == data


async def test_a_peer_that_is_gone_in_mid_dataset_is_noticed() -> None:
    keeper = Keeper()
    async with serving(store=keeper, ssl=acceptor()) as server:
        async with connecting(server.port) as peer:
            await peer.associate()
            await peer.begin_store("1.2.3", b"\1\2")
            await happens(keeper.entered)
            peer.cut()
        assert isinstance(await keeper.outcome(), aiodicom.AssociationLost)
        await empty(server)


async def test_a_violation_is_answered_behind_tls() -> None:
    async with serving(ssl=acceptor()) as server, connecting(server.port) as peer:
        await peer.associate()
        await peer.send(b"\xff\0\0\0\0\0")
        assert isinstance(await peer.receive(), Abort)


async def test_a_rejection_is_read_to_its_end() -> None:
    async def no(info: aiodicom.AssociationInfo) -> None:
        raise aiodicom.AssociationRejected("no", 1, 1, 7)

    async with serving(authorize=no, ssl=acceptor()) as server, connecting(server.port) as peer:
        assert await peer.rejected() == (1, 1, 7)


@pytest.mark.parametrize("first", [b"\1\0\0\0\0\4\0\1\0\0", b"GET / HTTP/1.0\r\n\r\n"])
async def test_a_peer_without_tls_is_one_line_of_the_log(
    caplog: pytest.LogCaptureFixture, first: bytes
) -> None:
    async with serving(ssl=acceptor()) as server:
        async with Peer(server.port) as peer:
            await peer.send(first)
            await peer.still_open(PATIENCE)
        line = await until_logged(caplog, "No TLS connection with 127.0.0.1: ")
        assert warnings_of(caplog) == [line]
        assert line.endswith(": what it sends is not TLS")
        await serves_others(server)


async def serves_others(server: aiodicom.Server) -> None:
    async with connecting(server.port) as peer:
        await peer.associate()
        await peer.release()


async def test_a_peer_without_the_certificate_that_is_wanted_is_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(ssl=acceptor(wants_certificate=True)) as server:
        with pytest.raises((ConnectionError, ssl.SSLError, EOFError)):
            async with connecting(server.port) as peer:
                await peer.associate()
        line = await until_logged(caplog, "No TLS connection with 127.0.0.1: ")
        assert line.endswith(": it shows no certificate")


async def test_a_certificate_of_a_stranger_s_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    stranger = requestor()
    trustme.CA().issue_cert("somebody").configure_cert(stranger)
    async with serving(ssl=acceptor(wants_certificate=True)) as server:
        with pytest.raises((ConnectionError, ssl.SSLError, EOFError)):
            async with connecting(server.port, stranger) as peer:
                await peer.associate()
        line = await until_logged(caplog, "No TLS connection with 127.0.0.1: ")
        assert "its certificate is not accepted: " in line


async def test_a_peer_that_does_not_trust_us_is_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(ssl=acceptor()) as server:
        with pytest.raises(ssl.SSLError):
            async with connecting(server.port, requestor(trusts=False)):
                pass
        line = await until_logged(caplog, "No TLS connection with 127.0.0.1: ")
        assert line.split(": ")[1]
        assert warnings_of(caplog) == [line]


async def test_a_silent_peer_is_dropped_at_the_deadline_and_disturbs_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(ssl=acceptor(), timeouts=timeouts(0.3)) as server:
        async with Peer(server.port) as silent:
            await serves_others(server)
            assert await silent.closed()
        line = await until_logged(caplog, "No TLS connection with 127.0.0.1: ")
        assert "0.3" in line
        await empty(server)


FIRST = b"\x16\3\1\2\0\1\0\1\xfc\3\3"
"""The first bytes of a ClientHello."""


async def test_frozen_handshakes_are_in_nobody_s_way() -> None:
    """As many that are silent as that have stopped in the middle of a ClientHello."""
    many = 100
    async with serving(ssl=acceptor()) as server, contextlib.AsyncExitStack() as stack:
        for first in (b"", FIRST) * many:
            peer = await stack.enter_async_context(Peer(server.port))
            await peer.send(first)
        await until(lambda: len(server._connections.opening) == 2 * many)
        async with connecting(server.port) as newcomer:
            await newcomer.associate()
            assert await newcomer.echo() == Status.SUCCESS
            await newcomer.release()
        assert len(server._connections.opening) == 2 * many


async def test_the_deadline_of_a_handshake_is_not_extended_by_a_byte_now_and_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(ssl=acceptor(), timeouts=timeouts(0.3)) as server:
        async with Peer(server.port) as slow:
            for byte in FIRST + bytes(500):
                with contextlib.suppress(ConnectionError):
                    await slow.send(bytes([byte]))
                if not await slow.still_open(0.02):
                    break
            else:
                pytest.fail("it is still open")
        line = await until_logged(caplog, "No TLS connection with 127.0.0.1: ")
        assert line.endswith(": its handshake takes longer than 0.3 s")


async def test_a_handshake_counts_as_a_connection(caplog: pytest.LogCaptureFixture) -> None:
    limits = aiodicom.Limits(connections=1)
    async with serving(ssl=acceptor(), limits=limits) as server, Peer(server.port):
        await until(lambda: bool(server._connections.opening))
        async with Peer(server.port) as second:
            assert await second.closed()
        assert "Too many connections: one is closed" in warnings_of(caplog)


async def test_a_stop_does_not_wait_for_a_handshake() -> None:
    loop = asyncio.get_running_loop()
    async with serving(ssl=acceptor(), timeouts=TIMEOUTS) as server, Peer(server.port) as silent:
        await until(lambda: bool(server._connections.opening))
        begun = loop.time()
        await server.stop(grace=60)
        assert loop.time() - begun < 20
        assert await silent.closed()


async def test_a_stop_before_a_handshake_has_begun_closes_the_connection() -> None:
    async with serving(ssl=acceptor()) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as silent:
            accept(server)
            assert server._connections.opening
            await server.stop()
            assert silent.recv(1) == b""


async def test_a_peer_that_does_not_close_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    settings = aiodicom.Timeouts(association=10, network=10, closing=0.2)
    async with (
        serving(store=discard, ssl=acceptor(), timeouts=settings) as server,
        connecting(server.port) as peer,
    ):
        await peer.associate()
        await peer.release()
        await empty(server)
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


@pytest.mark.parametrize("is_before", [True, False])
async def test_a_handshake_that_ends_in_the_turn_in_which_the_server_stops(
    is_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its peer does not answer our close_notify: what is left of it is aborted."""
    made, has_made = asyncio.Event(), Connections.has_made

    def stopping(self: Connections, connection: AcceptorConnection) -> None:
        if is_before:
            self.stop()
        has_made(self, connection)
        if not is_before:
            self.stop()
        made.set()

    monkeypatch.setattr(Connections, "has_made", stopping)
    monkeypatch.setattr(connections, "LAST_WORDS", 0.1)
    heard = Heard()
    async with serving(ssl=acceptor(), watchers=[heard]) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as connected:
            shaking = asyncio.create_task(asyncio.to_thread(shake_hands, connected))
            await happens(made)
            await server.stop(0)
            connected.shutdown(socket.SHUT_RDWR)
            await shaking
    assert heard.connections() == 1


def shake_hands(connected: socket.socket) -> None:
    """Do a handshake, and nothing else."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = requestor().wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with contextlib.suppress(OSError):
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                connected.sendall(outgoing.read())
                incoming.write(connected.recv(1 << 16))
                continue
            connected.sendall(outgoing.read())
            return
