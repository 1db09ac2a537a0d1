"""Deadlines: one timer for all who wait."""

from __future__ import annotations

import asyncio

from aiodicom.acceptor.deadlines import Deadlines
from tests.peer import PATIENCE


class Waiter:
    """Notes when it was told."""

    def __init__(self) -> None:
        self.told: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def on_deadline(self) -> None:
        self.told.set_result(asyncio.get_running_loop().time())

    async def when(self) -> float:
        async with asyncio.timeout(PATIENCE):
            return await self.told


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_nobody_is_told_too_early_and_everybody_is_told() -> None:
    deadlines = Deadlines(asyncio.get_running_loop())
    start = now()
    waiters = {start + seconds: Waiter() for seconds in (0.2, 0.0, 0.13, 0.3, 0.13001)}
    for due, waiter in waiters.items():
        deadlines.add(due, waiter)
    for due, waiter in waiters.items():
        assert await waiter.when() >= due


async def test_an_earlier_deadline_does_not_wait_for_a_later_one() -> None:
    deadlines = Deadlines(asyncio.get_running_loop())
    late, early = Waiter(), Waiter()
    deadlines.add(now() + 1000, late)
    deadlines.add(now() + 0.01, early)
    await early.when()
    assert not late.told.done()


async def test_who_was_removed_is_not_told() -> None:
    deadlines = Deadlines(asyncio.get_running_loop())
    due = now() + 0.01
    removed, other = Waiter(), Waiter()
    deadline = deadlines.add(due, removed)
    deadlines.add(due, other)
    deadlines.remove(deadline, removed)
    await other.when()
    assert not removed.told.done()


async def test_without_deadlines_there_is_no_timer() -> None:
    deadlines = Deadlines(asyncio.get_running_loop())
    first, second = Waiter(), Waiter()
    one, two = deadlines.add(now() + 10, first), deadlines.add(now() + 20, second)
    deadlines.remove(one, first)
    assert deadlines._timer is not None
    deadlines.remove(two, second)
    assert deadlines._timer is None


async def test_what_one_raises_is_not_the_others_business() -> None:
    class Failing(Waiter):
        def on_deadline(self) -> None:
            super().on_deadline()
            raise ValueError("on purpose")

    loop = asyncio.get_running_loop()
    failures: list[object] = []
    loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))
    deadlines = Deadlines(loop)
    waiters = [Failing(), Waiter(), Failing()]
    for waiter in waiters:
        deadlines.add(now() + 0.01, waiter)
    for waiter in waiters:
        await waiter.when()
    await asyncio.sleep(0)
    assert len(failures) == 2


async def test_who_was_told_may_wait_again() -> None:
    deadlines = Deadlines(asyncio.get_running_loop())
    first = Waiter()
    deadline = deadlines.add(now(), first)
    await first.when()
    second = Waiter()
    deadlines.add(now(), second)
    deadlines.remove(deadline, first)
    await second.when()
