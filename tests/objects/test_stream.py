"""Objects that come in chunks, of whatever size they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import pytest

from aiodicom.errors import NotSent
from aiodicom.objects.header import LONGEST, ObjectHeader
from aiodicom.objects.source import CHUNK
from aiodicom.objects.stream import frame_stream, open_stream
from aiodicom.wire.negotiation import EXPLICIT_LITTLE
from aiodicom.wire.part10 import encode_file_meta
from tests.objects.test_source import pdvs_of
from tests.peer import CT
from tests.scripted_acceptor import dataset

UID = "1.2.826.0.1.78"
META = encode_file_meta(CT, UID, EXPLICIT_LITTLE)
DATA = dataset(UID, 300)
FILE = META + DATA


async def chunks(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


async def opened(parts: Iterable[bytes]) -> tuple[ObjectHeader, bytes]:
    header, rest = await open_stream(chunks(parts))
    return header, b"".join([part async for part in rest])


async def framed(parts: Iterable[bytes], room: int) -> list[bytearray]:
    return [part async for part in frame_stream(aiter(chunks(parts)), 1, room)]


@pytest.mark.parametrize("size", [1, 2, 3, 100, 131, 132, 133, len(META), len(FILE), 10_000])
async def test_the_header_comes_in_chunks_of_any_size(size: int) -> None:
    header, data = await opened(cut(FILE, size))
    assert (header.sop_class_uid, header.sop_instance_uid) == (CT, UID)
    assert header.transfer_syntax_uid == EXPLICIT_LITTLE
    assert data == DATA


async def test_the_header_is_cut_anywhere() -> None:
    for place in range(len(FILE) + 1):
        header, data = await opened((FILE[:place], FILE[place:]))
        assert header.sop_instance_uid == UID
        assert data == DATA


async def test_empty_chunks_mean_nothing() -> None:
    assert (await opened((b"", *cut(FILE, 50), b"", b"")))[1] == DATA


async def test_an_object_shorter_than_any_first_read() -> None:
    short = DATA[:68]
    header, data = await opened(cut(short, 7))
    assert header.sop_instance_uid == UID
    assert data == short


async def test_no_more_is_taken_than_the_header_needs() -> None:
    taken: list[int] = []

    async def counted() -> AsyncIterator[bytes]:
        for number, chunk in enumerate(cut(FILE + bytes(10_000), 100)):
            taken.append(number)
            yield chunk

    await open_stream(counted())
    assert len(taken) <= len(META) // 100 + 2


async def test_what_is_told_of_it_needs_no_header() -> None:
    told = ObjectHeader("", CT, UID, EXPLICIT_LITTLE)
    header, rest = await open_stream(chunks((b"any", b"thing")), told)
    assert header == told
    assert [part async for part in rest] == [b"any", b"thing"]


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ((), "too short"),
        ((b"\2",), "too short"),
        ((b"no DICOM at all" * 20,), "not a DICOM file"),
        (cut(META[:200], 9), "ends inside its File Meta Information"),
        ((META, DATA[:20]), "too early"),
    ],
)
async def test_what_is_no_object(parts: Iterable[bytes], complaint: str) -> None:
    with pytest.raises(NotSent, match=complaint):
        await open_stream(chunks(parts))


async def test_a_header_without_an_end_is_not_waited_for() -> None:
    long = META + b"\x08\x00\x01\x00UN\0\0" + (1 << 30).to_bytes(4, "little")
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        yield long
        while True:
            taken += 1 << 16
            yield bytes(1 << 16)

    with pytest.raises(NotSent, match="no SOP Instance UID in its first megabyte"):
        await open_stream(endless())
    assert taken <= LONGEST + (1 << 16)


@pytest.mark.parametrize("room", [2, 100, 4090, 131066])
@pytest.mark.parametrize("size", [0, 2, 98, 100, 102, 4090, 8180])
async def test_a_short_dataset_comes_byte_for_byte(room: int, size: int) -> None:
    data = bytes(range(256)) * 32
    parts = await framed(cut(data[:size], 97), room)
    pdvs = [pdv for part in parts for pdv in pdvs_of(part)]
    assert b"".join(pdv.data for pdv in pdvs) == data[:size]
    assert [pdv.is_last for pdv in pdvs] == [False] * (len(pdvs) - 1) + [True]


@pytest.mark.parametrize("room", [4090, 131066])
@pytest.mark.parametrize("size", [CHUNK - 2, CHUNK, CHUNK + 2, 3 * CHUNK, 8 * 131066, 128 * 4090])
@pytest.mark.parametrize("chunk", [1000, CHUNK, 1 << 30])
async def test_a_long_dataset_comes_byte_for_byte(room: int, size: int, chunk: int) -> None:
    data = dataset(UID, size)
    parts = await framed(cut(data, chunk), room)
    pdvs = [pdv for part in parts for pdv in pdvs_of(part)]
    assert b"".join(pdv.data for pdv in pdvs) == data
    assert [pdv.is_last for pdv in pdvs] == [False] * (len(pdvs) - 1) + [True]
    assert pdvs[-1].data  # the end is no fragment of its own
    assert all(len(pdv.data) <= room and len(pdv.data) % 2 == 0 for pdv in pdvs)
    assert all(len(part) <= CHUNK + (CHUNK // room + 1) * 12 for part in parts)


@pytest.mark.parametrize("size", [1, 101, CHUNK + 1])
async def test_an_odd_dataset_is_not_ended(size: int) -> None:
    parts = frame_stream(aiter(chunks((bytes(size),))), 1, 4090)
    sent = [await anext(parts) for _ in range(size // CHUNK)]
    with pytest.raises(NotSent, match="odd length"):
        await anext(parts)
    assert not any(pdv.is_last for part in sent for pdv in pdvs_of(part))


async def test_an_even_deflated_dataset_is_not_padded() -> None:
    parts = frame_stream(aiter(chunks((b"\1" * 100,))), 1, 4090, is_padded=True)
    assert [pdv.data async for part in parts for pdv in pdvs_of(part)] == [b"\1" * 100]


@pytest.mark.parametrize("size", [1, 101, CHUNK + 1])
async def test_an_odd_deflated_dataset_is_padded(size: int) -> None:
    parts = frame_stream(aiter(chunks((b"\1" * size,))), 1, 4090, is_padded=True)
    pdvs = [pdv async for part in parts for pdv in pdvs_of(part)]
    assert b"".join(pdv.data for pdv in pdvs) == b"\1" * size + b"\0"
    assert [pdv.is_last for pdv in pdvs] == [False] * (len(pdvs) - 1) + [True]
