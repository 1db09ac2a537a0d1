"""One association that we ask for, with acceptors that do what they should not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

import aiodicom
from aiodicom import AssociationAborted, AssociationClosed, AssociationLost, ObjectHeader, Status
from aiodicom.client import association as requestor_module
from aiodicom.client.association import RequestorAssociation
from aiodicom.client.pending import Pending
from aiodicom.wire.dimse import CommandField, CommandSet, Tag, encode_response
from aiodicom.wire.negotiation import EXPLICIT_LITTLE
from aiodicom.wire.pdu import (
    PDV,
    Abort,
    DataTransfer,
    ReleaseRequest,
    ReleaseResponse,
    encode_pdu,
)
from tests.peer import CT, command_pdu, dataset_pdus, echo_command, store_command
from tests.scripted_acceptor import (
    TIMEOUTS,
    Caller,
    Received,
    accepting,
    connected,
    dataset,
    granting,
    nothing_left,
    response,
    sparse_object,
)
from tests.serving import happens, until

UID = "1.2.826.0.1.80"
CONTEXTS = [("1.2.840.10008.1.1", ["1.2.840.10008.1.2"]), (CT, [EXPLICIT_LITTLE])]
SHORT = aiodicom.Timeouts(association=100, network=0.1, closing=0.1, connection=100)

LARGE = 1 << 25
"""Bytes that no sockets' buffers hold."""


def told(size: int = 0) -> ObjectHeader:
    return ObjectHeader("", CT, UID, EXPLICIT_LITTLE, 0, size)


def association_of(requestor: aiodicom.Requestor) -> RequestorAssociation:
    assert requestor._associations.present is not None
    return requestor._associations.present


async def is_blocked(requestor: aiodicom.Requestor) -> None:
    """Wait until the peer takes no more."""
    await until(lambda: association_of(requestor)._writing_paused)


async def end_of(action: Callable[[], Awaitable[object]]) -> AssociationClosed:
    """What a request raises whose association ends; in time, and on one line."""
    begin = time.monotonic()
    with pytest.raises(AssociationClosed) as raised:
        await action()
    assert time.monotonic() - begin < 10
    assert str(raised.value).isprintable()
    return raised.value


# Datasets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("maximum", "own", "longest"),
    [
        (0, 0, (1 << 17) - 6),
        (1, 0, 2),
        (8, 0, 2),
        (9, 0, 2),
        (1001, 0, 994),
        (4096, 0, 4090),
        (16384, 0, 16378),
        (1 << 17, 0, (1 << 17) - 6),
        (1 << 20, 0, (1 << 17) - 6),
        (1 << 20, 10_000, 9994),
        (0, 4096, 4090),
        (4096, 1 << 20, 4090),
    ],
)
async def test_fragments_are_what_the_peer_takes(maximum: int, own: int, longest: int) -> None:
    sizes = (0, 2, longest, longest + 2, 5000) if longest < 1000 else (0, longest + 2, 600_000)

    async def script(caller: Caller) -> None:
        await caller.accept(maximum)
        for size in sizes:
            received = await caller.store()
            pdvs = received.pdvs
            assert received.data == dataset(UID, 600_000)[:size]
            assert max(len(pdv.data) for pdv in pdvs) == min(longest, size)
            assert [pdv.is_last for pdv in pdvs] == [False] * (len(pdvs) - 1) + [True]
            assert {pdv.context_id for pdv in pdvs} == {3}
            await caller.respond(received)
        await caller.released()

    async with (
        accepting(script) as acceptor,
        connected(acceptor, contexts=CONTEXTS, maximum_send_length=own) as requestor,
    ):
        for size in sizes:
            result = await requestor.c_store(dataset(UID, 600_000)[:size], instance=told())
            assert result.stored
            assert result.size == size


async def test_the_command_says_what_comes() -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        received = await caller.store()
        assert received.command.encode() == store_command(UID, 1).encode()
        await caller.respond(received, 0xB006, "a remark")
        high = await caller.store()
        assert high.command.number(Tag.PRIORITY) == aiodicom.Priority.HIGH
        assert high.message_id == 2
        await caller.respond(high)
        await caller.released()

    async with (
        accepting(script) as acceptor,
        connected(acceptor, contexts=CONTEXTS) as requestor,
    ):
        result = await requestor.c_store(dataset(UID), instance=told())
        assert (result.status, result.comment, result.stored) == (0xB006, "a remark", True)
        assert (result.sop_class_uid, result.sop_instance_uid) == (CT, UID)
        await requestor.c_store(dataset(UID), instance=told(), priority=aiodicom.Priority.HIGH)


# An early response -------------------------------------------------------------------------------


async def read_to_the_end(caller: Caller, received: Received) -> int:
    """Read what still comes of a dataset; return how many bytes of it have come."""
    count = len(received.data)
    while not received.pdvs[-1].is_last:
        received.pdvs[-1] = await caller.dataset_pdv(received)
        count += len(received.pdvs[-1].data)
        assert len(received.pdvs[-1].data) % 2 == 0  # PS3.8 annex E
    return count


@pytest.mark.parametrize("blocks", [False, True], ids=["reads on", "blocks"])
async def test_an_early_failure_ends_the_dataset(tmp_path: Path, *, blocks: bool) -> None:
    path = sparse_object(tmp_path, UID, LARGE)
    blocked, heard = asyncio.Event(), asyncio.Event()

    async def script(caller: Caller) -> None:
        await caller.accept(1 << 17)
        received = await caller.store_begun()
        if blocks:
            await happens(blocked)
        await caller.respond(received, 0xA700, "the disk is full")
        if blocks:
            await happens(heard)  # though we have taken nothing
        assert await read_to_the_end(caller, received) < LARGE // 2
        following = await caller.store()
        assert following.data == dataset(UID)
        await caller.respond(following)
        await caller.released()

    async with (
        accepting(script, receive_buffer=1 << 16) as acceptor,
        connected(acceptor, contexts=CONTEXTS) as requestor,
    ):
        sending = asyncio.create_task(requestor.c_store(path))
        if blocks:
            await is_blocked(requestor)
            blocked.set()
        result = await sending
        heard.set()
        assert (result.status, result.comment) == (0xA700, "the disk is full")
        assert (await requestor.c_store(dataset(UID), instance=told())).stored


async def test_an_early_failure_ends_a_stream() -> None:
    answered = asyncio.Event()
    produced = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal produced
        while produced < LARGE:
            yield bytes(1 << 16)
            produced += 1 << 16
            await asyncio.sleep(0)
            if produced == 1 << 20:
                await answered.wait()

    async def script(caller: Caller) -> None:
        await caller.accept(1 << 17)
        received = await caller.store_begun()
        await caller.respond(received, 0xA700)
        answered.set()
        assert await read_to_the_end(caller, received) < LARGE // 2
        await caller.released()

    async with (
        accepting(script) as acceptor,
        connected(acceptor, contexts=CONTEXTS) as requestor,
    ):
        assert (await requestor.c_store(endless(), instance=told())).status == 0xA700
    assert produced < LARGE // 2


async def test_an_early_success_does_not_cut_the_object(tmp_path: Path) -> None:
    """Nobody may say so before the end, and who does has nevertheless a whole object."""
    size = 3 << 20
    path = sparse_object(tmp_path, UID, size)
    answered = asyncio.Event()

    async def script(caller: Caller) -> None:
        await caller.accept(1 << 17)
        received = await caller.store_begun()
        await caller.respond(received)
        await answered.wait()
        assert await read_to_the_end(caller, received) == size
        await caller.released()

    async with (
        accepting(script, receive_buffer=1 << 16) as acceptor,
        connected(acceptor, contexts=CONTEXTS) as requestor,
    ):
        sending = asyncio.create_task(requestor.c_store(path))
        association = association_of(requestor)
        await until(lambda: association._pending.last_id == 1 and not association._pending)
        answered.set()
        assert (await sending).stored


async def test_a_peer_that_has_said_success_is_waited_for_all_the_same(tmp_path: Path) -> None:
    path = sparse_object(tmp_path, UID, LARGE)
    tried = asyncio.Event()

    async def script(caller: Caller) -> None:
        await caller.accept(1 << 17)
        received = await caller.store_begun()
        await caller.respond(received)
        await tried.wait()
        await caller.gone()

    async with accepting(script, receive_buffer=1 << 16) as acceptor:
        async with connected(acceptor, contexts=CONTEXTS, timeouts=SHORT) as requestor:
            association = association_of(requestor)
            error = await end_of(lambda: requestor.c_store(path))
            assert str(error) == "the peer does not take what is sent to it"
            assert association._end is error
        tried.set()


# Silence -----------------------------------------------------------------------------------------


async def test_no_response_to_an_echo() -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.command()
        await caller.aborted(2)

    timeouts = aiodicom.Timeouts(dimse=0.1, closing=20, connection=100)
    async with accepting(script) as acceptor, connected(acceptor, timeouts=timeouts) as requestor:
        error = await end_of(requestor.c_echo)
        assert isinstance(error, AssociationLost)
        assert str(error) == "no response within 0.1 s"


@pytest.mark.parametrize("timeouts", [SHORT, aiodicom.Timeouts(dimse=0.1, closing=20)])
async def test_no_response_to_a_store(timeouts: aiodicom.Timeouts) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.store()
        await caller.aborted(2)

    settings = {"contexts": CONTEXTS, "timeouts": timeouts}
    async with accepting(script) as acceptor, connected(acceptor, **settings) as requestor:
        error = await end_of(lambda: requestor.c_store(dataset(UID), instance=told()))
        assert str(error) == "no response within 0.1 s"
        assert (await end_of(requestor.c_echo)) is error


async def test_the_deadline_of_a_response_begins_when_the_dataset_has_been_sent() -> None:
    """A slow stream is not the peer's fault."""

    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.respond(await caller.store())
        await caller.released()

    async def slow() -> AsyncIterator[bytes]:
        yield dataset(UID)
        await asyncio.sleep(0.25)

    settings = {"contexts": CONTEXTS, "timeouts": SHORT}
    async with accepting(script) as acceptor, connected(acceptor, **settings) as requestor:
        assert (await requestor.c_store(slow(), instance=told())).stored


@pytest.mark.parametrize("ending", ["answer", "fail"])
async def test_what_is_over_stops_its_clock(ending: str) -> None:
    expired: list[str] = []
    pending = Pending(0.001, expired.append)
    response = pending.add(7, CommandField.C_ECHO)
    pending.start_clock(7)
    if ending == "answer":
        assert pending.answer(an_echo_response(7))
        assert response.done()
    else:
        pending.fail(AssociationClosed("over"))
    assert not pending
    await asyncio.sleep(0.01)  # nothing may happen
    assert not expired


async def test_what_is_not_answered_expires() -> None:
    expired: list[str] = []
    pending = Pending(0.001, expired.append)
    pending.start_clock(7)  # there is none
    pending.add(8, CommandField.C_ECHO)
    pending.start_clock(8)
    await until(lambda: bool(expired))
    assert expired == ["no response within 0.001 s"]


def an_echo_response(message_id: int) -> CommandSet:
    request = CommandSet.build(CommandField.C_ECHO, message_id=message_id)
    return CommandSet.decode(encode_response(request, Status.SUCCESS))


async def test_a_peer_that_does_not_read(tmp_path: Path) -> None:
    path = sparse_object(tmp_path, UID, LARGE)
    over = asyncio.Event()

    async def script(caller: Caller) -> None:
        await caller.accept(1 << 17)
        await caller.store_begun()
        await over.wait()
        await caller.gone()

    timeouts = aiodicom.Timeouts(network=0.1, closing=30, connection=100)
    settings = {"contexts": CONTEXTS, "timeouts": timeouts}
    begin = time.monotonic()
    async with accepting(script, receive_buffer=1 << 16) as acceptor:
        async with connected(acceptor, **settings) as requestor:
            error = await end_of(lambda: requestor.c_store(path))
            assert isinstance(error, AssociationLost)
            assert str(error) == "the peer does not take what is sent to it"
        assert time.monotonic() - begin < 10  # an abort would wait for ever
        over.set()


async def test_a_peer_that_does_not_answer_release() -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.expect(ReleaseRequest())
        await caller.aborted()

    timeouts = aiodicom.Timeouts(association=0.1, closing=20, connection=100)
    async with accepting(script) as acceptor:
        async with connected(acceptor, timeouts=timeouts) as requestor:
            error = await end_of(requestor.release)
            assert str(error) == "no answer to our release"
        begin = time.monotonic()
        async with connected(acceptor, timeouts=timeouts):
            pass  # leaving says nothing: what was to be done has been done
        assert time.monotonic() - begin < 10


async def test_a_peer_that_does_not_take_our_abort(tmp_path: Path) -> None:
    """The file is gone in the middle, and what tells the peer waits behind what it has not read."""
    path = sparse_object(tmp_path, UID, LARGE)
    over = asyncio.Event()

    async def script(caller: Caller) -> None:
        await caller.accept(1 << 17)
        await caller.store_begun()
        await over.wait()

    timeouts = aiodicom.Timeouts(network=100, closing=0.1, connection=100)
    settings = {"contexts": CONTEXTS, "timeouts": timeouts}
    async with accepting(script, receive_buffer=1 << 16) as acceptor:
        begin = time.monotonic()
        async with connected(acceptor, **settings) as requestor:
            association = association_of(requestor)
            sending = asyncio.create_task(requestor.c_store(path))
            await is_blocked(requestor)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
        assert association._transport is None
        assert time.monotonic() - begin < 10
        over.set()


# Ends --------------------------------------------------------------------------------------------


async def waits_for_a_response(caller: Caller) -> None:
    await caller.command()


async def has_begun_to_read(caller: Caller) -> None:
    await caller.store_begun()


async def do_echo(requestor: aiodicom.Requestor) -> object:
    return await requestor.c_echo()


async def do_store(requestor: aiodicom.Requestor) -> object:
    return await requestor.c_store(bytes(LARGE), instance=told())


IN_THE_MIDDLE = pytest.mark.parametrize(
    ("stage", "act"),
    [(waits_for_a_response, do_echo), (has_begun_to_read, do_store)],
    ids=["in a request", "in a dataset"],
)

Stage = Callable[[Caller], Awaitable[None]]
Act = Callable[[aiodicom.Requestor], Awaitable[object]]


@IN_THE_MIDDLE
async def test_an_abort(stage: Stage, act: Act) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept(1 << 17)
        await stage(caller)
        await caller.send(Abort(2, 6))
        await caller.gone()

    settings = {"contexts": CONTEXTS}
    async with accepting(script) as acceptor, connected(acceptor, **settings) as requestor:
        error = await end_of(lambda: act(requestor))
        assert isinstance(error, AssociationAborted)
        assert (error.source, error.reason) == (2, 6)
        assert str(error) == "aborted by the peer (source 2, reason 6)"
        assert (await end_of(requestor.c_echo)) is error


async def test_an_abort_of_a_peer_that_does_not_read(tmp_path: Path) -> None:
    path = sparse_object(tmp_path, UID, LARGE)
    blocked, over = asyncio.Event(), asyncio.Event()

    async def script(caller: Caller) -> None:
        await caller.accept(1 << 17)
        await caller.store_begun()
        await happens(blocked)
        await caller.send(Abort(2, 6))
        await happens(over)

    settings = {"contexts": CONTEXTS}
    async with (
        accepting(script, receive_buffer=1 << 16) as acceptor,
        connected(acceptor, **settings) as requestor,
    ):
        sending = asyncio.create_task(end_of(lambda: requestor.c_store(path)))
        await is_blocked(requestor)
        blocked.set()
        assert isinstance(await sending, AssociationAborted)
        over.set()


@IN_THE_MIDDLE
async def test_a_release(stage: Stage, act: Act) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept(1 << 17)
        await stage(caller)
        await caller.send(ReleaseRequest())
        while not isinstance(pdu := await caller.receive(), ReleaseResponse):
            assert isinstance(pdu, DataTransfer)
        await caller.closed()

    settings = {"contexts": CONTEXTS}
    async with accepting(script) as acceptor, connected(acceptor, **settings) as requestor:
        error = await end_of(lambda: act(requestor))
        assert str(error) == "released by the peer"


@IN_THE_MIDDLE
@pytest.mark.parametrize("how", [Caller.cut, Caller.reset])
async def test_a_lost_connection(stage: Stage, act: Act, how: Callable[[Caller], None]) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept(1 << 17)
        await stage(caller)
        how(caller)

    settings = {"contexts": CONTEXTS}
    async with accepting(script) as acceptor, connected(acceptor, **settings) as requestor:
        error = await end_of(lambda: act(requestor))
        assert isinstance(error, AssociationLost)
        assert str(error).startswith("the connection is lost")


@IN_THE_MIDDLE
@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 12,
        b"\2\0\0\0\0\4abcd",
        encode_pdu(ReleaseResponse()),
        struct.pack(">BxIIBB", 4, 8, 100, 1, 3) + b"ab",
        struct.pack(">BxIIBB", 4, 8, 4, 1, 3) + b"ab",  # a command set that is none
        struct.pack(">BxIIBB", 4, 8, 4, 1, 2) + b"ab",  # a dataset of nothing
        struct.pack(">BxI", 4, 1 << 20),
    ],
    ids=repr,
)
async def test_garbage(stage: Stage, act: Act, data: bytes) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept(1 << 17)
        await stage(caller)
        await caller.send(data)
        while not isinstance(pdu := await caller.receive(), Abort):
            assert isinstance(pdu, DataTransfer)
        assert pdu.source == 2
        await caller.closed()

    settings = {"contexts": CONTEXTS}
    async with accepting(script) as acceptor, connected(acceptor, **settings) as requestor:
        error = await end_of(lambda: act(requestor))
        assert isinstance(error, AssociationLost)
        assert str(error).startswith("the peer broke the protocol: ")


async def test_an_end_while_nothing_is_asked_for() -> None:
    ended = asyncio.Event()

    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.send(ReleaseRequest())
        await caller.expect(ReleaseResponse())
        await caller.closed()
        ended.set()

    async with accepting(script) as acceptor, connected(acceptor) as requestor:
        await happens(ended)
        assert str(await end_of(requestor.c_echo)) == "released by the peer"
        await requestor.release()  # it has been, already


async def test_both_release_at_once() -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.expect(ReleaseRequest())
        await caller.send(ReleaseRequest())
        await caller.expect(ReleaseResponse())  # the requestor's comes first (PS3.8 9.2.3, AR-9)
        await caller.send(ReleaseResponse())
        await caller.closed()

    async with accepting(script) as acceptor, connected(acceptor) as requestor:
        await requestor.release()


async def test_an_abort_instead_of_an_answer_to_our_release() -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.expect(ReleaseRequest())
        await caller.send(Abort(0, 0))
        await caller.closed()

    async with accepting(script) as acceptor:
        async with connected(acceptor) as requestor:
            assert isinstance(await end_of(requestor.release), AssociationAborted)
        async with connected(acceptor):
            pass


async def test_a_connection_that_is_closed_instead_of_an_answer_to_our_release() -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.expect(ReleaseRequest())

    async with accepting(script) as acceptor, connected(acceptor) as requestor:
        assert isinstance(await end_of(requestor.release), AssociationLost)


async def test_release_waits_for_the_end_of_a_dataset() -> None:
    halfway, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield bytes(1 << 20)
        halfway.set()
        await go_on.wait()
        yield b"the end."

    async def script(caller: Caller) -> None:
        await caller.accept()
        received = await caller.store()
        assert len(received.data) == (1 << 20) + 8
        await caller.respond(received)
        await caller.released()

    settings = {"contexts": CONTEXTS}
    async with accepting(script) as acceptor, connected(acceptor, **settings) as requestor:
        sending = asyncio.create_task(requestor.c_store(slow(), instance=told()))
        await happens(halfway)
        releasing = asyncio.create_task(requestor.release())
        await asyncio.sleep(0)
        go_on.set()
        assert (await sending).stored
        await releasing


# What nobody has asked for -----------------------------------------------------------------------


async def test_requests_of_the_peers_are_refused() -> None:
    refused = asyncio.Event()

    async def script(caller: Caller) -> None:
        await caller.accept()
        for command in (store_command("1.2.3", 7), echo_command(8)):
            await caller.send(command_pdu(command))
            if command.has_dataset:
                await caller.send(dataset_pdus(dataset("1.2.3", 300_000)))
            context_id, refusal = await caller.command()
            assert context_id == 3
            assert refusal.field == command.field | 0x8000
            assert refusal.number(Tag.STATUS) == Status.UNRECOGNIZED_OPERATION
            message_id = refusal.number(Tag.MESSAGE_ID_BEING_RESPONDED_TO)
            assert message_id == command.number(Tag.MESSAGE_ID)
            assert not refusal.has_dataset
        refused.set()
        _, echo = await caller.command()
        await caller.respond(echo)
        await caller.released()

    settings = {"contexts": CONTEXTS}
    async with accepting(script) as acceptor, connected(acceptor, **settings) as requestor:
        await happens(refused)
        assert await requestor.c_echo() == 0


async def test_a_request_of_the_peers_after_our_release() -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.expect(ReleaseRequest())
        await caller.send(command_pdu(echo_command(8), 1), ReleaseResponse())
        await caller.closed()

    async with accepting(script) as acceptor, connected(acceptor) as requestor:
        await requestor.release()


async def test_requests_of_a_peer_that_reads_no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requestor_module, "WRITE_HIGH_WATER", 1 << 12)
    ready, over = asyncio.Event(), asyncio.Event()
    requests = command_pdu(echo_command(8), 1) * 400

    async def script(caller: Caller) -> None:
        await caller.accept()
        await happens(ready)
        while not association_of(requestor)._writing_paused:
            await caller.send(requests)
            await asyncio.sleep(0)
        for _ in range(200):
            await caller.send(requests)
        over.set()
        await caller.gone()

    async with (
        accepting(script, receive_buffer=1 << 12) as acceptor,
        connected(acceptor) as requestor,
    ):
        transport = association_of(requestor)._transport
        assert transport is not None
        sending = transport.get_extra_info("socket")
        sending.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 12)
        ready.set()
        await happens(over)
        assert transport.get_write_buffer_size() < 1 << 18
        assert association_of(requestor).is_open
        await requestor.abort()


@pytest.mark.parametrize("message_id", [0, 2, 77, 65535, None])
async def test_a_response_to_no_request(message_id: int | None) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        _, echo = await caller.command()
        other = CommandSet.decode(encode_response(echo, Status.UNABLE_TO_PROCESS))
        other.elements.pop(Tag.MESSAGE_ID_BEING_RESPONDED_TO)
        if message_id is not None:
            number = message_id.to_bytes(2, "little")
            other.elements[Tag.MESSAGE_ID_BEING_RESPONDED_TO] = number
        await caller.send(DataTransfer((PDV(1, True, True, other.encode()),)))
        await caller.respond(echo)
        await caller.released()

    async with accepting(script) as acceptor, connected(acceptor) as requestor:
        assert await requestor.c_echo() == 0


async def test_a_second_response_to_the_same_request() -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        for _ in range(2):
            _, echo = await caller.command()
            await caller.send(response(echo), response(echo, Status.UNABLE_TO_PROCESS))
        await caller.released()

    async with accepting(script) as acceptor, connected(acceptor) as requestor:
        assert [await requestor.c_echo(), await requestor.c_echo()] == [0, 0]


async def test_a_response_without_a_status() -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        for _ in range(2):
            context_id, request = await caller.command()
            if request.field == CommandField.C_STORE:
                await caller.dataset_pdv(Received(context_id, request, []))
            bare = CommandSet.decode(encode_response(request, 0))
            bare.elements.pop(Tag.STATUS)
            await caller.send(DataTransfer((PDV(context_id, True, True, bare.encode()),)))
        await caller.released()

    settings = {"contexts": CONTEXTS}
    async with accepting(script) as acceptor, connected(acceptor, **settings) as requestor:
        assert "without a status" in str(await end_of(requestor.c_echo))
        result = await requestor.c_store(dataset(UID), instance=told())
        assert not result.stored
        assert result.status is None
        assert "without a status" in result.reason


@pytest.mark.parametrize("size", [0, 10, 2_500_000])
async def test_a_response_with_a_dataset(size: int) -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        for _ in range(2):
            _, echo = await caller.command()
            with_dataset = CommandSet.decode(encode_response(echo, 0))
            with_dataset.elements[Tag.COMMAND_DATA_SET_TYPE] = b"\1\0"
            await caller.send(command_pdu(with_dataset, 1), dataset_pdus(bytes(size), 1))
        await caller.released()

    async with accepting(script) as acceptor, connected(acceptor) as requestor:
        assert [await requestor.c_echo(), await requestor.c_echo()] == [0, 0]
        await until(lambda: requestor._associations._pool.held == 0)


# Message IDs and the window ----------------------------------------------------------------------


async def test_message_ids_wrap_and_pass_over_what_is_outstanding() -> None:
    pending = Pending(None, lambda reason: None)
    pending.last_id = 65533
    for number in (65534, 1, 2):
        pending.add(number, 0x30)
    assert [pending.next_message_id() for _ in range(3)] == [65535, 3, 4]


async def test_a_message_id_that_is_outstanding_is_not_used_again() -> None:
    async def script(caller: Caller) -> None:
        await caller.accept(16384, granting(2))
        _, first = await caller.command()
        _, second = await caller.command()
        numbers = [command.number(Tag.MESSAGE_ID) for command in (first, second)]
        assert numbers == [65535, 1]
        await caller.send(response(second), response(first))
        await caller.released()

    async with accepting(script) as acceptor, connected(acceptor) as requestor:
        association = association_of(requestor)
        association._pending.last_id = 65534
        first = asyncio.create_task(requestor.c_echo())
        await until(lambda: 65535 in association._pending)
        association._pending.last_id = 65534  # once around
        assert await requestor.c_echo() == 0
        assert await first == 0


@pytest.mark.parametrize("granted", [None, 1, 2, 5])
async def test_no_more_requests_are_outstanding_than_were_agreed_on(granted: int | None) -> None:
    window = granted or 1

    async def script(caller: Caller) -> None:
        await caller.accept(16384, *([] if granted is None else [granting(granted)]))
        left = 12
        outstanding: list[bytes] = []
        while left:
            while len(outstanding) < min(window, left):
                context_id, command = await caller.command()
                if command.has_dataset:
                    received = Received(context_id, command, [])
                    await caller.dataset_pdv(received)
                outstanding.append(response(command, context_id=context_id))
            assert await caller.hears_nothing()
            await caller.send(outstanding.pop())  # the last one first
            left -= 1
        await caller.released()

    settings = {"contexts": CONTEXTS, "window": 8}
    async with accepting(script) as acceptor, connected(acceptor, **settings) as requestor:
        actions: list[Awaitable[object]] = []
        for _ in range(6):
            actions += requestor.c_echo(), requestor.c_store(dataset(UID), instance=told())
        statuses = await asyncio.gather(*actions)
    assert len(statuses) == 12


async def test_a_request_whose_caller_has_gone_is_outstanding_nevertheless() -> None:
    asked, over = asyncio.Event(), asyncio.Event()

    async def script(caller: Caller) -> None:
        await caller.accept()
        _, first = await caller.command()
        asked.set()
        assert await caller.hears_nothing()
        await caller.respond(first)
        _, second = await caller.command()
        await caller.respond(second)
        await caller.released()
        over.set()

    async with accepting(script) as acceptor, connected(acceptor) as requestor:
        first = asyncio.create_task(requestor.c_echo())
        await happens(asked)
        first.cancel()
        assert await requestor.c_echo() == 0
        with pytest.raises(asyncio.CancelledError):
            await first


async def test_who_waits_for_a_turn_hears_of_the_end() -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.command()
        assert await caller.hears_nothing()
        await caller.send(Abort(0, 0))
        await caller.closed()

    async with accepting(script) as acceptor, connected(acceptor) as requestor:
        outcomes = await asyncio.gather(
            requestor.c_echo(), requestor.c_echo(), requestor.c_echo(), return_exceptions=True
        )
    assert all(isinstance(outcome, AssociationAborted) for outcome in outcomes)


# Memory, and nothing left ------------------------------------------------------------------------


async def test_an_association_that_was_never_opened_leaves_nothing() -> None:
    async with nothing_left():
        requestor = aiodicom.connect("127.0.0.1", 104, timeouts=TIMEOUTS)
        with contextlib.suppress(AssociationClosed):
            await requestor.c_echo()
        await requestor.release()
        await requestor.abort()


async def test_a_response_to_something_else_is_no_response() -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        received = await caller.store()
        message_id = received.command.number(Tag.MESSAGE_ID)
        request = CommandSet.build(
            CommandField.C_ECHO, affected_sop_class_uid=CT, message_id=message_id
        )
        data = encode_response(request, Status.SUCCESS)
        await caller.send(DataTransfer((PDV(received.context_id, True, True, data),)))
        await caller.aborted(2, 6)

    async with accepting(script) as acceptor, connected(acceptor, contexts=CONTEXTS) as requestor:
        with pytest.raises(AssociationLost, match="C-ECHO-RSP is no response to what was asked"):
            await requestor.c_store(dataset(UID), instance=told())


async def test_a_release_and_an_abort_at_once() -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.store()
        await caller.send(encode_pdu(ReleaseRequest()) + encode_pdu(Abort(0, 0)))
        await caller.ended()

    async with (
        nothing_left(),
        accepting(script) as acceptor,
        connected(acceptor, contexts=CONTEXTS) as requestor,
    ):
        with pytest.raises(AssociationClosed):
            await requestor.c_store(dataset(UID), instance=told())
