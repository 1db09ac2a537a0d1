"""An event loop whose time passes when nothing else can happen, and connections without sockets."""

from __future__ import annotations

import asyncio
import random
import selectors
from typing import Any

from aiodicom.acceptor.protocol import AcceptorConnection
from aiodicom.wire.pdu import PDU, encode_pdu
from tests.wire.feeding import pdus_in

__all__ = ["NothingComes", "TimelessLoop", "Wire"]

STEPS = (0.0, 0.0, 0.001, 0.02)
"""Seconds between two reads."""


class NothingComes(Exception):
    """Everybody waits for somebody else."""


class _Selector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise NothingComes
        self.now += max(timeout, 0)
        return []


class TimelessLoop(asyncio.SelectorEventLoop):
    """Does in a moment what takes minutes, the same each time."""

    def __init__(self) -> None:
        self._timeless = _Selector()
        super().__init__(self._timeless)
        # After a hundred days a billionth of a second more is no other number: time stood still.
        self._clock_resolution = 2**-20

    def time(self) -> float:
        return self._timeless.now


class Wire(asyncio.Transport):
    """A connection and its peer, who sends as fast as it may, in reads as chance will have them.

    Parameters
    ----------
    loop, connection : asyncio.AbstractEventLoop, AcceptorConnection
        Who is served, and where.
    request, data : PDU, bytes
        The A-ASSOCIATE-RQ, and what is sent after its answer.
    chance : random.Random
        How large the reads are, and when they come.
    stops_after : int, optional
        Bytes of `data` after which the peer sends nothing more.
    vanishes : bool
        Whether it is gone then.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connection: AcceptorConnection,
        request: PDU,
        data: bytes,
        chance: random.Random,
        stops_after: int | None = None,
        vanishes: bool = False,
    ) -> None:
        super().__init__()
        self.answers: list[PDU] = []
        self._loop, self._connection, self._chance = loop, connection, chance
        self._unsent, self._later = memoryview(encode_pdu(request)), memoryview(data)[:stops_after]
        self._vanishes = vanishes
        self._most = chance.choice((500, 30_000, 1 << 20, 1 << 20))
        self._is_paused = self._is_scheduled = self._is_closed = False
        connection.connection_made(self)
        self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_later(self._chance.choice(STEPS), self._read)

    def _read(self) -> None:
        self._is_scheduled = False
        if self._is_paused or self._is_closed:
            return
        if not self._unsent:
            if self._vanishes and self.answers:
                self.close()
            return
        buffer = self._connection.get_buffer(-1)
        count = min(len(buffer), len(self._unsent), self._chance.randint(1, self._most))
        buffer[:count] = self._unsent[:count]
        del buffer
        self._unsent = self._unsent[count:]
        self._connection.buffer_updated(count)
        self._schedule()

    # asyncio.Transport -------------------------------------------------------------------------

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
        self._schedule()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self.answers:
            self._unsent = self._later
            self._schedule()
        self.answers += pdus_in(bytes(data))

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._loop.call_soon(self._connection.connection_lost, None)

    abort = close

    def is_closing(self) -> bool:
        return self._is_closed

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default
