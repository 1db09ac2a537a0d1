"""The receiving commands behind TLS: that their options reach the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from aiodicom import dcmrecv, echoscp, storescp
from aiodicom.cli.common import Failed
from aiodicom.tls import TLS, Verify, requestor_context
from aiodicom.wire.dimse import Status
from tests.certificates import Authority
from tests.commands.running import running, settings_of
from tests.peer import PATIENCE, Peer
from tests.tls_peer import TLSPeer

COMMANDS = [
    pytest.param(storescp, ("--ignore",), id="storescp"),
    pytest.param(dcmrecv, ("--ignore",), id="dcmrecv"),
    pytest.param(echoscp, (), id="echoscp"),
]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


async def echoes(port: int, tls: TLS) -> bool:
    """Tell whether a requestor that wants this of TLS gets an answer."""
    context = await asyncio.to_thread(requestor_context, tls)
    try:
        async with TLSPeer(port, context) as peer:
            await peer.associate()
            return await peer.echo() == Status.SUCCESS
    except (OSError, EOFError):
        return False


@pytest.mark.parametrize(("command", "more"), COMMANDS)
async def test_who_shows_no_certificate_is_not_served_unless_that_is_wanted(
    authority: Authority, command: ModuleType, more: tuple[str, ...]
) -> None:
    own = authority.issue()
    options = ("+tls", str(own.key), str(own.certificate), "+cf", str(authority.certificate))
    anonymous = TLS(authorities=(authority.certificate,))
    async with running(command, *more, *options) as server:
        assert await echoes(server.port, authority.tls())
        assert not await echoes(server.port, anonymous)
        async with Peer(server.port) as plain:
            await plain.send(b"\1\0\0\0\0\4\0\1\0\0")
            assert not await plain.still_open(PATIENCE)
    for option in ("-ic", *(("-vc",) if command is not echoscp else ())):
        async with running(command, *more, *options, option) as server:
            assert await echoes(server.port, anonymous)


@pytest.mark.parametrize(("command", "more"), COMMANDS)
async def test_disable_tls_after_enable_tls_is_none(
    authority: Authority, command: ModuleType, more: tuple[str, ...]
) -> None:
    own = authority.issue()
    options = ("+tls", str(own.key), str(own.certificate), "-tls")
    async with running(command, *more, *options) as server, Peer(server.port) as peer:
        await peer.associate()


@pytest.mark.parametrize(("command", "more"), COMMANDS)
def test_a_key_that_is_not_there_is_said_clearly(
    tmp_path: Path, command: ModuleType, more: tuple[str, ...]
) -> None:
    missing = str(tmp_path / "missing.pem")
    settings = settings_of(command, *more, "+tls", missing, missing)
    with pytest.raises(Failed, match=r"missing\.pem: .*No such file") as caught:
        command.make_server(settings)
    assert caught.value.code == (71 if command is dcmrecv else 1)


@pytest.mark.parametrize("command", [storescp.storescp, dcmrecv.dcmrecv, echoscp.echoscp])
def test_lists_are_printed_whatever_else_is_there(
    command: Callable[[Sequence[str]], int], capsys: pytest.CaptureFixture[str]
) -> None:
    for option, title in (("+cc", "ciphersuites"), ("--list-profiles", "profiles")):
        assert command([option]) == 0
        assert capsys.readouterr().out.startswith(f"Supported TLS {title} are:\n  ")


async def test_a_stranger_is_not_served(authority: Authority, tmp_path: Path) -> None:
    own = authority.issue()
    options = ("+tls", str(own.key), str(own.certificate), "+cf", str(authority.certificate))
    stranger = Authority(tmp_path).issue()
    tls = TLS(stranger.key, stranger.certificate, verify=Verify.IGNORED)
    async with running(storescp, "--ignore", *options) as server:
        assert not await echoes(server.port, tls)
