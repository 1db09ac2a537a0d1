"""Datasets in another transfer syntax, where nothing can be lost (PS3.5 annex A).

Between Implicit VR Little Endian, the two with explicit VR, and Deflated. What comes out is what
DCMTK's `dcmconv` makes of the same file, except that values are kept to the last padding byte.
"""

from __future__ import annotations

import array
import contextlib
import tempfile
from typing import BinaryIO

from aiodicom.objects.deflate import INFLATED_LIMIT, deflate, inflate
from aiodicom.objects.elements import (
    LONG_VRS,
    LONGEST_SHORT_VALUE,
    UNDEFINED,
    CannotConvert,
    Reader,
    encode_header,
    tag_text,
)
from aiodicom.objects.structure import UNITS, Kind, Part, parts
from aiodicom.wire.elements import Encoding, encoding_of
from aiodicom.wire.negotiation import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE

__all__ = ["CONVERTIBLE", "CannotConvert", "convert"]

CONVERTIBLE = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, "1.2.840.10008.1.2.1.99"})
"""The transfer syntaxes between which datasets are converted."""

FLUSHED = 1 << 18
"""Bytes that are collected before they are written."""

LONGEST = 0xFFFFFFFE
"""Bytes that a sequence, an item or a group may have."""

_NEW_VRS = frozenset(b"UN UT UC UR OF OD OL OV SV UV".split())
"""VRs that came after 1993, as DCMTK has them."""

_CODES = {2: "H", 4: "I", 8: "Q"}


def convert(
    source: BinaryIO,
    target: BinaryIO,
    from_uid: str,
    to_uid: str,
    *,
    start: int = 0,
    size: int | None = None,
    level: int = 6,
    without_new_vrs: bool = False,
    limit: int = INFLATED_LIMIT,
) -> None:
    """Write a dataset in another transfer syntax.

    Memory is bounded, whatever the size; a deflated side costs a temporary file of the inflated
    size. Takes as long as the disk does, and blocks: for worker threads.

    Parameters
    ----------
    source : BinaryIO
        The file that the dataset is in; one can seek in it.
    target : BinaryIO
        Takes the converted dataset at its current position; one can seek in it. What is there
        after an error is of no use.
    from_uid, to_uid : str
        Transfer syntaxes, of those in `CONVERTIBLE`. Where they are the same, for the sake of
        `without_new_vrs`, they may be any of the standard's; fragments stay as they are.
    start, size : int, optional
        Where the dataset stands in `source`, in bytes; by default to the end of the file.
    level : int
        Of deflating: 0 (not compressed) to 9 (best).
    without_new_vrs : bool
        Write UN, UT and the other VRs that came after 1993 as OB, their numbers little endian.
    limit : int
        Bytes that a deflated dataset may inflate to.

    Raises
    ------
    CannotConvert
        Where the result might not be the same dataset: says why.
    OSError
        Where a file cannot be read or written.
    """
    is_same = from_uid == to_uid
    written, wanted = (_encoding(uid, is_same) for uid in (from_uid, to_uid))
    with contextlib.ExitStack() as files:
        if written.is_deflated:
            inflated = files.enter_context(tempfile.TemporaryFile())
            inflate(source, start, Reader(source, start, size).size, inflated, limit)
            source, start, size = inflated, 0, None
        made = target
        if wanted.is_deflated:
            made = files.enter_context(tempfile.TemporaryFile())
        output = _Output(made)
        encoder = _Encoder(Reader(source, start, size), output, wanted, without_new_vrs)
        encoder.encode(written, takes_encapsulated=is_same)
        output.flush()
        if wanted.is_deflated:
            whole = Reader(made)
            deflate(whole.chunks(0, whole.size), target, level)


def _encoding(uid: str, is_same: bool) -> Encoding:
    encoding = encoding_of(uid)
    if encoding is None or not (is_same or uid in CONVERTIBLE):
        raise CannotConvert(f"no conversion from or to transfer syntax {uid}")
    return encoding


class _Output:
    """Collects what is written, in which lengths are filled in later."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target
        self._start = target.tell()
        self._flushed = 0
        self._buffer = bytearray()

    @property
    def position(self) -> int:
        """Bytes that have been written."""
        return self._flushed + len(self._buffer)

    def write(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) >= FLUSHED:
            self.flush()

    def fill(self, position: int, data: bytes) -> None:
        """Write over bytes that came from one `write`."""
        offset = position - self._flushed
        if offset >= 0:
            self._buffer[offset : offset + len(data)] = data
            return
        self._target.seek(self._start + position)
        self._target.write(data)
        self._target.seek(self._start + self._flushed)

    def flush(self) -> None:
        self._target.write(self._buffer)
        self._flushed += len(self._buffer)
        self._buffer.clear()


class _Open:
    """A sequence, an item or the dataset while it is written."""

    __slots__ = ("group", "group_start", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.group = -1
        self.group_start = 0


class _Encoder:
    def __init__(
        self, reader: Reader, output: _Output, encoding: Encoding, without_new_vrs: bool
    ) -> None:
        self._reader = reader
        self._output = output
        self._encoding = encoding
        self._replaced = _NEW_VRS if without_new_vrs else frozenset()
        self._order = "big" if encoding.is_big else "little"
        self._open = [_Open(0)]

    def encode(self, written: Encoding, *, takes_encapsulated: bool) -> None:
        """Write all of a dataset."""
        needs_unit = self._encoding.is_big
        for part in parts(
            self._reader, written, needs_unit=needs_unit, takes_encapsulated=takes_encapsulated
        ):
            if part.kind is Kind.ELEMENT:
                self._element(part)
            elif part.kind is Kind.ENCAPSULATED:
                self._enter_group(part.tag)
                # OB, where some senders have OW (PS3.5 A.4).
                self._output.write(encode_header(part.tag, b"OB", UNDEFINED, self._encoding))
                self._copy(part, 1)
            elif part.kind in (Kind.SEQUENCE, Kind.ITEM):
                self._begin(part)
            else:
                self._end()
        self._end_group(self._open[0])

    def _element(self, part: Part) -> None:
        tag, vr, length = part.tag, part.vr, part.length
        self._enter_group(tag)
        if not tag & 0xFFFF:
            self._group_length(part)
            return
        is_big = self._encoding.is_big
        if self._encoding.is_explicit and length > LONGEST_SHORT_VALUE and vr not in LONG_VRS:
            vr = b"UN"  # PS3.5 6.2.2, note 2
        if vr in self._replaced:
            vr, is_big = b"OB", False
        self._output.write(encode_header(tag, vr, length, self._encoding))
        unit = 1 if vr == b"UN" or part.is_big == is_big else UNITS.get(part.vr, 1)
        self._copy(part, unit)

    def _copy(self, part: Part, unit: int) -> None:
        for chunk in self._reader.chunks(part.position, part.length):
            self._output.write(_swapped(chunk, unit) if unit > 1 else chunk)

    def _begin(self, part: Part) -> None:
        if part.kind is Kind.SEQUENCE:
            self._enter_group(part.tag)
        self._output.write(encode_header(part.tag, part.vr, 0, self._encoding))
        self._open.append(_Open(self._output.position))

    def _end(self) -> None:
        ended = self._open.pop()
        self._end_group(ended)
        self._fill_length(ended.start - 4, self._output.position - ended.start)

    def _group_length(self, part: Part) -> None:
        """Write a group length that is filled in when the group has ended (PS3.5 7.2)."""
        if part.vr != b"UL" or part.length != 4:
            raise CannotConvert(f"the group length {tag_text(part.tag)} is no UL")
        self._output.write(encode_header(part.tag, b"UL", 4, self._encoding) + bytes(4))
        level = self._open[-1]
        level.group, level.group_start = part.tag >> 16, self._output.position

    def _enter_group(self, tag: int) -> None:
        level = self._open[-1]
        if level.group not in (-1, tag >> 16):
            self._end_group(level)

    def _end_group(self, level: _Open) -> None:
        if level.group >= 0:
            self._fill_length(level.group_start - 4, self._output.position - level.group_start)
            level.group = -1

    def _fill_length(self, position: int, length: int) -> None:
        if length > LONGEST:
            raise CannotConvert("a sequence, an item or a group becomes longer than 4 GB")
        self._output.fill(position, length.to_bytes(4, self._order))  # type: ignore[arg-type]


def _swapped(data: bytes, unit: int) -> bytes:
    numbers = array.array(_CODES[unit], data)
    numbers.byteswap()
    return numbers.tobytes()
