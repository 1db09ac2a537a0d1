"""Receivers with TLS on a second port."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from types import ModuleType

import pytest

from aiodicom import dcmrecv, echoscp, storescp, systemd
from aiodicom.cli.ending import sockets_of
from aiodicom.cli.options import UsageError
from aiodicom.wire.dimse import Status
from tests.certificates import Authority
from tests.commands.running import running, settings_of
from tests.commands.test_reloading_of_receivers import hang_up
from tests.commands.test_tls_of_receivers import shown
from tests.peer import Peer
from tests.processes import Sender, free_port, receiving
from tests.tls_peer import TLSPeer
from tests.workers.test_workers import kill

COMMANDS = (storescp, dcmrecv, echoscp)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The options for TLS that lets everybody in."""
    own = Authority(tmp_path_factory.mktemp("authority")).issue()
    return ("+tls", str(own.key), str(own.certificate), "-ic")


def anybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.mark.parametrize("command", COMMANDS)
async def test_tls_on_a_second_port(command: ModuleType, secure: tuple[str, ...]) -> None:
    port = free_port()
    async with running(command, *secure, "--tls-port", str(port)) as server:
        assert server.ports == (server.port, port)
        async with Peer(server.port) as peer, TLSPeer(port, anybody()) as other:
            for each in (peer, other):
                await each.associate()
                assert await each.echo() == Status.SUCCESS


@pytest.mark.parametrize("command", COMMANDS)
def test_a_port_for_tls_needs_tls_and_is_another_one(
    command: ModuleType, secure: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError, match="--tls-port only allowed with --enable-tls"):
        settings_of(command, "--tls-port", "2762")
    with pytest.raises(UsageError, match="--tls-port only allowed with --enable-tls"):
        settings_of(command, *secure, "-tls", "--tls-port", "2762")
    with pytest.raises(UsageError, match="--tls-port 11112 is the port without TLS: name another"):
        settings_of(command, *secure, "--tls-port", "11112")


def test_inetd_has_but_one_port(secure: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="--inetd not allowed with --tls-port"):
        storescp.COMMAND.parse([*secure, "--inetd", "--tls-port", "2762"])


def test_workers_serve_both_ports_and_read_keys_again(
    secure: tuple[str, ...], tmp_path: Path
) -> None:
    port = free_port()
    words = ("-v", "--workers", "2", *secure, "--tls-port", str(port))
    with receiving("echoscp", *words, folder=tmp_path) as receiver:
        try:
            where = f"ports {receiver.port}, {port} (TLS) as ECHOSCP, 2 workers"
            receiver.wait_for_line(f"I: Listening on {where}")
            with Sender(receiver.port) as sender:
                sender.associate()
            assert shown(port) == ("localhost",)
            hang_up(receiver, "2", "Reloaded: ")
        finally:
            kill(receiver)


@pytest.mark.parametrize(
    ("port", "tls_port", "complaint"),
    [
        (None, 1, "port 1 was asked for"),
        (0, 1, "ports 1 and {0} were asked for"),
        (1, 0, "ports 1 and {0} were asked for"),
        (None, 0, ""),
    ],
)
def test_a_unit_has_a_socket_for_the_port_that_has_tls(
    port: int | None, tls_port: int, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where 0 stands for the socket that there is."""
    with socket.create_server(("127.0.0.1", 0)) as given:
        there = given.getsockname()[1]
        monkeypatch.setattr(systemd, "take_sockets", lambda: [given])
        settings = {
            "port": there if port == 0 else port,
            "tls_port": tls_port or there,
            "given": (),
        }
        if not complaint:
            assert sockets_of(settings) == [given]
            return
        with pytest.raises(OSError, match=f"^{complaint.format(there)}, and the socket unit"):
            sockets_of(settings)
