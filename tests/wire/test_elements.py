"""The walk over a dataset's elements: whatever its encoding, its cuts and its lies."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from aiodicom.errors import Refused
from aiodicom.wire.elements import (
    MAXIMUM_DEPTH,
    MAXIMUM_VALUE_LENGTH,
    ElementWalker,
    Encoding,
    encoding_of,
    leading_uids,
)
from tests.wire.feeding import bytewise, cut, pattern

CLASS, INSTANCE, STUDY = 0x00080016, 0x00080018, 0x0020000D
WANTED = (CLASS, INSTANCE, STUDY)
VALUES = {CLASS: b"1.2.840.10008.5.1.4.1.1.2\0", INSTANCE: b"1.2.3.4\0", STUDY: b"1.2.3.44"}

EXPLICIT = Encoding(is_explicit=True)
IMPLICIT = Encoding(is_explicit=False)
BIG = Encoding(is_explicit=True, is_big=True)
DEFLATED = Encoding(is_explicit=True, is_deflated=True)
ENCODINGS = {"explicit": EXPLICIT, "implicit": IMPLICIT, "big": BIG, "deflated": DEFLATED}
ALL = pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS.keys())

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
LONG = (b"OB", b"OW", b"SQ", b"UN", b"UT")


def element(
    tag: int, vr: bytes, value: bytes = b"", *, length: int | None = None, encoding: Encoding
) -> bytes:
    """One element; `length` may lie."""
    order: Literal["big", "little"] = "big" if encoding.is_big else "little"
    head = (tag >> 16).to_bytes(2, order) + (tag & 0xFFFF).to_bytes(2, order)
    length = len(value) if length is None else length
    if not encoding.is_explicit or tag >> 16 == 0xFFFE:
        return head + length.to_bytes(4, order) + value
    if vr in LONG:
        return head + vr + b"\0\0" + length.to_bytes(4, order) + value
    return head + vr + length.to_bytes(2, order) + value


def le(tag: int, vr: bytes, value: bytes = b"", length: int | None = None) -> bytes:
    """One element in Explicit VR Little Endian."""
    return element(tag, vr, value, length=length, encoding=EXPLICIT)


def deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(9, wbits=-15)
    return compressor.compress(data) + compressor.flush()


def head(encoding: Encoding = EXPLICIT) -> bytes:
    """The wanted elements of group 0008."""
    return b"".join(element(t, b"UI", VALUES[t], encoding=encoding) for t in (CLASS, INSTANCE))


def tail(encoding: Encoding = EXPLICIT) -> bytes:
    """The wanted element of group 0020, and one that nobody wants."""
    study = element(STUDY, b"UI", VALUES[STUDY], encoding=encoding)
    return study + element(0x7FE00010, b"OW", pattern(100), encoding=encoding)


def sent(data: bytes, encoding: Encoding) -> bytes:
    return deflate(data) if encoding.is_deflated else data


def walk(
    pieces: Iterable[bytes], encoding: Encoding = EXPLICIT, wanted: tuple[int, ...] = WANTED
) -> ElementWalker:
    walker = ElementWalker(encoding, wanted)
    for piece in pieces:
        assert walker.feed(piece) is walker.done
    return walker


def outcome(pieces: Iterable[bytes], encoding: Encoding) -> object:
    """Everything that can be seen of a walk to its end."""
    walker = ElementWalker(encoding, WANTED)
    try:
        for piece in pieces:
            walker.feed(piece)
        was_done = walker.done
        walker.end()
    except Refused as refused:
        return refused.status, refused.comment, walker.found
    return was_done, walker.began, walker.found


# Encodings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uid", "encoding"),
    [
        ("1.2.840.10008.1.2", IMPLICIT),
        ("1.2.840.113619.5.2", IMPLICIT),
        ("1.2.840.10008.1.2.1", EXPLICIT),
        ("1.2.840.10008.1.2.2", BIG),
        ("1.2.840.10008.1.2.1.99", DEFLATED),
        ("1.2.840.10008.1.2.4.95", DEFLATED),
        ("1.2.840.10008.1.2.4.205", DEFLATED),
        ("1.2.840.10008.1.2.4.90", EXPLICIT),
        ("1.2.3.4", None),
        ("", None),
    ],
)
def test_the_encoding_of_a_transfer_syntax(uid: str, encoding: Encoding | None) -> None:
    assert encoding_of(uid) == encoding


@ALL
def test_all_that_is_wanted_is_found(encoding: Encoding) -> None:
    walker = walk([sent(head(encoding) + tail(encoding), encoding)], encoding)
    assert (walker.done, walker.found) == (True, VALUES)


@ALL
@pytest.mark.parametrize("is_undefined", [True, False], ids=["undefined", "defined"])
def test_what_pydicom_writes(encoding: Encoding, is_undefined: bool) -> None:
    inner = Dataset()
    inner.SOPInstanceUID = "9.9.9"
    inner.is_undefined_length_sequence_item = is_undefined
    outer = Dataset()
    outer.ReferencedImageSequence = Sequence([inner, inner])
    outer["ReferencedImageSequence"].is_undefined_length = is_undefined
    outer.is_undefined_length_sequence_item = is_undefined
    dataset = Dataset()
    for tag, value in VALUES.items():
        dataset.add_new(tag, "UI", value.rstrip(b"\0").decode())
    dataset.ReferencedStudySequence = Sequence([outer])
    dataset["ReferencedStudySequence"].is_undefined_length = is_undefined
    dataset.PatientName = "A^B"
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = not encoding.is_explicit, not encoding.is_big
    write_dataset(file, dataset)
    assert walk([sent(file.getvalue(), encoding)], encoding).found == VALUES


@ALL
def test_byte_by_byte(encoding: Encoding) -> None:
    data = sent(head(encoding) + tail(encoding), encoding)
    assert walk(bytewise(data), encoding).found == VALUES


@ALL
def test_bytearrays_and_views_are_taken_too(encoding: Encoding) -> None:
    data = sent(head(encoding) + tail(encoding), encoding)
    walker = ElementWalker(encoding, WANTED)
    walker.feed(bytearray(data[:20]))
    walker.feed(memoryview(data)[20:])
    assert walker.found == VALUES


@pytest.mark.parametrize("at", range(1, 34 + 16))
def test_a_wanted_value_that_straddles_two_feeds(at: int) -> None:
    data = head() + tail()
    assert walk([data[:at], data[at:]]).found == VALUES


def test_nothing_is_kept_once_all_is_found() -> None:
    walker = walk([head() + tail()])
    assert walker.feed(b"\xff" * 100)
    assert walker.found == VALUES


def test_what_comes_later_than_all_that_is_wanted_ends_the_walk() -> None:
    walker = walk([head() + le(0x00280010, b"US", b"\0\2")])
    assert walker.done
    assert set(walker.found) == {CLASS, INSTANCE}
    walker.end()


def test_a_long_value_is_skipped_without_being_kept() -> None:
    long = le(0x00091010, b"OB", bytes(3_000_000))
    pieces = cut(head() + long + tail(), 7, 100_000)
    assert walk(pieces).found == VALUES


@pytest.mark.parametrize("more", [0, 1, 100_000])
def test_a_wanted_value_that_is_too_long_is_cut(more: int) -> None:
    value = pattern(MAXIMUM_VALUE_LENGTH + more)
    data = element(CLASS, b"UI", value, encoding=IMPLICIT) + head(IMPLICIT)[34:] + tail(IMPLICIT)
    for pieces in ([data], cut(data, 3, 5000)):
        found = walk(pieces, IMPLICIT).found
        assert found == {**VALUES, CLASS: value[:MAXIMUM_VALUE_LENGTH]}


def test_an_empty_wanted_value_is_found() -> None:
    assert walk([le(CLASS, b"UI") + head()[34:] + tail()]).found == {**VALUES, CLASS: b""}


def test_a_value_of_odd_length() -> None:
    assert walk([le(CLASS, b"UI", b"1.2") + head()[34:] + tail()]).found[CLASS] == b"1.2"


# Sequences -------------------------------------------------------------------------------------


def nested(levels: int, encoding: Encoding, vr: bytes = b"SQ", *, inner: bytes = b"") -> bytes:
    """Sequences of undefined length with items of undefined length within each other."""
    begin = element(0x00081140, vr, length=UNDEFINED, encoding=encoding)
    begin += element(ITEM, b"", length=UNDEFINED, encoding=encoding)
    end = element(ITEM_END, b"", encoding=encoding) + element(SEQUENCE_END, b"", encoding=encoding)
    return begin * levels + inner + end * levels


@ALL
@pytest.mark.parametrize("levels", [1, 2, MAXIMUM_DEPTH])
def test_sequences_of_undefined_length_are_passed(encoding: Encoding, levels: int) -> None:
    inside = element(INSTANCE, b"UI", b"9.9.9\0", encoding=encoding)
    data = head(encoding) + nested(levels, encoding, inner=inside) + tail(encoding)
    assert walk([sent(data, encoding)], encoding).found == VALUES


@ALL
@pytest.mark.parametrize("levels", [MAXIMUM_DEPTH + 1, 20_000])
def test_sequences_that_are_nested_too_deeply(encoding: Encoding, levels: int) -> None:
    data = sent(head(encoding) + nested(levels, encoding), encoding)
    with pytest.raises(Refused, match="nested too deeply") as caught:
        walk([data], encoding)
    assert caught.value.status == 0xC000


def test_items_that_are_nested_too_deeply() -> None:
    begin = le(0x00081140, b"SQ", length=UNDEFINED)
    with pytest.raises(Refused, match="nested too deeply"):
        walk([head() + begin + le(ITEM, b"", length=UNDEFINED) * 20_000])


def test_sequences_in_items_of_defined_length() -> None:
    item = le(ITEM, b"", le(INSTANCE, b"UI", b"9.9.9\0"))
    sequence = le(0x00081140, b"SQ", length=UNDEFINED) + item * 3 + le(SEQUENCE_END, b"")
    assert walk([head() + sequence + tail()]).found == VALUES


def test_encapsulated_pixel_data_in_an_icon() -> None:
    fragments = le(ITEM, b"") + le(ITEM, b"", pattern(5000)) + le(SEQUENCE_END, b"")
    pixels = le(0x7FE00010, b"OB", length=UNDEFINED) + fragments
    data = head() + nested(1, EXPLICIT, inner=pixels) + tail()
    for pieces in ([data], bytewise(data)):
        assert walk(pieces).found == VALUES


# PS3.5 6.2.2: implicit and little endian in there, whatever is around it.
@pytest.mark.parametrize("encoding", [EXPLICIT, BIG, DEFLATED], ids=["explicit", "big", "deflated"])
def test_a_un_of_undefined_length_is_implicit_little_endian_inside(encoding: Encoding) -> None:
    inside = element(0x00081140, b"", length=UNDEFINED, encoding=IMPLICIT)
    inside += element(
        ITEM, b"", element(INSTANCE, b"", b"9.9.9\0", encoding=IMPLICIT), encoding=IMPLICIT
    )
    inside += element(SEQUENCE_END, b"", encoding=IMPLICIT)
    unknown = element(0x00091010, b"UN", length=UNDEFINED, encoding=encoding)
    unknown += element(ITEM, b"", length=UNDEFINED, encoding=IMPLICIT) + inside
    unknown += element(ITEM_END, b"", encoding=IMPLICIT)
    unknown += element(SEQUENCE_END, b"", encoding=IMPLICIT)
    data = sent(head(encoding) + unknown + tail(encoding), encoding)
    assert walk([data], encoding).found == VALUES


def test_a_wanted_tag_inside_a_sequence_is_not_what_is_wanted() -> None:
    inside = le(STUDY, b"UI", b"9.9.9\0")
    assert walk([head() + nested(1, EXPLICIT, inner=inside) + tail()]).found[STUDY] == b"1.2.3.44"


# Lies and rubbish ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"not a dataset at all", id="text"),
        pytest.param(bytes(100), id="zeros"),
        pytest.param(b"\xff" * 100, id="ones"),
        pytest.param(bytes(128) + b"DICM" + head(), id="a file"),
        pytest.param(le(0x00000002, b"UI", b"1.2\0"), id="a command set"),
        pytest.param(le(ITEM, b"", head()), id="an item"),
        pytest.param(le(INSTANCE, b"UI", b"1.2\0") + le(CLASS, b"UI", b"1.2\0"), id="disorder"),
        pytest.param(le(CLASS, b"XX", b"1.2\0"), id="an unknown VR"),
        pytest.param(le(0x00081140, b"UT", length=UNDEFINED), id="a text of undefined length"),
        pytest.param(b"\x08\0\x16\0ui\x04\0" + b"1.2\0", id="a VR in lower case"),
    ],
)
def test_what_is_no_dataset(data: bytes) -> None:
    for pieces in ([data], bytewise(data)):
        with pytest.raises(Refused, match="Not a dataset") as caught:
            walk(pieces)
        assert caught.value.status == 0xC000


@pytest.mark.parametrize("length", [0xFFFFFFFE, 0x80000000, 1 << 20])
def test_a_length_that_lies_is_not_believed(length: int) -> None:
    walker = walk([head() + le(0x00091010, b"OB", b"few", length=length)])
    assert not walker.done
    with pytest.raises(Refused, match="ends too early"):
        walker.end()


@pytest.mark.parametrize("length", [0xFFFFFFFE, MAXIMUM_VALUE_LENGTH + 1])
def test_a_wanted_length_that_lies_is_not_believed(length: int) -> None:
    data = element(CLASS, b"", b"few", length=length, encoding=IMPLICIT)
    walker = walk([data, bytes(1000)], IMPLICIT)
    assert walker.found == {}
    with pytest.raises(Refused):
        walker.end()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(head()[:-1], id="inside a wanted value"),
        pytest.param(head()[:-10], id="inside a header"),
        pytest.param(head() + le(0x00091010, b"OB", b"abcd")[:-1], id="inside a value"),
        pytest.param(head() + le(0x00091010, b"OB", b"abcd")[:9], id="inside a long header"),
        pytest.param(head() + nested(2, EXPLICIT)[:-8], id="inside a sequence"),
    ],
)
def test_a_dataset_that_ends_too_early(data: bytes) -> None:
    walker = walk([data])
    with pytest.raises(Refused, match="ends too early"):
        walker.end()


def test_big_endian_where_little_was_agreed_holds_nothing_that_is_wanted() -> None:
    walker = walk([head(BIG)])  # (0800,1600) for all that it says
    assert (walker.done, walker.found) == (True, {})


def test_a_dataset_without_what_is_wanted_is_one_all_the_same() -> None:
    walker = walk([le(CLASS, b"UI", b"1.2\0")])
    walker.end()
    assert (walker.done, walker.found) == (True, {CLASS: b"1.2\0"})


# Deflated --------------------------------------------------------------------------------------


def test_what_cannot_be_inflated() -> None:
    with pytest.raises(Refused, match="cannot be inflated"):
        walk([b"\xff" * 50], DEFLATED)


def test_a_deflated_dataset_that_ends_too_early() -> None:
    walker = walk([deflate(head())[:-8]], DEFLATED)
    with pytest.raises(Refused, match="ends too early"):
        walker.end()


@pytest.mark.parametrize("size", range((1 << 16) - 4, (1 << 16) + 300, 8))
def test_what_inflating_holds_back_at_the_end_of_a_step(size: int) -> None:
    # zlib may have swallowed all input and still owe us the rest of a match.
    instance = le(INSTANCE, b"UI", b"0" * 256)
    filler = size - 12 - len(instance)
    data = le(0x00080005, b"UN", bytes(filler)) + instance
    walker = walk([deflate(data)], DEFLATED, (INSTANCE,))
    assert walker.found == {INSTANCE: b"0" * 256}


def test_a_bomb_is_refused_before_it_has_exploded() -> None:
    # 64 MiB in 64 KiB: to inflate all of it would keep everybody else waiting.
    compressor = zlib.compressobj(9, wbits=-15)
    bomb = compressor.compress(le(0x00080005, b"UN", length=0xFFFFFFFE))
    bomb += b"".join(compressor.compress(bytes(1 << 20)) for _ in range(64))
    with pytest.raises(Refused, match="Not a dataset"):
        walk([bomb], DEFLATED)


# Properties ------------------------------------------------------------------------------------

TAGS = st.one_of(
    st.sampled_from(WANTED),
    st.sampled_from([0x00080005, 0x00081140, 0x00091010, 0x00200010, ITEM, ITEM_END, SEQUENCE_END]),
    st.integers(0, 0xFFFFFFFF),
)
VRS = st.sampled_from([b"UI", b"OB", b"SQ", b"UN", b"US", b"UT", b"ZZ"])
LENGTHS = st.one_of(st.none(), st.sampled_from([0, UNDEFINED, 0xFFFFFFFE, 9000]))


@st.composite
def datasets(draw: st.DrawFn, encoding: Encoding) -> bytes:
    """Something like a dataset, nearly always."""
    parts = []
    for _ in range(draw(st.integers(0, 6))):
        tag, vr, value = draw(TAGS), draw(VRS), draw(st.binary(max_size=20))
        length = draw(LENGTHS) if not encoding.is_explicit or vr in LONG else None
        parts.append(element(tag, vr, value, length=length, encoding=encoding))
    return (head(encoding) if draw(st.booleans()) else b"") + b"".join(parts)


@pytest.mark.parametrize("name", ENCODINGS)
@given(st.data(), st.integers(0, 1 << 32), st.sampled_from([1, 2, 9, 40]))
@settings(max_examples=100, deadline=None, database=None)
def test_cuts_change_nothing(name: str, data: st.DataObject, seed: int, longest: int) -> None:
    encoding = ENCODINGS[name]
    dataset = sent(data.draw(datasets(encoding)), encoding)
    assert outcome(cut(dataset, seed, longest), encoding) == outcome([dataset], encoding)


@pytest.mark.parametrize("name", ENCODINGS)
@given(st.lists(st.binary(max_size=60), max_size=5))
@settings(max_examples=100, deadline=None, database=None)
def test_any_bytes_are_refused_or_not(name: str, pieces: list[bytes]) -> None:
    outcome(pieces, ENCODINGS[name])  # raises nothing else


def test_empty_elements_without_end_are_no_dataset() -> None:
    walker = ElementWalker(EXPLICIT, {CLASS, INSTANCE})
    rising = [element(0x00020010 + n, b"CS", b"", encoding=EXPLICIT) for n in range(2000)]
    with pytest.raises(Refused, match="too many elements"):
        walker.feed(b"".join(rising))


def test_an_element_that_comes_twice_is_no_dataset() -> None:
    walker = ElementWalker(EXPLICIT, {CLASS, INSTANCE})
    with pytest.raises(Refused, match="not in order"):
        walker.feed(element(0x00080005, b"CS", b"", encoding=EXPLICIT) * 2)


def test_a_first_element_in_implicit_vr_shows_what_the_sender_really_writes() -> None:
    walker = ElementWalker(EXPLICIT, {CLASS, INSTANCE})
    assert walker.feed(head(IMPLICIT) + tail(IMPLICIT))
    assert set(walker.found) == {CLASS, INSTANCE}


@ALL
def test_a_first_element_behind_all_that_is_wanted_begins_a_dataset(encoding: Encoding) -> None:
    walker = ElementWalker(encoding, WANTED)
    assert walker.feed(sent(element(0x7FE00010, b"OW", b"12", encoding=encoding), encoding))
    assert walker.began
    walker.end()


def test_an_item_whose_length_looks_like_a_vr_is_an_item() -> None:
    length = int.from_bytes(b"CS\0\0", "little")
    items = le(ITEM, b"", bytes(length)) + le(SEQUENCE_END, b"")
    walker = ElementWalker(EXPLICIT, WANTED)
    walker.feed(le(0x00080006, b"SQ", items, UNDEFINED) + head() + tail())
    assert walker.found == VALUES


# The usual beginning ------------------------------------------------------------------------------


def test_the_uids_of_a_usual_beginning_are_found_at_once() -> None:
    before = le(0x00080005, b"CS", b"ISO_IR 100") + le(0x00080008, b"CS", b"ORIGINAL")
    data = before + head() + tail()
    assert leading_uids(data) == (VALUES[CLASS], VALUES[INSTANCE])
    assert leading_uids(memoryview(bytearray(data))) == (VALUES[CLASS], VALUES[INSTANCE])
    assert leading_uids(before + head()) == (VALUES[CLASS], VALUES[INSTANCE])


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(head()[:-1], id="cut in the last value"),
        pytest.param(head()[:40], id="cut in a header"),
        pytest.param(le(0x00080000, b"UL", bytes(4)) + head(), id="a group length"),
        pytest.param(le(0x00080006, b"SQ", bytes(4)) + head(), id="a sequence"),
        pytest.param(le(0x00100010, b"PN", b"A") + head(), id="another group"),
        pytest.param(le(INSTANCE, b"UI", b"1.2\0"), id="no class"),
        pytest.param(le(CLASS, b"UI", b"1.2\0") + tail(), id="no instance"),
        pytest.param(le(CLASS, b"UI", b"1.2\0") + le(0x00080020, b"DA"), id="a later element"),
        pytest.param(le(CLASS, b"UI") + le(CLASS, b"UI") + head(), id="twice the same"),
        pytest.param(le(CLASS, b"UI") + le(INSTANCE, b"UI", b"1" * 66), id="too long for a UID"),
        pytest.param(le(CLASS, b"UI") + le(INSTANCE, b"XX", b"1."), id="no VR"),
    ],
)
def test_what_is_less_usual_is_left_to_a_walker(data: bytes) -> None:
    assert leading_uids(data) is None


ELEMENTS = st.tuples(
    st.sampled_from([0x00080000, 0x00080005, 0x00080008, CLASS, 0x00080017, INSTANCE, 0x00100010]),
    st.sampled_from([b"UI", b"CS", b"SQ", b"XX", b"UN"]),
    st.binary(max_size=70),
    st.sampled_from([None, None, None, 0, 7, 0xFFFF]),
)


@given(st.lists(ELEMENTS, max_size=6), st.booleans(), st.integers(0, 40))
def test_what_is_found_at_once_a_walker_finds_too(
    elements: list[tuple[int, bytes, bytes, int | None]], is_sorted: bool, missing: int
) -> None:
    elements = sorted(elements, key=lambda each: each[0]) if is_sorted else elements
    data = b"".join(le(*each) for each in elements)
    data = data[: len(data) - missing] if missing < 20 else data
    found = leading_uids(data)
    if found is not None:
        assert tuple(walk([data], wanted=(CLASS, INSTANCE)).found.items()) == tuple(
            zip((CLASS, INSTANCE), found, strict=True)
        )


@given(st.lists(st.sampled_from([b"CS", b"UI", b"DA"]), max_size=5), st.binary(max_size=64))
def test_a_usual_beginning_is_always_found_at_once(vrs: list[bytes], uid: bytes) -> None:
    before = b"".join(le(0x00080005 + n, vr, b"xy" * n) for n, vr in enumerate(vrs))
    data = before + le(CLASS, b"UI", VALUES[CLASS]) + le(INSTANCE, b"UI", uid)
    assert leading_uids(data) == (VALUES[CLASS], uid)
    assert walk([data], wanted=(CLASS, INSTANCE)).found == {CLASS: VALUES[CLASS], INSTANCE: uid}


@ALL
def test_the_last_one_that_is_wanted_is_the_end_whatever_is_missing_before_it(
    encoding: Encoding,
) -> None:
    if encoding.is_deflated:  # the end of a stream may keep bytes back
        return
    walker = ElementWalker(encoding, WANTED)
    data = element(CLASS, b"UI", VALUES[CLASS], encoding=encoding)
    assert not walker.feed(data)
    assert walker.feed(element(STUDY, b"UI", VALUES[STUDY], encoding=encoding))
    assert walker.found == {CLASS: VALUES[CLASS], STUDY: VALUES[STUDY]}
    vr = b"UI" if encoding.is_explicit else b""
    assert walker.vrs == {CLASS: vr, STUDY: vr}
