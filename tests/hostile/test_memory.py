"""What peers can make a receiver keep: what is remembered, and what waits."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator

import pytest

from aiodicom import AbortAssociation, Server, Status, StoreRequest
from aiodicom.acceptor.association import CROWDED, SMALL
from aiodicom.describe import _uid_name, uid_name
from aiodicom.errors import ProtocolError
from aiodicom.wire import dimse, elements, forms, part10, pdu
from aiodicom.wire.buffers import SCRATCH_SIZE
from aiodicom.wire.dimse import CommandSet, Tag, encode_response
from aiodicom.wire.forms import MAXIMUM_FORMS
from aiodicom.wire.items import ProposedContext, Remembered
from aiodicom.wire.negotiation import make_policy, negotiate
from aiodicom.wire.pdu import AssociateRequest
from aiodicom.wire.upper_layer import MAXIMUM_COMMAND_LENGTH
from tests.hostile.sizes import size_of
from tests.hostile.victim import REQUEST_HEAD, attacked, raw_item
from tests.peer import (
    ECHO_CONTEXT,
    Peer,
    association_request,
    command_pdu,
    echo_command,
    store_command,
    store_pdus,
)
from tests.serving import Gate, discard, happens, pool_of, until


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdu, "_PROPOSALS", Remembered())
    monkeypatch.setattr(forms, "_FORMS", {})


# Proposals ---------------------------------------------------------------------------------------


def tiny() -> Iterator[bytes]:
    for number in range(0x6000, 0x6000 + 6000):
        yield number.to_bytes(2, "big") + bytes(2)


def of_empty_items() -> Iterator[bytes]:
    for number in range(20):
        yield raw_item(0x7F, number.to_bytes(2, "big")) + raw_item(0x7E, b"") * 1000


def of_related() -> Iterator[bytes]:
    common = b"".join(raw_item(0x57, b"\0\2ab\0\2cd\0\4\0\2ef") for _ in range(400))
    for number in range(60):
        yield raw_item(0x7F, number.to_bytes(2, "big")) + raw_item(0x50, common)


def of_contexts() -> Iterator[bytes]:
    for number in range(60):
        of_it = (raw_item(0x20, bytes((n, 0, number >> 8, number & 0xFF))) for n in range(256))
        yield association_request(()).encode_body()[68:] + b"".join(of_it)


def of_large_values() -> Iterator[bytes]:
    for number in range(60):
        context = ProposedContext.of(1, f"{number:060000}", "1.2.3").encode()
        yield association_request(()).encode_body()[68:] + context


PROPOSALS = (tiny, of_empty_items, of_related, of_contexts, of_large_values)


@pytest.mark.parametrize("proposals", PROPOSALS, ids=lambda f: f.__name__)
def test_remembered_proposals_are_bounded_whatever_comes(
    proposals: Callable[[], Iterator[bytes]],
) -> None:
    largest = 0
    for number, items in enumerate(proposals()):
        AssociateRequest.decode_body(REQUEST_HEAD + items)
        if number % 64 == 0 or number < 20:
            largest = max(largest, size_of(pdu._PROPOSALS))
    assert Remembered.ROOM // 4 < largest <= Remembered.ROOM


@pytest.mark.parametrize("proposals", PROPOSALS[3:], ids=lambda f: f.__name__)
def test_remembered_answers_are_bounded_whatever_comes(
    proposals: Callable[[], Iterator[bytes]],
) -> None:
    policy, largest = make_policy(), 0
    for items in proposals():
        negotiate(AssociateRequest.decode_body(REQUEST_HEAD + items), policy)
        largest = max(largest, size_of(policy._answers))
    assert Remembered.ROOM // 4 < largest <= Remembered.ROOM


def test_a_usual_proposal_is_remembered_with_its_answer() -> None:
    policy = make_policy()
    data = association_request().encode_body()
    requests = [AssociateRequest.decode_body(data) for _ in range(2)]
    assert requests[0].items is requests[1].items
    one, other = (negotiate(request, policy) for request in requests)
    assert one.contexts is other.contexts


# Command sets ------------------------------------------------------------------------------------


def test_remembered_command_sets_are_bounded_whatever_comes() -> None:
    """The most elements that a form has room for, before the Message ID that begins it."""
    rng = random.Random(1)
    for number in range(2 * MAXIMUM_FORMS):
        head = dict.fromkeys(range(0x3000, 0x3016), b"") | {0: bytes(4), 2: bytes(200)}
        head[0x2000] = number.to_bytes(2, "big")
        data = CommandSet(head | {Tag.COMMAND_FIELD: b"\1\0"}).encode()
        data += CommandSet(store_command("1.2.3", rng.randrange(1 << 16)).elements).encode()[12:]
        CommandSet.decode(data)
        CommandSet.decode(store_command("1.2.3", 1, f"1.2.{number}").encode())
    assert MAXIMUM_FORMS * 500 < size_of(forms._FORMS) <= MAXIMUM_FORMS * 5000


def test_a_command_set_of_too_many_elements_is_none() -> None:
    CommandSet.decode(b"".join(numbered(250)) + echo_command().encode())
    with pytest.raises(ProtocolError, match="elements"):
        CommandSet.decode(b"".join(numbered(300)) + echo_command().encode())


def numbered(count: int) -> Iterator[bytes]:
    """Empty elements that nobody knows."""
    return (b"\0\0" + (0x2000 + n).to_bytes(2, "little") + bytes(4) for n in range(count))


def test_what_is_too_long_to_be_a_uid_is_remembered_nowhere() -> None:
    known = (
        dimse._known_response_head,
        part10._known_around_instance,
        elements._encoding_of,
        _uid_name,
    )
    before = [cache.cache_info().currsize for cache in known]
    for number in range(10):
        uid = f"{number:010000}"
        encode_response(store_command("1.2.3", 1, uid), 0)
        part10.encode_file_meta(uid, "1.2.3", uid)
        elements.encoding_of(uid)
        uid_name(uid)
    assert [cache.cache_info().currsize for cache in known] == before


# What waits --------------------------------------------------------------------------------------


def waiting_in(server: Server) -> int:
    """The bytes of the commands that wait in all of its associations."""
    inboxes = [c.association._inbox for c in server._connections.made if c.association is not None]
    waiting = [arrival[0] for inbox in inboxes for arrival in inbox if isinstance(arrival, tuple)]
    return sum(message.size for message in waiting)


async def test_large_commands_that_wait_are_few_and_counted() -> None:
    gate = Gate()
    large = echo_command()
    large.elements[0x2000] = bytes(MAXIMUM_COMMAND_LENGTH - 200)
    async with attacked(store=gate) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus("1.2.3"))
        await happens(gate.entered)
        sending = asyncio.ensure_future(peer.send(command_pdu(large, ECHO_CONTEXT) * 300))
        async with asyncio.timeout(10):
            while pool_of(server).held < CROWDED * SMALL:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.001)
        await asyncio.wait([sending], timeout=0.1)
        most = CROWDED * SMALL + MAXIMUM_COMMAND_LENGTH + 2 * SCRATCH_SIZE
        assert waiting_in(server) <= pool_of(server).held <= most
        gate.opened.set()
        assert [await peer.status() for _ in range(301)] == [Status.SUCCESS] * 301
        await sending


async def test_what_waits_goes_with_an_association_that_a_handler_aborts() -> None:
    opened, entered = asyncio.Event(), asyncio.Event()

    async def aborting(request: StoreRequest) -> int:
        if request.sop_instance_uid == "1.2.3":
            entered.set()
            await opened.wait()
            raise AbortAssociation
        return await discard(request)

    async with attacked(store=aborting) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus("1.2.3"))
        await happens(entered)
        await peer.send(command_pdu(echo_command(), ECHO_CONTEXT) * 100)
        async with asyncio.timeout(10):
            while pool_of(server).held < CROWDED * SMALL:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.001)
        opened.set()
        await peer.aborted()


async def test_requests_of_a_peer_that_reads_no_answers_are_counted_and_go_with_it() -> None:
    flood = command_pdu(echo_command(), ECHO_CONTEXT) * 10_000

    async def send_for_ever(peer: Peer) -> None:
        while True:
            await peer.send(flood)

    def is_stuck(server: Server) -> bool:
        """Tell whether it reads no more, and nothing of it is read any more."""
        return all(c._writing_paused and c._reading_paused for c in server._connections.made)

    async with attacked() as server, Peer(server.port, receive_buffer=4096) as peer:
        await peer.associate()
        sending = asyncio.ensure_future(send_for_ever(peer))
        for _ in range(2):  # what TCP has room for may take it a step further
            await until(lambda: is_stuck(server))
            assert CROWDED * SMALL <= pool_of(server).held < 1024 * 2 * SMALL
            assert waiting_in(server) <= pool_of(server).held
            await asyncio.wait([sending], timeout=0.1)
        assert not sending.done()
        peer.cut()
        with contextlib.suppress(ConnectionError, RuntimeError):  # uvloop: its handler is closed
            await sending
