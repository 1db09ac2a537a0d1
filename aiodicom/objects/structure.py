"""Goes through a dataset to its last element, sequences included, and checks its structure.

One pass over the file, and nothing is kept but what encloses the place that is looked at.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import NamedTuple

from aiodicom.objects.elements import (
    ITEM,
    ITEM_END,
    MAXIMUM_DEPTH,
    SEQUENCE_END,
    UNDEFINED,
    CannotConvert,
    Header,
    Reader,
    after_undefined,
    tag_text,
)
from aiodicom.objects.representations import (
    LONGEST_CREATOR,
    PIXEL_DATA,
    PIXEL_REPRESENTATION,
    WAVEFORM_BITS_ALLOCATED,
    Surroundings,
    implicit_vr,
    is_creator,
)
from aiodicom.wire.elements import Encoding

__all__ = ["UNITS", "Kind", "Part", "parts"]

UNITS = {
    **dict.fromkeys((b"US", b"SS", b"OW", b"AT"), 2),
    **dict.fromkeys((b"UL", b"SL", b"FL", b"OL", b"OF"), 4),
    **dict.fromkeys((b"FD", b"OD", b"OV", b"SV", b"UV"), 8),
}
"""Bytes that byte order turns around together (PS3.5 7.3); AT is two numbers."""

_SIZES = UNITS | {b"AT": 4}

_BULK = (b"OB", b"OW")


class Kind(enum.Enum):
    """What a part is."""

    ELEMENT = enum.auto()
    ENCAPSULATED = enum.auto()
    SEQUENCE = enum.auto()
    ITEM = enum.auto()
    ITEM_END = enum.auto()
    SEQUENCE_END = enum.auto()


class Part(NamedTuple):
    """An element with its value, or the beginning or end of a sequence or an item.

    `position` and `length` say where the value of an element stands, in bytes; `is_big` is the
    byte order that it has there. The value of encapsulated pixel data is all of its fragments,
    with what is around them.
    """

    kind: Kind
    tag: int = 0
    vr: bytes = b""
    position: int = 0
    length: int = 0
    is_big: bool = False


class _Level:
    """What encloses the place that is looked at: the dataset, a sequence or an item."""

    __slots__ = (
        "around",
        "is_big",
        "is_defined",
        "is_explicit",
        "is_sequence",
        "limit",
        "previous",
    )

    def __init__(
        self,
        around: Surroundings,
        limit: int,
        *,
        is_sequence: bool,
        is_defined: bool,
        is_explicit: bool,
        is_big: bool,
    ) -> None:
        self.around = around
        self.limit = limit
        self.is_sequence = is_sequence
        self.is_defined = is_defined
        self.is_explicit = is_explicit
        self.is_big = is_big
        self.previous = -1


def parts(
    reader: Reader, encoding: Encoding, *, needs_unit: bool, takes_encapsulated: bool = False
) -> Iterator[Part]:
    """Go through a dataset.

    Parameters
    ----------
    reader : Reader
        The dataset, inflated.
    encoding : Encoding
        How it is written.
    needs_unit : bool
        Whether OB and OW are not the same for what is done with it.
    takes_encapsulated : bool
        Whether pixel data may be encapsulated.

    Yields
    ------
    Part
        In the order of the file. Sequences of unknown VR and undefined length are sequences
        (PS3.5 6.2.2).

    Raises
    ------
    CannotConvert
        Where its structure is not that of PS3.5 section 7, pixel data is encapsulated and
        may not be, or the VR of an element cannot be decided.
    """
    return _Parser(reader, encoding, needs_unit, takes_encapsulated).parts()


class _Parser:
    def __init__(
        self, reader: Reader, encoding: Encoding, needs_unit: bool, takes_encapsulated: bool
    ) -> None:
        self._reader = reader
        self._needs_unit = needs_unit
        self._takes_encapsulated = takes_encapsulated
        self._position = 0
        self._level = _Level(
            Surroundings(),
            reader.size,
            is_sequence=False,
            is_defined=True,
            is_explicit=encoding.is_explicit,
            is_big=encoding.is_big,
        )
        self._outer: list[_Level] = []

    def parts(self) -> Iterator[Part]:
        while True:
            level = self._level
            if self._position == level.limit and level.is_defined:
                if not self._outer:
                    return
                yield self._leave()
            else:
                header = self._reader.header(
                    self._position, level.limit, level.is_explicit, level.is_big
                )
                self._position = header.position
                yield self._in_sequence(header) if level.is_sequence else self._in_item(header)

    def _in_sequence(self, header: Header) -> Part:
        level = self._level
        if header.tag == SEQUENCE_END and not level.is_defined and not header.length:
            return self._leave()
        if header.tag != ITEM:
            raise CannotConvert(f"{tag_text(header.tag)} stands where an item should (PS3.5 7.5)")
        around = Surroundings(level.around.nearest_signed)
        self._enter(header, around, level.is_explicit, level.is_big, is_sequence=False)
        return Part(Kind.ITEM, ITEM)

    def _in_item(self, header: Header) -> Part:
        level, tag = self._level, header.tag
        if tag == ITEM_END and not level.is_defined and not header.length:
            return self._leave()
        if tag >> 16 == 0xFFFE:
            raise CannotConvert(f"{tag_text(tag)} stands where an element should (PS3.5 7.5)")
        if tag <= level.previous:
            raise CannotConvert(f"its elements are not in ascending order at {tag_text(tag)}")
        level.previous = tag
        vr = header.vr if level.is_explicit else self._implicit_vr(header)
        is_unknown = vr == b"UN" and header.length == UNDEFINED
        if tag == PIXEL_DATA and vr not in _BULK:
            raise CannotConvert("its pixel data is neither OB nor OW")
        if tag == PIXEL_DATA and header.length == UNDEFINED:
            return self._encapsulated(header)
        if vr == b"SQ" or is_unknown:
            # What stands in a UN of undefined length is implicit little endian (PS3.5 6.2.2).
            is_explicit, is_big = level.is_explicit, level.is_big
            if is_unknown:
                is_explicit = is_big = False
            self._enter(header, level.around, is_explicit, is_big, is_sequence=True)
            return Part(Kind.SEQUENCE, tag, b"SQ")
        self._check_value(header, vr)
        self._note(header)
        self._position += header.length
        return Part(Kind.ELEMENT, tag, vr, header.position, header.length, level.is_big)

    def _encapsulated(self, header: Header) -> Part:
        level = self._level
        if not self._takes_encapsulated or not level.is_explicit:
            raise CannotConvert("its pixel data is encapsulated")
        end = after_undefined(self._reader, header, level.is_explicit, level.is_big)
        if end > level.limit:
            raise CannotConvert(f"{tag_text(header.tag)} is longer than what it is in")
        self._position = end
        length = end - header.position
        return Part(Kind.ENCAPSULATED, header.tag, header.vr, header.position, length)

    def _implicit_vr(self, header: Header) -> bytes:
        tag, _, length, position = header
        if length != UNDEFINED:
            self._check_length(header)
        return implicit_vr(
            tag,
            length,
            self._level.around,
            lambda: self._reader.value(position, length),
            self._needs_unit,
        )

    def _check_length(self, header: Header) -> None:
        if header.length % 2:
            raise CannotConvert(f"{tag_text(header.tag)} has an odd length (PS3.5 7.1.1)")
        if header.position + header.length > self._level.limit:
            raise CannotConvert(f"{tag_text(header.tag)} is longer than what it is in")

    def _check_value(self, header: Header, vr: bytes) -> None:
        if header.length == UNDEFINED:
            raise CannotConvert(
                f"{tag_text(header.tag)} has an undefined length: it is encapsulated, or no element"
            )
        self._check_length(header)
        if header.length % _SIZES.get(vr, 1):
            raise CannotConvert(
                f"the length of {tag_text(header.tag)} does not fit its VR, {vr.decode()}"
            )

    def _note(self, header: Header) -> None:
        """Keep what decides about VRs to come."""
        tag, length, around = header.tag, header.length, self._level.around
        if is_creator(tag):
            if length <= LONGEST_CREATOR:
                around.note_creator(tag, self._reader.value(header.position, length))
        elif tag in (PIXEL_REPRESENTATION, WAVEFORM_BITS_ALLOCATED) and length >= 2:
            # It only matters for what is implicit, thus little endian; elsewhere for being 0.
            number = int.from_bytes(self._reader.value(header.position, 2), "little")
            if tag == PIXEL_REPRESENTATION:
                around.signed = number
            else:
                around.waveform_bits = number

    def _enter(
        self,
        header: Header,
        around: Surroundings,
        is_explicit: bool,
        is_big: bool,
        *,
        is_sequence: bool,
    ) -> None:
        if len(self._outer) >= 2 * MAXIMUM_DEPTH:  # each with an item
            raise CannotConvert("its sequences are nested too deeply")
        is_defined = header.length != UNDEFINED
        if is_defined:
            self._check_length(header)
        limit = header.position + header.length if is_defined else self._level.limit
        self._outer.append(self._level)
        self._level = _Level(
            around,
            limit,
            is_sequence=is_sequence,
            is_defined=is_defined,
            is_explicit=is_explicit,
            is_big=is_big,
        )

    def _leave(self) -> Part:
        is_sequence = self._level.is_sequence
        self._level = self._outer.pop()
        return Part(Kind.SEQUENCE_END if is_sequence else Kind.ITEM_END)
