"""Acceptors that lie to a requestor: it ends, or goes on, but never waits for ever or grows."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import aiodicom
from aiodicom.errors import AssociationClosed, AssociationRejected, DicomError
from aiodicom.wire.dimse import CommandSet, Status, Tag, encode_response
from aiodicom.wire.items import AcceptedContext, Item, TransferSyntax
from aiodicom.wire.negotiation import EXPLICIT_LITTLE
from aiodicom.wire.pdu import PDV, AssociateReject, DataTransfer, encode_pdu
from tests.hostile.victim import GONE, REQUEST_HEAD, pdu, raw_item
from tests.peer import CT, PATIENCE
from tests.scripted_acceptor import (
    TIMEOUTS,
    Caller,
    accepted,
    accepting,
    connected,
    response,
    write_object,
)

ONLY_CT = [(CT, [EXPLICIT_LITTLE])]
HURRIED = aiodicom.Timeouts(association=0.3, network=0.3, dimse=0.3, closing=0.3, connection=5)

Script = Callable[[Caller], Awaitable[object]]


async def end_of(script: Script, timeouts: aiodicom.Timeouts = TIMEOUTS) -> DicomError:
    """Connect and send an echo; return how that ended. The next acceptor is served as ever."""

    async def honest(caller: Caller) -> None:
        await caller.accept()
        await caller.serve()

    async with accepting(script, honest) as acceptor:
        with pytest.raises(DicomError) as caught:
            async with asyncio.timeout(PATIENCE), connected(acceptor, timeouts=timeouts) as one:
                await one.c_echo()
        async with connected(acceptor) as requestor:
            assert await requestor.c_echo() == Status.SUCCESS
    return caught.value


# The answer to a proposal ------------------------------------------------------------------------

ANSWERS = {
    "too many items": raw_item(0x21, bytes(4)) * 10_000,
    "too many syntaxes": raw_item(0x21, bytes(4) + raw_item(0x40, b"") * 10_000),
    "too many user items": raw_item(0x50, raw_item(0x55, b"") * 10_000),
    "a length that lies": raw_item(0x21, bytes(4) + b"\x40\0\xff\xff"),
    "half a context": raw_item(0x21, b"\1"),
    "half a maximum length": raw_item(0x50, raw_item(0x51, b"\0")),
    "half an item": b"\x21",
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_that_is_none_ends_it(name: str) -> None:
    async def lying(caller: Caller) -> None:
        await caller.asked()
        await caller.send(pdu(2, REQUEST_HEAD + ANSWERS[name]))
        await caller.gone()

    assert isinstance(await end_of(lying), AssociationClosed)


@pytest.mark.parametrize("numbers", [(0, 0, 0), (255, 255, 255), (1, 0, 255), (3, 4, 5)])
async def test_a_rejection_of_any_numbers_is_one(numbers: tuple[int, int, int]) -> None:
    async def rejecting(caller: Caller) -> None:
        await caller.asked()
        await caller.send(AssociateReject(*numbers))
        await caller.closed()

    error = await end_of(rejecting)
    assert isinstance(error, AssociationRejected)
    assert (error.result, error.source, error.reason) == numbers
    assert str(error).isprintable()


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF, (1 << 18) + 1])
async def test_an_answer_without_end_is_not_read(length: int) -> None:
    async def endless(caller: Caller) -> None:
        await caller.asked()
        await caller.send(struct.pack(">BxI", 2, length) + REQUEST_HEAD)
        await caller.gone()

    assert isinstance(await end_of(endless), AssociationClosed)


async def test_an_answer_that_trickles_has_one_deadline_for_all_of_it() -> None:
    async def trickling(caller: Caller) -> None:
        await caller.asked()
        for byte in pdu(2, REQUEST_HEAD + bytes(100)):
            try:
                await caller.send(bytes((byte,)))
            except GONE:
                return
            await asyncio.sleep(0.02)

    assert "no answer to our request" in str(await end_of(trickling, HURRIED))


NONSENSE: dict[str, list[Item]] = {
    "contexts that nobody proposed": [accepted(n, EXPLICIT_LITTLE) for n in range(256)],
    "no syntax": [AcceptedContext(n, 0, ()) for n in (1, 3, 5)],
    "another syntax": [accepted(n, "1.2.3") for n in (1, 3, 5)],
    "any result": [accepted(n, EXPLICIT_LITTLE, 255) for n in (1, 3, 5)],
    "two answers": [accepted(n, "1.2.3", n) for n in (1, 1, 3, 3)],
    "large": [AcceptedContext(1, 0, (TransferSyntax("1" * 60_000),))],
}


@pytest.mark.parametrize("name", NONSENSE)
async def test_nonsense_about_contexts_accepts_none(name: str, tmp_path: Path) -> None:
    """But a context that is accepted as proposed is used, whatever else is said."""

    async def script(caller: Caller) -> None:
        await caller.accept(answer=lambda _: NONSENSE[name])
        await caller.serve()

    is_one = name == "contexts that nobody proposed"
    path = write_object(tmp_path, "1.2.3")
    async with accepting(script) as acceptor, connected(acceptor, contexts=ONLY_CT) as requestor:
        if is_one:
            assert (await requestor.c_store(path)).stored
        else:
            with pytest.raises(aiodicom.NotSent):
                await requestor.c_store(path)


# Responses ---------------------------------------------------------------------------------------


def answering(make: Callable[[int, CommandSet], bytes]) -> Script:
    """Answer the first request with whatever `make` makes of its context and command."""

    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.send(make(*await caller.command()))
        await caller.ended()

    return script


def told(context_id: int, data: bytes, *, is_last: bool = True) -> bytes:
    return encode_pdu(DataTransfer((PDV(context_id, True, is_last, data),)))


def changed(request: CommandSet, **values: bytes) -> bytes:
    elements = CommandSet.decode(encode_response(request, 0)).elements
    return CommandSet(elements | {Tag[n.upper()].value: v for n, v in values.items()}).encode()


RESPONSES: dict[str, Callable[[int, CommandSet], bytes]] = {
    "a command without end": lambda c, r: told(c, bytes(8000), is_last=False) * 3,
    "no command set": lambda c, r: told(c, b"\xff" * 50),
    "too many elements": lambda c, r: told(
        c, b"".join(struct.pack("<HHI", 0, 0x2000 + n, 0) for n in range(1000))
    ),
    "a response to something else": lambda c, r: told(c, changed(r, command_field=b"\1\x80")),
    "a PDU of 4 GB": lambda c, r: struct.pack(">BxI", 4, 0xFFFFFFFF) + bytes(1000),
    "a PDV of 4 GB": lambda c, r: struct.pack(">BxIIBB", 4, 1000, 0xFFFFFFFE, c, 3),
    "a dataset of nothing": lambda c, r: encode_pdu(DataTransfer((PDV(c, False, True, b""),))),
    "another answer": lambda c, r: pdu(2, REQUEST_HEAD),
    "a rejection": lambda c, r: encode_pdu(AssociateReject(1, 1, 1)),
    "no PDU": lambda c, r: b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.mark.parametrize("name", RESPONSES)
async def test_a_response_that_is_none_ends_it(name: str) -> None:
    assert isinstance(await end_of(answering(RESPONSES[name])), AssociationClosed)


UNHEARD: dict[str, Callable[[int, CommandSet], bytes]] = {
    "nothing": lambda c, r: b"",
    "half a PDU": lambda c, r: response(r)[:20],
    "another Message ID": lambda c, r: told(
        c, changed(r, message_id_being_responded_to=b"\xff\xff")
    ),
    "a Message ID of one byte": lambda c, r: told(
        c, changed(r, message_id_being_responded_to=b"\1")
    ),
    "empty PDUs": lambda c, r: encode_pdu(DataTransfer(())) * 1000,
    "empty fragments": lambda c, r: told(c, b"", is_last=False) * 1000,
    "responses to others": lambda c, r: (
        told(c, changed(r, message_id_being_responded_to=b"\x10\x10")) * 300
    ),
}


@pytest.mark.parametrize("name", UNHEARD)
async def test_what_is_no_response_is_not_waited_for(name: str) -> None:
    error = await end_of(answering(UNHEARD[name]), HURRIED)
    assert "no response within" in str(error)


async def test_a_response_whose_dataset_has_no_end_is_not_kept() -> None:
    """Memory is that of one read, and the deadline of our release ends it."""

    async def script(caller: Caller) -> None:
        await caller.accept()
        context_id, request = await caller.command()
        more = changed(request, command_data_set_type=b"\1\0")
        await caller.send(told(context_id, more))
        part = encode_pdu(DataTransfer((PDV(context_id, False, False, bytes(16_000)),)))
        with contextlib.suppress(*GONE):
            while True:
                await caller.send(part)

    async with accepting(script) as acceptor:
        requestor = connected(acceptor, timeouts=HURRIED)
        await requestor.__aenter__()
        assert await requestor.c_echo() == Status.SUCCESS
        with pytest.raises(AssociationClosed):
            await requestor.release()
