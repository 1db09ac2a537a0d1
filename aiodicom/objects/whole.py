"""Whether a dataset in a file goes to its end, or was cut off in the middle of an element.

Nearly every file proves at once that it is whole: its pixel data is as long as what is left, or
ends with a delimiter; or it is small, and walked. Only where neither does all elements are looked
at closely. Plain functions for worker threads.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from typing import NamedTuple

from aiodicom.errors import NotSent, Refused
from aiodicom.objects.elements import (
    SEQUENCE_END,
    UNDEFINED,
    WINDOW,
    CannotConvert,
    CutOff,
    Reader,
    after_value,
    encode_header,
    next_header,
    really_written,
)
from aiodicom.objects.representations import PIXEL_DATA
from aiodicom.wire.elements import EXPLICIT_LITTLE, ElementWalker, Encoding

__all__ = ["check_whole"]

MOST = 5000
"""Elements that are walked, in some milliseconds; a dataset of more is taken as it is."""

_NONE = 0xFFFFFFFF
"""The tag of no element."""

_DELIMITER = encode_header(SEQUENCE_END, b"", 0, EXPLICIT_LITTLE)


def check_whole(
    descriptor: int, start: int, size: int, encoding: Encoding, beginning: bytes
) -> None:
    """Check that a dataset does not end inside an element.

    One that is deflated, or cannot be followed, is taken as it is.

    Parameters
    ----------
    descriptor : int
        Its file, open for reading.
    start, size : int
        Where it stands in there, in bytes.
    encoding : Encoding
        How it is written.
    beginning : bytes
        What has been read of it.

    Raises
    ------
    NotSent
        Where it does.
    """
    dataset = _Dataset(descriptor, start, size, encoding)
    if encoding.is_deflated or size in (ends := _ends_of_pixels(dataset, beginning)):
        return
    if size > len(beginning):
        beginning = os.pread(descriptor, WINDOW, start)
        ends = _ends_of_pixels(dataset, beginning)
    if size in ends or (not ends and size <= len(beginning) and _is_walked(beginning, encoding)):
        return
    with open(descriptor, "rb", closefd=False) as file:
        _check(Reader(file, start, size, most=MOST), encoding, ends)


class _Dataset(NamedTuple):
    descriptor: int
    start: int
    size: int
    encoding: Encoding

    @property
    def last(self) -> bytes:
        """Its last eight bytes."""
        return os.pread(self.descriptor, 8, self.start + self.size - 8)


def _is_walked(data: bytes, encoding: Encoding) -> bool:
    """Walk a dataset to its end, as a receiver does: fast, without a word about what is wrong."""
    walker = ElementWalker(encoding, (_NONE,), MOST)
    try:
        walker.feed(data)
        walker.end()
    except Refused:
        return False
    return True


def _ends_of_pixels(dataset: _Dataset, beginning: bytes) -> list[int]:
    """Return where pixel data ends that begins there, and what looks like it: also an icon's."""
    encoding, size = dataset.encoding, dataset.size
    tag = encode_header(PIXEL_DATA, b"", 0, encoding)[:4]
    head, order = 12 if encoding.is_explicit else 8, ">I" if encoding.is_big else "<I"
    ends = []
    position = beginning.find(tag)
    while position >= 0 and (value := position + head) <= len(beginning):
        (length,) = struct.unpack_from(order, beginning, value - 4)
        if value + length <= size:
            ends.append(value + length)
        elif length == UNDEFINED and dataset.last == _DELIMITER:
            ends.append(size)
        position = beginning.find(tag, position + 4)
    return ends


def _check(reader: Reader, encoding: Encoding, ends: Iterable[int]) -> None:
    try:
        encoding = really_written(reader, encoding)
        if not any(_is_whole_from(reader, encoding, end) for end in ends):
            _walk(reader, encoding)
    except CutOff as error:
        raise NotSent(f"it was cut off: {error}") from None
    except CannotConvert:
        pass  # it is odd in another way, which is not for us to judge


def _is_whole_from(reader: Reader, encoding: Encoding, end: int) -> bool:
    """Tell whether what seems to follow pixel data goes to the end."""
    try:
        _walk(reader, encoding, end, PIXEL_DATA)
    except CannotConvert:
        return False
    return True


def _walk(reader: Reader, encoding: Encoding, position: int = 0, previous: int = -1) -> None:
    while position < reader.size:
        header = next_header(reader, position, encoding, previous)
        position, previous = after_value(reader, header, encoding), header.tag
