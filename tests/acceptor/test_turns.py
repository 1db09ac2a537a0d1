"""Turns: who sends much keeps neither its own handler waiting, nor others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiodicom import Limits, StoreRequest, Timeouts
from aiodicom.acceptor.association import Service
from aiodicom.acceptor.protocol import AcceptorConnection, Surroundings
from aiodicom.acceptor.turns import TURN, Turns
from aiodicom.wire.buffers import Pool
from aiodicom.wire.negotiation import make_policy
from aiodicom.wire.pdu import encode_pdu
from aiodicom.wire.upper_layer import MAXIMUM_READ
from tests.peer import association_request, store_pdus
from tests.serving import MIB, until

LARGE = store_pdus("1.2.3", bytes(8 * MIB))


class Greedy(asyncio.Transport):
    """A connection with much to read, which is read until somebody says that it is enough."""

    def __init__(self, connection: AcceptorConnection) -> None:
        super().__init__({"peername": ("127.0.0.1", 104)})
        self.connection = connection
        self.unread = memoryview(b"")
        self.is_paused = self.is_closed = False
        connection.connection_made(self)

    def bring(self, data: bytes) -> None:
        """Have so much come, and read it: the loop has no turn in between."""
        self.unread = memoryview(bytes(self.unread) + data)
        while self.unread and not self.is_paused:
            buffer = self.connection.get_buffer(-1)
            count = min(len(buffer), len(self.unread))
            buffer[:count] = self.unread[:count]
            del buffer
            self.unread = self.unread[count:]
            self.connection.buffer_updated(count)

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        if self.is_paused:
            self.is_paused = False
            asyncio.get_running_loop().call_soon(self.bring, b"")

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def write(self, data: bytes | bytearray | memoryview) -> None: ...

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = close


class Sizes:
    """A handler that notes what it is given at a time, once it may."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.may_read = asyncio.Event()

    async def __call__(self, request: StoreRequest) -> int:
        await self.may_read.wait()
        while (block := await request.dataset.block()) is not None:
            with block:
                self.sizes.append(block.size)
        return 0


async def associated(store: Callable[[StoreRequest], Awaitable[int]]) -> Greedy:
    around = Surroundings(
        asyncio.get_running_loop(), Pool(), Service(make_policy(), store),
        Limits(), Timeouts(), lambda _: None, lambda _: None,
    )  # fmt: skip
    connection = AcceptorConnection(around, 1)
    greedy = Greedy(connection)
    greedy.bring(encode_pdu(association_request()))
    await until(lambda: connection.association is not None and connection.association.is_waiting)
    return greedy


async def ended(greedy: Greedy) -> None:
    greedy.connection.connection_lost(None)
    await until(lambda: not greedy.connection.is_conversing)


async def turns_of_the_loop(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_handler_has_its_turn_before_all_that_may_be_held_is_read() -> None:
    handler = Sizes()
    handler.may_read.set()
    greedy = await associated(handler)
    greedy.bring(LARGE)
    await until(lambda: sum(handler.sizes) == 8 * MIB)
    assert max(handler.sizes) < TURN + 2 * MAXIMUM_READ
    await ended(greedy)


async def test_who_holds_too_much_is_not_read_from_in_the_next_turn() -> None:
    handler = Sizes()
    greedy = await associated(handler)
    greedy.bring(LARGE)
    await until(lambda: len(greedy.unread) < 5 * MIB)
    await turns_of_the_loop(20)
    assert greedy.is_paused
    assert len(greedy.unread) > 3 * MIB
    handler.may_read.set()
    await until(lambda: sum(handler.sizes) == 8 * MIB)
    await ended(greedy)


async def test_a_connection_that_is_lost_while_it_rests_is_not_read_again() -> None:
    handler, errors = Sizes(), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    greedy = await associated(handler)
    greedy.bring(LARGE)
    unread = len(greedy.unread)
    handler.may_read.set()
    await ended(greedy)
    await turns_of_the_loop(5)
    assert greedy.is_paused
    assert len(greedy.unread) == unread
    assert not errors


class Reader:
    """Notes what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def rest(self) -> None:
        self.told.append("rest")

    def go_on(self) -> None:
        self.told.append("go on")


async def test_only_who_has_sent_much_rests() -> None:
    turns = Turns(asyncio.get_running_loop())
    large, small = Reader(), Reader()
    turns.count(small, TURN - 1)
    turns.count(large, TURN)
    await turns_of_the_loop(2)
    assert (large.told, small.told) == (["rest", "go on"], [])


async def test_each_turn_begins_anew() -> None:
    turns, reader = Turns(asyncio.get_running_loop()), Reader()
    for _ in range(3):
        turns.count(reader, TURN - 1)
        await turns_of_the_loop(2)
    assert reader.told == []
