"""What a handler is given, and what the peer hears of whatever the handler does."""

from __future__ import annotations

import asyncio
import errno
import io
import logging
from collections.abc import Awaitable, Callable

import pydicom
import pytest

import aiodicom
from aiodicom import EchoRequest, Refused, Status, StoreRequest
from aiodicom.wire.dimse import CommandField, CommandSet, Tag
from aiodicom.wire.items import UserIdentity
from aiodicom.wire.negotiation import EXPLICIT_LITTLE
from aiodicom.wire.pdu import Abort, ReleaseRequest, ReleaseResponse, encode_pdu
from tests.peer import (
    CT,
    ECHO_CONTEXT,
    Peer,
    association_request,
    command_pdu,
    ct_dataset,
    dataset_pdus,
    echo_command,
    fragment,
    status_of,
    store_command,
    store_pdus,
)
from tests.serving import Gate, Keeper, discard, happens, serving

DATA = ct_dataset("1.2.3", bytes(100_000))


async def read_whole(dataset: aiodicom.DatasetStream) -> bytes:
    return await dataset.read()


async def read_chunks(dataset: aiodicom.DatasetStream) -> bytes:
    return b"".join([chunk async for chunk in dataset])


async def read_blocks(dataset: aiodicom.DatasetStream) -> bytes:
    data = b""
    while (block := await dataset.block(30_000)) is not None:
        with block:
            data += b"".join(block.views)
    return data


def failing(error: BaseException) -> aiodicom.requests.StoreHandler:
    """A store handler that reads its object and raises."""

    async def handler(request: StoreRequest) -> int:
        await request.dataset.read()
        raise error

    return handler


def returning(value: object) -> aiodicom.requests.StoreHandler:
    """A store handler that reads its object and returns something."""

    async def handler(request: StoreRequest) -> int:
        await request.dataset.read()
        return value  # type: ignore[return-value]

    return handler


async def response_of(store: aiodicom.requests.StoreHandler) -> CommandSet:
    """Return the response to a whole C-STORE; the association must go on after it."""
    async with serving(store=store) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus("1.2.3"))
        response = await peer.response()
        assert await peer.echo() == Status.SUCCESS
        await peer.release()
    return response


# What it is given ----------------------------------------------------------------------------


async def test_a_handler_runs_before_the_dataset_has_come() -> None:
    keeper = Keeper()
    async with serving(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(store_command("1.2.3")))
        await happens(keeper.entered)
        assert keeper.requests[0].dataset.size == 0
        await peer.send(dataset_pdus(DATA))
        assert await peer.status() == Status.SUCCESS
        assert await keeper.outcome() == DATA


@pytest.mark.parametrize("read", [read_whole, read_chunks, read_blocks])
async def test_every_way_of_reading_gives_the_bytes_that_were_sent(
    read: Callable[[aiodicom.DatasetStream], Awaitable[bytes]],
) -> None:
    got = []

    async def handler(request: StoreRequest) -> int:
        got.append(await read(request.dataset))
        return Status.SUCCESS

    async with serving(store=handler) as server, Peer(server.port) as peer:
        await peer.associate()
        assert await peer.store("1.2.3", DATA) == Status.SUCCESS
    assert got == [DATA]


async def test_a_request_tells_who_sends_what() -> None:
    keeper = Keeper()
    command = CommandSet.build(
        CommandField.C_STORE,
        dataset=True,
        affected_sop_class_uid=CT,
        affected_sop_instance_uid="1.2.3",
        message_id=7,
        priority=aiodicom.Priority.HIGH,
        move_originator_application_entity_title="MOVER",
        move_originator_message_id=9,
    )
    async with serving(store=keeper) as server, Peer(server.port) as peer:
        identity = UserIdentity(1, False, b"me", b"")
        await peer.associate(association_request(calling="CT 1", called="HERE", more=[identity]))
        await peer.send(command_pdu(command) + dataset_pdus(DATA))
        assert await peer.status() == Status.SUCCESS
        sockname = peer.writer.get_extra_info("sockname")
    request = keeper.requests[0]
    assert (request.sop_class_uid, request.sop_instance_uid) == (CT, "1.2.3")
    assert (request.message_id, request.priority) == (7, aiodicom.Priority.HIGH)
    assert request.transfer_syntax_uid == EXPLICIT_LITTLE
    assert request.move_originator_ae_title == "MOVER"
    assert request.move_originator_message_id == 9
    sender = request.association
    assert (sender.calling_ae_title, sender.called_ae_title) == ("CT 1", "HERE")
    assert (sender.address, sender.port, sender.number) == (*sockname, 1)
    assert sender.user_identity == identity


async def test_what_a_request_need_not_say() -> None:
    keeper = Keeper()
    async with serving(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        assert await peer.store("1.2.3") == Status.SUCCESS
    request = keeper.requests[0]
    assert request.priority == aiodicom.Priority.MEDIUM
    assert request.move_originator_ae_title == ""
    assert request.move_originator_message_id is None
    assert request.association.user_identity is None


async def test_file_meta_and_dataset_are_a_dicom_file() -> None:
    files = []

    async def handler(request: StoreRequest) -> int:
        files.append(request.file_meta() + await request.dataset.read())
        return Status.SUCCESS

    async with serving(store=handler) as server, Peer(server.port) as peer:
        await peer.associate(association_request(calling="CT1"))
        assert await peer.store("1.2.3") == Status.SUCCESS
    dataset = pydicom.dcmread(io.BytesIO(files[0]))
    assert dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID == "1.2.3"
    assert dataset.file_meta.MediaStorageSOPClassUID == CT
    assert dataset.file_meta.TransferSyntaxUID == EXPLICIT_LITTLE
    assert dataset.file_meta.SourceApplicationEntityTitle == "CT1"


async def test_an_echo_handler_chooses_the_status() -> None:
    asked = []

    async def handler(request: EchoRequest) -> int:
        asked.append(request)
        if request.message_id == 2:
            raise Refused(Status.NOT_AUTHORIZED, "not you")
        return Status.SUCCESS

    async with serving(echo=handler) as server, Peer(server.port) as peer:
        await peer.associate()
        assert await peer.echo(1) == Status.SUCCESS
        assert await peer.echo(2) == Status.NOT_AUTHORIZED
        assert await peer.echo(3) == Status.SUCCESS
    assert [request.message_id for request in asked] == [1, 2, 3]
    assert asked[0].association.calling_ae_title == "PEER"


# Refusals ------------------------------------------------------------------------------------


async def test_a_refusal_leaves_before_the_dataset_has_come_and_the_rest_is_dropped() -> None:
    async def handler(request: StoreRequest) -> int:
        if request.message_id == 1:
            raise Refused(Status.OUT_OF_RESOURCES, "no room")
        return await discard(request)

    async with serving(store=handler) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", bytes(1000))
        assert await peer.status() == Status.OUT_OF_RESOURCES
        await peer.send(dataset_pdus(bytes(3_000_000)))
        assert await peer.store("1.2.4", message_id=2) == Status.SUCCESS
        await peer.release()


async def test_a_peer_may_end_a_refused_dataset_early() -> None:
    async with serving(store=failing_at_once) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3")
        assert await peer.status() == Status.OUT_OF_RESOURCES
        await peer.send(fragment(b"", is_last=True))
        await peer.release()


async def failing_at_once(request: StoreRequest) -> int:
    return Status.OUT_OF_RESOURCES


async def test_a_refusal_says_its_status_its_comment_and_the_elements() -> None:
    refusal = Refused(Status.DATASET_DOES_NOT_MATCH, "not what you said", (0x00080018,))
    response = await response_of(failing(refusal))
    assert status_of(response) == 0xA900
    assert response.text(Tag.ERROR_COMMENT) == "not what you said"
    assert response.tags(Tag.OFFENDING_ELEMENT) == (0x00080018,)
    assert response.number(Tag.MESSAGE_ID_BEING_RESPONDED_TO) == 1


async def test_a_long_comment_is_cut_to_one_line_of_64_characters() -> None:
    response = await response_of(failing(Refused(0xA700, "no \u20ac\r\n\\" + "x" * 100)))
    assert response.text(Tag.ERROR_COMMENT) == "no ????" + "x" * 57
    assert len(response.elements[Tag.ERROR_COMMENT]) == 64


async def test_a_refusal_with_a_success_is_no_success_before_the_dataset_was_read() -> None:
    async def handler(request: StoreRequest) -> int:
        raise Refused(Status.SUCCESS)

    assert status_of(await response_of(handler)) == Status.UNABLE_TO_PROCESS


# Other outcomes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "/secret/folder"),
        OSError("/secret/folder is full"),
        OSError(errno.EIO, "cannot write /secret/folder"),
        PermissionError("/secret/folder"),
        TimeoutError(),
    ],
)
async def test_an_operating_system_s_error_is_out_of_resources(error: OSError) -> None:
    response = await response_of(failing(error))
    assert status_of(response) == Status.OUT_OF_RESOURCES
    comment = response.text(Tag.ERROR_COMMENT)
    assert comment
    assert "secret" not in comment


async def test_any_other_exception_is_logged_once_and_what_it_says_for_debugging_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "aiodicom")
    response = await response_of(failing(ValueError("patient SECRET")))
    assert status_of(response) == Status.UNABLE_TO_PROCESS
    assert "SECRET" not in response.text(Tag.ERROR_COMMENT)
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    said = errors[0].getMessage()
    assert said.startswith("The handler failed: ValueError (answering.py:")
    assert "SECRET" not in said
    assert [r.levelno for r in caplog.records if "SECRET" in r.getMessage()] == [logging.DEBUG]
    assert not any(record.exc_info for record in caplog.records)


async def test_a_handler_that_raises_when_called_has_failed_like_any_other() -> None:
    def handler(request: StoreRequest) -> Awaitable[int]:
        raise ValueError("not even a coroutine")

    assert status_of(await response_of(handler)) == Status.UNABLE_TO_PROCESS


async def test_a_cancelled_task_inside_a_handler_is_the_handler_s_failure() -> None:
    async def handler(request: StoreRequest) -> int:
        helper = asyncio.ensure_future(request.dataset.read())
        helper.cancel()
        await helper
        return Status.SUCCESS

    assert status_of(await response_of(handler)) == Status.UNABLE_TO_PROCESS


@pytest.mark.parametrize("value", [None, "ok", 1.5, -1, 0x10000, True])
async def test_what_is_no_status_is_unable_to_process(value: object) -> None:
    assert status_of(await response_of(returning(value))) == Status.UNABLE_TO_PROCESS


@pytest.mark.parametrize("status", [-1, 0x10000])
async def test_a_refusal_with_what_is_no_status_is_unable_to_process(status: int) -> None:
    async def handler(request: StoreRequest) -> int:
        raise Refused(status)

    assert status_of(await response_of(handler)) == Status.UNABLE_TO_PROCESS


@pytest.mark.parametrize("status", [0xB000, 0x0107, 0xA701, 0xC123, 0xFFFF])
async def test_a_handler_s_own_status_passes(status: int) -> None:
    assert status_of(await response_of(returning(status))) == status


# Success is a promise ------------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.SUCCESS, Status.COERCION])
async def test_success_or_a_warning_without_having_read_is_a_failure(status: int) -> None:
    async def handler(request: StoreRequest) -> int:
        return status

    assert status_of(await response_of(handler)) == Status.UNABLE_TO_PROCESS


async def test_success_after_a_part_was_read_is_a_failure() -> None:
    async def handler(request: StoreRequest) -> int:
        block = await request.dataset.block()
        assert block is not None
        block.release()
        return Status.SUCCESS

    async with serving(store=handler) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"a part")
        assert await peer.status() == Status.UNABLE_TO_PROCESS
        await peer.send(fragment(b"the rest", is_last=True))
        assert await peer.echo() == Status.SUCCESS


async def test_a_failure_needs_no_reading() -> None:
    assert status_of(await response_of(failing_at_once)) == Status.OUT_OF_RESOURCES


async def test_success_of_a_discarded_object_waits_for_its_last_fragment() -> None:
    left = asyncio.Event()

    async def handler(request: StoreRequest) -> int:
        left.set()
        return await discard(request)

    async with serving(store=handler) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"a part")
        await happens(left)
        await peer.send(fragment(b"another"))
        assert await peer.hears_nothing()
        await peer.send(fragment(b"the last", is_last=True))
        assert await peer.status() == Status.SUCCESS


# Peers who do not stay -----------------------------------------------------------------------


async def test_an_abort_in_mid_dataset_is_raised() -> None:
    keeper = Keeper()
    async with serving(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"a part")
        await peer.abort(2, 6)
        error = await keeper.outcome()
        assert isinstance(error, aiodicom.AssociationAborted)
        assert (error.source, error.reason) == (2, 6)
        assert await peer.closed()


async def test_a_connection_cut_in_mid_dataset_is_raised() -> None:
    keeper = Keeper()
    async with serving(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"a part")
        await happens(keeper.entered)
        peer.cut()
        assert isinstance(await keeper.outcome(), aiodicom.AssociationLost)


async def test_a_peer_half_closed_in_mid_dataset_is_lost() -> None:
    keeper = Keeper()
    async with serving(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"a part")
        await peer.half_close()
        assert isinstance(await keeper.outcome(), aiodicom.AssociationLost)
        assert await peer.closed()


@pytest.mark.parametrize("timeouts", [{"dimse": 0.1}, {"network": 0.1}])
async def test_silence_in_mid_dataset_is_raised(timeouts: dict[str, float]) -> None:
    keeper = Keeper()
    settings = aiodicom.Timeouts(**timeouts)
    async with serving(store=keeper, timeouts=settings) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"a part")
        assert isinstance(await keeper.outcome(), aiodicom.AssociationLost)
        await peer.aborted()


async def test_a_violation_in_mid_dataset_is_raised() -> None:
    keeper = Keeper()
    async with serving(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"a part")
        await happens(keeper.entered)
        await peer.send(command_pdu(echo_command(), ECHO_CONTEXT))
        assert isinstance(await keeper.outcome(), aiodicom.AssociationLost)
        await peer.aborted()


async def test_a_release_in_mid_dataset_is_raised_and_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    keeper = Keeper()
    async with serving(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"a part")
        await peer.send(ReleaseRequest())
        assert isinstance(await keeper.outcome(), aiodicom.AssociationClosed)
        assert await peer.status() == Status.UNABLE_TO_PROCESS
        assert await peer.receive() == ReleaseResponse()
    assert not [record for record in caplog.records if record.exc_info]  # it is the peer's doing


async def test_a_release_in_the_middle_of_a_discarded_dataset_is_answered() -> None:
    async with serving(store=discard) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"a part")
        await peer.send(ReleaseRequest())
        assert await peer.status() == Status.UNABLE_TO_PROCESS
        assert await peer.receive() == ReleaseResponse()


async def test_a_handler_finishes_when_its_peer_goes_after_the_last_fragment() -> None:
    gate = Gate()
    async with serving(store=gate) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus("1.2.3", DATA))
        await happens(gate.entered)
        peer.cut()
        gate.opened.set()
        assert await gate.outcome() == DATA


async def test_a_handler_that_fails_after_its_peer_has_gone_leaves_nothing_behind() -> None:
    """A gateway whose other side is lost as well: the object that came whole is dropped."""

    async def handler(request: StoreRequest) -> int:
        entered.set()
        raise aiodicom.AssociationLost("the other side")

    entered = asyncio.Event()
    async with serving(store=handler) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus("1.2.3") + encode_pdu(Abort(0, 0)))
        await happens(entered)
        assert await peer.closed()


@pytest.mark.parametrize("end", ["abort", "cut", "release"])
async def test_a_handler_that_swallows_the_end_of_the_association_gets_nothing_through(
    end: str,
) -> None:
    async def handler(request: StoreRequest) -> int:
        try:
            await request.dataset.read()
        except aiodicom.AssociationClosed:
            swallowed.set()
        return Status.SUCCESS

    swallowed = asyncio.Event()
    async with serving(store=handler) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"a part")
        if end == "release":
            await peer.send(ReleaseRequest())
            assert await peer.status() == Status.UNABLE_TO_PROCESS
        else:
            await (peer.abort() if end == "abort" else peer.half_close())
            await happens(swallowed)
            assert await peer.closed()
