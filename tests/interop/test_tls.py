"""TLS with DCMTK's tools on the other side."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import trustme

import aiodicom
from aiodicom.echoscu import echoscu as our_echoscu
from aiodicom.tls import (
    PROFILES,
    TLS,
    Revocation,
    Verify,
    acceptor_context,
    requestor_context,
)
from tests.certificates import ANONYMOUS, Authority, Identity, identity, self_signed
from tests.peer import PATIENCE
from tests.processes import free_port
from tests.serving import serving

pytestmark = pytest.mark.dcmtk

AES = "TLS_RSA_WITH_AES_256_CBC_SHA256"

ONE_LOOP = pytest.mark.parametrize(
    "anyio_backend", [("asyncio", {"use_uvloop": True})], ids=["uvloop"]
)
"""What OpenSSL agrees on is the same with any."""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> TLS:
    """What either side wants; RSA, because the profiles of DCMTK 3.6.7 are for that."""
    return Authority(tmp_path_factory.mktemp("authority"), trustme.KeyType.RSA).tls()


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> TLS:
    return Authority(tmp_path_factory.mktemp("stranger"), trustme.KeyType.RSA).tls()


def words(tls: TLS) -> list[str]:
    """The same for a tool of DCMTK's."""
    own = identity(tls)
    return ["+tls", str(own.key), str(own.certificate), "+cf", str(own.authority)]


# Their requestor ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    code: int
    log: str


async def echoscu(port: int, *options: str) -> Outcome:
    process = await asyncio.create_subprocess_exec(
        "echoscu", "-v", *options, "127.0.0.1", str(port),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE):
            _, errors = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert process.returncode is not None
    return Outcome(process.returncode, errors.decode())


async def asked(tls: TLS, *options: str) -> Outcome:
    """Let DCMTK's echoscu ask a server of ours."""
    context = await asyncio.to_thread(acceptor_context, tls)  # it reads files
    async with serving(ssl=context) as server:
        return await echoscu(server.port, *options)


async def test_their_requestor_with_a_certificate(both: TLS) -> None:
    assert (await asked(both, *words(both))).code == 0


async def test_their_requestor_reads_der_as_we_do(both: TLS) -> None:
    der = identity(both).der()
    done = await asked(
        replace(both, key=der.key, certificate=der.certificate, is_der=True),
        *("+tls", str(der.key), str(der.certificate), "-der", "-ic"),
    )
    assert done.code == 0


async def test_their_requestor_without_a_certificate(both: TLS) -> None:
    anonymous = ("+tla", "+cf", str(both.authorities[0]))
    assert (await asked(replace(both, verify=Verify.IF_PRESENT), *anonymous)).code == 0
    assert (await asked(both, *anonymous)).code == 1


async def test_their_requestor_with_a_certificate_from_elsewhere(both: TLS, stranger: TLS) -> None:
    assert (await asked(both, *words(stranger), "-ic")).code == 1
    assert (await asked(replace(both, verify=Verify.IGNORED), *words(stranger), "-ic")).code == 0


async def test_their_requestor_does_not_trust_us(both: TLS, stranger: TLS) -> None:
    done = await asked(replace(stranger, verify=Verify.IGNORED), *words(both))
    assert done.code == 1


@ONE_LOOP
@pytest.mark.parametrize(
    ("option", "name"),
    [("+py", "bcp195-nd"), ("+px", "bcp195"), ("+pz", "bcp195-ex"), ("+pa", "aes"),
     ("+pn", "null"), ("+py", "8996"), ("+pz", "8996"), ("+py", "8996-mod")],
)  # fmt: skip
async def test_profiles_of_their_requestor(both: TLS, option: str, name: str) -> None:
    assert (await asked(replace(both, profile=PROFILES[name]), *words(both), option)).code == 0


async def test_a_profile_that_has_nothing_in_common_with_ours(both: TLS) -> None:
    assert (await asked(both, *words(both), "+pa")).code == 1


async def test_a_suite_that_both_add(both: TLS) -> None:
    """Under the same name."""
    theirs = (*words(both), "+pa", "+cs", AES)
    assert (await asked(both, *theirs)).code == 1
    assert (await asked(replace(both, suites=(AES,)), *theirs)).code == 0


# Their acceptor ----------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def storescp(folder: Path, *options: str) -> AsyncIterator[int]:
    """Run DCMTK's storescp on a free port, which is yielded."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        "storescp", "-dhl", *options, str(port),
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE):
            while not await _answers(port):
                assert process.returncode is None
                await asyncio.sleep(0.005)
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def echo(port: int, tls: TLS) -> tuple[str, str]:
    """Ask for an echo; return the version and the cipher suite that were agreed on."""
    context = await asyncio.to_thread(requestor_context, tls)
    async with aiodicom.connect("127.0.0.1", port, ssl=context, server_hostname="") as requestor:
        assert await requestor.c_echo() == 0
        transport = requestor._associations.current()._transport
        assert transport is not None
        end = transport.get_extra_info("ssl_object")
        assert isinstance(end, ssl.SSLObject)
        cipher = end.cipher()
        assert cipher is not None
        return str(end.version()), cipher[0]


async def test_their_acceptor(both: TLS, stranger: TLS, tmp_path: Path) -> None:
    async with storescp(tmp_path, *words(both)) as port:
        version, _ = await echo(port, both)
        assert version == "TLSv1.3"
        with pytest.raises(aiodicom.AssociationLost):
            await echo(port, replace(both, key=None, certificate=None))
        with pytest.raises(aiodicom.AssociationLost):
            await echo(port, replace(stranger, verify=Verify.IGNORED))
        with pytest.raises(aiodicom.AssociationLost, match="does not verify"):
            await echo(port, replace(both, authorities=stranger.authorities))
        await echo(port, both)  # which all that has not impressed


async def test_their_acceptor_without_a_certificate_of_ours(both: TLS, tmp_path: Path) -> None:
    async with storescp(tmp_path, *words(both), "-ic") as port:
        await echo(port, ANONYMOUS)


@ONE_LOOP
@pytest.mark.parametrize(
    ("option", "name", "cipher"),
    [
        ("+pz", "8996", "ECDHE-RSA-AES256-GCM-SHA384"),
        ("+px", "aes", "AES128-SHA"),
        ("+pa", "aes", "AES128-SHA"),
        ("+pn", "null", "NULL-SHA"),
    ],
)
async def test_profiles_of_their_acceptor(
    both: TLS, tmp_path: Path, option: str, name: str, cipher: str
) -> None:
    async with storescp(tmp_path, *words(both), option) as port:
        agreed = await echo(port, replace(both, profile=PROFILES[name]))
        assert agreed == ("TLSv1.2", cipher)


async def test_a_suite_that_is_added_for_their_acceptor(both: TLS, tmp_path: Path) -> None:
    async with storescp(tmp_path, *words(both), "+pa", "+cs", AES) as port:
        with pytest.raises(aiodicom.AssociationLost, match="no TLS with"):
            await echo(port, both)
        assert await echo(port, replace(both, suites=(AES,))) == ("TLSv1.2", "AES256-SHA256")


async def test_our_echoscu_takes_the_words_of_theirs(both: TLS, tmp_path: Path) -> None:
    async with storescp(tmp_path, *words(both), "+pz") as port:
        for options, code in [
            (("-v", *words(both)), 0),
            (
                (*words(both), "+py", "+cs", AES, "-rc", "-aet", "ME", "-pts", "38", "-ppc", "128"),
                0,
            ),
            ((*words(both), "+pa"), 1),
            (("+tla", "-ic"), 1),
            ((), 1),
        ]:
            arguments = [*options, "127.0.0.1", str(port)]
            assert await asyncio.to_thread(our_echoscu, arguments) == code, options
            if "+tla" not in options and options:
                assert (await echoscu(port, *options)).code == code, options


# What a failure is called -------------------------------------------------------------------------


async def s_client(port: int, *options: str) -> Outcome:
    """Let OpenSSL's own client talk to us; it goes when it has heard an alert, or at once."""
    process = await asyncio.create_subprocess_exec(
        "openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-ign_eof", *options,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE):
            said, _ = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert process.returncode is not None
    return Outcome(process.returncode, said.decode())


WRONG = {
    "expired": ("certificate has expired", "certificate expired"),
    "early": ("certificate is not yet valid", "bad certificate"),
    "revoked": ("certificate revoked", "certificate revoked"),
    "self-signed": ("it is self-signed, and is not one that we trust", "unknown ca"),
    "stranger": ("an authority that we do not trust has issued it", "unknown ca"),
}
"""What we say of a certificate, and what their client hears."""


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> tuple[TLS, dict[str, Identity]]:
    """What an acceptor wants, and who is not to be let in."""
    folder = tmp_path_factory.mktemp("wrong")
    authority = Authority(folder, trustme.KeyType.RSA)
    revoked = authority.issue()
    crl = authority.revocation_list(revoked.certificate)
    return replace(authority.tls(), revocation_lists=(crl,), revocation=Revocation.PEERS), {
        "expired": authority.issue(begins=-9, ends=-1),
        "early": authority.issue(begins=1),
        "revoked": revoked,
        "self-signed": self_signed(folder),
        "stranger": Authority(folder, trustme.KeyType.RSA).issue(),
    }


def refusals(caplog: pytest.LogCaptureFixture) -> list[str]:
    head = "No TLS connection with 127.0.0.1: "
    lines = [record.getMessage() for record in caplog.records]
    return [line.removeprefix(head) for line in lines if line.startswith(head)]


@pytest.mark.usefixtures("every_line")
@pytest.mark.parametrize("who", WRONG)
async def test_a_wrong_certificate_is_one_line_here_and_an_alert_there(
    wrong: tuple[TLS, dict[str, Identity]], who: str, caplog: pytest.LogCaptureFixture
) -> None:
    tls, people = wrong
    here, there = WRONG[who]
    key, certificate = str(people[who].key), str(people[who].certificate)
    context = await asyncio.to_thread(acceptor_context, tls)
    async with serving(ssl=context) as server:
        for version in ("-tls1_2", "-tls1_3"):
            done = await s_client(server.port, version, "-key", key, "-cert", certificate)
            assert f"alert {there}" in done.log
        options = ("+tls", key, certificate, "-ic", "+py" if who != "self-signed" else "+pz")
        assert (await echoscu(server.port, *options)).code == 1
    assert refusals(caplog) == [f"its certificate is not accepted: {here}"] * 3


@pytest.mark.usefixtures("every_line")
async def test_their_clients_hear_what_else_is_wrong(
    both: TLS, stranger: TLS, caplog: pytest.LogCaptureFixture
) -> None:
    context = await asyncio.to_thread(acceptor_context, both)
    distrust = ("-CAfile", str(stranger.authorities[0]), "-verify_return_error")
    async with serving(ssl=context) as server:
        for options, alert in [
            (("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), "alert protocol version"),
            (("-tls1_2", "-cipher", "AES128-SHA"), "alert handshake failure"),
            (("-tls1_3",), "alert certificate required"),
            (("-tls1_2",), "alert handshake failure"),
            (distrust, "certificate verify failed"),
        ]:
            assert alert in (await s_client(server.port, *options)).log
        assert "handshake failure" in (await echoscu(server.port, *words(both), "+pa")).log
        assert (await echoscu(server.port)).code == 1
    assert refusals(caplog) == [
        "it speaks none of the versions of TLS that are wanted",
        "no cipher suite in common",
        "it shows no certificate",
        "it shows no certificate",
        "it does not trust the authority that has issued our certificate",
        "no cipher suite in common",
        "what it sends is not TLS",
    ]


async def test_their_clients_with_tls_at_a_port_without(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aiodicom.protocol")
    async with serving() as server:
        assert (await s_client(server.port)).code == 1
        assert (await echoscu(server.port, "+tla", "-ic")).code == 1
    said = [r.getMessage() for r in caplog.records if r.name == "aiodicom.protocol"]
    assert len(said) == 2
    assert all(line.endswith("which is TLS: this port speaks DICOM without it") for line in said)
