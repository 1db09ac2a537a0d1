"""Walks the top level of an encoded dataset while its prefix grows (PS3.5 section 7).

Used to check that what arrives begins like a dataset, and to find a few attributes of it before
the rest has come. Nothing is decoded that is not asked for, lengths are never believed before
the bytes are there, and nesting is counted, not recursed into.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection
from dataclasses import dataclass

from aiodicom.errors import Refused
from aiodicom.wire.dimse import Status

__all__ = ["ElementWalker", "Encoding", "encoding_of"]

MAXIMUM_VALUE_LENGTH = 1 << 14
"""The longest value, in bytes, that is kept; a longer one is cut."""

MAXIMUM_DEPTH = 64
"""Sequences of undefined length within each other; the limit that other receivers chose too."""

INFLATE_STEP = 1 << 16
"""Bytes that one step of inflating may make, so that a bomb costs as much as it sent."""

_UNDEFINED = 0xFFFFFFFF
_ITEM = 0xFFFEE000
_ITEM_END = 0xFFFEE00D
_SEQUENCE_END = 0xFFFEE0DD

_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())

_PRIVATE_IMPLICIT = "1.2.840.113619.5.2"  # implicit little endian but for its pixels
_DEFLATED = frozenset(
    {
        "1.2.840.10008.1.2.1.99",
        "1.2.840.10008.1.2.4.95",
        "1.2.840.10008.1.2.4.205",
    }
)


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a transfer syntax writes elements."""

    is_explicit: bool
    is_big: bool = False
    is_deflated: bool = False


def encoding_of(transfer_syntax_uid: str) -> Encoding | None:
    """Return how the elements of a transfer syntax are written; None for a private one."""
    if transfer_syntax_uid in ("1.2.840.10008.1.2", _PRIVATE_IMPLICIT):
        return Encoding(is_explicit=False)
    if transfer_syntax_uid == "1.2.840.10008.1.2.2":
        return Encoding(is_explicit=True, is_big=True)
    if transfer_syntax_uid.startswith("1.2.840.10008.1.2."):
        return Encoding(is_explicit=True, is_deflated=transfer_syntax_uid in _DEFLATED)
    return None


class ElementWalker:
    """Looks for some of a dataset's top-level elements.

    Parameters
    ----------
    encoding : Encoding
        How the dataset is written.
    wanted : collection of int
        The tags whose values are kept, 32-bit numbers.

    Attributes
    ----------
    found : dict of int to bytes
        The values that have come, as encoded, padding included.
    done : bool
        Whether all that was wanted has come, or can no longer come.
    began : bool
        Whether an element of a dataset has been seen.
    """

    def __init__(self, encoding: Encoding, wanted: Collection[int]) -> None:
        self.found: dict[int, bytes] = {}
        self.done = False
        self.began = False
        self._wanted = frozenset(wanted)
        self._last = max(wanted)
        self._explicit = encoding.is_explicit
        order = ">" if encoding.is_big else "<"
        self._tag = struct.Struct(order + "HH")
        self._u16 = struct.Struct(order + "H")
        self._u32 = struct.Struct(order + "I")
        self._inflater = zlib.decompressobj(wbits=-15) if encoding.is_deflated else None
        self._pending = b""
        self._skip = 0
        self._open: list[bool] = []  # what encloses us, and whether it is explicit in there
        self._previous = 0

    def feed(self, data: bytes | bytearray | memoryview) -> bool:
        """Walk on.

        Parameters
        ----------
        data : bytes-like
            The bytes that follow those of the calls before.

        Returns
        -------
        bool
            `done`.

        Raises
        ------
        Refused
            With 0xC000 where the bytes cannot begin a dataset.
        """
        if self._inflater is None:
            return self.done or self._walk(data)
        data = bytes(data)
        while data and not self.done:
            try:
                inflated = self._inflater.decompress(data, INFLATE_STEP)
            except zlib.error:
                raise _not_a_dataset("it cannot be inflated") from None
            data = self._inflater.unconsumed_tail
            self._walk(inflated)
        return self.done

    def end(self) -> None:
        """Say that the dataset has ended.

        Raises
        ------
        Refused
            With 0xC000 where it ended before `done` and inside an element, or was empty.
        """
        if not self.done and (self._skip or self._pending or self._open or not self.began):
            raise _not_a_dataset("it ends too early")
        self.done = True

    def _walk(self, data: bytes | bytearray | memoryview) -> bool:
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        if not data:
            return self.done
        data = self._pending + bytes(data)
        position = 0
        while not self.done:
            following = self._element(data, position)
            if following is None:
                break
            position = following
            if position > len(data):
                self._skip = position - len(data)
                position = len(data)
                break
        self._pending = b"" if self.done else data[position:]
        return self.done

    def _element(self, data: bytes, position: int) -> int | None:
        """Take one element; return where the next begins, or None where bytes are missing."""
        header = self._header(data, position)
        if header is None:
            return None
        tag, vr, length, value = header
        if self._open:
            return self._nested(tag, vr, length, value)
        self._check_order(tag)
        if tag > self._last:
            self.done = self.began = True
            return value
        if length == _UNDEFINED:
            self._enter(vr)
            return value
        if tag in self._wanted:
            kept = min(length, MAXIMUM_VALUE_LENGTH)
            if len(data) < value + kept:
                return None
            self.found[tag] = data[value : value + kept]
            self.done = len(self.found) == len(self._wanted)
        self.began = True
        return value + length

    def _check_order(self, tag: int) -> None:
        if tag < self._previous or tag >> 16 in (0x0000, 0xFFFE):
            raise _not_a_dataset("its elements are not in order")
        self._previous = tag

    def _header(self, data: bytes, position: int) -> tuple[int, bytes, int, int] | None:
        """Return an element's tag, VR, length and the offset of its value."""
        if len(data) - position < 8:
            return None
        group, element = self._tag.unpack_from(data, position)
        tag = group << 16 | element
        is_explicit = self._open[-1] if self._open else self._explicit
        if not is_explicit or group == 0xFFFE:
            length = self._u32.unpack_from(data, position + 4)[0]
            return tag, b"", length, position + 8
        vr = data[position + 4 : position + 6]
        if vr in _SHORT_VRS:
            return tag, vr, self._u16.unpack_from(data, position + 6)[0], position + 8
        if vr not in _LONG_VRS:
            raise _not_a_dataset("an element has no VR that the standard knows")
        if len(data) - position < 12:
            return None
        return tag, vr, self._u32.unpack_from(data, position + 8)[0], position + 12

    def _enter(self, vr: bytes) -> None:
        if len(self._open) >= MAXIMUM_DEPTH:
            raise _not_a_dataset("its sequences are nested too deeply")
        if vr not in (b"", b"SQ", b"UN", b"OB", b"OW"):
            raise _not_a_dataset("a value of undefined length that may not be one")
        # What stands in a UN of undefined length is implicit little endian (PS3.5 6.2.2).
        is_explicit = bool(vr) and vr != b"UN"
        self._open.append(is_explicit and (not self._open or self._open[-1]))

    def _nested(self, tag: int, vr: bytes, length: int, value: int) -> int:
        """Take an element inside a sequence of undefined length."""
        if tag in (_SEQUENCE_END, _ITEM_END):
            self._open.pop()
            self.began = True
            return value
        if length == _UNDEFINED:
            if tag == _ITEM:
                self._enter_item()
            else:
                self._enter(vr)
            return value
        return value + length

    def _enter_item(self) -> None:
        if len(self._open) >= 2 * MAXIMUM_DEPTH:
            raise _not_a_dataset("its sequences are nested too deeply")
        self._open.append(self._open[-1])


def _not_a_dataset(why: str) -> Refused:
    return Refused(Status.CANNOT_UNDERSTAND, f"Not a dataset: {why}")
