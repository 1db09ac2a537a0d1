"""The VRs of elements that are written without one (PS3.5 A.1, 6.2.2 and 7.8).

Where the dictionary leaves a choice it is made as DCMTK makes it, and only where that choice
cannot damage a value; anything else is not decided. pydicom is imported when first needed.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable

from aiodicom.objects.elements import (
    LONG_VRS,
    LONGEST_SHORT_VALUE,
    SHORT_VRS,
    CannotConvert,
    tag_text,
)

__all__ = ["Surroundings", "implicit_vr", "standard_vr"]

PIXEL_REPRESENTATION = 0x00280103
WAVEFORM_BITS_ALLOCATED = 0x54001004
PIXEL_DATA = 0x7FE00010

LONGEST_CREATOR = 64
"""Bytes of a private creator that is known; an LO has no more characters."""

_DESCRIPTORS = frozenset({0x00281101, 0x00281102, 0x00281103, 0x00283002})
"""LUT descriptors: only the second of their three numbers can be signed (PS3.3 C.11.1.1)."""


_SIGNED_WITH_PIXELS = frozenset(
    {
        *range(0x00280106, 0x0028010A),
        0x00280120,
        0x00280121,
        0x00283002,
        0x00409211,
        0x00409216,
        0x00603004,
        0x00603006,
    }
)
"""Those that DCMTK gives the sign of the pixels; all others are US to it."""


class Surroundings:
    """What an item, or a dataset, says about the representations of its own elements.

    Attributes
    ----------
    signed : int or None
        Its Pixel Representation (0028,0103), once it has come.
    outer_signed : int or None
        That of what encloses it.
    waveform_bits : int or None
        Its Waveform Bits Allocated (5400,1004), once it has come.
    """

    __slots__ = ("_creators", "_group", "outer_signed", "signed", "waveform_bits")

    def __init__(self, outer_signed: int | None = None) -> None:
        self.signed: int | None = None
        self.outer_signed = outer_signed
        self.waveform_bits: int | None = None
        self._group = 0
        self._creators: dict[int, str] = {}

    @property
    def nearest_signed(self) -> int | None:
        """The Pixel Representation that holds here."""
        return self.outer_signed if self.signed is None else self.signed

    def note_creator(self, tag: int, value: bytes) -> None:
        """Keep a private creator; those of an earlier group are of no use any more."""
        if tag >> 16 != self._group:
            self._group = tag >> 16
            self._creators.clear()
        self._creators[tag & 0xFF] = value.decode("latin-1").strip("\0 ")

    def creator(self, tag: int) -> str | None:
        """Return who reserved the block of a private element (PS3.5 7.8.1)."""
        if tag >> 16 != self._group:
            return None
        return self._creators.get(tag >> 8 & 0xFF)


def is_creator(tag: int) -> bool:
    """Whether a tag is one of a private creator."""
    return bool(tag & 0x10000) and 0x10 <= tag & 0xFFFF <= 0xFF


@functools.lru_cache(maxsize=4096)
def standard_vr(tag: int) -> str:
    """Return what the dictionary says of a tag (PS3.6); UN where it does not know it."""
    from pydicom.datadict import dictionary_VR

    if not tag & 0xFFFF:
        return "UL"  # a group length
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return "UN"


@functools.lru_cache(maxsize=4096)
def _private_vr(tag: int, creator: str) -> str:
    from pydicom.datadict import private_dictionary_VR

    try:
        vr = private_dictionary_VR(tag, creator)
    except KeyError:
        return "UN"
    return vr if _is_known(vr) else "UN"


def _is_known(vr: str) -> bool:
    code = vr.encode()
    return code in SHORT_VRS or code in LONG_VRS


def implicit_vr(
    tag: int,
    length: int,
    around: Surroundings,
    read: Callable[[], bytes],
    needs_unit: bool,
) -> bytes:
    """Return the VR of an element that is written with implicit VR.

    Parameters
    ----------
    tag : int
        Its tag.
    length : int
        Bytes of its value.
    around : Surroundings
        Of the item or dataset that it is in.
    read : callable
        Returns its value; called only where that decides.
    needs_unit : bool
        Whether the value is going to be swapped, so that OB and OW are not the same.

    Raises
    ------
    CannotConvert
        Where the VR cannot be decided.
    """
    if tag & 0x10000:
        return _vr_of_private(tag, around)
    vr = standard_vr(tag)
    if _is_known(vr):
        return vr.encode()
    if vr == "US or SS":
        return _us_or_ss(tag, length, around, read)
    if vr == "OB or OW":
        return _ob_or_ow(tag, length, around, needs_unit)
    # LUT data is US or OW: words either way. The rest comes from dictionaries of the user's.
    return b"OW" if "OW" in vr else b"UN"


def _vr_of_private(tag: int, around: Surroundings) -> bytes:
    if not tag & 0xFFFF:
        return b"UL"
    if is_creator(tag):
        return b"LO"
    creator = around.creator(tag) if tag & 0xFFFF >= 0x1000 else None
    return _private_vr(tag, creator).encode() if creator else b"UN"


def _us_or_ss(tag: int, length: int, around: Surroundings, read: Callable[[], bytes]) -> bytes:
    """Decide by Pixel Representation, or by numbers that are the same with either."""
    if around.signed is not None and tag in _SIGNED_WITH_PIXELS:
        return b"SS" if around.signed == 1 else b"US"
    if around.nearest_signed == 0 or length > LONGEST_SHORT_VALUE or length % 2:
        return b"US"
    numbers = struct.unpack(f"<{length // 2}H", read())
    if tag in _DESCRIPTORS:
        numbers = numbers[1:2]
    if any(number > 0x7FFF for number in numbers):
        raise CannotConvert(
            f"{tag_text(tag)} may be US or SS, and its item does not say which "
            "(Pixel Representation, PS3.5 A.1)"
        )
    return b"US"


def _ob_or_ow(tag: int, length: int, around: Surroundings, needs_unit: bool) -> bytes:
    group, element = tag >> 16, tag & 0xFFFF
    if tag == PIXEL_DATA or (group & 0xFF00 == 0x6000 and element == 0x3000):
        return b"OW"  # PS3.5 A.1
    if group == 0x5400 and around.waveform_bits is not None:
        return b"OW" if around.waveform_bits > 8 else b"OB"
    if needs_unit and length:
        raise CannotConvert(
            f"{tag_text(tag)} may be bytes or words, and its item does not say which (PS3.5 A.1)"
        )
    return b"OB"
