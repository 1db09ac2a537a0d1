"""at_most(): so many objects at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiodicom import Server, Status, StoreRequest, at_most
from tests.peer import Peer, store_pdus
from tests.serving import Gate, discard, happens, serving, until

REQUEST: Any = object()


class Counting(Gate):
    """Counts who is in there."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = self.most = self.begun = 0

    async def __call__(self, request: StoreRequest) -> int:
        self.inside += 1
        self.begun += 1
        self.most = max(self.most, self.inside)
        try:
            return await super().__call__(request)
        finally:
            self.inside -= 1


@contextlib.asynccontextmanager
async def peers(server: Server, count: int) -> AsyncIterator[list[Peer]]:
    """Have associations, of which each one has sent an object."""
    async with contextlib.AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(Peer(server.port)) for _ in range(count)]
        for peer in opened:
            await peer.associate()
            await peer.send(store_pdus("1.2.3"))
        yield opened


async def test_no_more_are_stored_at_a_time_and_the_others_have_their_turn() -> None:
    counting = Counting()
    async with serving(store=at_most(2, counting)) as server, peers(server, 6) as sending:
        await until(lambda: server.associations == 6 and counting.begun == 2)
        assert await sending[-1].hears_nothing()
        assert counting.begun == 2
        counting.opened.set()
        assert [await peer.status() for peer in sending] == [Status.SUCCESS] * 6
    assert (counting.begun, counting.most) == (6, 2)


async def test_one_too_many_is_refused_where_nobody_waits() -> None:
    counting = Counting()
    store = at_most(1, counting, waits=False)
    async with serving(store=store) as server, peers(server, 1) as sending:
        await happens(counting.entered)
        async with Peer(server.port) as late:
            await late.associate()
            assert await late.store("1.2.4") == Status.OUT_OF_RESOURCES
            counting.opened.set()
            assert await sending[0].status() == Status.SUCCESS
            assert await late.store("1.2.4") == Status.SUCCESS


async def test_a_handler_that_fails_gives_its_turn_on() -> None:
    async def failing(request: StoreRequest) -> int:
        raise ValueError

    async with serving(store=at_most(1, failing)) as server, peers(server, 3) as sending:
        assert {await peer.status() for peer in sending} == {Status.UNABLE_TO_PROCESS}


@pytest.mark.parametrize("cancelled", [{0}, {1}, {0, 1}, {1, 2}])
async def test_a_request_that_is_cancelled_gives_its_turn_on(cancelled: set[int]) -> None:
    """The first of four has its turn, and the others wait."""

    async def handler(request: StoreRequest) -> int:
        begun.append(len(begun))
        await opened.wait()
        return Status.SUCCESS

    opened, store = asyncio.Event(), at_most(1, handler)
    begun: list[int] = []
    tasks = [asyncio.create_task(store(REQUEST)) for _ in range(4)]
    await until(lambda: bool(begun))
    for number in cancelled:
        tasks[number].cancel()
    opened.set()
    async with asyncio.timeout(5):
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert {n for n in range(4) if ended[n] != Status.SUCCESS} == cancelled
    assert await store(REQUEST) == Status.SUCCESS


async def test_a_server_that_stops_takes_those_that_wait_with_it() -> None:
    counting = Counting()
    async with serving(store=at_most(1, counting), grace=0) as server, peers(server, 3):
        await until(lambda: server.associations == 3 and counting.begun == 1)
        await server.stop()
    assert (counting.begun, counting.cancelled) == (1, True)


async def test_several_limits_are_several() -> None:
    """One for a kind of objects holds no others up."""
    slow = Gate()
    limited = at_most(1, slow)

    async def handler(request: StoreRequest) -> int:
        if request.sop_instance_uid == "1.2.3":
            return await limited(request)
        return await discard(request)

    async with serving(store=handler) as server, peers(server, 3) as sending:
        await happens(slow.entered)
        async with Peer(server.port) as other:
            await other.associate()
            assert await other.store("1.2.4") == Status.SUCCESS
        slow.opened.set()
        assert [await peer.status() for peer in sending] == [Status.SUCCESS] * 3


@pytest.mark.parametrize("number", [0, -1])
def test_none_at_a_time_is_an_error(number: int) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        at_most(number, discard)
