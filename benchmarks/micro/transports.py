"""What stands where a connection would be."""

from __future__ import annotations

import asyncio
from typing import Protocol

__all__ = ["Receiver", "SilentHolder", "SilentTransport", "feed"]

READ_SIZE = 1 << 17
"""The most that one read brings, in bytes; about what a kernel hands over at once."""


class Receiver(Protocol):
    """What bytes are fed to: a connection."""

    def get_buffer(self, sizehint: int) -> memoryview: ...

    def buffer_updated(self, nbytes: int) -> None: ...


def feed(receiver: Receiver, data: bytes) -> None:
    """Feed `data` as a transport does: in reads as large as the buffers, and the kernel, allow."""
    view, position, end = memoryview(data), 0, len(data)
    while position < end:
        buffer = receiver.get_buffer(-1)
        count = min(len(buffer), end - position, READ_SIZE)
        buffer[:count] = view[position : position + count]
        del buffer  # a slab whose view is alive is not used again
        receiver.buffer_updated(count)
        position += count


class SilentHolder:
    """An association that is never told to pause."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def squeeze(self) -> None: ...


class SilentTransport(asyncio.Transport):
    """A connection that takes whatever is written, and counts the writes."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 104)})
        self.writes = 0
        self._is_closing = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: object) -> None:
        self.writes += 1

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True

    abort = close
