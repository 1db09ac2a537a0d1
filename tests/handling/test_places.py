"""Objects that need places in several handlers that store so many at a time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from functools import partial

import pytest

from aiodicom import Refused, Status, StoreHandler, StoreRequest, at_most, tee, when
from aiodicom.dataset import DatasetStream
from tests.monitor.happening import CONTEXT, who
from tests.peer import CT, PATIENCE, store_command
from tests.serving import Gate, Keeper, discard, happens, until


def an_object(uid: str = "1.2.3") -> StoreRequest:
    """A request all of whose dataset has come."""
    dataset = DatasetStream()
    dataset.feed(None, is_last=True)
    return StoreRequest(who(), CONTEXT, store_command(uid), dataset)


class Meeting:
    """Handlers that share a dataset: each one goes on when all of them have begun."""

    def __init__(self) -> None:
        self._barriers: dict[str, asyncio.Barrier] = defaultdict(partial(asyncio.Barrier, 2))

    async def __call__(self, request: StoreRequest) -> int:
        await self._barriers[request.sop_instance_uid].wait()
        return await discard(request)


def opposite(a: StoreHandler, b: StoreHandler) -> tuple[StoreHandler, ...]:
    return tee(a, b), tee(b, a)


def later_and_opposite(a: StoreHandler, b: StoreHandler) -> tuple[StoreHandler, ...]:
    return tee(a, tee(b)), tee(b, tee(a))


def one_within_another(a: StoreHandler, b: StoreHandler) -> tuple[StoreHandler, ...]:
    return tee(at_most(2, a), b), tee(when(b, sop_class=CT), tee(a))


def twice(a: StoreHandler, b: StoreHandler) -> tuple[StoreHandler, ...]:
    return tee(a, a), tee(b, b)


@pytest.mark.parametrize("stores_of", [opposite, later_and_opposite, one_within_another, twice])
async def test_no_object_waits_for_a_place_of_one_that_waits_for_it(
    stores_of: Callable[[StoreHandler, StoreHandler], tuple[StoreHandler, ...]],
) -> None:
    meeting = Meeting()
    one, other = stores_of(at_most(1, meeting), at_most(1, meeting))
    objects = (store(an_object(str(n))) for n, store in enumerate([one, other] * 3))
    async with asyncio.timeout(PATIENCE):
        assert await asyncio.gather(*objects) == [Status.SUCCESS] * 6


async def test_one_too_many_is_given_to_no_handler() -> None:
    gate, keeper = Gate(), Keeper()
    store = tee(keeper, at_most(1, gate, waits=False))
    first = asyncio.create_task(store(an_object("1")))
    await happens(gate.entered)
    with pytest.raises(Refused):
        await store(an_object("2"))
    gate.opened.set()
    assert await first == Status.SUCCESS
    assert [request.sop_instance_uid for request in keeper.requests] == ["1"]


async def test_one_too_many_is_refused_before_it_waits_further_inside() -> None:
    gate = Gate()
    store = at_most(2, at_most(1, gate), waits=False)
    tasks = [asyncio.create_task(store(an_object(str(n)))) for n in range(2)]
    await happens(gate.entered)
    with pytest.raises(Refused):
        await store(an_object("3"))
    gate.opened.set()
    assert await asyncio.gather(*tasks) == [Status.SUCCESS] * 2


async def test_a_place_is_free_when_its_handler_ends_though_others_go_on() -> None:
    gate, keeper = Gate(), Keeper()
    store = tee(gate, at_most(1, keeper))
    tasks = [asyncio.create_task(store(an_object(str(n)))) for n in range(3)]
    await until(lambda: len(keeper.requests) == 3)
    assert not any(task.done() for task in tasks)
    gate.opened.set()
    assert await asyncio.gather(*tasks) == [Status.SUCCESS] * 3


async def test_who_is_cancelled_while_it_waits_for_its_second_place_gives_the_first_back() -> None:
    gate = Gate()
    slow, quick = at_most(1, gate), at_most(1, discard, waits=False)
    first = asyncio.create_task(slow(an_object("1")))
    await happens(gate.entered)
    both = asyncio.create_task(tee(slow, quick)(an_object("2")))
    await asyncio.sleep(0)
    with pytest.raises(Refused):  # its place is taken
        await quick(an_object("3"))
    both.cancel()
    with pytest.raises(asyncio.CancelledError):
        await both
    assert await quick(an_object("4")) == Status.SUCCESS
    gate.opened.set()
    assert await first == Status.SUCCESS


async def test_objects_that_are_for_another_handler_need_no_place() -> None:
    gate = Gate()
    limited = at_most(1, gate)
    busy = asyncio.create_task(limited(an_object("1")))
    await happens(gate.entered)
    store = tee(when(limited, sop_class="1.2", otherwise=discard))
    async with asyncio.timeout(PATIENCE):
        assert await store(an_object("2")) == Status.SUCCESS
    gate.opened.set()
    await busy
