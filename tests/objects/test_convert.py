"""Conversion between transfer syntaxes, against datasets that are written out by hand."""

from __future__ import annotations

import contextlib
import io
import random
import struct
import tracemalloc
import zlib
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiodicom.objects import convert as module
from aiodicom.objects.convert import CannotConvert, convert
from aiodicom.objects.elements import CHUNK
from tests.objects.building import (
    BIG,
    DEFLATED,
    EVERY_KIND,
    IMPLICIT,
    ITEM,
    ITEM_END,
    LITTLE,
    NAMES,
    SEQUENCE_END,
    UNDEFINED,
    Element,
    dataset,
    header,
    one,
)

JPEG = "1.2.840.10008.1.2.4.50"
PLAIN = (IMPLICIT, LITTLE, BIG)
PAIRS = list(product(PLAIN, PLAIN))
US, SS = 0x00280010, 0x00189219


def pair_name(pair: tuple[str, str]) -> str:
    return f"{NAMES[pair[0]]}-{NAMES[pair[1]]}"


def deflated(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(data) + deflater.flush()


def inflated(data: bytes) -> bytes:
    return zlib.decompressobj(wbits=-15).decompress(data)


def converted(data: bytes, from_uid: str, to_uid: str, **options: object) -> bytes:
    target = io.BytesIO()
    convert(io.BytesIO(data), target, from_uid, to_uid, **options)  # type: ignore[arg-type]
    return target.getvalue()


def nested(uid: str, levels: int, data: bytes = b"") -> bytes:
    """Sequences within each other, written from inside."""
    for _ in range(levels):
        data = one(uid, 0x00081140, "SQ", one(uid, ITEM, "", data))
    return data


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("pair", PAIRS, ids=pair_name)
def test_every_kind_of_element(pair: tuple[str, str], undefined: bool) -> None:
    data = dataset(pair[0], EVERY_KIND, undefined=undefined)
    assert converted(data, *pair) == dataset(pair[1], EVERY_KIND)


@pytest.mark.parametrize("uid", PLAIN, ids=NAMES.get)
def test_deflated_and_back(uid: str) -> None:
    data = dataset(uid, EVERY_KIND)
    small = converted(data, uid, DEFLATED)
    assert len(small) % 2 == 0
    assert inflated(small) == dataset(LITTLE, EVERY_KIND)
    assert converted(small, DEFLATED, uid) == data


def test_the_dataset_is_one_part_of_a_file_and_so_is_the_result() -> None:
    data = dataset(IMPLICIT, EVERY_KIND)
    target = io.BytesIO(b"before")
    target.seek(6)
    source = io.BytesIO(b"head" + data + b"tail")
    convert(source, target, IMPLICIT, BIG, start=4, size=len(data))
    assert target.getvalue() == b"before" + dataset(BIG, EVERY_KIND)
    small = deflated(dataset(LITTLE, EVERY_KIND))
    target = io.BytesIO()
    convert(io.BytesIO(b"head" + small + b"tail"), target, DEFLATED, BIG, start=4, size=len(small))
    assert target.getvalue() == dataset(BIG, EVERY_KIND)


def test_a_better_level_makes_fewer_bytes() -> None:
    data = one(LITTLE, 0x7FE00010, "OB", b"".join(b"%d" % (n * n) for n in range(10_000)) + b"  ")
    data = data if len(data) % 2 == 0 else one(LITTLE, 0x7FE00010, "OB", data[12:-1])
    sizes = [len(converted(data, LITTLE, DEFLATED, level=level)) for level in (0, 1, 9)]
    assert sizes[0] > len(data) > sizes[1] > sizes[2]


@pytest.mark.parametrize("size", [1 << 18, (1 << 20) + 6])
def test_a_value_of_many_chunks(size: int) -> None:
    value = random.Random(1).randbytes(size)
    swapped = bytearray(size)
    swapped[::2], swapped[1::2] = value[1::2], value[::2]
    data = one(IMPLICIT, 0x7FE00010, "OW", value)
    assert converted(data, IMPLICIT, BIG) == one(BIG, 0x7FE00010, "OW", bytes(swapped))


def test_a_sequence_longer_than_what_is_collected() -> None:
    items = [((0x00080104, "LO", b"x" * (n % 40 * 2)), (US, "US", (n % 999,))) for n in range(9999)]
    elements: list[Element] = [(0x00081140, "SQ", items), (0x00100010, "PN", b"Doe^Jane")]
    data = dataset(IMPLICIT, elements, undefined=True)
    assert len(data) > 2 * module.FLUSHED
    for uid in PLAIN:
        target = io.BytesIO(b"before")
        target.seek(6)
        convert(io.BytesIO(data), target, IMPLICIT, uid)
        assert target.getvalue() == b"before" + dataset(uid, elements)


def test_memory_is_bounded() -> None:
    converted(dataset(IMPLICIT, EVERY_KIND), IMPLICIT, BIG)  # the dictionary is there afterwards
    item = one(IMPLICIT, ITEM, "", one(IMPLICIT, US, "US", b"ab"))
    data = one(IMPLICIT, 0x00081140, "SQ", item * 10_000)
    source = io.BytesIO(data + one(IMPLICIT, 0x7FE00010, "OW", bytes(8 << 20)))
    tracemalloc.start()
    convert(source, Nowhere(), IMPLICIT, BIG)
    highest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert highest < 2 << 20


class Nowhere(io.BytesIO):
    """Takes everything and keeps nothing."""

    def write(self, data: object) -> int:
        return len(data)  # type: ignore[arg-type]


# Lengths ---------------------------------------------------------------------------------------


def test_group_lengths_are_made_anew() -> None:
    def with_lengths(uid: str, outer: int, inner: int, names: int, rows: int) -> bytes:
        item: tuple[Element, ...] = ((0x00080000, "UL", (inner,)), (0x00080104, "LO", b"ab"))
        return dataset(
            uid,
            (
                (0x00080000, "UL", (outer,)),
                (0x00081140, "SQ", (item,)),
                (0x00100000, "UL", (names,)),
                (0x00100010, "PN", b"Doe^Jane"),
                (0x00200000, "UL", (0,)),
                (0x00280000, "UL", (rows,)),
                (0x00280010, "US", (3,)),
                (0x00400275, "SQ", ()),
                (0x60000000, "UL", (rows,)),
                (0x60000010, "US", (3,)),
            ),
        )

    data = with_lengths(IMPLICIT, 1, 2, 3, 4)
    assert converted(data, IMPLICIT, LITTLE) == with_lengths(LITTLE, 12 + 8 + 12 + 10, 10, 16, 10)
    assert converted(data, IMPLICIT, IMPLICIT) == with_lengths(
        IMPLICIT, 8 + 8 + 12 + 10, 10, 16, 10
    )


@pytest.mark.parametrize("to_uid", [LITTLE, BIG], ids=NAMES.get)
def test_what_is_too_long_for_16_bits_becomes_un(to_uid: str) -> None:
    """PS3.5 6.2.2: and then its bytes stay as they are."""
    longest, longer = bytes(65534), b"\1\0" * 32768
    data = one(IMPLICIT, SS, "SS", longest) + one(IMPLICIT, 0x00281050, "DS", longer)
    expected = one(to_uid, SS, "SS", longest) + one(to_uid, 0x00281050, "UN", longer)
    assert converted(data, IMPLICIT, to_uid) == expected
    data = one(IMPLICIT, SS, "SS", longer)
    assert converted(data, IMPLICIT, to_uid) == one(to_uid, SS, "UN", longer)


def test_what_becomes_longer_than_its_length_can_say(monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataset(IMPLICIT, [(0x00081140, "SQ", [[(US, "US", (1,))] * 1])])
    monkeypatch.setattr(module, "LONGEST", 17)
    with pytest.raises(CannotConvert, match="longer than 4 GB"):
        converted(data, IMPLICIT, LITTLE)


@pytest.mark.parametrize("uid", PLAIN, ids=NAMES.get)
def test_64_sequences_within_each_other(uid: str) -> None:
    assert converted(nested(IMPLICIT, 64), IMPLICIT, uid) == nested(uid, 64)


@pytest.mark.parametrize("levels", [64, 5000])
def test_more_sequences_within_each_other(levels: int) -> None:
    data = nested(IMPLICIT, levels, one(IMPLICIT, 0x00081140, "SQ", b""))
    with pytest.raises(CannotConvert, match="too deeply"):
        converted(data, IMPLICIT, LITTLE)


# VRs that are not written ----------------------------------------------------------------------


def from_implicit(to_uid: str, *elements: Element) -> bytes:
    return converted(dataset(IMPLICIT, elements), IMPLICIT, to_uid)


SMALLEST = 0x00280106
LUT = 0x00283000
DESCRIPTOR = 0x00283002


@pytest.mark.parametrize(("representation", "vr"), [(0, "US"), (1, "SS")])
def test_us_or_ss_by_pixel_representation(representation: int, vr: str) -> None:
    def elements(vr: str) -> tuple[Element, ...]:
        return (0x00280103, "US", (representation,)), (SMALLEST, vr, b"\xfe\xfe")

    assert from_implicit(LITTLE, *elements("US")) == dataset(LITTLE, elements(vr))


def test_us_or_ss_where_the_numbers_are_the_same() -> None:
    elements: tuple[Element, ...] = ((SMALLEST, "US", (0x7FFF,)), (LUT, "SQ", ()))
    assert from_implicit(BIG, *elements) == dataset(BIG, elements)


def test_only_the_second_number_of_a_descriptor_may_be_signed() -> None:
    elements: tuple[Element, ...] = ((LUT, "SQ", [[(DESCRIPTOR, "US", (0xFFFF, 0, 0xFFFF))]]),)
    assert from_implicit(BIG, *elements) == dataset(BIG, elements)
    with pytest.raises(CannotConvert, match="US or SS"):
        from_implicit(BIG, (LUT, "SQ", [[(DESCRIPTOR, "US", (1, 0x8000, 16))]]))


def test_an_items_us_or_ss_is_unsigned_where_the_image_is() -> None:
    item: list[list[Element]] = [[(DESCRIPTOR, "US", (1, 0x8000, 16))]]
    elements: tuple[Element, ...] = ((0x00280103, "US", (0,)), (LUT, "SQ", item))
    assert from_implicit(BIG, *elements) == dataset(BIG, elements)
    elements = (elements[0], (LUT, "SQ", [[(0x0040A170, "SQ", item)]]))
    assert from_implicit(BIG, *elements) == dataset(BIG, elements)
    with pytest.raises(CannotConvert, match="US or SS"):
        from_implicit(BIG, (0x00280103, "US", (1,)), (LUT, "SQ", item))


def test_an_items_own_pixel_representation_comes_first() -> None:
    def elements(vr: str) -> tuple[Element, ...]:
        item: tuple[Element, ...] = ((0x00280103, "US", (1,)), (SMALLEST, vr, b"\xfe\xfe"))
        return (0x00280103, "US", (0,)), (LUT, "SQ", (item,)), (0x00603004, "US", b"\xfe\xfe")

    assert from_implicit(LITTLE, *elements("US")) == dataset(LITTLE, elements("SS"))


def test_a_palette_of_signed_pixels_is_us_to_others() -> None:
    signed: Element = (0x00280103, "US", (1,))
    palette: Element = (0x00281101, "US", (0xFFFF, 0x7FFF, 0xFFFF))
    assert from_implicit(BIG, signed, palette) == dataset(BIG, [signed, palette])
    with pytest.raises(CannotConvert, match="US or SS"):
        from_implicit(BIG, signed, (0x00281101, "US", (1, 0x8000, 16)))


def test_lut_data_is_words() -> None:
    elements: tuple[Element, ...] = ((0x00281200, "OW", (1, 2)), (0x00283006, "OW", (1, 0xFFFF)))
    assert from_implicit(BIG, *elements) == dataset(BIG, elements)


@pytest.mark.parametrize(
    ("bits", "vr", "value"), [(8, "OB", b"\1\2\3\4"), (16, "OW", (0x0201, 0x0403))]
)
def test_waveforms_by_their_bits(bits: int, vr: str, value: bytes) -> None:
    def elements(vr: str, value: bytes) -> tuple[Element, ...]:
        item: tuple[Element, ...] = ((0x54001004, "US", (bits,)), (0x54001010, vr, value))
        return ((0x54000100, "SQ", (item,)),)

    given = elements("OB", b"\1\2\3\4")
    assert from_implicit(BIG, *given) == dataset(BIG, elements(vr, value))


def test_bytes_or_words_that_nothing_decides() -> None:
    curve = (0x50003000, "OB", b"\1\2\3\4")
    assert from_implicit(LITTLE, curve) == dataset(LITTLE, [curve])
    assert from_implicit(BIG, (0x50003000, "OB", b"")) == dataset(BIG, [(0x50003000, "OB", b"")])
    with pytest.raises(CannotConvert, match=r"\(5000,3000\) may be bytes or words"):
        from_implicit(BIG, curve)


def test_a_dictionary_with_vrs_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiodicom.objects.representations.standard_vr", lambda tag: "ox")
    element: Element = (0x00100010, "UN", b"ab")
    assert from_implicit(LITTLE, element) == dataset(LITTLE, [element])


def test_private_elements() -> None:
    elements: tuple[Element, ...] = (
        (0x00190010, "LO", b"GEMS_ACQU_01"),
        (0x00190011, "LO", b"NOBODY"),
        (0x00191002, "SL", (-5,)),
        (0x00191102, "UN", b"\1\2\3\4"),
        (0x00191202, "UN", b"\1\2\3\4"),
        (0x00211002, "UN", b"\1\2\3\4"),
    )
    assert from_implicit(BIG, *elements) == dataset(BIG, elements)


def test_a_private_creator_holds_in_its_own_group() -> None:
    elements: tuple[Element, ...] = (
        (0x00090011, "LO", b"TOSHIBA_MEC_1.0 "),
        (0x00091102, "US", (5,)),
        (0x00111102, "UN", b"\1\2"),
        (0x00190010, "LO", b"NOBODY"),
        (0x00191102, "UN", b"\1\2"),
    )
    assert from_implicit(BIG, *elements) == dataset(BIG, elements)


def test_a_private_creator_holds_in_its_own_item() -> None:
    creator: Element = (0x00190010, "LO", b"GEMS_ACQU_01")
    known: Element = (0x00191002, "SL", (-5,))
    unknown: Element = (0x00191002, "UN", b"\1\2\3\4")
    elements = (creator, known, (0x0040A170, "SQ", ((unknown,), (creator, known))))
    assert from_implicit(BIG, *elements) == dataset(BIG, elements)


def test_unknown_elements_of_undefined_length_are_sequences_in_implicit_little_endian() -> None:
    inside = dataset(IMPLICIT, [(0x00090010, "LO", b"ab"), (US, "US", (3,))])
    items = one(IMPLICIT, ITEM, "", inside) + header(IMPLICIT, SEQUENCE_END, "", 0)
    inner = [[(0x00090010, "LO", b"ab"), (US, "US", (3,))]]
    expected: tuple[Element, ...] = ((0x00091001, "SQ", inner), (0x00100020, "LO", b"ab"))
    for uid in PLAIN:
        data = header(uid, 0x00091001, "UN", UNDEFINED) + items + one(uid, 0x100020, "LO", b"ab")
        for to_uid in PLAIN:
            assert converted(data, uid, to_uid) == dataset(to_uid, expected)


def test_unknown_bytes_are_never_swapped() -> None:
    data = one(LITTLE, US, "UN", b"\1\0")
    assert converted(data, LITTLE, BIG) == one(BIG, US, "UN", b"\1\0")
    assert converted(one(BIG, US, "UN", b"\1\0"), BIG, IMPLICIT) == one(IMPLICIT, US, "", b"\1\0")


def test_pixels_in_bytes_stay_in_order() -> None:
    data = one(LITTLE, 0x7FE00010, "OB", b"\1\2")
    assert converted(data, LITTLE, BIG) == one(BIG, 0x7FE00010, "OB", b"\1\2")


# Peers of before 1993 --------------------------------------------------------------------------


@pytest.mark.parametrize("pair", PAIRS, ids=pair_name)
def test_without_new_vrs(pair: tuple[str, str]) -> None:
    new = "UN UT UC UR OF OD OL OV SV UV".split()
    expected: list[Element] = []
    for element in EVERY_KIND:
        tag, vr, _ = element
        value = dataset(LITTLE, [element])[12:]
        expected.append((tag, "OB", value) if vr in new and pair[1] != IMPLICIT else element)
    data = dataset(pair[0], EVERY_KIND)
    assert converted(data, *pair, without_new_vrs=True) == dataset(pair[1], expected)


def test_without_new_vrs_what_is_too_long_is_ob() -> None:
    value = b"1\\" * 40_000
    data = one(IMPLICIT, 0x00281050, "DS", value)
    made = converted(data, IMPLICIT, LITTLE, without_new_vrs=True)
    assert made == one(LITTLE, 0x00281050, "OB", value)


def test_without_new_vrs_fragments_stay_as_they_are() -> None:
    fragments = one(JPEG, ITEM, "", b"") + one(JPEG, ITEM, "", b"\xff\xd8" * (1 << 18))
    pixels = header(JPEG, 0x7FE00010, "OB", UNDEFINED) + fragments
    pixels += header(JPEG, SEQUENCE_END, "", 0)
    icon = one(JPEG, 0x00880200, "SQ", one(JPEG, ITEM, "", pixels))
    data = one(JPEG, US, "UN", b"ab") + icon + pixels
    expected = one(JPEG, US, "OB", b"ab") + icon + pixels
    assert converted(data, JPEG, JPEG, without_new_vrs=True) == expected
    for cut in (8, 16, len(pixels) - 20):
        with pytest.raises(CannotConvert, match=r"ends inside|shorter"):
            converted(data[:-cut], JPEG, JPEG, without_new_vrs=True)


def test_fragments_that_do_not_end_in_their_item() -> None:
    pixels = header(JPEG, 0x7FE00010, "OB", UNDEFINED) + one(JPEG, ITEM, "", b"ab")
    icon = one(JPEG, 0x00880200, "SQ", one(JPEG, ITEM, "", pixels))
    with pytest.raises(CannotConvert, match="longer than what it is in"):
        converted(icon + header(JPEG, SEQUENCE_END, "", 0), JPEG, JPEG)


# What is not converted -------------------------------------------------------------------------

FRAGMENTS = one(LITTLE, ITEM, "", b"") + header(LITTLE, SEQUENCE_END, "", 0)

REFUSED = {
    "something follows": (dataset(LITTLE, EVERY_KIND) + bytes(4), "ends inside an element"),
    "it is cut": (dataset(LITTLE, EVERY_KIND)[:-1], "longer than what it is in"),
    "it is cut in a header": (one(LITTLE, US, "US", b"ab") + b"\x28\0\x11\0US", "ends inside"),
    "it is cut in a long header": (header(LITTLE, 0x00660016, "OF", 0)[:10], "ends inside"),
    "odd length": (one(LITTLE, 0x00100010, "PN", b"abc"), "odd length"),
    "an odd item": (one(LITTLE, 0x00081140, "SQ", one(LITTLE, ITEM, "", b"abc")), "odd length"),
    "no multiple": (one(LITTLE, 0x00189073, "FD", b"abcd"), "does not fit its VR, FD"),
    "half a tag": (one(LITTLE, 0x00280009, "AT", b"ab"), "does not fit its VR, AT"),
    "no order": (one(LITTLE, US, "US", b"ab") * 2, "not in ascending order"),
    "no VR": (b"\x28\0\x10\0\2\0\0\0ab", "no VR that the standard knows"),
    "encapsulated": (header(LITTLE, 0x7FE00010, "OB", UNDEFINED) + FRAGMENTS, "encapsulated"),
    "an encapsulated icon": (
        one(
            LITTLE,
            0x00880200,
            "SQ",
            one(LITTLE, ITEM, "", header(LITTLE, 0x7FE00010, "OB", UNDEFINED) + FRAGMENTS),
        ),
        "encapsulated",
    ),
    "unknown pixels": (one(LITTLE, 0x7FE00010, "UN", b"ab"), "neither OB nor OW"),
    "unknown fragments": (header(LITTLE, 0x7FE00010, "UN", UNDEFINED) + FRAGMENTS, "neither OB"),
    "undefined bytes": (header(LITTLE, 0x00420011, "OB", UNDEFINED) + FRAGMENTS, "undefined"),
    "a delimiter at the top": (header(LITTLE, ITEM_END, "", 0), "where an element should"),
    "no item": (one(LITTLE, 0x00081140, "SQ", one(LITTLE, US, "US", b"ab")), "where an item"),
    "a sequence that goes on": (header(LITTLE, 0x00081140, "SQ", UNDEFINED), "ends inside"),
    "an item that goes on": (
        one(LITTLE, 0x00081140, "SQ", header(LITTLE, ITEM, "", UNDEFINED)),
        "ends inside",
    ),
    "an item longer than its sequence": (
        one(LITTLE, 0x00081140, "SQ", header(LITTLE, ITEM, "", 20)) + bytes(20),
        "longer than what it is in",
    ),
    "an item's end with a length": (
        one(
            LITTLE,
            0x00081140,
            "SQ",
            header(LITTLE, ITEM, "", UNDEFINED) + one(LITTLE, ITEM_END, "", b"abcd"),
        ),
        "where an element should",
    ),
    "an end with a length": (
        header(LITTLE, 0x00081140, "SQ", UNDEFINED) + one(LITTLE, SEQUENCE_END, "", b"abcd"),
        "where an item should",
    ),
    "a long group length": (one(LITTLE, 0x00080000, "UL", bytes(8)), "is no UL"),
    "another group length": (one(LITTLE, 0x00080000, "US", bytes(4)), "is no UL"),
}


@pytest.mark.parametrize(("data", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused(data: bytes, reason: str) -> None:
    with pytest.raises(CannotConvert, match=reason):
        converted(data, LITTLE, BIG)


def test_a_sequence_that_the_dictionary_knows_but_that_has_no_items() -> None:
    with pytest.raises(CannotConvert, match="where an item should"):
        from_implicit(LITTLE, (0x00081140, "UN", b"abcdefgh"))


def test_an_undefined_length_where_none_may_be() -> None:
    items = one(IMPLICIT, ITEM, "", b"") + header(IMPLICIT, SEQUENCE_END, "", 0)
    with pytest.raises(CannotConvert, match="undefined length"):
        converted(header(IMPLICIT, US, "", UNDEFINED) + items, IMPLICIT, LITTLE)


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.2.4.50", "1.2.840.113619.5.2", "1.2.3"])
def test_transfer_syntaxes_that_are_not_converted(uid: str) -> None:
    for pair in ((uid, LITTLE), (LITTLE, uid), *([(uid, uid)] if uid == "1.2.3" else [])):
        with pytest.raises(CannotConvert, match=f"transfer syntax {uid}"):
            converted(b"", *pair)


def test_a_file_that_becomes_shorter() -> None:
    data = dataset(LITTLE, EVERY_KIND)
    for uid, short in ((LITTLE, data[:-2]), (DEFLATED, deflated(data)[:-2])):
        size = len(short) + 2
        with pytest.raises(CannotConvert, match="shorter than it was"):
            converted(short, uid, BIG, size=size)


# Deflated --------------------------------------------------------------------------------------

GZIP_END = struct.pack(
    "<II", zlib.crc32(dataset(LITTLE, EVERY_KIND)), len(dataset(LITTLE, EVERY_KIND))
)


@pytest.mark.parametrize("rest", [b"", b"\0", GZIP_END, GZIP_END + b"\0"])
def test_what_may_follow_deflated_bytes(rest: bytes) -> None:
    data = dataset(LITTLE, EVERY_KIND)
    assert converted(deflated(data) + rest, DEFLATED, LITTLE) == data


@pytest.mark.parametrize("rest", [b"\0\0", b"x", GZIP_END[:-1] + b"x", GZIP_END + b"\0\0"])
def test_what_may_not_follow_them(rest: bytes) -> None:
    with pytest.raises(CannotConvert, match="something follows"):
        converted(deflated(dataset(LITTLE, EVERY_KIND)) + rest, DEFLATED, LITTLE)


@pytest.mark.parametrize("cut", [1, 20])
def test_deflated_bytes_that_are_cut(cut: int) -> None:
    with pytest.raises(CannotConvert, match="end too early"):
        converted(deflated(dataset(LITTLE, EVERY_KIND))[:-cut], DEFLATED, LITTLE)


def test_bytes_that_were_not_deflated() -> None:
    with pytest.raises(CannotConvert, match="cannot be inflated"):
        converted(b"\xff" * 100, DEFLATED, LITTLE)


def test_what_inflates_to_about_what_is_inflated_at_once() -> None:
    for size in range(2 * CHUNK - 64, 2 * CHUNK + 64, 2):
        data = one(LITTLE, 0x7FE00010, "OW", bytes(size))
        assert converted(deflated(data), DEFLATED, LITTLE) == data


def test_a_bomb() -> None:
    data = one(LITTLE, 0x7FE00010, "OW", bytes(5 << 20))
    bomb = deflated(data)
    assert converted(bomb, DEFLATED, LITTLE, limit=len(data)) == data
    with pytest.raises(CannotConvert, match=f"more than {len(data) - 1} bytes"):
        converted(bomb, DEFLATED, LITTLE, limit=len(data) - 1)


def test_an_empty_dataset_is_deflated_to_one_that_is_empty() -> None:
    assert inflated(converted(b"", LITTLE, DEFLATED)) == b""


# Any bytes -------------------------------------------------------------------------------------

SEEDS = [
    dataset(uid, EVERY_KIND, undefined=undefined) for uid in PLAIN for undefined in (False, True)
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A dataset that something happened to, or any bytes."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=64))
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(data)))
        count = draw(st.sampled_from((0, 0, 1, 2, 4, 8, 12, 40)))
        new = draw(st.one_of(st.binary(max_size=12), st.sampled_from(
            (b"\xff" * 4, b"SQ", b"UN", bytes(4), header(LITTLE, ITEM, "", UNDEFINED), data[:60])
        )))  # fmt: skip
        data[place : place + count] = new
    return bytes(data)


@settings(deadline=None, max_examples=300)
@given(damaged(), st.sampled_from(PLAIN), st.sampled_from(PLAIN), st.booleans())
def test_any_bytes(data: bytes, from_uid: str, to_uid: str, without_new_vrs: bool) -> None:
    try:
        made = converted(data, from_uid, to_uid, without_new_vrs=without_new_vrs)
    except CannotConvert:
        return
    assert len(made) <= 3 * len(data) + 64
    # What was made is a dataset, and there is nothing left to change about it.
    assert converted(made, to_uid, to_uid, without_new_vrs=without_new_vrs) == made


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=64), st.integers(0, 200))
def test_any_deflated_bytes(noise: bytes, place: int) -> None:
    small = bytearray(deflated(dataset(LITTLE, EVERY_KIND)))
    small[place : place + len(noise)] = noise
    with contextlib.suppress(CannotConvert):
        converted(bytes(small), DEFLATED, LITTLE, limit=1 << 20)
