"""Handshakes that fail: one clear line here, and one for our own sender."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import aiodicom
from aiodicom.tls import PROFILES, TLS, Revocation, acceptor_context, requestor_context
from tests.certificates import Authority, Identity, self_signed
from tests.peer import Peer
from tests.serving import empty, serving, until

WHO = "No TLS connection with 127.0.0.1: "
REFUSED = "its certificate is not accepted: "
UNKNOWN = "an authority that we do not trust has issued it"


@dataclass(frozen=True, slots=True)
class World:
    """Who there is.

    Attributes
    ----------
    authority, stranger : Authority
        The one that everybody trusts, and one that nobody does.
    folder : Path
        For more files.
    good : TLS
        What a side wants that nothing is wrong with.
    """

    authority: Authority
    stranger: Authority
    folder: Path
    good: TLS

    def showing(self, identity: Identity) -> TLS:
        return replace(self.good, key=identity.key, certificate=identity.certificate)

    def revoked(self) -> Identity:
        """The only one in the list."""
        return Identity(self.folder / "revoked.key", self.folder / "revoked", self.folder / "none")

    def strict(self, tls: TLS) -> TLS:
        return replace(tls, revocation_lists=(self.folder / "list",), revocation=Revocation.PEERS)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    authority = Authority(folder)
    world = World(authority, Authority(folder), folder, authority.tls())
    revoked = authority.issue()
    revoked.key.rename(world.revoked().key)
    revoked.certificate.rename(world.revoked().certificate)
    authority.revocation_list(world.revoked().certificate).rename(folder / "list")
    return world


SHOWN: dict[str, tuple[Callable[[World], Identity], str, str]] = {
    "expired": (
        lambda world: world.authority.issue(begins=-9, ends=-1),
        "certificate has expired",
        "it says that our certificate has expired, or is not valid yet",
    ),
    "not yet valid": (
        lambda world: world.authority.issue(begins=1),
        "certificate is not yet valid",
        "it does not accept our certificate",
    ),
    "revoked": (
        World.revoked,
        "certificate revoked",
        "it says that our certificate was revoked",
    ),
    "self-signed": (
        lambda world: self_signed(world.folder),
        "it is self-signed, and is not one that we trust",
        "it does not trust the authority that has issued our certificate",
    ),
    "unknown": (
        lambda world: world.stranger.issue(),
        UNKNOWN,
        "it does not trust the authority that has issued our certificate",
    ),
}
"""Certificates that are wrong; what is said by who is shown them, and by who shows them."""


async def failure(port: int, tls: TLS | None, host_name: str = "") -> str:
    """What our sender says."""
    context = await asyncio.to_thread(requestor_context, tls) if tls else None
    name = host_name if context else None
    requestor = aiodicom.connect("127.0.0.1", port, ssl=context, server_hostname=name)
    with pytest.raises(aiodicom.AssociationLost) as caught:
        async with requestor:
            pass
    return str(caught.value)


async def until_logged(caplog: pytest.LogCaptureFixture) -> str:
    """The only line of the server's."""
    await until(lambda: bool(warnings(caplog)))
    (line,) = warnings(caplog)
    return line.removeprefix(WHO)


def about_tls(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line for line in warnings(caplog, logging.INFO) if line.startswith(WHO)]


def warnings(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= level]


async def asked(
    caplog: pytest.LogCaptureFixture, acceptor: TLS, requestor: TLS | None, host_name: str = ""
) -> tuple[str, str]:
    """Let our sender ask our server; return the server's line and the sender's."""
    context = await asyncio.to_thread(acceptor_context, acceptor)
    async with serving(ssl=context) as server:
        said = await failure(server.port, requestor, host_name)
        where = f"127.0.0.1:{server.port}"
        return await until_logged(caplog), said.replace(where, "PEER")


# Certificates ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
async def test_a_sender_s_certificate(
    world: World, caplog: pytest.LogCaptureFixture, name: str, version: str
) -> None:
    """With TLS 1.3 a sender hears of it after its own end of the handshake."""
    make, here, there = SHOWN[name]
    requestor = world.showing(await asyncio.to_thread(make, world))
    if version == "TLSv1.2":
        requestor = replace(requestor, profile=PROFILES["bcp195-ex"])
    line, said = await asked(caplog, world.strict(world.good), requestor)
    assert line == REFUSED + here
    lost = {"TLSv1.2": "no TLS with PEER", "TLSv1.3": "the connection is lost"}
    assert said == f"{lost[version]}: {there}"


@pytest.mark.parametrize("name", SHOWN)
async def test_our_own_certificate_before_our_sender(
    world: World, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    make, here, _ = SHOWN[name]
    acceptor = world.showing(await asyncio.to_thread(make, world))
    line, said = await asked(caplog, acceptor, world.strict(world.good))
    assert said == f"no TLS with PEER: the peer's certificate does not verify: {here}"
    assert line.startswith("it has closed the connection in the middle of the handshake")


async def test_no_certificate(world: World, caplog: pytest.LogCaptureFixture) -> None:
    anonymous = replace(world.good, key=None, certificate=None)
    line, said = await asked(caplog, world.good, anonymous)
    assert line == "it shows no certificate"
    assert said == "the connection is lost: it wants a certificate, and we have shown none"


async def test_the_wrong_host(world: World, caplog: pytest.LogCaptureFixture) -> None:
    strict = replace(world.good, check_host_name=True)
    _, said = await asked(caplog, world.good, strict, "archive.example")
    assert "certificate does not verify: Hostname mismatch, " in said
    assert "'archive.example'" in said


@pytest.mark.parametrize(
    ("ends", "lists", "text"),
    [(-1, 1, "the revocation list of its issuer is out of date"),
     (1, 0, "there is no revocation list of its issuer's")],
)  # fmt: skip
async def test_revocation_lists_that_let_nobody_in(
    world: World, caplog: pytest.LogCaptureFixture, ends: float, lists: int, text: str
) -> None:
    issuer = world.authority if lists else world.stranger
    path = await asyncio.to_thread(issuer.revocation_list, ends=ends)
    acceptor = replace(world.good, revocation_lists=(path,), revocation=Revocation.PEERS)
    line, _ = await asked(caplog, acceptor, world.good)
    assert line == REFUSED + text


# Versions, suites, no TLS at all -----------------------------------------------------------------


async def test_no_cipher_suite_in_common(world: World, caplog: pytest.LogCaptureFixture) -> None:
    line, said = await asked(caplog, world.good, replace(world.good, profile=PROFILES["aes"]))
    assert line == "no cipher suite in common"
    assert said.startswith("no TLS with PEER: it says that there is no cipher suite in common")


async def test_a_version_that_is_too_old(world: World, caplog: pytest.LogCaptureFixture) -> None:
    context = await asyncio.to_thread(acceptor_context, world.good)
    old = b"\x16\3\1\0\x2f\1\0\0\x2b\3\2" + bytes(32) + b"\0\0\4\0\x2f\0\x35\1\0"  # TLS 1.1
    async with serving(ssl=context) as server, Peer(server.port) as peer:
        await peer.send(old)
        alert = await peer.reader.readexactly(7)
        assert alert[0] == 21
        assert alert[-2:] == b"\2\x46"  # fatal, protocol_version
        assert await until_logged(caplog) == "it speaks none of the versions of TLS that are wanted"


async def test_dicom_without_tls(world: World, caplog: pytest.LogCaptureFixture) -> None:
    line, said = await asked(caplog, world.good, None)
    assert line == "what it sends is not TLS"
    assert said.startswith("the connection is lost")


async def test_tls_where_there_is_none(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aiodicom.protocol")
    async with serving() as server:
        said = await failure(server.port, world.good)
    assert said.endswith(": what it sends is not TLS")
    (line,) = [text for text in warnings(caplog, logging.INFO) if "127.0.0.1" in text]
    assert line.startswith("Not an association from 127.0.0.1: ")
    assert line.endswith("which is TLS: this port speaks DICOM without it")


# Handshakes that do not go on --------------------------------------------------------------------


async def test_a_flood_of_failures_is_a_line_a_minute(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    context = await asyncio.to_thread(acceptor_context, world.good)
    async with serving(ssl=context) as server:
        for _ in range(20):
            async with Peer(server.port) as peer:
                await peer.send(b"GET / HTTP/1.1\r\n\r\n")
                assert await peer.closed()
        await empty(server)
    assert len(about_tls(caplog)) == 1


@pytest.mark.usefixtures("every_line")
async def test_a_probe_is_no_warning(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Load balancers connect and close, many times a second."""
    caplog.set_level(logging.INFO, "aiodicom.server")
    context = await asyncio.to_thread(acceptor_context, world.good)
    async with serving(ssl=context) as server:
        for end in (Peer.cut, Peer.reset):
            async with Peer(server.port) as peer:
                end(peer)
        await until(lambda: len(about_tls(caplog)) == 2)
    assert about_tls(caplog) == [f"{WHO}it has closed the connection without a word"] * 2
    assert warnings(caplog) == []


async def test_who_goes_in_the_middle_is_one(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    context = await asyncio.to_thread(acceptor_context, world.good)
    async with serving(ssl=context) as server:
        async with Peer(server.port) as peer:
            await peer.send(b"\x16\3\1\2\0\1\0\1\xfc\3\3")
            peer.cut()
        line = await until_logged(caplog)
        assert line.startswith("it has closed the connection in the middle of the handshake")
