"""Datasets in P-DATA-TF PDUs: byte for byte, in fragments that fit, with one end."""

from __future__ import annotations

import itertools
import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiodicom.errors import NotSent
from aiodicom.objects.source import CHUNK, MAXIMUM_SLOTS, Framer, Piece, Source, room_of
from aiodicom.wire.pdu import PDV, DataTransfer, decode_pdu

CONTEXT = 5
ROOMS = (2, 4, 4090, 16378, (1 << 17) - 6)


def pdvs_of(wire: bytes | bytearray) -> Iterator[PDV]:
    """Take P-DATA-TF PDUs apart, each of which holds one fragment."""
    position = 0
    while position < len(wire):
        end = position + 6 + int.from_bytes(wire[position + 2 : position + 6], "big")
        pdu = decode_pdu(bytes(wire[position:end]))
        assert isinstance(pdu, DataTransfer)
        (pdv,) = pdu.pdvs
        yield pdv
        position = end


def framed(source: Source, room: int, *, is_end: bool = True) -> list[bytes]:
    """What goes onto the wire, part by part."""
    framer = Framer(CONTEXT, room, source.size, is_end=is_end)
    parts = []
    while True:
        wire, slots = framer.frame()
        source.read_into(slots)
        parts.append(bytes(wire))
        if not framer.left:
            return parts


def check(parts: list[bytes], room: int, data: bytes) -> None:
    pdvs = [pdv for part in parts for pdv in pdvs_of(part)]
    assert b"".join(pdv.data for pdv in pdvs) == data
    assert [pdv.is_last for pdv in pdvs] == [False] * (len(pdvs) - 1) + [True]
    assert {pdv.context_id for pdv in pdvs} == {CONTEXT}
    assert not any(pdv.is_command for pdv in pdvs)
    assert all(len(pdv.data) == room for pdv in pdvs[:-1])
    assert len(pdvs[-1].data) == len(data) - room * (len(pdvs) - 1)


def open_file(folder: Path, data: bytes) -> int:
    path = folder / "file"
    path.write_bytes(data)
    return os.open(path, os.O_RDONLY)


# How much goes into one PDU ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "own", "room"),
    [
        (16384, 0, 16378),
        (16383, 0, 16376),  # fragments are even (PS3.8 annex E)
        (4096, 0, 4090),
        (8, 0, 2),
        (9, 0, 2),
        (10, 0, 4),
        (0, 0, (1 << 17) - 6),
        (1 << 17, 0, (1 << 17) - 6),
        ((1 << 17) + 1, 0, (1 << 17) - 6),
        (0xFFFFFFFF, 0, (1 << 17) - 6),
        (16384, 4096, 4090),
        (4096, 16384, 4090),
        (0, 4097, 4090),
        (0, 1 << 20, (1 << 17) - 6),
        *((least, 0, 2) for least in range(1, 8)),  # no room at all
    ],
)
def test_room_is_what_both_take(peer: int, own: int, room: int) -> None:
    assert room_of(peer, own) == room


@pytest.mark.parametrize("peer", range(8, 200))
def test_no_pdu_is_longer_than_the_peer_takes(peer: int) -> None:
    (part,) = framed(Source([bytes(600)]), room_of(peer))[:1]
    length = int.from_bytes(part[2:6], "big")
    assert peer - 1 <= length <= peer


# Framing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", ROOMS)
def test_every_size_around_the_room(room: int) -> None:
    for size in {0, 2, 4, room - 2, room, room + 2, 2 * room - 2, 2 * room, 2 * room + 2}:
        data = random.Random(size).randbytes(size)
        check(framed(Source([data]), room), room, data)


@pytest.mark.parametrize("room", ROOMS[2:])
@pytest.mark.parametrize("chunks", [1, 2])
@pytest.mark.parametrize("more", [-2, 0, 2])
def test_every_size_around_what_is_read_together(
    tmp_path: Path, room: int, chunks: int, more: int
) -> None:
    for whole in (CHUNK, CHUNK // room * room):
        data = random.Random(whole).randbytes(chunks * whole + more)
        source = Source([(0, len(data))], open_file(tmp_path, data))
        parts = framed(source, room)
        source.close()
        check(parts, room, data)
        assert len(parts) >= chunks


def test_an_empty_dataset_is_one_empty_fragment() -> None:
    assert framed(Source([]), 100) == [b"\4\0\0\0\0\6\0\0\0\2\5\2"]


def test_the_head_of_a_pdu() -> None:
    assert framed(Source([b"\x81\x82"]), 100) == [b"\4\0\0\0\0\x08\0\0\0\4\5\2\x81\x82"]


def test_what_is_not_the_end_has_none() -> None:
    (part,) = framed(Source([bytes(10)]), 4, is_end=False)
    assert [(len(pdv.data), pdv.is_last) for pdv in pdvs_of(part)] == [
        (4, False),
        (4, False),
        (2, False),
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_parts_are_bounded(room: int) -> None:
    framer = Framer(CONTEXT, room, 1 << 30)
    wire, slots = framer.frame()
    assert len(slots) <= MAXIMUM_SLOTS
    assert sum(map(len, slots)) <= max(CHUNK, room)
    assert len(wire) == sum(map(len, slots)) + 12 * len(slots)
    assert framer.left == (1 << 30) - sum(map(len, slots))


# Reading -----------------------------------------------------------------------------------------


def test_pieces_follow_one_another_wherever_they_are_cut(tmp_path: Path) -> None:
    data = bytes(range(256))
    for first, second, room in itertools.product((0, 1, 7, 64), (0, 2, 63), (2, 10, 64)):
        pieces: list[Piece] = [
            data[:first],
            (first, second),
            b"",
            data[first + second : 150],
            (150, 0),
            (150, 50),
            (200, 56),
        ]
        source = Source(pieces, open_file(tmp_path, data))
        assert source.size == 256
        parts = framed(source, room)
        source.close()
        check(parts, room, data)


def test_a_file_is_read_from_where_its_piece_begins(tmp_path: Path) -> None:
    source = Source([(10, 4), (2, 2)], open_file(tmp_path, bytes(range(20))))
    (part,) = framed(source, 100)
    source.close()
    assert part[12:] == bytes((10, 11, 12, 13, 2, 3))


def test_short_reads_are_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, slots, at: preadv(fd, [slots[0][:3]], at))
    data = random.Random(1).randbytes(1000)
    source = Source([(0, 600), data[600:700], (700, 300)], open_file(tmp_path, data))
    parts = framed(source, 64)
    source.close()
    check(parts, 64, data)


@pytest.mark.parametrize("left", [0, 99, 100, 199])
def test_a_file_that_has_become_shorter(tmp_path: Path, left: int) -> None:
    descriptor = open_file(tmp_path, bytes(200))
    os.truncate(tmp_path / "file", left)
    source = Source([(0, 200)], descriptor)
    with pytest.raises(NotSent, match="the file has become shorter while it was sent"):
        framed(source, 50)
    source.close()


def test_a_file_that_has_become_longer_is_sent_as_it_was(tmp_path: Path) -> None:
    source = Source([(0, 100)], open_file(tmp_path, bytes(100) + b"more"))
    parts = framed(source, 50)
    source.close()
    check(parts, 50, bytes(100))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    source = Source([(0, 100)], os.open(tmp_path, os.O_RDONLY))
    with pytest.raises(NotSent, match="cannot be read: Is a directory"):
        framed(source, 50)
    source.close()


def test_closing_twice_closes_once(tmp_path: Path) -> None:
    descriptor = open_file(tmp_path, b"")
    source = Source([], descriptor)
    source.close()
    again = open_file(tmp_path, b"")
    assert again == descriptor
    source.close()
    os.fstat(again)  # it is another's now
    os.close(again)


def test_closing_while_a_thread_reads_closes_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the thread would read whatever file has the number by then."""
    descriptor = open_file(tmp_path, bytes(100))
    source = Source([(0, 100)], descriptor)
    entered, let_go = threading.Event(), threading.Event()
    preadv = os.preadv

    def slow(*arguments: Any) -> int:
        entered.set()
        assert let_go.wait(10)
        return preadv(*arguments)

    monkeypatch.setattr(os, "preadv", slow)
    data = bytearray(b"\1" * 100)
    reader = threading.Thread(target=source.read_into, args=([memoryview(data)],))
    reader.start()
    assert entered.wait(10)
    source.close()
    os.fstat(descriptor)
    let_go.set()
    reader.join()
    assert data == bytes(100)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_source_without_a_file_closes_nothing() -> None:
    Source([b"ab"]).close()


@pytest.mark.parametrize("room", [2, 10, 4090, 131066])
@pytest.mark.parametrize("size", [0, 2, 4090, 4092, 131066, 500_000])
def test_the_payload_of_pdus_is_known_by_their_length(room: int, size: int) -> None:
    framer = Framer(1, room, size)
    total = 0
    while True:
        wire, slots = framer.frame()
        assert framer.payload(len(wire)) == sum(map(len, slots))
        total += framer.payload(len(wire))
        if not framer.left:
            break
    assert total == size
