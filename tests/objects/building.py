"""Datasets that are written out by hand, in each encoding."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Union

from aiodicom.wire.elements import Encoding, encoding_of

IMPLICIT = "1.2.840.10008.1.2"
LITTLE = "1.2.840.10008.1.2.1"
BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
SYNTAXES = (IMPLICIT, LITTLE, BIG, DEFLATED)
NAMES = dict(zip(SYNTAXES, ("implicit", "little", "big", "deflated"), strict=True))

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
LONG_VRS = "OB OD OF OL OV OW SQ SV UC UN UR UT UV".split()
NUMBERS = dict(
    zip("US SS OW AT UL SL FL OL OF FD OD OV SV UV".split(), "HhHHIifIfddQqQ", strict=True)
)

Numbers = Sequence[int | float]
Element = tuple[int, str, Union[bytes, Numbers, "Items"]]
Items = Sequence[Sequence[Element]]


def how(uid: str) -> Encoding:
    encoding = encoding_of(uid)
    assert encoding is not None
    return encoding


def header(uid: str, tag: int, vr: str, length: int) -> bytes:
    """What precedes a value."""
    encoding = how(uid)
    order = ">" if encoding.is_big else "<"
    group, element = tag >> 16, tag & 0xFFFF
    if not encoding.is_explicit or not vr:
        return struct.pack(order + "HHI", group, element, length)
    layout, code = ("HH2s2xI", vr) if vr in LONG_VRS else ("HH2sH", vr)
    return struct.pack(order + layout, group, element, code.encode(), length)


def one(uid: str, tag: int, vr: str, value: bytes) -> bytes:
    """An element with a value that is encoded already."""
    return header(uid, tag, vr, len(value)) + value


def dataset(uid: str, elements: Sequence[Element], *, undefined: bool = False) -> bytes:
    """A dataset, its sequences and items of defined or undefined length."""
    return b"".join(_element(uid, element, undefined) for element in elements)


def _element(uid: str, element: Element, undefined: bool) -> bytes:
    tag, vr, value = element
    if isinstance(value, bytes):
        return one(uid, tag, vr, value)
    if vr == "SQ":
        return _sequence(uid, tag, value, undefined)  # type: ignore[arg-type]
    order = ">" if how(uid).is_big else "<"
    return one(uid, tag, vr, struct.pack(f"{order}{len(value)}{NUMBERS[vr]}", *value))


def _sequence(uid: str, tag: int, items: Items, undefined: bool) -> bytes:
    inside = b""
    for item in items:
        content = dataset(uid, item, undefined=undefined)
        if undefined:
            inside += header(uid, ITEM, "", UNDEFINED) + content + header(uid, ITEM_END, "", 0)
        else:
            inside += one(uid, ITEM, "", content)
    if undefined:
        end = header(uid, SEQUENCE_END, "", 0)
        return header(uid, tag, "SQ", UNDEFINED) + inside + end
    return one(uid, tag, "SQ", inside)


EVERY_KIND: tuple[Element, ...] = (
    (0x00080008, "CS", b"ORIGINAL\\PRIMARY"),
    (0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.7\0"),
    (0x00080018, "UI", b"1.2.3\0"),
    (0x00080020, "DA", b"20240229"),
    (0x00080030, "TM", b"1200"),
    (0x00080119, "UC", b"a long code "),
    (0x00081190, "UR", b"http://example.org"),
    (
        0x00081140,
        "SQ",
        (
            ((0x00081150, "UI", b"1.2\0"), (0x00081160, "IS", b"1\\2 ")),
            (),
            ((0x0040A170, "SQ", (((0x00080104, "LO", b"nested"),), ())),),
        ),
    ),
    (0x00090010, "LO", b"nobody's"),
    (0x00091001, "UN", b"\1\2\3\4"),
    (0x00100010, "PN", b"Doe^Jane"),
    (0x00101010, "AS", b"042Y"),
    (0x00102000, "LO", b""),
    (0x00186020, "SL", (-2, 3)),
    (0x00189073, "FD", (1.5, -2.25)),
    (0x00189219, "SS", (-2,)),
    (0x00280009, "AT", (0x18, 0x1063, 0x5200, 0x9229)),
    (0x00280010, "US", (3,)),
    (0x00280100, "US", (16,)),
    (0x00280103, "US", (1,)),
    (0x00280106, "SS", (-1000,)),
    (0x00281050, "DS", b"40\\80 "),
    (0x00281201, "OW", (1, 2, 0xFFFE)),
    (0x0040A13A, "DT", b"202402291200"),
    (0x0040A160, "UT", b"text"),
    (0x00181320, "FL", (0.5,)),
    (0x00660016, "OF", (1.5, 2.5)),
    (0x00660022, "OD", (1.5,)),
    (0x00660040, "OL", (1, 0x01020304)),
    (0x00720078, "UL", (7,)),
    (0x00720081, "OV", (0x0102030405060708,)),
    (0x00720082, "SV", (-2,)),
    (0x00720083, "UV", (1 << 40,)),
    (0x60000010, "US", (8,)),
    (0x60003000, "OW", (0x0102,)),
    (0x7FE00010, "OW", (1, 2, 3, 0x1234)),
)
"""An element of nearly every VR, with those that VRs depend on."""

EVERY_KIND = tuple(sorted(EVERY_KIND, key=lambda element: element[0]))
