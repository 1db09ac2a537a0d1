"""request.peek(): attributes before the rest has come, of which nothing is taken."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

import aiodicom
from aiodicom import AssociationClosed, FileStorage, Refused, Status, StoreRequest
from aiodicom.reading.peeking import PEEKED, peek
from tests.peer import CT, Peer, dataset_pdus, element, fragment, uid_value
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
from tests.serving import MIB, Peak, discard, happens, pool_of, serving, until
from tests.storage.objects import tree
from tests.test_dataset import Feed

STUDY = "StudyInstanceUID"
BEGINNING = encoded(ct())[: -5000 * 2]
"""All but the pixels, of which the header is there."""


def peeking(*attributes: str | int, **options: Any) -> Doing:
    return Doing(lambda request: request.peek(*attributes, **options))


async def peeked(
    handler: Doing, data: bytes, syntax: str = EXPLICIT, **settings: Any
) -> Dataset | Exception:
    """Return what a handler sees of an object; it must be answered."""
    async with serving(store=handler, **settings) as server, Peer(server.port) as peer:
        await peer.associate(proposing())
        await peer.send(command(syntax) + dataset_pdus(data, context_of(syntax)))
        await peer.status()
    outcome: Dataset | Exception = await handler.outcome()
    return outcome


async def found(handler: Doing, data: bytes, syntax: str = EXPLICIT, **settings: Any) -> Dataset:
    outcome = await peeked(handler, data, syntax, **settings)
    assert isinstance(outcome, Dataset), outcome
    return outcome


def keywords(dataset: Dataset) -> set[str]:
    return set(dataset.dir())


# When it answers ---------------------------------------------------------------------------------


async def test_a_peek_answers_while_the_pixels_of_a_gigabyte_have_not_come() -> None:
    """The peer sends no more before the handler has said what it has seen."""
    handler, pixels = peeking(STUDY, "Modality"), 1 << 30
    head = b"\xe0\x7f\x10\x00OW\0\0" + pixels.to_bytes(4, "little")
    async with serving(store=handler) as server, Peer(server.port) as peer:
        await peer.associate(proposing())
        start = BEGINNING[: BEGINNING.index(b"\xe0\x7f\x10\0")] + head + bytes(100)
        await peer.send(command() + fragment(start, context_of(EXPLICIT)))
        dataset = await handler.outcome()
        assert (dataset.StudyInstanceUID, dataset.Modality) == ("1.2.9", "CT")
        await peer.abort()


@pytest.mark.parametrize("more", [b"", element(0x00200011, b"IS", b"1 ")])
async def test_a_peek_waits_for_nothing_behind_the_last_one_it_wants(more: bytes) -> None:
    """Here nothing says which character set, and the accession number is not there."""
    handler = peeking("AccessionNumber", STUDY)
    start = element(0x00080016, b"UI", uid_value(CT)) + element(0x0020000D, b"UI", b"1.29")
    async with serving(store=handler) as server, Peer(server.port) as peer:
        await peer.associate(proposing())
        await peer.send(command() + fragment(start + more, context_of(EXPLICIT)))
        assert keywords(await handler.outcome()) == {STUDY}
        await peer.abort()


async def test_a_peek_ends_where_the_pixels_begin_and_at_the_end_of_the_dataset() -> None:
    wanted = ("PatientName", "RescaleSlope")
    assert keywords(await found(peeking(*wanted), encoded(ct()))) == {"PatientName"}
    assert keywords(await found(peeking(*wanted), BEGINNING[:-12])) == {"PatientName"}


async def test_a_peek_waits_for_a_value_that_has_come_in_part() -> None:
    handler = peeking(STUDY)
    cut = BEGINNING.index(b"1.2.9") + 2
    async with serving(store=handler) as server, Peer(server.port) as peer:
        await peer.associate(proposing())
        await peer.send(command() + fragment(BEGINNING[:cut], context_of(EXPLICIT)))
        assert await peer.hears_nothing()
        await peer.send(fragment(BEGINNING[cut:], context_of(EXPLICIT), is_last=True))
        assert (await handler.outcome()).StudyInstanceUID == "1.2.9"
        assert await peer.status() == Status.SUCCESS


@pytest.mark.parametrize("limit", [1, 100, 200, PEEKED])
async def test_a_peek_looks_no_further_than_its_limit(limit: int) -> None:
    data = encoded(ct())
    is_there = data.index(b"1.2.9") + 6 <= limit
    assert bool(await found(peeking(STUDY, limit=limit), data)) == is_there


async def test_the_limit_is_an_end_even_where_a_large_value_goes_on() -> None:
    """What is skipped counts: or a sender of one endless value would be waited for."""
    handler = peeking(STUDY, limit=1000)
    start = b"\x09\0\x10\0OB\0\0" + (1 << 20).to_bytes(4, "little") + bytes(988)
    async with serving(store=handler) as server, Peer(server.port) as peer:
        await peer.associate(proposing())
        await peer.send(command() + fragment(start, context_of(EXPLICIT)))
        assert not await handler.outcome()
        await peer.abort()


# What it finds -----------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED])
async def test_values_are_decoded_whatever_the_transfer_syntax(syntax: str) -> None:
    handler = peeking("PatientName", STUDY, "Rows", "InstanceNumber", 0x00080060)
    dataset = await found(handler, encoded(ct(), syntax), syntax)
    assert keywords(dataset) == {"PatientName", STUDY, "Rows", "InstanceNumber", "Modality"}
    assert (str(dataset.PatientName), dataset.Rows) == ("Müller^Jörg", 258)
    assert (dataset.InstanceNumber, dataset.Modality) == (7, "CT")


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
async def test_a_value_whose_vr_depends_on_another_has_the_right_sign(syntax: str) -> None:
    data = encoded(ct(SmallestImagePixelValue=-2), syntax)
    dataset = await found(peeking("SmallestImagePixelValue"), data, syntax)
    assert dataset.SmallestImagePixelValue == -2
    assert keywords(dataset) == {"SmallestImagePixelValue"}


async def test_a_value_whose_vr_cannot_be_known_is_left_as_it_is_or_out() -> None:
    data = b"\x28\0\x06\1\2\0\0\0\xfe\xff" + bytes(8)
    dataset = await found(peeking("SmallestImagePixelValue"), data, IMPLICIT)
    assert len(dataset) <= 1


async def test_another_character_set_is_that_of_the_dataset() -> None:
    dataset = ct(SpecificCharacterSet="ISO_IR 192", PatientName="山田^太郎")
    seen = await found(peeking("PatientName"), encoded(dataset))
    assert (str(seen.PatientName), keywords(seen)) == ("山田^太郎", {"PatientName"})
    seen = await found(peeking("PatientName", "SpecificCharacterSet"), encoded(dataset))
    assert (str(seen.PatientName), seen.SpecificCharacterSet) == ("山田^太郎", "ISO_IR 192")


async def test_private_attributes_are_found_by_their_tags() -> None:
    private = element(0x00090010, b"LO", b"US ") + element(0x00091001, b"US", b"\2\1")
    data = element(0x00080060, b"CS", b"CT") + private + element(0x00200011, b"IS", b"1 ")
    dataset = await found(peeking(0x00091001), data)
    assert dataset[0x00091001].value == 258


@pytest.mark.parametrize("size", [1 << 14, 1 << 15])
async def test_values_that_are_too_long_are_left_out_rather_than_cut(size: int) -> None:
    long = b"\x20\0\0\x40UT\0\0" + size.to_bytes(4, "little") + b"x" * size
    data = element(0x00080060, b"CS", b"CT") + long + element(0x00280010, b"US", b"\0\1")
    assert keywords(await found(peeking("ImageComments", "Modality", "Rows"), data)) == {
        "Modality",
        "Rows",
    }


@pytest.mark.parametrize("data", [b"", b"\xff" * 64, b"\x08\0\x60\0??" + bytes(60), BEGINNING[:30]])
async def test_of_what_is_no_dataset_nothing_is_found(data: bytes) -> None:
    assert not await found(peeking("Modality"), data)


async def test_what_was_found_before_the_dataset_breaks_is_the_answer() -> None:
    data = element(0x00080060, b"CS", b"CT") + element(0x00080020, b"DA", b"") + BEGINNING
    assert keywords(await found(peeking("Modality", STUDY), data)) == {"Modality"}


@pytest.mark.parametrize("vr", [b"US", b"PN", b"FD", b"OB"])
async def test_a_character_set_that_is_no_text_is_none(vr: bytes) -> None:
    head = element(0x00080005, vr, b"\1\2") if vr != b"OB" else b"\x08\0\x05\0OB\0\0\2\0\0\0\1\2"
    name = element(0x00100010, b"PN", b"Anna")
    seen = await found(peeking("PatientName"), head + name)
    assert seen.PatientName == "Anna"


async def test_a_character_set_that_a_codec_chokes_on_is_none() -> None:
    data = element(0x00080005, b"CS", b"\0A") + element(0x00100010, b"PN", b"Anna")
    assert keywords(await found(peeking("PatientName"), data)) == {"PatientName"}


async def test_a_value_of_unclear_vr_that_is_none_is_left_as_it_is() -> None:
    data = element(0x00100010, b"PN", b"Anna") + element(0x00280103, b"US", b"\0\0")
    data += element(0x00280106, b"US", b"\1\2\3")
    seen = await found(peeking("PatientName", "SmallestImagePixelValue"), data)
    assert keywords(seen) == {"PatientName", "SmallestImagePixelValue"}


async def test_in_a_private_transfer_syntax_nothing_is_found_and_nothing_waited_for() -> None:
    handler = peeking("Modality")
    async with serving(store=handler) as server, Peer(server.port) as peer:
        await peer.associate(proposing())
        await peer.send(command(PRIVATE))
        assert not await handler.outcome()
        await peer.abort()


async def test_a_bomb_is_inflated_no_further_than_a_quarter_of_a_megabyte() -> None:
    large = b"\x09\0\x10\0OB\0\0" + (1 << 30).to_bytes(4, "little") + bytes(50 * MIB)
    deflater = zlib.compressobj(wbits=-15)
    data = deflater.compress(large) + deflater.flush()
    assert not await found(peeking("PatientName"), data, DEFLATED)


@pytest.mark.parametrize(
    ("attribute", "why"),
    [
        ("NoSuchThing", "no keyword"),
        ("PixelData", "precede"),
        ("TransferSyntaxUID", "precede"),
        ("ReferencedStudySequence", "sequence"),
        (0x7FE00010, "precede"),
    ],
)
async def test_what_cannot_be_peeked_at_is_an_error_of_the_handler_s(
    attribute: str | int, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        raise_it(await peeked(peeking(attribute), encoded(ct())))


async def test_a_peek_at_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="name attributes"):
        raise_it(await peeked(peeking(), encoded(ct())))


def raise_it(outcome: object) -> None:
    assert isinstance(outcome, Exception), outcome
    raise outcome


# What it leaves ----------------------------------------------------------------------------------


async def peeked_and_read(request: StoreRequest) -> bytes:
    """Look at it twice, and read all of it."""
    first = await request.peek("Modality")
    second = await request.peek(STUDY, "PatientName")
    assert (first.Modality, second.StudyInstanceUID) == ("CT", "1.2.9")
    return await request.dataset.read()


@pytest.mark.parametrize("size", [1, 7, 1000, 16000])
async def test_after_peeks_the_dataset_is_read_from_its_first_byte(size: int) -> None:
    handler, data = Doing(peeked_and_read), encoded(ct())
    async with serving(store=handler) as server, Peer(server.port) as peer:
        await peer.associate(proposing())
        await peer.send(command() + dataset_pdus(data, context_of(EXPLICIT), size))
        assert await peer.status() == Status.SUCCESS
    assert await handler.outcome() == data


async def test_after_a_peek_file_storage_has_all_of_it(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path, durability="none")

    async def handler(request: StoreRequest) -> int:
        assert (await request.peek("Modality")).Modality == "CT"
        return await storage(request)

    pixels = b"\xe0\x7f\x10\x00OW\0\0" + (3 * MIB).to_bytes(4, "little") + bytes(3 * MIB)
    data = BEGINNING[: BEGINNING.index(b"\xe0\x7f\x10\0")] + pixels
    async with storage, serving(store=handler) as server, Peer(server.port) as peer:
        await peer.associate(proposing())
        await peer.send(command() + dataset_pdus(data, context_of(EXPLICIT)))
        assert await peer.status() == Status.SUCCESS
    (file,) = tree(tmp_path)
    assert (tmp_path / file).read_bytes().endswith(data)


async def test_a_refusal_after_a_peek_leaves_before_the_rest_has_come() -> None:
    async def handler(request: StoreRequest) -> int:
        if (await request.peek("Modality")).Modality == "CT":
            raise Refused(Status.OUT_OF_RESOURCES, "no CT today")
        return await discard(request)

    async with serving(store=handler) as server, Peer(server.port) as peer:
        await peer.associate(proposing())
        await peer.send(command() + fragment(BEGINNING, context_of(EXPLICIT)))
        assert await peer.status() == Status.OUT_OF_RESOURCES
        await peer.send(fragment(bytes(100_000), context_of(EXPLICIT), is_last=True))
        await peer.send(command() + dataset_pdus(BEGINNING, context_of(EXPLICIT)))
        assert await peer.status() == Status.OUT_OF_RESOURCES


async def test_a_handler_that_only_peeks_has_not_read_the_dataset() -> None:
    async def handler(request: StoreRequest) -> int:
        await request.peek("Modality")
        return Status.SUCCESS

    async with serving(store=handler) as server, Peer(server.port) as peer:
        await peer.associate(proposing())
        await peer.send(command() + dataset_pdus(encoded(ct()), context_of(EXPLICIT)))
        assert await peer.status() == Status.UNABLE_TO_PROCESS


# When it cannot ----------------------------------------------------------------------------------


async def after_a_part(request: StoreRequest) -> Dataset:
    block = await request.dataset.block()
    assert block is not None
    block.release()
    return await request.peek("Modality")


async def after_a_discard(request: StoreRequest) -> Dataset:
    request.dataset.discard()
    return await request.peek("Modality")


async def after_all_of_it(request: StoreRequest) -> Dataset:
    await request.dataset.read()
    return await request.peek("Modality")


@pytest.mark.parametrize(
    ("late", "kind"),
    [
        (after_a_part, RuntimeError),
        (after_all_of_it, RuntimeError),
        (after_a_discard, AssociationClosed),
    ],
)
async def test_a_peek_that_comes_too_late_says_so(
    late: Callable[[StoreRequest], Any], kind: type[Exception]
) -> None:
    assert isinstance(await peeked(Doing(late), encoded(ct())), kind)


@pytest.mark.parametrize("end", ["abort", "cut"])
async def test_a_peer_that_goes_meanwhile_is_raised(end: str) -> None:
    handler = peeking("PatientName")
    async with serving(store=handler) as server, Peer(server.port) as peer:
        await peer.associate(proposing())
        await peer.send(command() + fragment(BEGINNING[:60], context_of(EXPLICIT)))
        await until(lambda: pool_of(server).held > 0)
        await peer.abort() if end == "abort" else peer.cut()
        assert isinstance(await handler.outcome(), AssociationClosed)


async def test_a_dataset_that_becomes_too_long_meanwhile_is_refused() -> None:
    start = b"\x09\0\x10\0OB\0\0" + (1 << 20).to_bytes(4, "little") + bytes(2000)
    limits = aiodicom.Limits(object_bytes=1000)
    handler = peeking("PatientName")
    async with serving(store=handler, limits=limits) as server, Peer(server.port) as peer:
        await peer.associate(proposing())
        await peer.send(command() + fragment(start, context_of(EXPLICIT)))
        assert await peer.status() == Status.OUT_OF_RESOURCES
        assert isinstance(await handler.outcome(), Refused)
        await peer.abort()


async def test_a_peek_that_was_given_up_has_taken_nothing() -> None:
    async def impatient(request: StoreRequest) -> bytes:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await request.peek("PatientName")
        given_up.set()
        return await request.dataset.read()

    given_up, handler = asyncio.Event(), Doing(impatient)
    async with serving(store=handler) as server, Peer(server.port) as peer:
        await peer.associate(proposing())
        await peer.send(command() + fragment(BEGINNING[:60], context_of(EXPLICIT)))
        await happens(given_up)
        await peer.send(fragment(BEGINNING[60:], context_of(EXPLICIT), is_last=True))
        assert await handler.outcome() == BEGINNING


# Memory ------------------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiodicom.dataset.SHORTAGE", 0.05)


def large(size: int) -> bytes:
    """The beginning of a dataset: an element of so many bytes, and then nothing but that."""
    return b"\x09\0\x10\0OB\0\0" + size.to_bytes(4, "little") + bytes(size)


async def test_a_peek_for_which_there_is_no_memory_is_refused_and_holds_no_more_than_it_may(
    monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    """It looks for more than the association may hold: that must not wait for ever."""
    data = large(20 * MIB) + element(0x0020000D, b"UI", b"1.29")
    limits, peak = aiodicom.Limits(association_bytes=2 * MIB), Peak(monkeypatch)
    outcome = await peeked(peeking(STUDY, limit=30 * MIB), data, limits=limits)
    assert isinstance(outcome, Refused)
    assert outcome.status == Status.OUT_OF_RESOURCES
    assert peak.account <= 2 * MIB + MIB


@pytest.mark.parametrize("least", [1, 64 << 10])
async def test_a_peek_of_an_association_that_may_hold_next_to_nothing_ends(
    least: int, impatient: None
) -> None:
    limits = aiodicom.Limits(association_bytes=least)
    assert isinstance(await peeked(peeking(STUDY), large(2 * MIB), limits=limits), Refused)


async def test_what_comes_when_there_is_memory_again_is_found() -> None:
    """It must not seem to be missing because others had all memory for a while."""
    feed = Feed()
    looking = asyncio.create_task(peek(feed.stream, EXPLICIT, [STUDY]))
    feed(large(10_000))
    feed.stream.hurry()
    await until(lambda: feed.stream._waiter is not None)
    feed(element(0x0020000D, b"UI", b"1.29"), is_last=True)
    assert keywords(await looking) == {STUDY}
    feed.stream.discard()


async def test_peeks_that_find_nothing_do_not_hold_others_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All memory is with associations whose handlers peek: who comes late is served."""
    monkeypatch.setattr("aiodicom.dataset.SHORTAGE", 0.5)
    refused = asyncio.Event()

    async def handler(request: StoreRequest) -> int:
        try:
            await request.peek(STUDY, limit=100 * MIB)
        except Refused:
            refused.set()
        return await discard(request)

    start = large(50 * MIB)[: 3 * MIB]
    limits = aiodicom.Limits(buffered_bytes=2 * MIB)
    async with serving(store=handler, limits=limits) as server, Peer(server.port) as peer:
        await peer.associate(proposing())
        sending = asyncio.ensure_future(
            peer.send(command() + dataset_pdus(start, context_of(EXPLICIT))[:-100])
        )
        async with Peer(server.port) as late:
            await late.associate()
            assert await late.store("1.2.4") == Status.SUCCESS
        await happens(refused)
        await sending
        await peer.abort()
