"""The elements of an encoded dataset, wherever it stands in a file (PS3.5 section 7.1).

Nothing is held but a window of the file; lengths are checked against what is there before they
are believed. Plain functions for worker threads.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from aiodicom.errors import NotSent
from aiodicom.wire.elements import Encoding

__all__ = [
    "UNDEFINED",
    "CannotConvert",
    "CutOff",
    "Header",
    "LONG_VRS",
    "Reader",
    "after_undefined",
    "after_value",
    "encode_header",
    "next_header",
    "really_written",
    "tag_text",
]

UNDEFINED = 0xFFFFFFFF
ITEM = 0xFFFEE000
ITEM_END = 0xFFFEE00D
SEQUENCE_END = 0xFFFEE0DD

SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())

MAXIMUM_DEPTH = 64
"""Sequences within each other; the limit that other receivers chose too."""

LONGEST_SHORT_VALUE = 0xFFFE
"""Bytes that an even length of 16 bits can say (PS3.5 7.1.2)."""

WINDOW = 1 << 16
"""Bytes that are read of the file at once in search of elements."""

CHUNK = 1 << 18
"""Bytes of a long value that are read at once; a multiple of all units."""

_SHORT_HEADERS = [struct.Struct(order + "HH2sH") for order in "<>"]
_LONG_HEADERS = [struct.Struct(order + "HH2s2xI") for order in "<>"]
_PLAIN_HEADERS = [struct.Struct(order + "HHI") for order in "<>"]
_LENGTHS = [struct.Struct(order + "I") for order in "<>"]


class CannotConvert(NotSent):
    """A dataset cannot be re-encoded, or altered, such that nothing in it is lost or damaged."""


class CutOff(CannotConvert):
    """A dataset, or an item, ends inside an element."""


class Header(NamedTuple):
    """What precedes a value.

    `vr` is empty where there is none: with implicit VR, and in items and delimiters. `position`
    is where the value begins, in bytes from the beginning of the dataset; `length` is in bytes,
    or `UNDEFINED`.
    """

    tag: int
    vr: bytes
    length: int
    position: int


def tag_text(tag: int) -> str:
    """Return a tag as people write it."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def encode_header(tag: int, vr: bytes, length: int, encoding: Encoding) -> bytes:
    """Return what precedes a value of `length` bytes (PS3.5 7.1.2 and 7.1.3).

    Parameters
    ----------
    tag : int
        A 32-bit number.
    vr : bytes
        Its value representation; empty for an item or a delimiter.
    length : int
        Bytes, or `UNDEFINED`.
    encoding : Encoding
        How the dataset is written.
    """
    group, element = tag >> 16, tag & 0xFFFF
    if not encoding.is_explicit or not vr:
        return _PLAIN_HEADERS[encoding.is_big].pack(group, element, length)
    if vr in LONG_VRS:
        return _LONG_HEADERS[encoding.is_big].pack(group, element, vr, length)
    return _SHORT_HEADERS[encoding.is_big].pack(group, element, vr, length)


class Reader:
    """Reads headers and values of the dataset in a file.

    Parameters
    ----------
    file : BinaryIO
        The file, opened for reading, in which one can seek.
    start : int
        Where the dataset begins in it, in bytes.
    size : int, optional
        How many bytes it has; by default all until the end of the file.
    most : int, optional
        How many headers are read at most; by default any number.
    """

    def __init__(
        self, file: BinaryIO, start: int = 0, size: int | None = None, most: float = math.inf
    ) -> None:
        self._file = file
        self._left = most
        self._start = start
        if size is None:
            size = max(file.seek(0, io.SEEK_END) - start, 0)
        self.size = size
        self._window = b""
        self._begin = 0

    def header(self, position: int, limit: int, is_explicit: bool, is_big: bool) -> Header:
        """Read the header at a position.

        Parameters
        ----------
        position : int
            Where it begins.
        limit : int
            Where that ends which it is a part of.
        is_explicit, is_big : bool
            How it is written.

        Raises
        ------
        CannotConvert
            Where there is none, or none with a VR of the standard's, or there were too many.
        """
        self._left -= 1
        if self._left < 0:
            raise CannotConvert("it has too many elements")
        if limit - position < 8:
            raise CutOff(f"it ends inside an element at byte {position}")
        offset = self._load(position, 8)
        if is_explicit:
            unpack = _SHORT_HEADERS[is_big].unpack_from
            group, element, vr, length = unpack(self._window, offset)
            if vr in SHORT_VRS and group != 0xFFFE:
                return Header(group << 16 | element, vr, length, position + 8)
            if vr in LONG_VRS and group != 0xFFFE:
                if limit - position < 12:
                    raise CutOff(f"it ends inside {tag_text(group << 16 | element)}")
                offset = self._load(position, 12)
                length = _LENGTHS[is_big].unpack_from(self._window, offset + 8)[0]
                return Header(group << 16 | element, vr, length, position + 12)
            if group != 0xFFFE:
                tag = tag_text(group << 16 | element)
                raise CannotConvert(f"{tag} has no VR that the standard knows")
        group, element, length = _PLAIN_HEADERS[is_big].unpack_from(self._window, offset)
        return Header(group << 16 | element, b"", length, position + 8)

    def value(self, position: int, length: int) -> bytes:
        """Read a short value, at most `WINDOW` bytes."""
        offset = self._load(position, length)
        return self._window[offset : offset + length]

    def chunks(self, position: int, length: int) -> Iterator[bytes]:
        """Read a value of any length, at most `CHUNK` bytes at a time."""
        if length <= WINDOW:
            yield self.value(position, length)
            return
        end = position + length
        while position < end:
            chunk = self._read(position, min(CHUNK, end - position))
            yield chunk
            position += len(chunk)

    def _load(self, position: int, count: int) -> int:
        """Return where the bytes at `position` stand in the window, which then holds `count`."""
        offset = position - self._begin
        if offset < 0 or offset + count > len(self._window):
            self._window = self._read(position, max(count, min(WINDOW, self.size - position)))
            self._begin, offset = position, 0
        return offset

    def _read(self, position: int, count: int) -> bytes:
        self._file.seek(self._start + position)
        data = self._file.read(count)
        if len(data) < count:
            raise CannotConvert("the file is shorter than it was")
        return data


def after_undefined(reader: Reader, header: Header, is_explicit: bool, is_big: bool) -> int:
    """Return where an element of undefined length ends.

    Parameters
    ----------
    reader : Reader
        The dataset.
    header : Header
        The element's.
    is_explicit, is_big : bool
        How the element is written.

    Raises
    ------
    CannotConvert
        Where its items are nested too deeply, or do not end.
    """
    # What stands in a UN of undefined length is implicit little endian (PS3.5 6.2.2).
    levels = [(is_explicit and header.vr != b"UN", is_big and header.vr != b"UN")]
    position = header.position
    while levels:
        inner = reader.header(position, reader.size, *levels[-1])
        position = inner.position
        if inner.tag in (ITEM_END, SEQUENCE_END):
            levels.pop()
        elif inner.length != UNDEFINED:
            position += inner.length
        elif len(levels) > 2 * MAXIMUM_DEPTH:  # each with an item
            raise CannotConvert("its sequences are nested too deeply")
        elif inner.vr == b"UN":
            levels.append((False, False))
        else:
            levels.append(levels[-1])
    return position


# The top level of a dataset ----------------------------------------------------------------------


def really_written(reader: Reader, encoding: Encoding) -> Encoding:
    """Return how a dataset is really written.

    Implicit VR under an explicit transfer syntax: there are such files.
    """
    if encoding.is_explicit and not encoding.is_big and reader.size:
        try:
            reader.header(0, reader.size, True, False)
        except CannotConvert:
            return Encoding(is_explicit=False)
    return encoding


def next_header(reader: Reader, position: int, encoding: Encoding, previous: int) -> Header:
    """Read the header at a position, of an element that follows the one whose tag is `previous`.

    Raises
    ------
    CannotConvert
        Where there is none, or it does not follow.
    """
    header = reader.header(position, reader.size, encoding.is_explicit, encoding.is_big)
    if header.tag <= previous or header.tag >> 16 == 0xFFFE:
        raise CannotConvert(f"its elements are not in ascending order at {tag_text(header.tag)}")
    return header


def after_value(reader: Reader, header: Header, encoding: Encoding) -> int:
    """Return where an element ends.

    Raises
    ------
    CutOff
        Where the dataset has ended before.
    CannotConvert
        Where its items are nested too deeply.
    """
    if header.length == UNDEFINED:
        end = after_undefined(reader, header, encoding.is_explicit, encoding.is_big)
    else:
        end = header.position + header.length
    if end > reader.size:
        raise CutOff(f"{tag_text(header.tag)} is longer than the dataset")
    return end
