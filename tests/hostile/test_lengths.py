"""Lengths that lie: of PDUs, of PDVs, of a command set's elements, of a dataset's."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from aiodicom import FileStorage, Status
from aiodicom.wire.dimse import CommandSet, Tag
from aiodicom.wire.pdu import PDV, DataTransfer, encode_pdu
from tests.hostile.victim import attacked, pdu
from tests.peer import (
    CT_CONTEXT,
    ECHO_CONTEXT,
    Peer,
    command_pdu,
    ct_dataset,
    echo_command,
    fragment,
    store_command,
)
from tests.serving import Keeper, pool_of

NEAR_THE_END = [0x7FFFFFFB, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFA, 0xFFFFFFFE, 0xFFFFFFFF]


@pytest.mark.parametrize("length", [*NEAR_THE_END, (1 << 24), (1 << 17) + 129])
async def test_a_pdu_that_is_longer_than_agreed(length: int) -> None:
    async with attacked() as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(struct.pack(">BxI", 4, length))
        await peer.aborted()
        assert pool_of(server).held == 0


@pytest.mark.parametrize("pdu_type", [5, 6, 7])
@pytest.mark.parametrize("length", [0, 3, 5, 0xFFFFFFFF])
async def test_a_pdu_of_fixed_length_that_has_another(pdu_type: int, length: int) -> None:
    async with attacked() as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(struct.pack(">BxI", pdu_type, length) + bytes(5))
        await peer.aborted()


@pytest.mark.parametrize("length", [0, 1, 7, *NEAR_THE_END])
async def test_a_pdv_that_does_not_fit_its_pdu(length: int) -> None:
    """`length + 4` must not wrap: the classic one."""
    pdv = struct.pack(">IBB", length, CT_CONTEXT, 1)
    async with attacked() as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(pdu(4, pdv))
        await peer.aborted()


async def test_a_pdu_that_ends_inside_the_head_of_a_pdv() -> None:
    async with attacked() as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(pdu(4, b"\0\0\0"))
        await peer.send(fragment(b"what follows is taken for the rest"))
        await peer.aborted()


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x80000000, 0xFFFFFFF8, 3])
@pytest.mark.parametrize("tag", [Tag.AFFECTED_SOP_CLASS_UID, Tag.MESSAGE_ID])
async def test_an_element_of_a_command_that_is_longer_than_it(tag: int, length: int) -> None:
    data = bytearray(echo_command().encode())
    place = data.index(struct.pack("<HH", 0, tag)) + 4
    data[place : place + 4] = struct.pack("<I", length)
    async with attacked() as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(DataTransfer((PDV(ECHO_CONTEXT, True, True, bytes(data)),)))
        await peer.aborted()


@pytest.mark.parametrize("length", [0, 1, 0x7FFFFFFF, 0xFFFFFFFF])
async def test_a_group_length_that_is_wrong_is_not_believed(length: int) -> None:
    data = bytearray(echo_command().encode())
    data[8:12] = struct.pack("<I", length)
    async with attacked() as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(DataTransfer((PDV(ECHO_CONTEXT, True, True, bytes(data)),)))
        assert await peer.status() == Status.SUCCESS


LONG_VALUES = [b"OW", b"UN", b"SQ", b"UT"]


@pytest.mark.parametrize("vr", LONG_VALUES)
@pytest.mark.parametrize("length", [0x7FFFFFFE, 0xFFFFFFFE])
async def test_an_element_of_a_dataset_that_is_never_so_long(
    vr: bytes, length: int, tmp_path: Path
) -> None:
    """Memory is for bytes that have come: 2 GiB that are announced cost nothing."""
    data = ct_dataset("1.2.3", b"")[:-12]
    data += b"\x09\0\x10\x10" + vr + b"\0\0" + struct.pack("<I", length) + b"a few bytes!"
    async with attacked(store=FileStorage(tmp_path)) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", data)
        assert pool_of(server).held <= len(data)
        await peer.finish_store(b"")
        assert await peer.status() in (Status.SUCCESS, Status.CANNOT_UNDERSTAND)


async def test_a_dataset_of_any_bytes_is_as_long_as_its_fragments() -> None:
    keeper = Keeper()
    async with attacked(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        assert await peer.store("1.2.3", b"\xff" * 1000) == Status.SUCCESS
        assert await keeper.outcome() == b"\xff" * 1000


async def test_a_fragment_of_4_gb_in_pieces_is_cut_off_at_its_first_pdu() -> None:
    async with attacked() as server, Peer(server.port) as peer:
        await peer.associate()
        command = CommandSet(store_command("1.2.3").elements)
        head = struct.pack(">BxIIBB", 4, 0xFFFFFFFF, 0xFFFFFFFB, CT_CONTEXT, 2)
        await peer.send(command_pdu(command) + head + bytes(1000))
        await peer.aborted()


async def test_nothing_behind_a_violation_is_understood() -> None:
    keeper = Keeper()
    async with attacked(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        bad = pdu(4, struct.pack(">IBB", 0, CT_CONTEXT, 1))
        await peer.send(bad + encode_pdu(DataTransfer(())) + command_pdu(store_command("1.2.3")))
        await peer.aborted()
        assert not keeper.requests
