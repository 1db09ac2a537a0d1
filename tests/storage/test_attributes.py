"""Attributes that are found while a dataset arrives, whatever its sender has put before them."""

from __future__ import annotations

import zlib

import pytest

from aiodicom.storage import attributes
from aiodicom.storage.attributes import AttributeFinder
from tests.peer import element
from tests.storage.objects import PATIENT_NAME, STUDY_INSTANCE_UID, sorted_dataset

EXPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
TAGS = {PATIENT_NAME, STUDY_INSTANCE_UID}
FOUND = {PATIENT_NAME: b"A^B ", STUDY_INSTANCE_UID: b"1.2.9"}
DATA = sorted_dataset("1.2", name=b"A^B ")


def find(*pieces: bytes, syntax: str = EXPLICIT) -> AttributeFinder:
    finder = AttributeFinder(syntax, TAGS)
    for number, piece in enumerate(pieces, 1):
        finder.feed([piece], number == len(pieces))
    assert finder.done
    return finder


@pytest.mark.parametrize("size", [1, 3, 50, 10_000])
def test_in_pieces_of_any_size(size: int) -> None:
    pieces = [DATA[start : start + size] for start in range(0, len(DATA), size)]
    assert find(*pieces).found == FOUND


def test_done_before_the_dataset_is() -> None:
    finder = AttributeFinder(EXPLICIT, TAGS)
    finder.feed([DATA[:-50]], False)
    assert finder.done


def test_deflated() -> None:
    deflater = zlib.compressobj(wbits=-15)
    assert find(deflater.compress(DATA) + deflater.flush(), syntax=DEFLATED).found == FOUND


def before(more: bytes) -> bytes:
    """The dataset with elements of group 0018 in it, before those of group 0020."""
    at = DATA.index(b"\x20\x00\x0d\x00")
    return DATA[:at] + more + DATA[at:]


@pytest.mark.parametrize("size", [3_000_000, 70_000])
def test_behind_a_large_value(size: int) -> None:
    large = b"\x19\x00\x10\x00OB\0\0" + size.to_bytes(4, "little") + bytes(size)
    data = before(large)
    assert find(data[:1000], data[1000:]).found == FOUND


@pytest.mark.parametrize("items", [3000, 10_000])
def test_behind_a_sequence_of_thousands_of_items(items: int) -> None:
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + b"\xfe\xff\x0d\xe0\0\0\0\0"
    sequence = b"\x18\x00\x12\x90SQ\0\0\xff\xff\xff\xff" + item * items
    sequence += b"\xfe\xff\xdd\xe0\0\0\0\0"
    assert find(before(sequence)).found == FOUND


def test_search_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributes, "MAXIMUM_ELEMENTS", 500)
    private = b"".join(element(0x00190000 + n, b"LO", b"") for n in range(0x10, 0x1010))
    finder = AttributeFinder(EXPLICIT, TAGS)
    finder.feed([before(private)[:30_000]], False)
    assert finder.done
    assert set(finder.found) == {PATIENT_NAME}


@pytest.mark.parametrize(
    "data",
    [
        sorted_dataset("1.2", None, name=b"A^B "),
        DATA[: DATA.index(b"\x20\x00\x0d\x00") + 6],
        before(b"\x08\x00\x05\x00CS\0\0"),  # out of order
        before(b"\x18\x00\x10\x00??\0\0"),
    ],
    ids="absent cut disorder vr".split(),
)
def test_what_cannot_be_read_is_not_there(data: bytes) -> None:
    assert set(find(data).found) == {PATIENT_NAME}


def test_private_transfer_syntax_is_not_looked_into() -> None:
    assert find(DATA, syntax="1.3.6.1.4.1.99999.1").found == {}


def test_nothing_of_a_buffer_is_kept() -> None:
    buffer = bytearray(DATA)
    finder = AttributeFinder(EXPLICIT, TAGS)
    view = memoryview(buffer)
    finder.feed([view], True)
    view.release()
    buffer.clear()  # BufferError where a view of it is left
    assert finder.found == FOUND
