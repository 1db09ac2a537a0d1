"""The acceptor's conversation: messages on a real socket, and their answers."""

from __future__ import annotations

import asyncio
import logging

import pytest

from aiodicom import (
    AbortAssociation,
    AssociationInfo,
    Listener,
    Server,
    Status,
    StoreRequest,
)
from aiodicom.acceptor.association import Service
from aiodicom.wire.dimse import CommandField, CommandSet, Tag
from aiodicom.wire.items import ProposedContext
from aiodicom.wire.negotiation import (
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    VERIFICATION,
    make_policy,
)
from aiodicom.wire.pdu import (
    PDV,
    Abort,
    DataTransfer,
    ReleaseRequest,
    ReleaseResponse,
    encode_pdu,
)
from tests.peer import (
    CT,
    CT_CONTEXT,
    CT_IMPLICIT_CONTEXT,
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
from tests.serving import TIMEOUTS, Gate, Keeper, discard, empty, happens, serving

MR = "1.2.840.10008.5.1.4.1.1.4"
PRINTER = "1.2.840.10008.5.1.1.16"

DATASET_OPERATIONS = (
    CommandField.C_FIND,
    CommandField.C_GET,
    CommandField.C_MOVE,
    CommandField.N_EVENT_REPORT,
    CommandField.N_SET,
    CommandField.N_ACTION,
    CommandField.N_CREATE,
    0x0042,
)


# Messages that are answered ------------------------------------------------------------------


async def test_echo_and_store_on_one_association() -> None:
    keeper = Keeper()
    async with serving(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        assert await peer.echo(1) == Status.SUCCESS
        assert await peer.store("1.2.3", message_id=2) == Status.SUCCESS
        assert await peer.echo(3) == Status.SUCCESS
        assert await peer.store("1.2.4", message_id=4) == Status.SUCCESS
        await peer.release()
    assert [request.sop_instance_uid for request in keeper.requests] == ["1.2.3", "1.2.4"]


async def test_pipelined_requests_are_answered_in_order() -> None:
    keeper = Keeper()
    async with serving(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        for number in range(0, 200, 2):
            await peer.send(store_pdus(f"1.2.{number}", message_id=number))
            await peer.send(command_pdu(echo_command(number + 1), ECHO_CONTEXT))
        answered = [await peer.response() for _ in range(200)]
    assert [r.number(Tag.MESSAGE_ID_BEING_RESPONDED_TO) for r in answered] == list(range(200))
    assert {status_of(response) for response in answered} == {Status.SUCCESS}
    for number in range(0, 200, 2):
        assert await keeper.outcome() == ct_dataset(f"1.2.{number}")


async def test_a_command_of_one_byte_fragments() -> None:
    data = store_command("1.2.3").encode()
    pdvs = [PDV(CT_CONTEXT, True, i == len(data), data[i - 1 : i]) for i in range(1, len(data) + 1)]
    async with serving(store=discard) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(b"".join(encode_pdu(DataTransfer((pdv,))) for pdv in pdvs[:50]))
        await peer.send(DataTransfer(tuple(pdvs[50:])))
        await peer.send(dataset_pdus(ct_dataset("1.2.3")))
        assert await peer.status() == Status.SUCCESS


async def test_a_dataset_of_one_byte_fragments() -> None:
    keeper, data = Keeper(), ct_dataset("1.2.3")
    pdvs = [PDV(CT_CONTEXT, False, i == len(data), data[i - 1 : i]) for i in range(len(data) + 1)]
    async with serving(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(store_command("1.2.3")))
        await peer.send(DataTransfer(tuple(pdvs)))
        assert await peer.status() == Status.SUCCESS
        assert await keeper.outcome() == data


async def test_command_and_dataset_in_one_pdu() -> None:
    keeper, data = Keeper(), ct_dataset("1.2.3")
    command = PDV(CT_CONTEXT, True, True, store_command("1.2.3").encode())
    parts = PDV(CT_CONTEXT, False, False, data[:33]), PDV(CT_CONTEXT, False, True, data[33:])
    async with serving(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(DataTransfer((command, *parts)))
        assert await peer.status() == Status.SUCCESS
        assert await keeper.outcome() == data


async def test_a_dataset_that_comes_byte_by_byte() -> None:
    keeper, data = Keeper(), ct_dataset("1.2.3")
    async with serving(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        for byte in store_pdus("1.2.3"):
            await peer.send(bytes([byte]))
        assert await peer.status() == Status.SUCCESS
        assert await keeper.outcome() == data


async def test_an_empty_dataset_is_one() -> None:
    keeper = Keeper()
    async with serving(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        assert await peer.store("1.2.3", b"") == Status.SUCCESS
        assert await keeper.outcome() == b""


async def test_each_context_has_its_transfer_syntax() -> None:
    keeper = Keeper()
    async with serving(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        for context_id in (CT_CONTEXT, CT_IMPLICIT_CONTEXT):
            await peer.send(command_pdu(store_command("1.2.3"), context_id))
            await peer.send(dataset_pdus(b"\0" * 8, context_id))
            assert await peer.status() == Status.SUCCESS
    used = [request.transfer_syntax_uid for request in keeper.requests]
    assert used == [EXPLICIT_LITTLE, IMPLICIT_LITTLE]


@pytest.mark.parametrize("padding", ["\0", "  ", "\0\0", " "])
async def test_padded_uids_are_the_same_uids(padding: str) -> None:
    keeper = Keeper()
    command = store_command("1.2.3" + padding, 1, CT + padding)
    async with serving(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(command) + dataset_pdus(ct_dataset("1.2.3")))
        response = await peer.response()
    assert status_of(response) == Status.SUCCESS
    assert (keeper.requests[0].sop_class_uid, keeper.requests[0].sop_instance_uid) == (CT, "1.2.3")
    for tag in (Tag.AFFECTED_SOP_CLASS_UID, Tag.AFFECTED_SOP_INSTANCE_UID):
        assert response.elements[tag] == command.elements[tag]


@pytest.mark.parametrize("limit", [0, 1, 2, 5, 6, 7, 8, 9, 16, 17, 0xFFFFFFFF])
async def test_responses_keep_to_the_peer_s_maximum_length(limit: int) -> None:
    async with serving() as server, Peer(server.port) as peer:
        await peer.associate(association_request(maximum_length=limit))
        await peer.send(command_pdu(echo_command(), ECHO_CONTEXT))
        parts = b""
        is_last = False
        while not is_last:
            pdu = await peer.receive()
            assert isinstance(pdu, DataTransfer)
            assert len(pdu.encode_body()) <= max(limit, 8) or limit == 0
            assert all(len(pdv.data) % 2 == 0 for pdv in pdu.pdvs)
            parts += b"".join(pdv.data for pdv in pdu.pdvs)
            is_last = pdu.pdvs[-1].is_last
    assert status_of(CommandSet.decode(parts)) == Status.SUCCESS


# Messages that are refused -------------------------------------------------------------------


async def test_a_class_that_is_not_the_context_s() -> None:
    keeper = Keeper()
    async with serving(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(store_command("1.2.3", 1, MR)) + dataset_pdus(bytes(100_000)))
        response = await peer.response()
        assert status_of(response) == Status.SOP_CLASS_NOT_SUPPORTED
        assert response.tags(Tag.OFFENDING_ELEMENT) == (Tag.AFFECTED_SOP_CLASS_UID,)
        await peer.send(command_pdu(echo_command(), CT_CONTEXT))
        assert await peer.status() == Status.SOP_CLASS_NOT_SUPPORTED
        assert await peer.echo() == Status.SUCCESS
    assert not keeper.requests


async def test_a_message_in_a_rejected_context() -> None:
    contexts = (
        ProposedContext.of(1, VERIFICATION, IMPLICIT_LITTLE),
        ProposedContext.of(CT_CONTEXT, CT, EXPLICIT_LITTLE),
    )
    async with serving() as server, Peer(server.port) as peer:  # without a store handler
        answer = await peer.associate(association_request(contexts))
        assert [context.result for context in answer.presentation_contexts] == [0, 3]
        assert await peer.store("1.2.3", bytes(100_000)) == Status.SOP_CLASS_NOT_SUPPORTED
        assert await peer.echo() == Status.SUCCESS
        await peer.release()


async def test_no_context_is_accepted_and_yet_there_is_an_association() -> None:
    contexts = [ProposedContext.of(1, PRINTER, IMPLICIT_LITTLE)]
    async with serving(store=discard) as server, Peer(server.port) as peer:
        answer = await peer.associate(association_request(contexts))
        assert [context.result for context in answer.presentation_contexts] == [3]
        assert await peer.echo() == Status.SOP_CLASS_NOT_SUPPORTED
        await peer.release()


async def test_even_context_ids() -> None:
    contexts = [ProposedContext.of(2, VERIFICATION, IMPLICIT_LITTLE)]
    async with serving() as server, Peer(server.port) as peer:
        answer = await peer.associate(association_request(contexts))
        assert [(c.context_id, c.result) for c in answer.presentation_contexts] == [(2, 0)]
        await peer.send(command_pdu(echo_command(), 2))
        assert await peer.status() == Status.SUCCESS


async def test_a_whole_message_in_a_context_that_was_never_proposed() -> None:
    async with serving(store=discard) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(store_command("1.2.3"), 99) + dataset_pdus(bytes(100), 99))
        await peer.aborted()


async def test_the_command_alone_in_a_context_that_was_never_proposed() -> None:
    async with serving(store=discard) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(store_command("1.2.3"), 99) + fragment(b"a part", 99))
        await peer.aborted()
        await peer.send(fragment(bytes(100_000), 99, is_last=True))  # it was on its way


@pytest.mark.parametrize("field", DATASET_OPERATIONS, ids=hex)
@pytest.mark.parametrize("size", [10, 300_000])
async def test_an_operation_that_is_not_served(field: int, size: int) -> None:
    command = CommandSet.build(field, dataset=True, affected_sop_class_uid=CT, message_id=5)
    async with serving(store=discard) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(command) + dataset_pdus(bytes(size)))
        response = await peer.response()
        assert status_of(response) == Status.UNRECOGNIZED_OPERATION
        assert response.field == field | 0x8000
        assert response.number(Tag.MESSAGE_ID_BEING_RESPONDED_TO) == 5
        assert await peer.store("1.2.3") == Status.SUCCESS


@pytest.mark.parametrize("field", [CommandField.N_GET, CommandField.N_DELETE], ids=hex)
async def test_an_operation_without_a_dataset_that_is_not_served(field: int) -> None:
    command = CommandSet.build(
        field, requested_sop_class_uid=CT, requested_sop_instance_uid="1.2.3", message_id=5
    )
    async with serving(store=discard) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(command))
        assert await peer.status() == Status.UNRECOGNIZED_OPERATION
        assert await peer.store("1.2.3") == Status.SUCCESS


@pytest.mark.parametrize("before", [0, 1])
async def test_a_requested_class_of_another_context_is_refused_every_time(before: int) -> None:
    command = CommandSet.build(
        CommandField.C_STORE,
        dataset=True,
        affected_sop_class_uid=CT,
        affected_sop_instance_uid="1.2.3",
        requested_sop_class_uid=VERIFICATION,
        message_id=5,
    )
    async with serving(store=discard) as server, Peer(server.port) as peer:
        await peer.associate()
        for _ in range(before):
            assert await peer.store("1.2.3") == Status.SUCCESS
        await peer.send(command_pdu(command) + dataset_pdus(b"1234"))
        assert await peer.status() == Status.SOP_CLASS_NOT_SUPPORTED


async def test_a_store_in_the_context_of_verification() -> None:
    command = store_command("1.2.3", 1, VERIFICATION)
    async with serving(store=discard) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(command, ECHO_CONTEXT) + dataset_pdus(b"1234", ECHO_CONTEXT))
        assert await peer.status() == Status.UNRECOGNIZED_OPERATION
        assert await peer.echo() == Status.SUCCESS


async def test_an_echo_with_a_dataset_is_answered_and_the_dataset_dropped() -> None:
    command = CommandSet.build(
        CommandField.C_ECHO, dataset=True, affected_sop_class_uid=VERIFICATION, message_id=1
    )
    async with serving() as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(command, ECHO_CONTEXT))
        await peer.send(dataset_pdus(bytes(100_000), ECHO_CONTEXT))
        assert await peer.status() == Status.SUCCESS
        assert await peer.echo() == Status.SUCCESS


async def test_a_cancel_is_never_answered() -> None:
    cancel = CommandSet.build(CommandField.C_CANCEL, message_id_being_responded_to=1)
    async with serving(store=discard) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(cancel))
        await peer.send(command_pdu(echo_command(2), ECHO_CONTEXT))
        assert (await peer.response()).number(Tag.MESSAGE_ID_BEING_RESPONDED_TO) == 2


@pytest.mark.parametrize("size", [10, 300_000])
async def test_a_response_that_nobody_asked_for_is_ignored(size: int) -> None:
    command = CommandSet.build(
        CommandField.C_FIND | 0x8000, dataset=True, message_id_being_responded_to=1, status=0xFF00
    )
    async with serving(store=discard) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(command) + dataset_pdus(bytes(size)))
        await peer.send(command_pdu(echo_command(2), ECHO_CONTEXT))
        response = await peer.response()
        assert response.number(Tag.MESSAGE_ID_BEING_RESPONDED_TO) == 2


@pytest.mark.parametrize("part", [b"", b"a part of its dataset"])
async def test_a_request_without_a_message_id_is_the_end(part: bytes) -> None:
    command = store_command("1.2.3")
    del command.elements[Tag.MESSAGE_ID]
    async with serving(store=discard) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(command) + fragment(part, is_last=bool(part)))
        await peer.aborted()


@pytest.mark.parametrize(
    ("missing", "status"),
    [
        (Tag.AFFECTED_SOP_INSTANCE_UID, Status.INVALID_SOP_INSTANCE),
        (Tag.AFFECTED_SOP_CLASS_UID, Status.MISTYPED_ARGUMENT),
    ],
)
async def test_a_store_without_a_uid(missing: Tag, status: int) -> None:
    command = store_command("1.2.3")
    del command.elements[missing]
    async with serving(store=discard) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(command) + dataset_pdus(bytes(100)))
        response = await peer.response()
        assert status_of(response) == status
        assert response.tags(Tag.OFFENDING_ELEMENT) == (missing,)
        assert await peer.store("1.2.3") == Status.SUCCESS


async def test_a_store_without_a_dataset() -> None:
    command = CommandSet.build(
        CommandField.C_STORE,
        affected_sop_class_uid=CT,
        affected_sop_instance_uid="1.2.3",
        message_id=1,
    )
    async with serving(store=discard) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(command))
        assert await peer.status() == Status.CANNOT_UNDERSTAND
        assert await peer.store("1.2.3") == Status.SUCCESS


# Violations ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        fragment(b"no command announced it"),
        b"\x04\0\0\0\0\x06" + b"\0\0\0\x10\1\3",
        b"\x04\0\x7f\xff\xff\xff",
        b"\x01\0\0\0\0\x44",
        b"\x06\0\0\0\0\x04\0\0\0\0",
        b"\x09\0\0\0\0\x04\0\0\0\0",
        encode_pdu(DataTransfer((PDV(ECHO_CONTEXT, True, True, b"no command set"),))),
    ],
    ids=["fragment", "pdv", "length", "request", "release", "type", "command"],
)
async def test_a_violation_is_answered_with_an_abort(data: bytes) -> None:
    async with serving(store=discard) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(data)
        assert (await peer.aborted()).source == 2


async def test_a_violation_behind_a_whole_object_leaves_nothing_held() -> None:
    gate = Gate()
    async with serving(store=gate) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus("1.2.3"))
        await peer.send(store_pdus("1.2.4"))
        await happens(gate.entered)
        await peer.send(fragment(b"no command announced it"))
        await peer.aborted()
        gate.opened.set()
        assert isinstance(await gate.outcome(), bytes)


# Endings -------------------------------------------------------------------------------------


async def test_the_release_follows_outstanding_responses() -> None:
    gate = Gate()
    async with serving(store=gate) as server, Peer(server.port) as peer:
        await peer.associate()
        for number in (1, 2, 3):
            await peer.send(store_pdus(f"1.2.{number}", message_id=number))
        await peer.send(ReleaseRequest())
        await happens(gate.entered)
        assert await peer.hears_nothing()
        gate.opened.set()
        assert [await peer.status() for _ in range(3)] == [Status.SUCCESS] * 3
        assert await peer.receive() == ReleaseResponse()


async def test_a_message_behind_a_release_is_a_violation() -> None:
    gate = Gate()
    async with serving(store=gate) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus("1.2.3") + encode_pdu(ReleaseRequest()))
        await happens(gate.entered)
        await peer.send(command_pdu(echo_command(), ECHO_CONTEXT))
        await peer.aborted()
        gate.opened.set()


@pytest.mark.parametrize("abort", [True, False])
async def test_a_peer_that_does_not_wait_for_its_release_has_stored_its_object(
    abort: bool,
) -> None:
    gate = Gate()
    async with serving(store=gate) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus("1.2.3") + encode_pdu(ReleaseRequest()))
        await happens(gate.entered)
        await (peer.abort() if abort else peer.half_close())
        assert await peer.closed()
        gate.opened.set()
        assert await gate.outcome() == ct_dataset("1.2.3")
        await empty(server)


async def test_an_abort_is_heard_while_a_handler_runs() -> None:
    gate = Gate()
    async with serving(store=gate) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus("1.2.3"))
        await happens(gate.entered)
        await peer.abort()
        assert await peer.closed()
        gate.opened.set()
        assert await gate.outcome() == ct_dataset("1.2.3")


async def test_thousands_of_small_messages_in_one_write() -> None:
    async with serving() as server, Peer(server.port) as peer:
        await peer.associate()
        sending = asyncio.ensure_future(
            peer.send(b"".join(command_pdu(echo_command(i), ECHO_CONTEXT) for i in range(3000)))
        )
        for number in range(3000):
            response = await peer.response()
            assert response.number(Tag.MESSAGE_ID_BEING_RESPONDED_TO) == number
        await sending
        await peer.release()


async def test_the_number_of_associations() -> None:
    async with serving() as server, Peer(server.port) as one, Peer(server.port) as two:
        await one.associate()
        await two.associate()
        assert server.associations == 2
        await one.release()
        assert await two.echo() == Status.SUCCESS
        assert server.associations == 1


# Handlers that end the association -----------------------------------------------------------


async def give_up(request: object) -> int:
    raise AbortAssociation("no more of\nthis")


async def test_a_store_handler_aborts_the_association_before_the_dataset_has_come(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(store=give_up) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"\1\2")
        assert await peer.aborted() == Abort(0, 0)
        await peer.sends_on_in_vain(fragment(b"\3\4", is_last=True))
        await empty(server)
    (record,) = [r for r in caplog.records if r.levelname == "WARNING"]
    assert record.getMessage() == "Association Aborted: no more of\\nthis"


async def test_a_store_handler_aborts_the_association_instead_of_a_response() -> None:
    async def after(request: StoreRequest) -> int:
        await request.dataset.read()
        raise AbortAssociation

    async with serving(store=after) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus("1.2.3") + store_pdus("1.2.4", message_id=2))
        assert await peer.aborted() == Abort(0, 0)
        await peer.half_close()
        assert await peer.closed()


async def test_an_echo_handler_aborts_the_association() -> None:
    async with serving(echo=give_up) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(echo_command(), ECHO_CONTEXT))
        assert await peer.aborted() == Abort(0, 0)


async def test_an_authorize_hook_aborts_instead_of_an_answer() -> None:
    async def authorize(info: AssociationInfo) -> None:
        raise AbortAssociation

    async with serving(authorize=authorize) as server, Peer(server.port) as peer:
        await peer.send(association_request())
        assert await peer.aborted() == Abort(0, 0)
        await peer.half_close()
        assert await peer.closed()


# What a service may be told ------------------------------------------------------------------


def server_of(service: Service) -> Server:
    listeners = [Listener(0, "127.0.0.1")]
    return Server(service, ae_title="AIODICOM", listeners=listeners, timeouts=TIMEOUTS)


async def test_a_rest_comes_after_the_response_and_before_the_next_message() -> None:
    loop = asyncio.get_running_loop()
    async with (
        server_of(Service(make_policy(), discard, rest=0.2)) as server,
        Peer(server.port) as peer,
    ):
        await peer.associate()
        assert await peer.echo() == Status.SUCCESS
        begun = loop.time()
        assert await peer.store("1.2.3") == Status.SUCCESS
        responded = loop.time()
        assert await peer.echo(2) == Status.SUCCESS
        assert loop.time() - begun >= 0.199  # uvloop's clock counts milliseconds
        assert responded - begun < 0.2
        await peer.release()


async def test_a_release_in_the_middle_of_a_dataset_is_the_sender_s_doing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    keeper = Keeper()
    async with serving(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"ab")
        await peer.send(encode_pdu(ReleaseRequest()))
        assert status_of(await peer.response()) == Status.UNABLE_TO_PROCESS
        assert isinstance(await peer.receive(), ReleaseResponse)
    logged = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert logged == ["127.0.0.1 has released in the middle of a dataset: it is not stored"]


@pytest.mark.parametrize(("level", "shown"), [(logging.INFO, True), (logging.DEBUG, False)])
async def test_parameters_are_logged_with_the_level_that_is_asked_for(
    caplog: pytest.LogCaptureFixture, level: int, shown: bool
) -> None:
    caplog.set_level(logging.INFO, "aiodicom")
    async with (
        server_of(Service(make_policy(), parameters_level=level)) as server,
        Peer(server.port) as peer,
    ):
        await peer.associate()
        await peer.release()
    lines = {r.getMessage(): r.levelno for r in caplog.records}
    ids = "  Context ID:        3 (Proposed)", "  Context ID:        1 (Accepted)"
    assert [lines.get(line) for line in ids] == ([logging.INFO] * 2 if shown else [None] * 2)
