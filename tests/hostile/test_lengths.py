"""Lengths that lie: of PDUs, of PDVs, of a command set's elements, of a dataset's."""

from __future__ import annotations

import struct
from itertools import product
from pathlib import Path

from aiodicom import FileStorage, Server, Status
from aiodicom.wire.dimse import CommandSet
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


async def is_aborted(server: Server, data: bytes) -> bool:
    """Associate and send some bytes; tell whether that is the end."""
    async with Peer(server.port) as peer:
        await peer.associate()
        await peer.send(data)
        await peer.aborted()
    return True


async def test_a_pdu_that_is_longer_than_agreed() -> None:
    async with attacked() as server:
        for length in (*NEAR_THE_END, 1 << 24, (1 << 17) + 129):
            assert await is_aborted(server, struct.pack(">BxI", 4, length)), length
            assert pool_of(server).held == 0


async def test_a_pdu_of_fixed_length_that_has_another() -> None:
    async with attacked() as server:
        for pdu_type, length in product((5, 6, 7), (0, 3, 5, 0xFFFFFFFF)):
            head = struct.pack(">BxI", pdu_type, length)
            assert await is_aborted(server, head + bytes(5)), (pdu_type, length)


async def test_a_pdv_that_does_not_fit_its_pdu() -> None:
    """`length + 4` must not wrap: the classic one."""
    async with attacked() as server:
        for length in (0, 1, 7, *NEAR_THE_END):
            pdv = struct.pack(">IBB", length, CT_CONTEXT, 1)
            assert await is_aborted(server, pdu(4, pdv)), length


async def test_a_pdu_that_ends_inside_the_head_of_a_pdv() -> None:
    async with attacked() as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(pdu(4, b"\0\0\0"))
        await peer.send(fragment(b"what follows is taken for the rest"))
        await peer.aborted()


def whole(data: bytes) -> bytes:
    """A P-DATA-TF that holds a command set of any bytes."""
    return encode_pdu(DataTransfer((PDV(ECHO_CONTEXT, True, True, data),)))


async def test_an_element_of_a_command_that_is_longer_than_it() -> None:
    tags, lengths = (0x0002, 0x0110), (0xFFFFFFFF, 0x80000000, 0xFFFFFFF8, 3)
    async with attacked() as server:
        for tag, length in product(tags, lengths):
            data = bytearray(echo_command().encode())
            place = data.index(struct.pack("<HH", 0, tag)) + 4
            data[place : place + 4] = struct.pack("<I", length)
            assert await is_aborted(server, whole(bytes(data))), (tag, length)


async def test_a_group_length_that_is_wrong_is_not_believed() -> None:
    async with attacked() as server, Peer(server.port) as peer:
        await peer.associate()
        for length in (0, 1, 0x7FFFFFFF, 0xFFFFFFFF):
            data = bytearray(echo_command().encode())
            data[8:12] = struct.pack("<I", length)
            await peer.send(whole(bytes(data)))
            assert await peer.status() == Status.SUCCESS


LONG_VALUES = [b"OW", b"UN", b"SQ", b"UT"]


async def test_an_element_of_a_dataset_that_is_never_so_long(tmp_path: Path) -> None:
    """Memory is for bytes that have come: 2 GiB that are announced cost nothing."""
    begin = ct_dataset("1.2.3", b"")[:-12] + b"\x09\0\x10\x10"
    async with attacked(store=FileStorage(tmp_path)) as server, Peer(server.port) as peer:
        await peer.associate()
        for vr, length in product(LONG_VALUES, (0x7FFFFFFE, 0xFFFFFFFE)):
            data = begin + vr + b"\0\0" + struct.pack("<I", length) + b"a few bytes!"
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
