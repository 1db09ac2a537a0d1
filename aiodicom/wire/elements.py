"""Walks the top level of an encoded dataset while its prefix grows (PS3.5 section 7).

Used to check that what arrives begins like a dataset, and to find a few attributes of it before
the rest has come. Nothing is decoded that is not asked for, lengths are never believed before
the bytes are there, and nesting is counted, not recursed into.
"""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Collection
from dataclasses import dataclass

from aiodicom.errors import Refused
from aiodicom.wire.dimse import Status

__all__ = ["EXPLICIT_LITTLE", "ElementWalker", "Encoding", "encoding_of", "leading_uids"]

MAXIMUM_VALUE_LENGTH = 1 << 14
"""The longest value, in bytes, that is kept; a longer one is cut."""

MAXIMUM_DEPTH = 64
"""Sequences of undefined length within each other; the limit that other receivers chose too."""

INFLATE_STEP = 1 << 16
"""Bytes that one step of inflating may make."""

MAXIMUM_INFLATED = 1 << 18
"""Bytes that are inflated in search of what is wanted: a bomb must not keep the loop busy."""

MAXIMUM_ELEMENTS = 1000
"""Elements that are passed while looking; a sender could go on for ever with empty ones."""

STEP = 1 << 12
"""Bytes that are copied and looked at together."""

_LITTLE_HEADERS, _BIG_HEADERS = (
    (struct.Struct(order + "HH2sH"), struct.Struct(order + "HHI"), struct.Struct(order + "I"))
    for order in "<>"
)

MAXIMUM_UID = 64
"""Characters of a UID (PS3.5 9.1)."""

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


EXPLICIT_LITTLE = Encoding(is_explicit=True)
"""Of nearly all transfer syntaxes, the compressed ones among them."""


def encoding_of(transfer_syntax_uid: str) -> Encoding | None:
    """Return how the elements of a transfer syntax are written; None for a private one."""
    return _encoding_of(transfer_syntax_uid) if len(transfer_syntax_uid) <= MAXIMUM_UID else None


@functools.lru_cache(maxsize=64)
def _encoding_of(transfer_syntax_uid: str) -> Encoding | None:
    if transfer_syntax_uid in ("1.2.840.10008.1.2", _PRIVATE_IMPLICIT):
        return Encoding(is_explicit=False)
    if transfer_syntax_uid == "1.2.840.10008.1.2.2":
        return Encoding(is_explicit=True, is_big=True)
    if transfer_syntax_uid.startswith("1.2.840.10008.1.2."):
        if transfer_syntax_uid in _DEFLATED:
            return Encoding(is_explicit=True, is_deflated=True)
        return EXPLICIT_LITTLE
    return None


def leading_uids(data: bytes | bytearray | memoryview) -> tuple[bytes, bytes] | None:
    """Return the SOP class and instance UIDs of a dataset that begins as nearly all do.

    That is, in `EXPLICIT_LITTLE`, with short elements of group 0008 in order, all of them there
    up to (0008,0018). An `ElementWalker` would find the same in three times the time.

    Parameters
    ----------
    data : bytes-like
        The dataset, or the beginning of it.

    Returns
    -------
    tuple of bytes, or None
        The values as encoded, padding included. None where only a walker can tell.
    """
    unpack, position, element, length, sop_class = _LITTLE_HEADERS[0].unpack_from, 0, 0, 0, None
    try:
        while element < 0x0018:
            before = element
            group, element, vr, length = unpack(data, position)
            if group != 0x0008 or vr not in _SHORT_VRS or element <= before:
                return None
            position += 8 + length
            if element == 0x0016:
                sop_class = bytes(data[position - length : position])
    except struct.error:
        return None
    if element != 0x0018 or sop_class is None or length > MAXIMUM_UID or position > len(data):
        return None
    return sop_class, bytes(data[position - length : position])


class ElementWalker:
    """Looks for some of a dataset's top-level elements.

    Parameters
    ----------
    encoding : Encoding
        How the dataset is written.
    wanted : collection of int
        The tags whose values are kept, 32-bit numbers.
    most : int
        How many elements are passed in search of them.

    Attributes
    ----------
    found : dict of int to bytes
        The values that have come, as encoded, padding included.
    vrs : dict of int to bytes
        The VRs of those; empty ones where the encoding has none.
    done : bool
        Whether all that was wanted has come, or can no longer come.
    began : bool
        Whether an element of a dataset has been seen.
    """

    __slots__ = (
        "_explicit",
        "_explicit_header",
        "_inflated",
        "_inflater",
        "_last",
        "_most",
        "_open",
        "_passed",
        "_pending",
        "_plain_header",
        "_previous",
        "_skip",
        "_u32",
        "_wanted",
        "began",
        "done",
        "found",
        "vrs",
    )

    def __init__(
        self, encoding: Encoding, wanted: Collection[int], most: int = MAXIMUM_ELEMENTS
    ) -> None:
        self.found: dict[int, bytes] = {}
        self.vrs: dict[int, bytes] = {}
        self.done = False
        self.began = False
        self._wanted = wanted
        self._most = most
        self._last = max(wanted)
        self._explicit = encoding.is_explicit
        headers = _BIG_HEADERS if encoding.is_big else _LITTLE_HEADERS
        self._explicit_header, self._plain_header, self._u32 = headers
        self._inflater = zlib.decompressobj(wbits=-15) if encoding.is_deflated else None
        self._inflated = 0
        self._pending = b""
        self._skip = 0
        self._open: list[bool] = []  # what encloses us, and whether it is explicit in there
        self._previous = 0
        self._passed = 0

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
        is_more = not self.done
        while is_more:
            try:
                inflated = self._inflater.decompress(data, INFLATE_STEP)
            except zlib.error:
                raise _not_a_dataset("it cannot be inflated") from None
            self._inflated += len(inflated)
            if self._inflated > MAXIMUM_INFLATED:
                raise _not_a_dataset("it inflates to too much")
            data = self._inflater.unconsumed_tail
            # A full step may have more behind it even where all of `data` is taken.
            is_more = not self._walk(inflated) and (bool(data) or len(inflated) == INFLATE_STEP)
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
        position, end = 0, len(data)
        while position < end and not self.done:
            if self._skip:
                skipped = min(self._skip, end - position)
                self._skip -= skipped
                position += skipped
            else:  # a step at a time: nearly always all that is wanted is in the first one
                step = bytes(data[position : position + STEP])
                position += len(step)
                self._pending = self._take_elements(self._pending + step)
        return self.done

    def _take_elements(self, data: bytes) -> bytes:
        """Take all elements whose header, and whose value if it is wanted, are in `data`.

        Returns the bytes that make no whole one yet.
        """
        # Flat and with local names, because every object that is stored comes through here.
        position, end, done = 0, len(data), False
        enclosing, wanted, last = self._open, self._wanted, self._last
        previous, passed, unpack = self._previous, self._passed, self._explicit_header.unpack_from
        if not previous and self._explicit and end >= 8 and data[4:6] not in _SHORT_VRS:
            self._check_first(data)
        explicit = self._explicit
        while end - position >= 8:
            value = position + 8
            if enclosing[-1] if enclosing else explicit:
                group, element, vr, length = unpack(data, position)
                if vr not in _SHORT_VRS or group == 0xFFFE:
                    vr, length, value = self._rare_header(data, position)
                    if value > end:
                        break
            else:
                vr = b""  # little endian even in a big endian dataset's UN (PS3.5 6.2.2)
                group, element, length = _LITTLE_HEADERS[1].unpack_from(data, position)
            tag = group << 16 | element
            passed += 1
            if enclosing:
                position = self._nested(tag, vr, length, value)
                continue
            if tag <= previous or tag < 0x00010000 or group == 0xFFFE:
                raise _not_a_dataset("its elements are not in order")
            if tag in wanted and length != _UNDEFINED:
                until = value + length
                if length > MAXIMUM_VALUE_LENGTH:
                    until = value + MAXIMUM_VALUE_LENGTH
                if until > end:
                    break
                self.found[tag] = data[value:until]
                self.vrs[tag] = vr
                position = value + length
                if tag == last:  # what was not found until here does not come
                    done = True
                    break
            elif tag > last:
                done = True
                break
            elif length == _UNDEFINED:
                self._enter(vr)
                position = value
            else:
                position = value + length
            previous = tag
        if passed > self._most:
            raise _not_a_dataset("too many elements before its UIDs")
        self._previous, self._passed, self.done = previous, passed, done
        self.began = self.began or done or previous > 0
        if position > end:
            self._skip = position - end
        return b"" if done else data[position:]

    def _check_first(self, data: bytes) -> None:
        """Look at the first element, where it has no short VR."""
        group, element, vr, length = self._explicit_header.unpack_from(data)
        if group == 0xFFFE or vr in _LONG_VRS:
            return
        if length or group << 16 | element > self._last:
            raise _not_a_dataset("an element has no VR that the standard knows")
        # A short one: this sender writes implicit VR under a transfer syntax that is explicit, as
        # there are some.
        self._explicit = False

    def _rare_header(self, data: bytes, position: int) -> tuple[bytes, int, int]:
        """Return VR, length and place of the value of an explicit element without a short VR.

        The place is behind the end of `data` where the header is not whole.
        """
        group, _, vr, _ = self._explicit_header.unpack_from(data, position)
        if group == 0xFFFE:
            return b"", self._plain_header.unpack_from(data, position)[2], position + 8
        if vr not in _LONG_VRS:
            raise _not_a_dataset("an element has no VR that the standard knows")
        if len(data) - position < 12:
            return vr, 0, position + 12
        return vr, self._u32.unpack_from(data, position + 8)[0], position + 12

    def _enter(self, vr: bytes) -> None:
        if len(self._open) >= 2 * MAXIMUM_DEPTH:  # each with an item
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
