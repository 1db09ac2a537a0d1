"""The receiving commands behind TLS: that their options reach the connection."""

from __future__ import annotations

import asyncio
import getpass
import re
import shutil
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest
from cryptography import x509

from aiodicom import dcmrecv, echoscp, storescp
from aiodicom.cli.common import Failed
from aiodicom.cli.options import UsageError
from aiodicom.tls import TLS, AcceptorTLS, TLSError, Verify, requestor_context
from aiodicom.wire.dimse import Status
from tests.certificates import Authority
from tests.commands.running import running, settings_of
from tests.peer import PATIENCE, Peer
from tests.processes import receiving, tries
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


# Over time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("command", "more"), COMMANDS)
def test_how_files_are_watched(
    authority: Authority, command: ModuleType, more: tuple[str, ...]
) -> None:
    own = authority.issue()
    secure = (*more, "+tls", str(own.key), str(own.certificate), "-ic")
    for words, every, days in (
        ((), 60, 30),
        (("--tls-look-every", "5", "--tls-warn-days", "7"), 5, 7),
        (("--tls-look-every", "0"), None, 30),
    ):
        tls = command.make_server(settings_of(command, *secure, *words))._listeners[0].ssl
        assert (tls._look_every, tls._warn_days) == (every, days)
    with pytest.raises(UsageError, match="--tls-look-every only allowed with --enable-tls"):
        settings_of(command, *more, "--tls-look-every", "5")


async def test_a_certificate_that_is_about_to_expire_is_one_warning(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    own = authority.issue(ends=8)
    async with running(echoscp, "+tls", str(own.key), str(own.certificate), "-ic"):
        pass
    (line,) = [r.getMessage() for r in caplog.records if r.name == "aiodicom.tls"]
    assert line.startswith(f"certificate {own.certificate} expires on ")


def test_a_typed_password_is_remembered(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nobody is asked any more once it runs."""
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return "secret"

    monkeypatch.setattr(getpass, "getpass", ask)
    own = authority.issue()
    locked = own.key_as(password="secret")
    options = ("+tls", str(locked), str(own.certificate), "-ic")
    tls = echoscp.make_server(settings_of(echoscp, *options))._listeners[0].ssl
    assert isinstance(tls, AcceptorTLS)
    asyncio.run(tls.reload())
    assert len(asked) == 1
    plain = ("+tls", str(own.key), str(own.certificate), "-ic")
    tls = echoscp.make_server(settings_of(echoscp, *plain))._listeners[0].ssl
    assert isinstance(tls, AcceptorTLS)
    shutil.copyfile(locked, own.key)
    with pytest.raises(TLSError, match="encrypted now"):
        asyncio.run(tls.reload())
    assert len(asked) == 1


def test_every_worker_reads_files_that_have_changed(authority: Authority, tmp_path: Path) -> None:
    """Each says so, and what it has to say of them."""
    workers = 2
    first, second = authority.issue(), authority.issue("second", ends=9)
    (folder := tmp_path / "folder").mkdir()
    options = ("-v", "--workers", str(workers), "-ic", "--tls-look-every", "0.1",
               "+tls", str(first.key), str(first.certificate))  # fmt: skip
    with receiving("echoscp", *options, folder=folder) as receiver:
        try:
            receiver.wait_for_line("I: Listening on port")
            shutil.copyfile(second.certificate, first.certificate)
            shutil.copyfile(second.key, first.key)
            for _ in tries("somebody has not read them"):
                if receiver.log.count("Files of TLS have changed: ") == workers:
                    break
            assert shown(receiver.port) == ("second",)
        finally:
            receiver.stop()
    assert len(re.findall(r"W: worker \d: certificate ", receiver.log)) == workers


def shown(port: int) -> tuple[str, ...]:
    """The names in the certificate that a port shows."""
    certificate = x509.load_pem_x509_certificate(
        ssl.get_server_certificate(("127.0.0.1", port), timeout=PATIENCE).encode()
    )
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return tuple(names.value.get_values_for_type(x509.DNSName))
