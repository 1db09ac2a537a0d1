"""The bytes of a dataset on their way into P-DATA-TF PDUs.

A dataset is a list of pieces: ranges of a file, and bytes that replace or surround them. They
are read straight to where they stand between the heads of the PDUs (PS3.8 9.3.5), so that what
comes out is sent as it is. Plain functions for worker threads.
"""

from __future__ import annotations

import os
import struct
import threading
from collections import deque
from collections.abc import Sequence

from aiodicom.errors import NotSent

__all__ = ["CHUNK", "Framer", "Piece", "Source", "room_of"]

CHUNK = 1 << 18
"""Bytes of a dataset that are read and sent together, about."""

LONGEST_PDU = 1 << 17
"""Bytes of a P-DATA-TF that is sent, where the peer would take longer ones."""

MAXIMUM_SLOTS = 512
"""Buffers for one `preadv`; the kernel takes at most 1024."""

Piece = bytes | tuple[int, int]
"""Bytes, or an offset in the file and a length."""

_HEAD = struct.Struct(">BxIIBB")
_DATA_TF = 0x04
_LAST = 0x02


def room_of(peer_maximum: int, own_maximum: int = 0) -> int:
    """Return how many bytes of a dataset go into one P-DATA-TF.

    Parameters
    ----------
    peer_maximum : int
        What the peer said that it receives (PS3.8 D.1); 0 is any.
    own_maximum : int
        What the user says that is to be sent; 0 is any.
    """
    limit = min(own_maximum or LONGEST_PDU, peer_maximum or LONGEST_PDU, LONGEST_PDU)
    # A limit that leaves no room for a fragment is taken as the least that does.
    return max((limit - 6) & ~1, 2)


class Framer:
    """Lays out the P-DATA-TF PDUs of one dataset, whose length is known.

    Parameters
    ----------
    context_id : int
        The presentation context.
    room : int
        Bytes of the dataset in each PDU; even.
    size : int
        Bytes of the dataset.
    is_end : bool
        Whether the dataset ends there, or goes on in others.
    """

    def __init__(self, context_id: int, room: int, size: int, *, is_end: bool = True) -> None:
        self.left = size
        self._last = _LAST if is_end else 0
        self._context_id = context_id
        self._room = room
        self._most = max(min(CHUNK // room, MAXIMUM_SLOTS), 1)

    def payload(self, size: int) -> int:
        """Return how many bytes of the dataset are in that many bytes of PDUs."""
        return size - _HEAD.size * -(-size // (self._room + _HEAD.size))

    def frame(self) -> tuple[bytearray, list[memoryview]]:
        """Return the next PDUs, and the places in them where the dataset belongs."""
        room, left = self._room, self.left
        count = min(max((left + room - 1) // room, 1), self._most)
        size = min(left, count * room)
        self.left = left - size
        wire = bytearray(size + count * _HEAD.size)
        view = memoryview(wire)
        slots, position = [], 0
        for start in range(0, count * room, room):
            part = min(room, size - start)
            is_last = start + part == size and not self.left
            _HEAD.pack_into(
                wire,
                position,
                _DATA_TF,
                part + 6,
                part + 2,
                self._context_id,
                self._last if is_last else 0,
            )
            position += _HEAD.size
            slots.append(view[position : position + part])
            position += part
        return wire, slots


class Source:
    """One dataset that is read from its pieces.

    Parameters
    ----------
    pieces : sequence of Piece
        The dataset; of an even length (PS3.5 7.1.1).
    descriptor : int
        An open file, which this object closes; -1 where all pieces are bytes.
    """

    def __init__(self, pieces: Sequence[Piece], descriptor: int = -1) -> None:
        self.size = sum(len(p) if isinstance(p, bytes) else p[1] for p in pieces)
        self._pieces = deque(pieces)
        self._descriptor = descriptor
        self._reading = threading.Lock()
        self._is_closed = False

    def read_into(self, slots: Sequence[memoryview]) -> None:
        """Fill `slots` with what comes next.

        Raises
        ------
        NotSent
            Where the file cannot be read, or is shorter than it was.
        """
        try:
            with self._reading:
                self._fill([slot for slot in slots if slot])
        finally:
            if self._is_closed:
                self._close_unless_read()

    def _fill(self, slots: list[memoryview]) -> None:
        while slots:
            piece = self._pieces.popleft()
            if isinstance(piece, bytes):
                taken = _copy(piece, slots)
                rest: Piece = piece[taken:]
                is_left = taken < len(piece)
            else:
                taken = self._read(piece, slots)
                rest = (piece[0] + taken, piece[1] - taken)
                is_left = taken < piece[1]
            if is_left:
                self._pieces.appendleft(rest)
            slots = _after(slots, taken)

    def _read(self, piece: tuple[int, int], slots: list[memoryview]) -> int:
        offset, length = piece
        try:
            count = os.preadv(self._descriptor, _within(slots, length), offset)
        except OSError as error:
            raise NotSent(f"cannot be read: {error.strerror}") from None
        if not count and length:
            raise NotSent("the file has become shorter while it was sent")
        return count

    def close(self) -> None:
        """Close the file; where a thread reads, after it: its number may be another's then."""
        self._is_closed = True
        self._close_unless_read()

    def _close_unless_read(self) -> None:
        if not self._reading.acquire(blocking=False):
            return  # who has it closes the file
        try:
            descriptor, self._descriptor = self._descriptor, -1
            if descriptor >= 0:
                os.close(descriptor)
        finally:
            self._reading.release()


def _copy(data: bytes, slots: Sequence[memoryview]) -> int:
    position = 0
    for slot in slots:
        part = data[position : position + len(slot)]
        slot[: len(part)] = part
        position += len(part)
        if position == len(data):
            break
    return position


def _within(slots: list[memoryview], length: int) -> list[memoryview]:
    """Return the slots that the next `length` bytes belong into."""
    taken = []
    for slot in slots:
        taken.append(slot[:length])
        length -= len(slot)
        if length <= 0:
            break
    return taken


def _after(slots: list[memoryview], count: int) -> list[memoryview]:
    """Return what is left of the slots when `count` bytes are in."""
    for index, slot in enumerate(slots):
        if count < len(slot):
            return [slot[count:], *slots[index + 1 :]]
        count -= len(slot)
    return []
