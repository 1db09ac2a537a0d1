"""request.decode(): pydicom's, made in a thread."""

from __future__ import annotations

import threading
import zlib
from typing import Any

import pytest
from pydicom import FileDataset
from pydicom.uid import UID

import aiodicom
from aiodicom import AssociationClosed, Refused, Status, StoreRequest
from aiodicom.reading import decoding
from tests.peer import Peer, dataset_pdus, element, fragment
from tests.reading.objects import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    PRIVATE,
    Doing,
    command,
    context_of,
    ct,
    encoded,
    proposing,
)
from tests.serving import MIB, serving

PIXELS = pytest.mark.parametrize("pixels", [True, False])
SYNTAXES = pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED])


def decoding_it(*, pixels: bool = True) -> Doing:
    return Doing(lambda request: request.decode(pixels=pixels))


async def answered(
    handler: Doing, data: bytes, syntax: str = EXPLICIT, size: int = 16000, **settings: Any
) -> tuple[Any, int]:
    """Return what a handler makes of an object, and what its peer is told."""
    async with serving(store=handler, **settings) as server, Peer(server.port) as peer:
        await peer.associate(proposing())
        await peer.send(command(syntax) + dataset_pdus(data, context_of(syntax), size))
        status = await peer.status()
    return await handler.outcome(), status


@SYNTAXES
@PIXELS
async def test_a_dataset_is_pydicom_s_with_file_meta_information(syntax: str, pixels: bool) -> None:
    handler = decoding_it(pixels=pixels)
    dataset, status = await answered(handler, encoded(ct(), syntax), syntax)
    assert (type(dataset), status) == (FileDataset, Status.SUCCESS)
    assert (str(dataset.PatientName), dataset.Rows) == ("Müller^Jörg", 258)
    assert len(dataset.ReferencedStudySequence) == 1
    assert ("PixelData" in dataset) == pixels
    assert dataset.file_meta.TransferSyntaxUID == UID(syntax)
    assert dataset.file_meta.SourceApplicationEntityTitle == "PEER"
    assert dataset.original_encoding == (syntax == IMPLICIT, syntax != BIG)


@PIXELS
async def test_a_dataset_may_come_in_any_pieces(pixels: bool) -> None:
    dataset, _ = await answered(decoding_it(pixels=pixels), encoded(ct()), size=3)
    assert dataset.StudyInstanceUID == "1.2.9"


@PIXELS
async def test_a_large_dataset_is_decoded_as_it_was_sent(pixels: bool) -> None:
    large = ct()
    large[0x7FE00010].value = bytes(range(256)) * (5 * MIB // 256)
    dataset, _ = await answered(decoding_it(pixels=pixels), encoded(large), size=100_000)
    assert dataset.get("PixelData") == (large.PixelData if pixels else None)


@SYNTAXES
async def test_without_pixels_it_is_there_before_they_have_come(syntax: str) -> None:
    """And what comes of them is not kept."""
    handler, data = decoding_it(pixels=False), encoded(ct(), syntax)
    start = data[: -4000 if syntax != DEFLATED else -10]
    async with serving(store=handler) as server, Peer(server.port) as peer:
        await peer.associate(proposing())
        await peer.send(command(syntax) + fragment(start, context_of(syntax)))
        assert (await handler.outcome()).StudyInstanceUID == "1.2.9"
        await peer.send(fragment(data[len(start) :], context_of(syntax), is_last=True))
        assert await peer.status() == Status.SUCCESS


async def test_a_dataset_without_pixels_is_whole_without_them() -> None:
    plain = ct()
    del plain.PixelData
    dataset, status = await answered(decoding_it(pixels=False), encoded(plain))
    assert (dataset.Rows, status) == (258, Status.SUCCESS)


async def test_it_is_taken_apart_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[int] = set()
    for name in ("feed", "end"):
        monkeypatch.setattr(decoding._Decoding, name, noting(name, threads))
    await answered(decoding_it(), encoded(ct()))
    assert threads
    assert threading.get_ident() not in threads


def noting(name: str, threads: set[int]) -> Any:
    method = getattr(decoding._Decoding, name)

    def noted(*args: Any) -> Any:
        threads.add(threading.get_ident())
        return method(*args)

    return noted


SECRET = element(0x00080060, b"CS", b"CT") + element(0x00100010, b"PN", b"SECRET")
BROKEN = {
    "nothing": b"",
    "noise": b"\xff" * 100,
    "a value that is cut": SECRET[:-2],
    "a header that is cut": SECRET + b"\x28\0\x10",
    "a VR that is none": SECRET + b"\x28\0\x10\0??\2\0\0\0",
    "a wrong order": SECRET + SECRET,
}


@PIXELS
@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
async def test_what_is_no_dataset_is_refused_and_not_quoted(data: bytes, pixels: bool) -> None:
    error, status = await answered(decoding_it(pixels=pixels), data)
    assert isinstance(error, Refused)
    assert status == error.status == Status.CANNOT_UNDERSTAND
    assert "SECRET" not in error.comment


async def test_what_pydicom_cannot_read_is_refused_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(*args: Any, **kwargs: Any) -> None:
        raise ValueError("SECRET")

    monkeypatch.setattr("pydicom.filereader.read_dataset", failing)
    error, status = await answered(decoding_it(), encoded(ct()))
    assert (str(error), status) == ("0xC000 Not a dataset: it cannot be read", 0xC000)


async def test_sequences_that_are_nested_too_deeply_are_refused() -> None:
    sequence = b"\x08\0\x10\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
    ends = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    _, status = await answered(decoding_it(), sequence * 500 + ends * 500)
    assert status == Status.CANNOT_UNDERSTAND


async def test_a_private_transfer_syntax_is_refused() -> None:
    error, status = await answered(decoding_it(), encoded(ct()), PRIVATE)
    assert isinstance(error, Refused)
    assert status == Status.CANNOT_UNDERSTAND


@PIXELS
@pytest.mark.parametrize("cut", [10, -3, -1])
async def test_a_deflated_dataset_that_is_cut_is_refused(cut: int, pixels: bool) -> None:
    plain = ct()
    del plain.PixelData
    data = encoded(plain, DEFLATED)[:cut]
    _, status = await answered(decoding_it(pixels=pixels), data, DEFLATED)
    assert status == Status.CANNOT_UNDERSTAND


async def test_what_cannot_be_inflated_is_refused() -> None:
    _, status = await answered(decoding_it(), b"\xff" * 100, DEFLATED)
    assert status == Status.CANNOT_UNDERSTAND


@PIXELS
async def test_a_bomb_is_inflated_to_the_limit_and_refused(
    pixels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "MAXIMUM_INFLATED", 8 * MIB)
    large = b"\x09\0\x10\0OB\0\0" + (30 * MIB).to_bytes(4, "little") + bytes(30 * MIB)
    deflater = zlib.compressobj(wbits=-15)
    data = deflater.compress(large) + deflater.flush()
    _, status = await answered(decoding_it(pixels=pixels), data, DEFLATED)
    assert status == Status.OUT_OF_RESOURCES


async def test_a_peer_that_goes_meanwhile_is_raised() -> None:
    handler = decoding_it()
    async with serving(store=handler) as server, Peer(server.port) as peer:
        await peer.associate(proposing())
        await peer.send(command() + fragment(SECRET, context_of(EXPLICIT)))
        await peer.abort()
        assert isinstance(await handler.outcome(), AssociationClosed)


async def test_a_dataset_that_is_longer_than_it_may_be_is_refused_as_such() -> None:
    limits = aiodicom.Limits(object_bytes=1000)
    error, status = await answered(decoding_it(), encoded(ct()), limits=limits)
    assert (type(error), status) == (Refused, Status.OUT_OF_RESOURCES)


async def test_after_a_part_was_read_there_is_nothing_to_decode() -> None:
    async def late(request: StoreRequest) -> object:
        await request.dataset.read()
        return await request.decode()

    error, _ = await answered(Doing(late), encoded(ct()))
    assert isinstance(error, RuntimeError)


async def test_a_peek_may_come_first() -> None:
    async def after_a_peek(request: StoreRequest) -> object:
        assert (await request.peek("Modality")).Modality == "CT"
        return await request.decode()

    dataset, _ = await answered(Doing(after_a_peek), encoded(ct()))
    assert dataset.PixelData == ct().PixelData
