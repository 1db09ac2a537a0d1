"""What we convert is what DCMTK's dcmconv makes of the same file, to the last byte."""

from __future__ import annotations

import io
import random
import subprocess
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom._dicom_dict import DicomDictionary

from aiodicom.objects.convert import CONVERTIBLE, CannotConvert, convert
from aiodicom.wire.part10 import FileMeta, encode_file_meta
from tests.interop.samples import FILES, ROOT, WITHOUT_META, read
from tests.objects.building import (
    BIG,
    DEFLATED,
    EVERY_KIND,
    IMPLICIT,
    ITEM,
    LITTLE,
    NAMES,
    NUMBERS,
    SEQUENCE_END,
    SYNTAXES,
    UNDEFINED,
    Element,
    dataset,
    header,
    one,
)

pytestmark = pytest.mark.dcmtk

OPTIONS = {IMPLICIT: "+ti", LITTLE: "+te", BIG: "+tb", DEFLATED: "+td"}

REFUSED = {
    "palettes/winter.dcm": "not in ascending order at (0008,0018)",
    "test_files/MR_truncated.dcm": "(7FE0,0010) is longer than what it is in",
    "test_files/dicomdirtests/DICOMDIR-nooffset": "(FFFE,E000) is longer than what it is in",
    "test_files/nested_priv_SQ.dcm": "(0001,0002) has an odd length",
    "test_files/rtplan_truncated.dcm": "(300A,00B0) is longer than what it is in",
}
"""What pydicom has that is not as the standard says, and why it is not converted."""


TRIMMED = ("SC_rgb_gdcm_KY.dcm", "examples_ybr_color.dcm")
"""What has more padding than it needs, which dcmconv drops and we keep."""


def transfer_syntax(path: Path) -> str:
    known = WITHOUT_META.get(path.name)
    return str(known or getattr(read(path), "file_meta", {}).get("TransferSyntaxUID"))


UNCOMPRESSED = [path for path in FILES if transfer_syntax(path) in CONVERTIBLE]


def is_compressed(path: Path) -> bool:
    return transfer_syntax(path) not in (*CONVERTIBLE, "None")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def theirs(path: Path, to_uid: str, *options: str) -> bytes:
    """The dataset that dcmconv makes of a file."""
    made = path.with_name(path.name + ".made")
    command = ["dcmconv", OPTIONS.get(to_uid, "+t="), *options, str(path), str(made)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return dataset_of(made.read_bytes())


def dataset_of(data: bytes) -> bytes:
    return data[FileMeta.decode(data)[1] :]


def ours(data: bytes, from_uid: str, to_uid: str, **options: bool) -> bytes:
    target = io.BytesIO()
    convert(io.BytesIO(data), target, from_uid, to_uid, **options)
    return target.getvalue()


def plain(data: bytes, uid: str) -> bytes:
    """The dataset, inflated: how well zlib deflates is not what is compared."""
    return zlib.decompressobj(wbits=-15).decompress(data) if uid == DEFLATED else data


def compare(
    data: bytes, path: Path, uid: str, options: Sequence[str] = (), to: Sequence[str] = SYNTAXES
) -> None:
    for to_uid in to:
        made = ours(data, uid, to_uid, without_new_vrs="-u" in options)
        assert plain(made, to_uid) == plain(theirs(path, to_uid, *options), to_uid), NAMES[to_uid]


def file_of(folder: Path, data: bytes, uid: str) -> Path:
    path = folder / f"{NAMES.get(uid, uid)}.dcm"
    meta = encode_file_meta("1.2.840.10008.5.1.4.1.1.7", "1.2.3", uid)
    path.write_bytes(meta + data)
    return path


def test_there_are_files_of_each_transfer_syntax() -> None:
    assert {transfer_syntax(path) for path in UNCOMPRESSED} == set(CONVERTIBLE)
    assert len(UNCOMPRESSED) >= 150
    assert set(REFUSED) <= {name_of(path) for path in UNCOMPRESSED}


@pytest.mark.parametrize("path", UNCOMPRESSED, ids=name_of)
def test_file_of_pydicoms(path: Path, tmp_path: Path) -> None:
    uid, data = transfer_syntax(path), path.read_bytes()
    copy = tmp_path / path.name
    copy.write_bytes(data)
    data = data if path.name in WITHOUT_META else dataset_of(data)
    reason = REFUSED.get(name_of(path))
    if reason is None:
        compare(data, copy, uid)
        return
    for to_uid in SYNTAXES:
        with pytest.raises(CannotConvert) as caught:
            ours(data, uid, to_uid)
        assert reason in str(caught.value)


@pytest.mark.parametrize("path", [path for path in FILES if is_compressed(path)], ids=name_of)
def test_compressed_file_of_pydicoms_without_new_vrs(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    uid, data = transfer_syntax(path), dataset_of(path.read_bytes())
    if path.name == "SC_rgb_jpeg.dcm":  # written with implicit VR: dcmconv fails as well
        with pytest.raises(CannotConvert, match="no VR"):
            ours(data, uid, uid, without_new_vrs=True)
        return
    made = ours(data, uid, uid, without_new_vrs=True)
    if path.name in TRIMMED:
        assert len(made) > len(theirs(copy, uid, "-u"))
        made = theirs(file_of(tmp_path, made, uid), uid, "-u")
    assert made == theirs(copy, uid, "-u")


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("uid", [IMPLICIT, LITTLE, BIG], ids=NAMES.get)
@pytest.mark.parametrize("option", ["+u", "-u"])
def test_every_kind_of_element(uid: str, undefined: bool, option: str, tmp_path: Path) -> None:
    data = dataset(uid, EVERY_KIND, undefined=undefined)
    compare(data, file_of(tmp_path, data, uid), uid, [option])


LONG = b"1\\" * 40_000
KNOWN: Element = (0x00190010, "LO", b"GEMS_ACQU_01")
UNKNOWN_ITEMS = one(IMPLICIT, ITEM, "", dataset(IMPLICIT, [(0x00280010, "US", (3,))])) + header(
    IMPLICIT, SEQUENCE_END, "", 0
)

US_OR_SS = sorted(
    [tag for tag, entry in DicomDictionary.items() if entry[0] == "US or SS"] + [0x00280103]
)

IMPLICIT_ONES: dict[str, Sequence[Element]] = {
    "too long for 16 bits": [(0x00189219, "SS", LONG), (0x30060050, "DS", LONG)],
    "signed": [(0x00280103, "US", (1,)), (0x00280106, "SS", (-1,)), (0x00281101, "US", (1, 2, 3))],
    "unsigned": [(0x00280103, "US", (0,)), (0x00280106, "US", (0xFFFE,))],
    "neither": [(0x00189810, "US", (5,)), (0x00281101, "US", (0xFFFF, 2, 0xFFFF))],
    "signs of all that may have one": [
        (tag, "US", (1, 2, 3)) if tag != 0x00280103 else (tag, "US", (1,)) for tag in US_OR_SS
    ],
    "LUT data": [(0x00281200, "OW", (1, 2)), (0x00283006, "US", (1, 2))],
    "8 bit pixels": [(0x00280100, "US", (8,)), (0x7FE00010, "OB", b"abcd")],
    "16 bit waveform": [
        (0x54000100, "SQ", [[(0x54001004, "US", (16,)), (0x54001010, "OB", b"abcd")]])
    ],
    "8 bit waveform": [
        (0x54000100, "SQ", [[(0x54001004, "US", (8,)), (0x54001010, "OB", b"abcd")]])
    ],
    "repeating groups": [(0x50020010, "US", (1,)), (0x60020010, "US", (2,))],
    "private": [KNOWN, (0x00191002, "SL", (-5,)), (0x00191102, "UN", b"abcd")],
    "private in an item": [
        KNOWN,
        (0x0040A170, "SQ", [[(0x00191002, "SL", (-5,))], [KNOWN, (0x00191002, "SL", (-5,))]]),
    ],
    "group lengths": [
        (0x00080000, "UL", (1,)),
        (0x00081140, "SQ", [[(0x00080000, "UL", (9,)), (0x00080104, "LO", b"ab")]]),
        (0x00100000, "UL", (2,)),
        (0x00200000, "UL", (3,)),
        (0x00200010, "SH", b"ab"),
    ],
    "padding": [(0x00100010, "PN", b"ab"), (0xFFFCFFFC, "OB", bytes(8))],
    "nothing": [],
}


@pytest.mark.parametrize("elements", IMPLICIT_ONES.values(), ids=IMPLICIT_ONES)
def test_representations_that_are_not_written(elements: Sequence[Element], tmp_path: Path) -> None:
    data = dataset(IMPLICIT, elements)
    compare(data, file_of(tmp_path, data, IMPLICIT), IMPLICIT)
    compare(data, file_of(tmp_path, data, IMPLICIT), IMPLICIT, ["-u"])


@pytest.mark.parametrize("uid", [IMPLICIT, LITTLE, BIG], ids=NAMES.get)
def test_unknown_elements_of_undefined_length(uid: str, tmp_path: Path) -> None:
    data = header(uid, 0x00091001, "UN", UNDEFINED) + UNKNOWN_ITEMS
    data += one(uid, 0x00100020, "LO", b"ab")
    compare(data, file_of(tmp_path, data, uid), uid)


@pytest.mark.parametrize("seed", range(12))
def test_any_dataset(seed: int, tmp_path: Path) -> None:
    uid = (IMPLICIT, LITTLE, BIG)[seed % 3]
    data = dataset(uid, some_elements(random.Random(seed), 3), undefined=seed % 2 == 0)
    option = ("+u", "-u")[seed // 3 % 2]
    compare(data, file_of(tmp_path, data, uid), uid, [option])


TAGS = {element[0]: element[1] for element in EVERY_KIND if element[0] < 0x60000000}
TAGS |= {0x00180010: "LO", 0x00180050: "DS", 0x0040A730: "SQ", 0x00081115: "SQ", 0x00400275: "SQ"}


def some_elements(rng: random.Random, depth: int) -> list[Element]:
    """Elements with random values, within each other."""
    count = rng.randint(1, len(TAGS))
    return [
        (tag, TAGS[tag], some_value(rng, tag, depth)) for tag in sorted(rng.sample([*TAGS], count))
    ]


def some_value(
    rng: random.Random, tag: int, depth: int
) -> bytes | tuple[int, ...] | list[list[Element]]:
    vr = TAGS[tag]
    if vr == "SQ":
        return [some_elements(rng, depth - 1) for _ in range(rng.randint(0, 2) if depth else 0)]
    if tag in (0x00280103, 0x00280106):  # they depend on each other
        return (0,)
    if vr in NUMBERS:
        size = {"H": 2, "h": 2, "I": 4, "i": 4, "f": 4, "d": 8, "q": 8, "Q": 8}[NUMBERS[vr]]
        return rng.randbytes((4 if vr == "AT" else size) * rng.randint(0, 5))
    if vr == "UN":
        return rng.randbytes(2 * rng.randint(0, 5))
    return bytes(rng.choices(b"0123456789", k=2 * rng.randint(0, 5)))
