"""New identities: how they are numbered, and how they get into a dataset's bytes."""

from __future__ import annotations

import io
import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiodicom.objects.elements import WINDOW, CannotConvert
from aiodicom.objects.invent import Inventor, patch_deflated, patches
from aiodicom.objects.source import Piece
from tests.interop.samples import ROOT, SAMPLES, Sample
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
from tests.objects.test_convert import JPEG, PLAIN, damaged, deflated, inflated, nested

INSTANCE, STUDY, SERIES = 0x00080018, 0x0020000D, 0x0020000E
NAME, PATIENT_ID = 0x00100010, 0x00100020
STUDY_ID, SERIES_NUMBER, NUMBER = 0x00200010, 0x00200011, 0x00200013

NEW = {INSTANCE: b"2.25.1234", NAME: b"Roe^Richard", PATIENT_ID: b"4711", STUDY: b"2.25.56"}
PADDED: tuple[Element, ...] = (
    (INSTANCE, "UI", b"2.25.1234\0"),
    (NAME, "PN", b"Roe^Richard "),
    (PATIENT_ID, "LO", b"4711"),
    (STUDY, "UI", b"2.25.56\0"),
)


def joined(data: bytes, pieces: Sequence[Piece]) -> bytes:
    return b"".join(
        piece if isinstance(piece, bytes) else data[piece[0] : piece[0] + piece[1]]
        for piece in pieces
    )


def patched(data: bytes, uid: str, new: Mapping[int, bytes] = NEW) -> bytes:
    return joined(data, patches(io.BytesIO(data), uid, new))


def replaced(elements: Sequence[Element]) -> list[Element]:
    """The elements with those of `PADDED`, in order."""
    new = {element[0]: element for element in (*elements, *PADDED)}
    return [new[tag] for tag in sorted(new)]


# Numbers ---------------------------------------------------------------------------------------


def test_a_new_series_study_and_patient_after_so_many() -> None:
    inventor = Inventor(2, 3, 2)
    objects = [inventor() for _ in range(25)]
    assert len({one[INSTANCE] for one in objects}) == 25
    for tags, every in (((SERIES,), 2), ((STUDY, STUDY_ID), 6), ((NAME, PATIENT_ID), 12)):
        for tag in tags:
            values = [one[tag] for one in objects]
            assert len(set(values)) == (len(values) + every - 1) // every
            assert all(len(set(values[at : at + every])) == 1 for at in range(0, 25, every))
    assert [one[NUMBER] for one in objects[:5]] == [b"1", b"2", b"1", b"2", b"1"]
    assert [one[SERIES_NUMBER] for one in objects[:8]] == [
        b"%d" % n for n in (1, 1, 2, 2, 3, 3, 1, 1)
    ]


def test_as_many_as_dcmtk_has_by_default() -> None:
    inventor = Inventor()
    objects = [inventor() for _ in range(100 * 50 * 2 + 1)]
    assert set(Counter(one[SERIES] for one in objects).values()) == {100, 1}
    assert set(Counter(one[STUDY] for one in objects).values()) == {5000, 1}
    assert len({one[PATIENT_ID] for one in objects}) == 1
    inventor = Inventor(images=1, series=1)
    patients = Counter(inventor()[NAME] for _ in range(60))
    assert list(patients.values()) == [25, 25, 10]


def test_values_are_such_as_their_vrs_have() -> None:
    inventor = Inventor(1, 1, 1)
    objects = [inventor() for _ in range(3)]
    inventor._count = 10_000_000
    for new in (*objects, inventor()):
        for tag in (INSTANCE, STUDY, SERIES):
            assert re.fullmatch(rb"2\.25\.[1-9][0-9]{0,38}", new[tag])
        assert len(new[STUDY_ID]) <= 16
        assert max(len(new[NAME]), len(new[PATIENT_ID])) <= 64
        assert b"\\" not in b"".join(new.values())


def test_two_runs_have_different_patients_and_studies() -> None:
    one, other = Inventor()(), Inventor()()
    assert all(
        one[tag] != other[tag] for tag in (INSTANCE, STUDY, SERIES, NAME, PATIENT_ID, STUDY_ID)
    )


def test_objects_from_several_threads() -> None:
    inventor = Inventor(10, 5, 2)
    with ThreadPoolExecutor(4) as threads:
        objects = list(threads.map(lambda _: inventor(), range(1000)))
    assert len({one[INSTANCE] for one in objects}) == 1000
    assert set(Counter(one[SERIES] for one in objects).values()) == {10}
    assert set(Counter(one[STUDY] for one in objects).values()) == {50}
    assert set(Counter((one[SERIES], one[NUMBER]) for one in objects).values()) == {1}


@pytest.mark.parametrize("counts", [(0, 1, 1), (1, 0, 1), (1, 1, -1)])
def test_none_of_something(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Inventor(*counts)


# Bytes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("uid", PLAIN, ids=NAMES.get)
def test_elements_are_replaced_and_inserted(uid: str, undefined: bool) -> None:
    data = dataset(uid, EVERY_KIND, undefined=undefined)
    assert patched(data, uid) == dataset(uid, replaced(EVERY_KIND), undefined=undefined)


@pytest.mark.parametrize("uid", PLAIN, ids=NAMES.get)
def test_elements_are_inserted_at_the_ends(uid: str) -> None:
    data = dataset(uid, [(0x00080020, "DA", b"20240229")])
    expected = dataset(uid, replaced([(0x00080020, "DA", b"20240229")]))
    assert patched(data, uid) == expected
    assert patched(b"", uid) == dataset(uid, PADDED)


def test_offsets_are_those_of_the_file() -> None:
    data = dataset(LITTLE, EVERY_KIND)
    file = b"head" + data + b"tail"
    pieces = patches(io.BytesIO(file), LITTLE, NEW, start=4, size=len(data))
    assert joined(file, pieces) == dataset(LITTLE, replaced(EVERY_KIND))


@pytest.mark.parametrize("uid", PLAIN, ids=NAMES.get)
def test_group_lengths_follow(uid: str) -> None:
    def elements(outer: int, names: int) -> list[Element]:
        return [
            (0x00080000, "UL", (outer,)),
            (0x00080016, "UI", b"1.2\0"),
            (INSTANCE, "UI", b"1.2.3.\0\0"),
            (0x00081140, "SQ", [[(0x00080000, "UL", (9,))]]),
            (0x00100000, "UL", (names,)),
            (NAME, "PN", b"Doe^Jane"),
            (0x00180000, "UL", (77,)),
            (0x00180015, "CS", b"ab"),
        ]

    data = dataset(uid, elements(1000, 16))
    # The instance becomes 2 bytes longer, the name 4; the ID comes to it with 8 and 4.
    assert patched(data, uid) == dataset(uid, replaced(elements(1002, 16 + 4 + 12)))


def test_a_group_length_that_was_wrong_stays_so_where_it_cannot_follow() -> None:
    elements: list[Element] = [(0x00100000, "UL", (2,)), (NAME, "PN", b"a" * 40)]
    data = dataset(LITTLE, elements)
    assert patched(data, LITTLE, {NAME: b"b"}) == dataset(
        LITTLE, [elements[0], (NAME, "PN", b"b ")]
    )


def test_pixels_are_not_touched_nor_read() -> None:
    pixels = header(JPEG, 0x7FE00010, "OB", UNDEFINED) + one(JPEG, ITEM, "", bytes(1 << 20))
    data = dataset(LITTLE, EVERY_KIND[:-1]) + pixels + header(JPEG, SEQUENCE_END, "", 0)
    file = Watched(data)
    pieces = patches(file, JPEG, NEW)
    assert (
        joined(data, pieces)
        == dataset(LITTLE, replaced(EVERY_KIND[:-1])) + data[-len(pixels) - 8 :]
    )
    assert file.furthest <= WINDOW
    assert pieces[-1] == (pieces[-1][0], len(data) - int(pieces[-1][0]))


class Watched(io.BytesIO):
    """Knows how far it has been read."""

    furthest = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.furthest = max(self.furthest, self.tell())
        return data


def test_encapsulated_icons_are_passed() -> None:
    icon = header(JPEG, 0x7FE00010, "OB", UNDEFINED) + one(JPEG, ITEM, "", b"\xff\xd8" * 9)
    icon = one(JPEG, ITEM, "", icon + header(JPEG, SEQUENCE_END, "", 0))
    sequence = header(JPEG, 0x00082218, "SQ", UNDEFINED) + icon + header(JPEG, SEQUENCE_END, "", 0)
    assert patched(sequence, JPEG, {NAME: b"ab"}) == sequence + one(JPEG, NAME, "PN", b"ab")


@pytest.mark.parametrize("uid", PLAIN, ids=NAMES.get)
def test_unknown_elements_of_undefined_length_are_passed(uid: str) -> None:
    inside = one(IMPLICIT, ITEM, "", dataset(IMPLICIT, [(NAME, "PN", b"of an item")]))
    data = header(uid, 0x00091001, "UN", UNDEFINED) + inside
    data += header(IMPLICIT, SEQUENCE_END, "", 0)
    assert patched(data, uid, {NAME: b"ab"}) == data + one(uid, NAME, "PN", b"ab")
    data = header(uid, ITEM, "", UNDEFINED) + data + header(uid, ITEM_END, "", 0)
    data = header(uid, 0x00081140, "SQ", UNDEFINED) + data + header(uid, SEQUENCE_END, "", 0)
    assert patched(data, uid, {NAME: b"ab"}) == data + one(uid, NAME, "PN", b"ab")


def test_implicit_vr_under_an_explicit_transfer_syntax() -> None:
    data = dataset(IMPLICIT, EVERY_KIND)
    assert patched(data, JPEG) == dataset(IMPLICIT, replaced(EVERY_KIND))


def test_deflated() -> None:
    data = dataset(LITTLE, EVERY_KIND)
    target = io.BytesIO()
    source = io.BytesIO(b"head" + deflated(data) + b"tail")
    patch_deflated(source, target, DEFLATED, NEW, start=4, size=len(deflated(data)), level=0)
    made = target.getvalue()
    assert len(made) % 2 == 0
    assert inflated(made) == dataset(LITTLE, replaced(EVERY_KIND))
    assert len(made) > len(data)


def test_a_bomb() -> None:
    bomb = deflated(one(LITTLE, 0x7FE00010, "OW", bytes(1 << 20)))
    with pytest.raises(CannotConvert, match="more than 1000 bytes"):
        patch_deflated(io.BytesIO(bomb), io.BytesIO(), DEFLATED, NEW, limit=1000)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda one: str(one.path.relative_to(ROOT)))
def test_file_of_pydicoms(sample: Sample) -> None:
    """Nothing else has changed, as pydicom reads it."""
    new, data = Inventor()(), sample.data
    if "winter" in sample.path.name:
        with pytest.raises(CannotConvert, match="not in ascending order"):
            patches(io.BytesIO(data), sample.transfer_syntax_uid, new)
        return
    if sample.transfer_syntax_uid == DEFLATED:
        target = io.BytesIO()
        patch_deflated(io.BytesIO(data), target, DEFLATED, new)
        made, data = inflated(target.getvalue()), zlib.decompressobj(-15).decompress(data)
    else:
        made = patched(data, sample.transfer_syntax_uid, new)
    uid = sample.transfer_syntax_uid
    after, before = elements_of(made, uid), elements_of(data, uid)
    for tag, value in new.items():
        assert after.pop(tag).rstrip(b"\0 ") == value
        before.pop(tag, None)
    assert without_lengths(after) == without_lengths(before)


def elements_of(data: bytes, uid: str) -> dict[int, bytes]:
    """The values of the top level, as they are written."""
    from pydicom.filereader import read_dataset

    is_implicit = uid == IMPLICIT or not data[4:6].isalpha()
    read = read_dataset(io.BytesIO(data), is_implicit, uid != BIG)
    return {
        int(tag): getattr(read.get_item(tag), "value", b"") or b""
        for tag in read.keys()  # noqa: SIM118
    }


def without_lengths(elements: Mapping[int, bytes]) -> dict[int, object]:
    return {
        tag: list(map(str, value)) if isinstance(value, pydicom.Sequence) else value
        for tag, value in elements.items()
        if tag & 0xFFFF
    }


# What cannot be patched ------------------------------------------------------------------------


@pytest.mark.parametrize("uid", [DEFLATED, "1.2.3"])
def test_transfer_syntaxes_whose_elements_are_not_there(uid: str) -> None:
    with pytest.raises(CannotConvert, match=uid):
        patches(io.BytesIO(b""), uid, NEW)


def test_a_transfer_syntax_that_is_not_deflated() -> None:
    with pytest.raises(CannotConvert, match="not a deflated one"):
        patch_deflated(io.BytesIO(b""), io.BytesIO(), LITTLE, NEW)


REFUSED = {
    "no order": (dataset(LITTLE, [PADDED[1], PADDED[0]]), "not in ascending order"),
    "twice": (dataset(LITTLE, [PADDED[0], PADDED[0]]), "not in ascending order"),
    "it is cut": (dataset(LITTLE, EVERY_KIND)[:56], "longer than the dataset"),
    "no VR": (one(LITTLE, INSTANCE, "UI", b"") + bytes(8), "no VR"),
    "a delimiter": (header(LITTLE, SEQUENCE_END, "", 0), "not in ascending order"),
    "items without an end": (header(LITTLE, 0x00081140, "SQ", UNDEFINED), "ends inside"),
}


@pytest.mark.parametrize(("data", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused(data: bytes, reason: str) -> None:
    with pytest.raises(CannotConvert, match=reason):
        patched(data, LITTLE)


def test_sequences_nested_too_deeply() -> None:
    data = header(LITTLE, 0x00081140, "SQ", UNDEFINED) + header(LITTLE, ITEM, "", UNDEFINED)
    with pytest.raises(CannotConvert, match="too deeply"):
        patched(data * 5000, LITTLE)
    assert patched(nested(LITTLE, 100), LITTLE).startswith(
        one(LITTLE, *PADDED[0][:2], b"2.25.1234\0")
    )


def test_a_value_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"70000 bytes do not fit \(0010,0010\)"):
        patches(io.BytesIO(b""), LITTLE, {NAME: b"a" * 70_000})


@settings(deadline=None, max_examples=300)
@given(damaged(), st.sampled_from(PLAIN))
def test_any_bytes(data: bytes, uid: str) -> None:
    try:
        made = patched(data, uid)
    except CannotConvert:
        return
    assert patched(made, uid) == made
