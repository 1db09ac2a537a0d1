"""Access rules in a server: what a peer is answered, what is logged, and in which order."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

import aiodicom
from aiodicom import (
    Access,
    AssociationInfo,
    AssociationRejected,
    Binding,
    Limits,
    PeerCertificate,
    UserIdentity,
)
from aiodicom.access.rules import LONGEST_RESPONSE, not_authenticated
from aiodicom.certificate import canonical_subject
from aiodicom.server.connections import _host
from aiodicom.tls import TLS, Verify, acceptor_context, requestor_context
from aiodicom.wire.items import AsynchronousOperationsWindow, UserIdentityResponse
from aiodicom.wire.pdu import AssociateAccept, ae_title_field
from tests.certificates import Authority, identity
from tests.peer import Peer, association_request, command_pdu, echo_command
from tests.serving import discard, empty, happens, serving
from tests.tls_peer import TLSPeer

LONGEST = bytes(LONGEST_RESPONSE)
REQUEST = association_request(calling="CT1", called="HERE")


def offering(identity: UserIdentity, **settings: Any) -> Any:
    return association_request(more=[identity], **settings)


@contextlib.asynccontextmanager
async def peer_of(**settings: Any) -> AsyncIterator[Peer]:
    async with serving(**settings) as server, Peer(server.port) as peer:
        yield peer


def rejections(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for text in caplog.messages if text.startswith("Association Rejected")]


# Titles and addresses ----------------------------------------------------------------------------


@pytest.mark.parametrize(("access", "answer", "why"), [
    (Access(called_ae_titles=["X"]), (1, 1, 7), "the called AE title is not ours"),
    (Access(calling_ae_titles=["X"]), (1, 1, 3), "the calling AE title is not known"),
    (Access(bindings=[Binding("CT1", ["10.0.0.1"])]), (1, 1, 3), "not from this address"),
    (Access(bindings=[Binding("CT1", None, ["ct1"])]), (1, 1, 3), "it shows no certificate"),
])  # fmt: skip
async def test_who_may_not_is_told_which_title_it_is(
    access: Access, answer: tuple[int, int, int], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with peer_of(access=access) as peer:
        assert await peer.rejected(REQUEST) == answer
    (line,) = rejections(caplog)
    assert why in line
    assert "(calling CT1, called HERE, 127.0.0.1)" in line


async def test_who_may_is_served() -> None:
    access = Access(
        called_ae_titles=["HERE"],
        allow=["127.0.0.0/8"],
        bindings=[Binding("CT1", ["127.0.0.1"])],
        calling_ae_titles=(),
    )
    async with peer_of(access=access) as peer:
        await peer.associate(REQUEST)
        assert await peer.echo() == 0


async def test_a_title_that_is_no_text_is_escaped_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with peer_of(access=Access(calling_ae_titles=["X"])) as peer:
        assert await peer.rejected(association_request(calling="a\r\nE: b\x1b")) == (1, 1, 3)
    assert rejections(caplog)[0].isprintable()


@pytest.mark.parametrize(
    ("address", "host"),
    [("10.1.1.1", "10.1.1.1"), ("::ffff:10.1.1.1", "10.1.1.1"), ("::ffff:0:a01:101", None),
     ("fe80::1%eth0.1", None)],
)  # fmt: skip
def test_an_ipv4_address_in_an_ipv6_one_is_an_ipv4_address(address: str, host: str | None) -> None:
    assert _host((address, 104)) == (host or address)


@pytest.mark.parametrize("access", [Access(deny=["127.0.0.1"]), Access(allow=["10.0.0.0/8"])])
async def test_an_address_that_is_not_allowed_is_closed_at_once(
    access: Access, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "aiodicom")
    async with serving(access=access, limits=aiodicom.Limits(connections=1)) as server:
        for _ in range(5):
            async with Peer(server.port) as peer:
                assert await peer.closed()
        assert server._share.add_connection(0) == 0
    (line,) = [text for text in caplog.messages if "closed" in text]
    assert line == "A connection from 127.0.0.1 is closed: its address is not allowed"
    assert "Association Received" not in caplog.messages


async def test_an_address_that_is_not_allowed_gets_no_handshake(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    context = await asyncio.to_thread(_context, tmp_path)
    async with serving(access=Access(deny=["127.0.0.1"]), ssl=context) as server:
        async with Peer(server.port) as peer:
            assert await peer.closed()
        await empty(server)
    assert not [text for text in caplog.messages if "TLS" in text]


def _context(folder: Path) -> Any:
    return acceptor_context(Authority(folder).tls())


async def test_rejections_are_logged_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    async with serving(access=Access(calling_ae_titles=["X"])) as server:
        assert server._surroundings is not None
        server._surroundings.service.seldom._clock = lambda: now
        for number in range(20):
            now = 60.0 if number == 19 else 0.0
            async with Peer(server.port) as peer:
                await peer.rejected(association_request(calling=f"CT{number}"))
    first, last = rejections(caplog)
    assert "calling CT0," in first
    assert "calling CT19," in last
    assert last.endswith(" (and 18 more like it)")


# Order -----------------------------------------------------------------------------------------


async def test_who_may_not_takes_no_place_and_is_asked_nothing_more() -> None:
    asked: list[str] = []

    async def authorize(info: AssociationInfo) -> None:
        asked.append(info.calling_ae_title)

    async def verify(info: AssociationInfo, identity: UserIdentity) -> bytes | None:
        asked.append(identity.primary.decode())
        return None

    access = Access(calling_ae_titles=["CT1"], verify=verify)
    limits = aiodicom.Limits(associations=1)
    async with serving(access=access, authorize=authorize, limits=limits) as server:
        async with Peer(server.port) as first, Peer(server.port) as second:
            await first.associate(offering(UserIdentity.user("ann"), calling="CT1"))
            refused = offering(UserIdentity.user("bob"), calling="MR1")
            assert await second.rejected(refused) == (1, 1, 3)  # and not (2, 3, 2)
            assert server.associations == 1
        await empty(server)
    assert asked == ["ann", "CT1"]


class Failing:
    """Everything that is asked fails; a store handler, a verifier and a hook."""

    def admit(self, info: AssociationInfo) -> None:
        raise ValueError("CANARY")

    async def __call__(self, *args: object) -> int:
        raise ValueError("CANARY")


class FailingRules(Access):
    def check(self, info: AssociationInfo) -> None:
        raise ValueError("CANARY")


@pytest.mark.parametrize(("settings", "what"), [
    ({"access": FailingRules()}, "access rules"),
    ({"store": Failing()}, "admit of the store handler"),
    ({"access": Access(verify=Failing())}, "verifier of user identities"),  # type: ignore[arg-type]
    ({"authorize": Failing()}, "authorize hook"),
], ids=lambda each: each if isinstance(each, str) else "")  # fmt: skip
async def test_what_fails_rejects_takes_no_place_and_is_said_once(
    settings: dict[str, Any], what: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(**settings, limits=Limits(associations_per_title=2)) as server:
        for _ in range(5):
            async with Peer(server.port) as peer:
                assert await peer.rejected(offering(UserIdentity.user("ann"))) == (2, 1, 1)
        await empty(server)
        assert not len(server._share.tally)
    errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert len(errors) == 1
    assert errors[0].startswith(f"The {what} failed: ValueError (")
    assert "CANARY" not in errors[0]


async def test_who_violates_the_protocol_again_and_again_does_not_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as server:
        for context_id in (201, 203, 205):  # never proposed
            async with Peer(server.port) as peer:
                await peer.associate()
                await peer.send(command_pdu(echo_command(), context_id))
                await peer.aborted()
    assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 1


# User identities -----------------------------------------------------------------------------


class Verifier:
    """Says what it was told to, and notes what it was asked."""

    def __init__(self, answer: bytes | BaseException | None = None) -> None:
        self.answer = answer
        self.asked: list[UserIdentity] = []

    async def __call__(self, info: AssociationInfo, identity: UserIdentity) -> bytes | None:
        self.asked.append(identity)
        await asyncio.sleep(0)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(("offered", "answer", "response"), [
    (UserIdentity.user("ann"), None, None),
    (UserIdentity.user("ann", response=True), None, b""),
    (UserIdentity.user("ann", "secret", response=True), b"not for this type", b""),
    (UserIdentity.kerberos(b"ticket", response=True), b"server ticket", b"server ticket"),
    (UserIdentity.saml(b"<assertion/>", response=True), b"<response/>", b"<response/>"),
    (UserIdentity.jwt(b"e30.e30.", response=True), b"token", b"token"),
    (UserIdentity.jwt(b"e30.e30.", response=True), None, b""),
    (UserIdentity.jwt(b"e30.e30.", response=True), LONGEST, LONGEST),
    (UserIdentity.jwt(b"e30.e30."), b"token", None),
    (UserIdentity(77, 1, b"unheard of"), b"answer", b"answer"),
], ids=lambda each: getattr(each, "identity_type", ""))  # fmt: skip
async def test_an_identity_is_verified_and_confirmed_where_that_is_asked_for(
    offered: UserIdentity, answer: bytes | None, response: bytes | None
) -> None:
    verifier = Verifier(answer)
    access = Access(verify=verifier, require_identity=True)
    async with peer_of(access=access, store=discard) as peer:
        accept = await peer.associate(offering(offered))
        assert await peer.echo() == 0
    confirmed = accept.user_item(UserIdentityResponse)
    assert (None if confirmed is None else confirmed.response) == response
    assert verifier.asked == [offered]
    assert [context.result for context in accept.presentation_contexts] == [0, 0, 0]
    assert accept.implementation_class_uid
    assert accept.called_ae_title_field == ae_title_field("ANY-SCP")


async def test_a_confirmed_identity_leaves_the_other_items_alone() -> None:
    window = AsynchronousOperationsWindow(4, 4)
    request = association_request(more=[window, UserIdentity.user("ann", response=True)])
    request = dataclasses.replace(request, reserved=bytes(range(32)))
    async with peer_of(access=Access(verify=Verifier()), window=8) as peer:
        accept = await peer.associate(request)
        assert await peer.echo() == 0
    assert accept.user_item(AsynchronousOperationsWindow) == AsynchronousOperationsWindow(4, 1)
    assert accept.user_item(UserIdentityResponse) == UserIdentityResponse(b"")
    assert accept.reserved == request.reserved


@pytest.mark.parametrize(("error", "answer", "is_a_bug"), [
    (not_authenticated(), (1, 2, 1), False),
    (AssociationRejected("later", 2, 1, 1), (2, 1, 1), False),
    (ConnectionError("the directory is away"), (2, 1, 1), True),
    (asyncio.CancelledError(), (2, 1, 1), True),
    (LONGEST + b"x", (2, 1, 1), True),
], ids=["not", "later", "error", "cancelled", "too long"])  # fmt: skip
async def test_an_identity_that_is_not_accepted(
    error: bytes | BaseException,
    answer: tuple[int, int, int],
    is_a_bug: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with peer_of(access=Access(verify=Verifier(error))) as peer:
        assert await peer.rejected(offering(UserIdentity.user("ann", "secret"))) == answer
    assert any("identities failed: " in text for text in caplog.messages) is is_a_bug
    assert "secret" not in caplog.text


async def test_no_identity() -> None:
    verifier = Verifier()
    async with peer_of(access=Access(verify=verifier, require_identity=True)) as peer:
        assert await peer.rejected() == (1, 2, 1)
    async with peer_of(access=Access(verify=verifier)) as peer:
        await peer.associate()
    assert not verifier.asked


async def test_an_identity_that_nobody_verifies_is_not_confirmed() -> None:
    async with peer_of(access=Access()) as peer:
        accept = await peer.associate(offering(UserIdentity.user("ann", response=True)))
    assert accept.user_item(UserIdentityResponse) is None


async def test_the_peer_leaves_while_it_is_verified() -> None:
    entered, opened = asyncio.Event(), asyncio.Event()

    async def verify(info: AssociationInfo, identity: UserIdentity) -> bytes | None:
        entered.set()
        await opened.wait()
        return None

    async with serving(access=Access(verify=verify)) as server, Peer(server.port) as peer:
        await peer.send(offering(UserIdentity.user("ann", response=True)))
        await happens(entered)
        await peer.abort()
        assert await peer.closed()
        opened.set()
        await empty(server)


# Certificates ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


async def asked(
    authority: Authority, access: Access, requestor: TLS, verify: Verify = Verify.REQUIRED
) -> tuple[AssociationInfo, bool]:
    """Ask for an association over TLS; return who asked, and whether that was accepted."""
    infos: list[AssociationInfo] = []

    class Noting:
        allows = staticmethod(access.allows)
        identify = staticmethod(access.identify)

        def check(self, info: AssociationInfo) -> None:
            infos.append(info)
            access.check(info)

    own = authority.issue()
    tls = TLS(own.key, own.certificate, authorities=(authority.certificate,), verify=verify)
    acceptor = await asyncio.to_thread(acceptor_context, tls)
    context = await asyncio.to_thread(requestor_context, requestor)
    async with (
        serving(access=Noting(), ssl=acceptor) as server,
        TLSPeer(server.port, context) as peer,
    ):
        await peer.send(REQUEST)
        is_accepted = isinstance(await peer.receive(), AssociateAccept)
    return infos[0], is_accepted


async def test_a_title_is_bound_to_a_certificate(authority: Authority) -> None:
    access = Access(bindings=[Binding("CT1", certificate_names=["ct1.clinic"])])
    tls = authority.tls("ct1.clinic")
    info, is_accepted = await asked(authority, access, tls)
    assert is_accepted
    assert info.certificate is not None
    assert info.certificate.dns_names == ("ct1.clinic",)
    pem = await asyncio.to_thread(identity(tls).certificate.read_bytes)
    subject = x509.load_pem_x509_certificate(pem).subject.rfc4514_string()
    assert info.certificate.subject == canonical_subject(subject)
    again = Access(bindings=[Binding("CT1", certificate_subjects=[info.certificate.subject])])
    assert (await asked(authority, again, authority.tls("mr1.clinic")))[1] is False
    assert (await asked(authority, access, authority.tls("mr1.clinic")))[1] is False


async def test_a_certificate_that_nobody_verified_is_none(authority: Authority) -> None:
    access = Access(bindings=[Binding("CT1", certificate_names=["ct1.clinic"])])
    own = authority.tls("ct1.clinic")
    info, is_accepted = await asked(authority, access, own, Verify.IGNORED)
    assert (info.certificate, is_accepted) == (None, False)


async def test_without_tls_there_is_no_certificate() -> None:
    certificates: list[PeerCertificate | None] = []

    async def authorize(info: AssociationInfo) -> None:
        certificates.append(info.certificate)

    async with peer_of(authorize=authorize) as peer:
        await peer.associate()
    assert certificates == [None]
