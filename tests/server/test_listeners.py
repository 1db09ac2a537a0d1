"""A server on several ports, with TLS on some."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

import aiodicom
from aiodicom import AssociationInfo, Limits, Listener, Status
from aiodicom.listening import listen_now, listener_of, take_over
from aiodicom.wire.pdu import AssociateReject
from tests.peer import Peer, association_request
from tests.processes import free_port
from tests.server.test_tls import acceptor, connecting
from tests.serving import discard, serving

HERE = "127.0.0.1"


def plain_and_tls() -> list[Listener]:
    return [Listener(0, HERE), Listener(0, HERE, acceptor())]


async def test_a_port_with_tls_and_one_without() -> None:
    async with serving(store=discard, listeners=plain_and_tls()) as server:
        plain, secure = server.ports
        for peer in (Peer(plain), connecting(secure)):
            async with peer:
                await peer.associate()
                assert await peer.store("1.2.3") == Status.SUCCESS
        async with Peer(secure) as without:
            await without.send(association_request())
            with pytest.raises((EOFError, ConnectionError)):
                await without.receive()


async def test_an_association_knows_which_port_it_came_to() -> None:
    came: list[tuple[int, str]] = []

    async def authorize(info: AssociationInfo) -> None:
        came.append((info.local_port, info.calling_ae_title))

    async with serving(authorize=authorize, listeners=plain_and_tls()) as server:
        plain, secure = server.ports
        async with Peer(plain) as peer, connecting(secure) as other:
            await peer.associate(association_request(calling="PLAIN"))
            await other.associate(association_request(calling="SECURE"))
    assert came == [(plain, "PLAIN"), (secure, "SECURE")]


async def test_limits_hold_over_all_ports() -> None:
    limits = Limits(associations=1)
    async with serving(listeners=plain_and_tls(), limits=limits) as server:
        plain, secure = server.ports
        async with Peer(plain) as peer, connecting(secure) as other:
            await peer.associate()
            await other.send(association_request())
            assert await other.receive() == AssociateReject(2, 3, 2)


async def test_where_names_every_port_and_says_which_have_tls() -> None:
    async with serving(listeners=plain_and_tls(), ae_title="MINE") as server:
        plain, secure = server.ports
        assert server.addresses == [(HERE, plain), (HERE, secure)]
        assert server.port == plain
        assert server.where == f"ports {plain}, {secure} (TLS) as MINE"
    async with serving(ssl=acceptor(), ae_title="MINE") as server:
        assert server.where == f"port {server.port} (TLS) as MINE"


async def test_where_says_which_address_of_a_port_has_tls() -> None:
    port = free_port()
    listeners = [Listener(port, HERE), Listener(port, "127.0.0.2", acceptor())]
    async with serving(listeners=listeners) as server:
        assert server.where == f"port {port} (TLS on 127.0.0.2) as AIODICOM"


async def test_a_port_that_is_taken_closes_those_that_were_not() -> None:
    with socket.create_server((HERE, 0)) as taken, socket.create_server((HERE, 0)) as other:
        free, busy = other.getsockname()[1], taken.getsockname()[1]
        other.close()
        server = aiodicom.serve(listeners=[Listener(free, HERE), Listener(busy, HERE)])
        with pytest.raises(OSError, match=f"cannot listen on port {busy} of {HERE}: "):
            await server.start()
        socket.create_server((HERE, free)).close()  # it is free again
        assert server.addresses == []
        await server.stop()


async def test_every_tls_is_entered_and_read_again_and_each_once() -> None:
    class Reloaded(ssl.SSLContext):
        """Stands for an AcceptorTLS."""

        entered = reloads = 0

        async def __aenter__(self) -> None:
            self.entered += 1

        async def __aexit__(self, *exc_info: object) -> None:
            self.entered -= 1

        async def reload(self) -> str:
            self.reloads += 1
            return "keys"

    contextlib.AbstractAsyncContextManager.register(Reloaded)
    first, second = (Reloaded(ssl.PROTOCOL_TLS_SERVER) for _ in range(2))
    listeners = [Listener(0, HERE, tls) for tls in (first, second, second)]
    async with serving(listeners=listeners) as server:
        assert (first.entered, second.entered) == (1, 1)
        await server.reload()
        assert (first.reloads, second.reloads) == (1, 1)


# What cannot be ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"port": 104}, "port and listeners: say it in each Listener"),
        ({"port": 0}, "port and listeners"),
        ({"host": HERE}, "host and listeners"),
        ({"ssl": ssl.create_default_context()}, "ssl and listeners"),
    ],
)
def test_both_listeners_and_what_they_replace(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        aiodicom.serve(listeners=[Listener(0)], **settings)


def test_no_listeners_at_all_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="no listeners: leave them out"):
        aiodicom.serve(listeners=[])


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none(port: int) -> None:
    with pytest.raises(ValueError, match=f"{port} is no TCP port: 0 to 65535"):
        Listener(port)


# Sockets that somebody else has opened -----------------------------------------------------------


@pytest.fixture
def given() -> Iterator[list[socket.socket]]:
    with socket.create_server((HERE, 0)) as first, socket.create_server((HERE, 0)) as second:
        yield [first, second]


async def test_a_socket_that_was_given_has_the_tls_of_its_port(given: list[socket.socket]) -> None:
    plain, secure = (each.getsockname()[1] for each in given)
    listeners = [Listener(secure, ssl=acceptor()), Listener(0)]
    async with serving(listeners=listeners, sockets=given) as server:
        assert server.where == f"ports {plain}, {secure} (TLS) as AIODICOM"
        async with Peer(plain) as peer, connecting(secure) as other:
            await peer.associate()
            await other.associate()


def test_a_socket_that_was_given_is_never_without_the_tls_that_it_was_to_have(
    given: list[socket.socket],
) -> None:
    first, second = (each.getsockname()[1] for each in given)
    for listeners, complaint in (
        ([Listener(first)], f"port {second}, which no listener is for"),
        ([Listener(0), Listener(1)], "no socket listens on port 1, which"),
        ([Listener(first), Listener(first), Listener(second)], "two listeners of one port"),
    ):
        with pytest.raises(ValueError, match=complaint):
            take_over(listeners, given)


def test_a_connection_that_was_given_belongs_to_the_listener_of_its_port() -> None:
    (one, other), opened = (
        (Listener(0, HERE), Listener(0, HERE, acceptor())),
        contextlib.ExitStack(),
    )
    with opened:
        listened = listen_now([one, other])
        for each in listened:
            opened.enter_context(each.socket)
        listeners = [each.listener for each in listened]
        for each in listened:
            client = opened.enter_context(socket.create_connection((HERE, each.listener.port)))
            accepted = opened.enter_context(each.socket.accept()[0])
            assert listener_of(listeners, accepted) == each.listener
            assert listener_of([one], accepted) == Listener(each.listener.port, HERE)
            with pytest.raises(ValueError, match="which no listener is for"):
                listener_of(listeners, client)


def test_a_connection_that_was_given_is_nobody_s_where_the_tls_of_its_port_is_unclear() -> None:
    with socket.create_server((HERE, 0)) as listening:
        port = listening.getsockname()[1]
        listeners = [Listener(port, HERE), Listener(port, "127.0.0.2", acceptor())]
        with (
            socket.create_connection((HERE, port)),
            listening.accept()[0] as accepted,
            pytest.raises(ValueError, match="which listener of it is meant"),
        ):
            listener_of(listeners, accepted)
