"""Proposals that lie, or are made to cost as much as they can."""

from __future__ import annotations

import pytest

from aiodicom import Status
from aiodicom.wire.items import MAXIMUM_ITEMS, Item, ProposedContext, RoleSelection
from aiodicom.wire.items import SOPClassExtendedNegotiation as Extended
from aiodicom.wire.negotiation import EXPLICIT_LITTLE, IMPLICIT_LITTLE, VERIFICATION
from aiodicom.wire.pdu import AssociateAccept, AssociateReject, AssociateRequest, encode_pdu
from aiodicom.wire.upper_layer import MAXIMUM_ASSOCIATE_LENGTH
from tests.hostile.sizes import size_of
from tests.hostile.victim import REQUEST_HEAD, attacked, proposal, raw_item
from tests.peer import CONTEXTS, CT, Peer, association_request

ROOT = "1.2.840.10008.5.1.4.1.1"

LARGEST: list[Item] = [RoleSelection(f"{ROOT}.{n}", 1, 0) for n in range(128)]
LARGEST += [Extended(f"{ROOT}.{n}", bytes(6)) for n in range(128)]

SYNTAXES = [f"1.2.840.10008.1.2.4.{n}" for n in range(50, 90)]


def contexts(number: int) -> list[ProposedContext]:
    """Contexts of which every one has forty transfer syntaxes."""
    ids = (2 * n + 1 & 0xFF for n in range(number))
    return [ProposedContext.of(i, f"{ROOT}.{n}", *SYNTAXES) for n, i in enumerate(ids)]


def numbered(item_type: int, number: int, size: int) -> bytes:
    """Items of which no two are alike."""
    return b"".join(raw_item(item_type, n.to_bytes(size, "big")) for n in range(number))


TOO_MANY = {
    "items": raw_item(0x7F, b"") * 60_000,
    "contexts": raw_item(0x20, bytes(4)) * (MAXIMUM_ITEMS + 1),
    "syntaxes": raw_item(0x20, bytes(4) + raw_item(0x40, b"") * 9000),
    "answers": raw_item(0x21, bytes(4) + raw_item(0x40, b"") * 9000),
    "user items": raw_item(0x50, raw_item(0x55, b"") * 9000),
    "in all": raw_item(0x20, bytes(4) + raw_item(0x40, b"") * 2500) * 4,
    "related classes": 2 * raw_item(0x50, raw_item(0x57, bytes(4) + b"\xea\x60" + bytes(60_000))),
}


@pytest.mark.parametrize("name", TOO_MANY)
async def test_a_proposal_of_too_many_items_is_aborted(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "aiodicom")
    async with attacked() as server, Peer(server.port) as peer:
        await peer.send(proposal(TOO_MANY[name]))
        await peer.aborted()
    assert f"more than {MAXIMUM_ITEMS} items" in caplog.text


COSTLY = {
    "items": numbered(0x7F, 6000, 38),
    "contexts": b"".join(
        raw_item(0x20, bytes(4) + raw_item(0x40, n.to_bytes(30, "big"))) for n in range(3000)
    ),
    "syntaxes": b"".join(raw_item(0x20, bytes(4) + numbered(0x40, 1500, 38)) for _ in range(4)),
    "user items": b"".join(raw_item(0x50, numbered(0x55, 1500, 38)) for _ in range(4)),
    "related classes": raw_item(
        0x50,
        raw_item(
            0x57,
            bytes(4)
            + (64_000).to_bytes(2, "big")
            + b"".join(b"\0\2" + n.to_bytes(2, "big") for n in range(16_000)),
        ),
    ),
    "one large value": raw_item(0x50, raw_item(0x55, bytes(65_000))),
}


@pytest.mark.parametrize("name", COSTLY)
def test_no_proposal_takes_more_than_a_megabyte_and_a_quarter(name: str) -> None:
    request = AssociateRequest.decode_body(REQUEST_HEAD + COSTLY[name])
    assert size_of(request) <= 5 << 18


def test_no_real_proposal_has_too_many_items() -> None:
    largest = association_request(contexts(128), more=LARGEST)
    assert len(encode_pdu(largest)) < MAXIMUM_ASSOCIATE_LENGTH
    assert AssociateRequest.decode_body(largest.encode_body()) == largest


async def test_a_thousand_contexts_are_answered_as_those_they_are() -> None:
    """There are 256 numbers: of contexts that share one the last one stands."""
    many = [ProposedContext.of(n & 0xFF, CT, EXPLICIT_LITTLE) for n in range(1000)]
    async with attacked() as server, Peer(server.port) as peer:
        answer = await peer.associate(association_request([*many, *CONTEXTS]))
        assert len(answer.presentation_contexts) == 256
        assert await peer.echo() == Status.SUCCESS


@pytest.mark.parametrize("uid", ["", "\0", "1" * 60_000, "../..", "\n", "é" * 300])
async def test_syntaxes_that_are_none_cost_their_context_at_most(uid: str) -> None:
    odd = [ProposedContext.of(7, CT, uid), ProposedContext.of(9, uid, IMPLICIT_LITTLE)]
    async with attacked() as server, Peer(server.port) as peer:
        await peer.associate(association_request([*CONTEXTS, *odd]))
        assert await peer.echo() == Status.SUCCESS


LYING = {
    "item": raw_item(0x10, b"1.2")[:3] + b"\xff",
    "in a context": raw_item(0x20, bytes(4) + b"\x30\0\xff\xff"),
    "no room for an ID": raw_item(0x20, b"\1"),
    "in user information": raw_item(0x50, b"\x51\0\0\5\0\0\0\0"),
    "maximum length": raw_item(0x50, raw_item(0x51, b"\0\0\1")),
    "window": raw_item(0x50, raw_item(0x53, b"\0")),
    "role": raw_item(0x50, raw_item(0x54, b"\xff\xff1.2\1\1")),
    "common": raw_item(0x50, raw_item(0x57, b"\0\0\0\0\0\4\0\xff1.")),
    "identity": raw_item(0x50, raw_item(0x58, b"\2\1\0\2me\xff\xffpw")),
    "after the last": raw_item(0x10, b"1.2") + b"\x20",
}


@pytest.mark.parametrize("name", LYING)
async def test_a_length_in_a_proposal_that_lies_is_aborted(name: str) -> None:
    async with attacked() as server:
        for _ in range(3):  # the path that fails must leave nothing behind either
            async with Peer(server.port) as peer:
                await peer.send(proposal(LYING[name]))
                await peer.aborted()


@pytest.mark.parametrize("length", [0, 1, 67, MAXIMUM_ASSOCIATE_LENGTH + 1, 0x7FFFFFFF, 0xFFFFFFFF])
async def test_a_proposal_of_an_impossible_length_is_aborted(length: int) -> None:
    async with attacked() as server, Peer(server.port) as peer:
        await peer.send(b"\1\0" + length.to_bytes(4, "big") + bytes(min(length, 67)))
        await peer.aborted()


@pytest.mark.parametrize("version", [0, 2, 0xFFFE])
async def test_a_protocol_of_another_version_is_rejected(version: int) -> None:
    head = version.to_bytes(2, "big") + REQUEST_HEAD[2:]
    async with attacked() as server, Peer(server.port) as peer:
        await peer.send(b"\1\0" + (68).to_bytes(4, "big") + head)
        assert await peer.receive() == AssociateReject(1, 2, 2)


async def test_a_second_proposal_ends_the_association() -> None:
    async with attacked() as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(association_request())
        await peer.aborted()


async def test_a_proposal_in_single_bytes_is_one() -> None:
    context = ProposedContext.of(1, VERIFICATION, IMPLICIT_LITTLE)
    async with attacked() as server, Peer(server.port) as peer:
        for byte in encode_pdu(association_request([context])):
            await peer.send(bytes((byte,)))
        assert isinstance(await peer.receive(), AssociateAccept)
