"""A loop without sockets and threads, and a peer on it that says what an input says."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, TypeVarTuple, Unpack, cast

from tests.fuzzing.inputs import pieces_of
from tests.timeless import TimelessLoop

__all__ = ["FuzzedPeer", "StillLoop", "settle", "still_loop"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LONG = 1000.0
"""Seconds of the loop's own time within which everything has come to its end."""


async def settle() -> None:
    """Let everything happen that happens without waiting for time or for a peer."""
    await asyncio.sleep(0.001)


class StillLoop(TimelessLoop):
    """Does at once what is given to threads, so that an input does the same each time."""

    connects: Callable[[asyncio.BaseProtocol], asyncio.Transport] | None = None
    """Makes the connections of a requestor."""

    def run_in_executor(
        self, executor: object, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done

    async def create_connection(self, protocol_factory: Any, *args: Any, **more: Any) -> Any:
        assert self.connects is not None
        protocol = protocol_factory()
        return self.connects(protocol), protocol


@contextlib.contextmanager
def still_loop() -> Iterator[StillLoop]:
    """Make such a loop, and close it."""
    loop = StillLoop()
    try:
        yield loop
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


class FuzzedPeer(asyncio.Transport):
    """A connection whose other end says what an input says, whatever it hears.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        Where it happens.
    protocol : asyncio.BufferedProtocol
        Who is spoken to.
    chance : random.Random
        Where the stream is cut, and what happens meanwhile.
    reads : bool
        Whether the other end takes what is written to it at once, or now and then.

    Attributes
    ----------
    written : bytearray
        What it was told.
    is_gone : bool
        Whether the protocol has heard of the end.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.BufferedProtocol,
        chance: random.Random,
        *,
        reads: bool = True,
    ) -> None:
        super().__init__({"peername": ("127.0.0.1", 104)})
        self.written = bytearray()
        self.is_gone = False
        self._loop, self._protocol, self._chance, self._reads = loop, protocol, chance, reads
        self._high = 1 << 16
        self._untaken = 0
        self._is_paused = self._is_closing = self._is_ending = self._is_full = False
        protocol.connection_made(self)

    # The other end -----------------------------------------------------------------------------

    async def say(self, stream: bytes) -> None:
        """Say all of it: mostly a PDU, and what comes of it, before the next one."""
        for part in self._parts(stream):
            pieces = [part] if self._chance.random() < 0.7 else pieces_of(self._chance, part)
            for piece in pieces:
                if not await self._may_say():
                    return
                self._bring(piece)
                if self._chance.random() < 0.1:
                    await asyncio.sleep(0)
            await self._wait()

    def _bring(self, piece: bytes) -> None:
        """Hand over what was said, in reads as large as the buffers allow, like a transport."""
        rest = memoryview(piece)
        while rest and not self._is_closing:  # it may have said that it reads no more: this comes
            buffer = cast(memoryview, self._protocol.get_buffer(-1))
            count = min(len(buffer), len(rest))
            assert count, "get_buffer returned an empty buffer"
            buffer[:count] = rest[:count]
            del buffer
            self._protocol.buffer_updated(count)
            rest = rest[count:]
        if self._chance.random() < 0.02:
            self._protocol.get_buffer(-1)  # and nothing comes, as where a read would block

    async def hang_up(self, error: Exception | None = None) -> None:
        """End the connection, as a peer does whose process has ended, or with an error."""
        if await self._may_say():
            if error is None:
                assert not self._protocol.eof_received()
            self._end(error)
        await settle()

    def _parts(self, stream: bytes) -> list[bytes]:
        if self._chance.random() < 0.1:
            return pieces_of(self._chance, stream)
        parts, position = [], 0
        while position < len(stream):
            end = position + 6 + int.from_bytes(stream[position + 2 : position + 6], "big")
            parts.append(stream[position:end])
            position = end
        return parts

    async def _may_say(self) -> bool:
        """Wait while the protocol does not read; tell whether there is still a connection."""
        until = self._loop.time() + LONG
        while self._is_paused and not self._is_closing:
            assert self._loop.time() < until, "it reads no more"
            await asyncio.sleep(1)
            self._take()
        return not self._is_closing

    async def _wait(self) -> None:
        chance = self._chance.random()
        if chance < 0.8:
            await settle()
        elif chance < 0.82:
            await asyncio.sleep(self._chance.choice((1, 40)))
        if self._chance.random() < 0.3:
            self._take()

    def _take(self) -> None:
        """Take what was written."""
        self._untaken = 0
        if self._is_full:
            self._is_full = False
            self._protocol.resume_writing()
        if self._is_closing:
            self._end(None)

    def _end(self, error: Exception | None) -> None:
        self._is_closing = True
        if not self._is_ending:
            self._is_ending = True
            self._loop.call_soon(self._lost, error)

    def _lost(self, error: Exception | None) -> None:
        self.is_gone = True
        self._protocol.connection_lost(error)

    # asyncio.Transport -------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self._is_closing:
            return
        self.written += data
        self._untaken += len(data)
        if not self._reads and self._untaken > self._high and not self._is_full:
            self._is_full = True
            self._protocol.pause_writing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = self._high if high is None else high

    def get_write_buffer_size(self) -> int:
        return 0 if self._reads else self._untaken

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False

    def is_reading(self) -> bool:
        return not self._is_paused

    def close(self) -> None:
        self._is_closing = True
        if not self._is_full:
            self._end(None)

    def abort(self) -> None:
        self._end(None)

    def is_closing(self) -> bool:
        return self._is_closing
