"""storescu behind TLS: that its options reach the connection."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from aiodicom import storescu
from aiodicom.tls import PROFILES, TLS, Verify, acceptor_context
from tests.certificates import Authority, identity
from tests.commands.sending import Words, answered, run
from tests.scripted_acceptor import Caller, write_object
from tests.serving import discard, serving

Capture = pytest.CaptureFixture[str]

AES = "TLS_RSA_WITH_AES_128_CBC_SHA"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """One event loop is enough: the command has its own."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), trustme.KeyType.RSA)


@pytest.fixture(scope="module")
def receiver(authority: Authority) -> TLS:
    """What the receiver wants."""
    return authority.tls("receiver")


@pytest.fixture(scope="module")
def sender(authority: Authority) -> TLS:
    return authority.tls("sender")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"))


@pytest.fixture
def enable(sender: TLS) -> tuple[Words, ...]:
    own = identity(sender)
    return "+tls", own.key, own.certificate


@pytest.fixture
def trust(authority: Authority) -> tuple[Words, ...]:
    return "+cf", authority.certificate


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    return write_object(tmp_path, "1.2.3")


async def sent(receiver: TLS, *words: Words) -> int:
    """Run the command against a server that wants this of TLS; return its exit code."""
    context = await asyncio.to_thread(acceptor_context, receiver)
    async with serving(store=discard, ssl=context) as server:
        return await run(server.port, *words)


def line(capfd: Capture) -> str:
    """The only line of the command, but for those of the server in this process."""
    out, err = capfd.readouterr()
    assert out == ""
    (only,) = [line for line in err.splitlines() if line[:3] in ("F: ", "E: ")]
    return only


# Who shows what, and who trusts whom --------------------------------------------------------------


async def test_with_a_certificate_and_without(
    ct: Path, receiver: TLS, enable: tuple[Words, ...], trust: tuple[Words, ...], capfd: Capture
) -> None:
    assert await sent(receiver, ct, *enable, *trust) == 0
    assert await sent(replace(receiver, verify=Verify.IF_PRESENT), ct, "+tla", *trust) == 0
    assert await sent(receiver, ct, "+tla", *enable, *trust) == 0  # the rightmost
    capfd.readouterr()
    assert await sent(receiver, ct, *enable, *trust, "--anonymous-tls") == 1
    assert line(capfd).startswith("F: Association Request Failed: ")


async def test_whom_it_trusts(
    ct: Path, receiver: TLS, enable: tuple[Words, ...], stranger: Authority, capfd: Capture
) -> None:
    theirs = ("+cf", stranger.certificate)
    assert await sent(receiver, ct, *enable, *theirs) == 1
    assert "the peer's certificate does not verify" in line(capfd)
    assert await sent(receiver, ct, *enable, *theirs, "-ic") == 0
    assert await sent(receiver, ct, *enable, *theirs, "-ic", "--require-peer-cert") == 1
    capfd.readouterr()
    assert await run(1, ct, *enable) == 1  # before anybody is asked
    assert "--add-cert-file" in line(capfd)


async def test_several_authorities_and_a_folder_of_them(
    ct: Path,
    receiver: TLS,
    enable: tuple[Words, ...],
    trust: tuple[Words, ...],
    stranger: Authority,
    authority: Authority,
    tmp_path: Path,
) -> None:
    theirs = ("--add-cert-file", stranger.certificate)
    assert await sent(receiver, ct, *enable, *trust, *theirs) == 0
    folder = tmp_path / "authorities"
    folder.mkdir()
    (folder / "one.pem").write_bytes(authority.certificate.read_bytes())
    assert await sent(receiver, ct, *enable, *theirs, "+cd", folder) == 0


async def test_a_certificate_that_was_revoked(
    ct: Path,
    receiver: TLS,
    enable: tuple[Words, ...],
    trust: tuple[Words, ...],
    authority: Authority,
    capfd: Capture,
) -> None:
    none, theirs = (
        authority.revocation_list(*revoked, name=name)
        for name, revoked in (("none.crl", ()), ("theirs.crl", (identity(receiver).certificate,)))
    )
    assert await sent(receiver, ct, *enable, *trust, "+crl", none) == 0
    assert await sent(receiver, ct, *enable, *trust, "+crl", theirs) == 1
    assert "revoked" in line(capfd)


# Key, profile, names ------------------------------------------------------------------------------


async def test_a_key_with_a_password(
    ct: Path, receiver: TLS, sender: TLS, trust: tuple[Words, ...], capfd: Capture
) -> None:
    own = identity(sender)
    locked = ("+tls", own.key_as(password="secret"), own.certificate, *trust)
    assert await sent(receiver, ct, *locked, "-pw", "+pw", "secret") == 0
    for wrong in (("+pw", "public"), ("+pw", "secret", "--null-passwd")):
        assert await run(1, ct, *locked, *wrong) == 1
        assert line(capfd).startswith("F: private key ")


async def test_key_and_certificate_in_der(
    ct: Path, receiver: TLS, sender: TLS, trust: tuple[Words, ...], capfd: Capture
) -> None:
    der = identity(sender).der()
    enable = ("+tls", der.key, der.certificate, *trust)
    assert await sent(receiver, ct, *enable, "-der") == 0
    for wrong in ((), ("-der", "-pem")):
        assert await run(1, ct, *enable, *wrong) == 1
        assert line(capfd).startswith("F: ")


async def test_profiles(
    ct: Path, receiver: TLS, enable: tuple[Words, ...], trust: tuple[Words, ...]
) -> None:
    old = replace(receiver, profile=PROFILES["aes"])
    secure = (*enable, *trust)
    assert await sent(old, ct, *secure) == 1
    assert await sent(old, ct, *secure, "+pa") == 0
    assert await sent(old, ct, *secure, "+pa", "--profile-8996") == 1


async def test_a_suite_that_is_added(
    ct: Path, receiver: TLS, enable: tuple[Words, ...], trust: tuple[Words, ...]
) -> None:
    old = replace(receiver, profile=PROFILES["aes"])
    assert await sent(old, ct, *enable, *trust, "+py") == 1
    assert await sent(old, ct, *enable, *trust, "+py", "+cs", AES) == 0


async def test_names_of_servers(
    ct: Path, receiver: TLS, enable: tuple[Words, ...], trust: tuple[Words, ...]
) -> None:
    strict = replace(receiver, server_name="archive")
    ask = ("--request-sni", "other")
    for words, code in (
        ((), 0),
        (("--request-sni", "archive"), 0),
        (ask, 1),
        ((*ask, "--no-sni"), 0),
    ):
        assert await sent(strict, ct, *enable, *trust, *words) == code


async def test_the_name_in_the_certificate(
    ct: Path, authority: Authority, enable: tuple[Words, ...], trust: tuple[Words, ...],
    capfd: Capture,
) -> None:  # fmt: skip
    secure = (*enable, *trust, "--check-host-name")
    for name, words, code in (
        ("127.0.0.1", (), 0),
        ("archive", (), 1),
        ("archive", ("--request-sni", "archive"), 0),
        ("127.0.0.1", ("--request-sni", "archive"), 1),
    ):
        assert await sent(authority.tls(name), ct, *secure, *words) == code
    assert "certificate does not verify: Hostname mismatch" in capfd.readouterr().err
    assert await run(1, ct, *enable, "-ic", "--check-host-name") == 1
    assert "must not be ignored" in line(capfd)


async def test_who_does_not_speak_tls(
    ct: Path, receiver: TLS, trust: tuple[Words, ...], capfd: Capture
) -> None:
    async with serving(store=discard) as server:
        assert await run(server.port, ct, "+tla", *trust) == 1
        where = f"127.0.0.1:{server.port}"
        assert line(capfd).startswith(f"F: Association Request Failed: no TLS with {where}: ")
    assert await sent(receiver, ct) == 1
    assert line(capfd).startswith("F: Association Request Failed: ")


async def test_deadline_of_the_handshake(ct: Path, capfd: Capture) -> None:
    async def script(caller: Caller) -> None:
        await caller.gone()

    assert await answered(script, ct, "+tla", "-ic", "-to", "0.2") == 1
    assert line(capfd).endswith(" within 0.2 s")


# What is said -------------------------------------------------------------------------------------


async def test_options_without_effect_are_said_to_be(
    ct: Path,
    receiver: TLS,
    enable: tuple[Words, ...],
    trust: tuple[Words, ...],
    capfd: Capture,
) -> None:
    random = ("--seed", "seed", "--write-seed-file", "seed")
    assert await sent(receiver, ct, *enable, *trust, *random) == 0
    err = capfd.readouterr().err
    for name in ("--seed", "--write-seed-file"):
        assert f"W: {name} has no effect: " in err


@pytest.mark.parametrize(
    ("option", "title"),
    [
        ("+cc", "ciphersuites"), ("--list-ciphers", "ciphersuites"),
        ("+ph", "profiles"), ("--list-profiles", "profiles"),
    ],
)  # fmt: skip
def test_lists_are_printed_whatever_else_is_there(
    option: str, title: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert storescu.storescu([option]) == 0
    assert capsys.readouterr().out.startswith(f"Supported TLS {title} are:\n  ")
