"""Command sets that lack, mistype or repeat what they need, and messages out of turn."""

from __future__ import annotations

import struct

import pytest

from aiodicom import Status
from aiodicom.wire.dimse import COMMANDS, CommandField, CommandSet, Tag
from aiodicom.wire.pdu import PDV, DataTransfer, ReleaseRequest, ReleaseResponse, encode_pdu
from aiodicom.wire.upper_layer import MAXIMUM_COMMAND_LENGTH
from tests.hostile.victim import attacked
from tests.peer import (
    CT,
    CT_CONTEXT,
    ECHO_CONTEXT,
    Peer,
    command_pdu,
    dataset_pdus,
    echo_command,
    fragment,
    store_command,
    store_pdus,
)
from tests.serving import Gate, Keeper, happens

ELEMENTS = tuple(store_command("1.2.3").elements)

WRONG = {"absent": None, "empty": b"", "a UID": b"1.2.840.10008\0", "one byte": b"\1",
         "text": b"C-STORE ", "large": b"\xff" * 4000, "NULs": bytes(64)}  # fmt: skip


def part(data: bytes, context_id: int = CT_CONTEXT, *, is_last: bool = False) -> bytes:
    """A P-DATA-TF that holds a fragment of a command."""
    return encode_pdu(DataTransfer((PDV(context_id, True, is_last, data),)))


async def answered(peer: Peer) -> bool:
    """Tell whether what comes is an answer; else the association is aborted."""
    pdu = await peer.receive()
    if isinstance(pdu, DataTransfer):
        return CommandSet.decode(pdu.pdvs[0].data).is_response
    await peer.closed()
    return False


@pytest.mark.parametrize("tag", ELEMENTS, ids=hex)
async def test_an_element_that_is_wrong_is_answered_or_aborted(tag: int) -> None:
    """Wrong types and lengths are what others crash of."""
    is_needed = tag in (Tag.COMMAND_FIELD, Tag.COMMAND_DATA_SET_TYPE, Tag.MESSAGE_ID)
    async with attacked() as server:
        for how, value in WRONG.items():
            command = store_command("1.2.3")
            del command.elements[tag]
            if value is not None:
                command.elements[tag] = value
            async with Peer(server.port) as peer:
                await peer.associate()
                await peer.send(command_pdu(command) + dataset_pdus(b"1234"))
                if is_needed and how in ("absent", "empty", "one byte"):
                    await peer.aborted()
                else:  # one of other bytes may be a response or a cancel, which nobody answers
                    await peer.send(command_pdu(echo_command(9), ECHO_CONTEXT))
                    await answered(peer)


async def test_an_element_that_comes_twice_is_what_it_was_last() -> None:
    data = echo_command().encode()
    twice = data + struct.pack("<HHIH", 0, Tag.MESSAGE_ID, 2, 7)
    async with attacked() as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(part(twice, ECHO_CONTEXT, is_last=True))
        response = await peer.response()
        assert response.number(Tag.MESSAGE_ID_BEING_RESPONDED_TO) == 7


async def test_a_command_without_an_end_is_cut_off() -> None:
    async with attacked() as server, Peer(server.port) as peer:
        await peer.associate()
        for _ in range(MAXIMUM_COMMAND_LENGTH // 1000 + 1):
            await peer.send(part(bytes(1000)))
        await peer.aborted()


async def test_a_command_of_empty_fragments_without_end_costs_nothing() -> None:
    async with attacked() as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(part(b"") * 5000)
        await peer.send(part(store_command("1.2.3").encode(), is_last=True))
        await peer.send(dataset_pdus(b"1234"))
        assert await peer.status() == Status.SUCCESS


@pytest.mark.parametrize("data", [b"", b"\0", bytes(7), b"\0\0\0\0\4\0\0\0\0\0\0\0", b"\xff" * 99])
async def test_a_command_that_is_none_is_aborted(data: bytes) -> None:
    async with attacked() as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(part(data, is_last=True))
        await peer.aborted()


OUT_OF_TURN = {
    "a dataset's fragment": fragment(b"nobody has announced it"),
    "a last fragment": fragment(b"", is_last=True),
    "a command's in two contexts": part(b"\0\0") + part(b"\0\0", ECHO_CONTEXT, is_last=True),
    "a command before the dataset": command_pdu(store_command("1")) + command_pdu(echo_command()),
    "a command in the dataset": command_pdu(store_command("1"))
    + fragment(b"a part")
    + part(echo_command().encode()),
    "a dataset's in another context": command_pdu(store_command("1")) + fragment(b"", ECHO_CONTEXT),
    "a dataset in a command": part(b"\0\0") + fragment(b"1234"),
    "a second dataset": store_pdus("1.2.3") + fragment(b"more", is_last=True),
}


@pytest.mark.parametrize("name", OUT_OF_TURN)
async def test_a_fragment_out_of_turn_is_aborted(name: str) -> None:
    async with attacked() as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(OUT_OF_TURN[name])
        pdu = await peer.receive()
        if name == "a second dataset" and isinstance(pdu, DataTransfer):  # the first is stored
            pdu = await peer.receive()
        assert encode_pdu(pdu)[0] == 7


async def test_any_message_has_an_answer_or_needs_none() -> None:
    async with attacked() as server, Peer(server.port) as peer:
        await peer.associate()
        for field in (*COMMANDS, 0, 0x7FFF, 0xFFFF):
            command = CommandSet.build(
                field, affected_sop_class_uid=CT, message_id=1, message_id_being_responded_to=1
            )
            await peer.send(command_pdu(command))
            await peer.send(command_pdu(echo_command(2), ECHO_CONTEXT))
            response = await peer.response()
            if not command.is_response and field != CommandField.C_CANCEL:
                assert response.field == field | 0x8000
                assert response.number(Tag.STATUS) != Status.SUCCESS
                response = await peer.response()
            assert response.number(Tag.MESSAGE_ID_BEING_RESPONDED_TO) == 2


async def test_cancels_and_responses_without_end_cost_nothing() -> None:
    cancel = CommandSet.build(CommandField.C_CANCEL, message_id_being_responded_to=1)
    other = CommandSet.build(CommandField.C_STORE | 0x8000, message_id_being_responded_to=1)
    async with attacked() as server, Peer(server.port) as peer:
        await peer.associate()
        for _ in range(10):
            await peer.send((command_pdu(cancel) + command_pdu(other)) * 300)
            assert await peer.echo() == Status.SUCCESS


@pytest.mark.parametrize("data", [b"", b"a part", bytes(200_000)], ids=len)
async def test_a_release_in_the_middle_of_a_dataset_stores_nothing(data: bytes) -> None:
    keeper = Keeper()
    async with attacked(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", data[:100_000])
        await peer.send(fragment(data[100_000:]) + encode_pdu(ReleaseRequest()))
        assert isinstance(await keeper.outcome(), Exception)
        pdu = await peer.receive()
        if isinstance(pdu, DataTransfer):
            assert CommandSet.decode(pdu.pdvs[0].data).number(Tag.STATUS) != Status.SUCCESS
            pdu = await peer.receive()
        assert pdu == ReleaseResponse()


async def test_messages_behind_a_release_are_not_served() -> None:
    keeper = Keeper()
    async with attacked(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(encode_pdu(ReleaseRequest()) + store_pdus("1.2.3"))
        assert encode_pdu(await peer.receive())[0] in (6, 7)
        assert not keeper.requests


async def test_an_abort_while_the_handler_waits_leaves_nothing() -> None:
    gate = Gate()
    async with attacked(store=gate) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"a part")
        await happens(gate.entered)
        await peer.abort(255, 255)
        assert await peer.closed()
        gate.opened.set()
        assert isinstance(await gate.outcome(), Exception)
