"""Datasets that are made to cost more than their bytes: nested, inflating, endless, mistyped."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from aiodicom import FileStorage, NotSent, Status
from aiodicom.storage.schemes import Layout
from aiodicom.storage.sorting import by_study_uid
from aiodicom.wire.items import Item, ProposedContext
from aiodicom.wire.negotiation import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from aiodicom.wire.pdu import AssociateRequest
from aiodicom.wire.proposal import DEFLATED
from tests.hostile.victim import attacked
from tests.peer import (
    CONTEXTS,
    CT,
    Peer,
    association_request,
    command_pdu,
    dataset_pdus,
    element,
    store_command,
    uid_value,
)
from tests.processes import dataset_of, visible
from tests.scripted_acceptor import Caller, accepted, accepting, connected, write_object

LEVELS = 20_000
UID = "1.2.3"
SEQUENCE, ITEM = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff", b"\xfe\xff\0\xe0\xff\xff\xff\xff"
FIRST = b"\x08\0\x05\0SQ\0\0\xff\xff\xff\xff"
UIDS = element(0x00080016, b"UI", uid_value(CT)) + element(0x00080018, b"UI", uid_value(UID))

NESTED = {
    "before the UIDs": FIRST + (ITEM + SEQUENCE) * LEVELS,
    "behind the UIDs": UIDS + (SEQUENCE + ITEM) * LEVELS,
    "items alone": FIRST + ITEM * LEVELS,
    "ends alone": UIDS + b"\xfe\xff\x0d\xe0\0\0\0\0" * LEVELS,
    "empty elements": b"\x08\0\x05\0CS\0\0" * LEVELS,
}


@pytest.mark.parametrize("by", ["flat", "study"])
@pytest.mark.parametrize("name", NESTED)
async def test_twenty_thousand_sequences_are_stored_or_refused(
    name: str, by: str, tmp_path: Path
) -> None:
    """Some twenty bytes each: whoever recurses runs out of stack."""
    layout = Layout(sorting=by_study_uid() if by == "study" else None)
    store = FileStorage(tmp_path, layout=layout, durability="none")
    async with attacked(store=store) as server, Peer(server.port) as peer:
        await peer.associate()
        is_stored = await peer.store(UID, NESTED[name]) == Status.SUCCESS
        assert is_stored == (by == "flat" and name in ("behind the UIDs", "ends alone"))
        files = [name for name in visible(tmp_path) if name.startswith("CT.")]
        assert [dataset_of(tmp_path / file) for file in files] == [NESTED[name]] * is_stored


@pytest.mark.parametrize("name", ["behind the UIDs", "ends alone"])
@pytest.mark.parametrize("is_converted", [False, True])
async def test_twenty_thousand_sequences_on_their_way_out(
    name: str, is_converted: bool, tmp_path: Path
) -> None:
    """They are sent as they are, or said not to be; and the next object is sent."""

    async def script(caller: Caller) -> None:
        await caller.accept(answer=implicit_alone if is_converted else None)
        await caller.serve()

    bad = write_object(tmp_path, UID, data=NESTED[name])
    contexts = [(CT, [EXPLICIT_LITTLE]), (CT, [IMPLICIT_LITTLE])]
    async with accepting(script) as acceptor, connected(acceptor, contexts=contexts) as requestor:
        if is_converted:
            with pytest.raises(NotSent):
                await requestor.c_store(bad)
        else:
            assert (await requestor.c_store(bad)).stored
        assert (await requestor.c_store(write_object(tmp_path, "1.2.4"))).stored


def implicit_alone(request: AssociateRequest) -> list[Item]:
    """Accept the second context alone, of `IMPLICIT_LITTLE`."""
    return [accepted(1, EXPLICIT_LITTLE, 4), accepted(3, IMPLICIT_LITTLE)]


async def test_a_deflated_bomb_is_refused_or_stored_as_it_came(tmp_path: Path) -> None:
    """A thousand times its size is never made of it."""
    deflater = zlib.compressobj(9, wbits=-15)
    bomb = deflater.compress(b"\x08\0\x05\0CS\0\0" * (8 << 20)) + deflater.flush()
    contexts = [*CONTEXTS, ProposedContext.of(7, CT, DEFLATED)]
    store = FileStorage(tmp_path, durability="none")
    async with attacked(store=store) as server, Peer(server.port) as peer:
        await peer.associate(association_request(contexts))
        await peer.send(command_pdu(store_command(UID), 7) + dataset_pdus(bomb, 7))
        assert await peer.status() == Status.CANNOT_UNDERSTAND


MISTYPED = {
    "an SQ for the class": b"\x08\0\x16\0SQ\0\0\xff\xff\xff\xff" + ITEM,
    "an SQ for the instance": UIDS[:-14] + b"\x08\0\x18\0SQ\0\0\xff\xff\xff\xff",
    "an OB for the class": b"\x08\0\x16\0OB\0\0\4\0\0\0" + b"1.2\0",
    "a US for the instance": UIDS[:-14] + element(0x00080018, b"US", b"\1\0"),
    "no VR": struct.pack("<HH2sH", 8, 0x16, b"??", 4) + b"1.2\0",
    "an empty class": element(0x00080016, b"UI", b"") + UIDS[-14:],
    "the class twice": UIDS[:-14] + UIDS,
    "group 0002": element(0x00020010, b"UI", b"1.2.840.10008.1.2.2\0") + UIDS,
    "a command": store_command(UID).encode(),
    "one byte": b"\x08",
    "nothing": b"",
}


@pytest.mark.parametrize("name", MISTYPED)
async def test_a_dataset_whose_elements_are_not_what_they_should_be(
    name: str, tmp_path: Path
) -> None:
    """It is refused, with nothing left of it, and the association goes on."""
    store = FileStorage(tmp_path, durability="none")
    async with attacked(store=store) as server, Peer(server.port) as peer:
        await peer.associate()
        refused = (Status.CANNOT_UNDERSTAND, Status.DATASET_DOES_NOT_MATCH)
        is_stored = await peer.store(UID, MISTYPED[name]) not in refused
        assert is_stored == (name == "group 0002")
        assert await peer.echo() == Status.SUCCESS
        assert len(visible(tmp_path)) == is_stored
