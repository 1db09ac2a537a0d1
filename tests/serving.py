"""A server under test that must leave nothing behind, and handlers for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import aiodicom
from aiodicom.wire.buffers import Account, Pool
from tests.peer import PATIENCE

TIMEOUTS = aiodicom.Timeouts(association=10, network=10, closing=2)

MIB = 1 << 20


@contextlib.asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[aiodicom.Server]:
    """Serve on a free port of the loopback; check afterwards that nothing is left.

    No task, no connection, no byte of a dataset, and nothing that is a bug of ours.
    """
    if "listeners" not in settings:
        settings = {"host": "127.0.0.1", "port": 0, **settings}
    settings = {"timeouts": TIMEOUTS, "grace": 1, **settings}
    loop = asyncio.get_running_loop()
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: failures.append(context))
    tasks = asyncio.all_tasks()
    with bugs_logged() as bugs:
        async with aiodicom.serve(**settings) as server:
            yield server
    assert not failures, failures
    assert not bugs, bugs
    assert asyncio.all_tasks() <= tasks
    assert not server._connections.made
    await asyncio.sleep(0)  # the end of the last conversation is counted in the next turn
    assert (server._share.add_connection(0), server.associations) == (0, 0)
    assert pool_of(server).held == 0
    assert not pool_of(server).waiting
    assert not pool_of(server).filling


@contextlib.contextmanager
def bugs_logged() -> Iterator[list[str]]:
    """Collect what connections log of failures that are nobody's but ours."""
    bugs: list[str] = []

    def is_bug(record: logging.LogRecord) -> bool:
        if "a bug of aiodicom's" in record.getMessage():
            bugs.append(f"{record.getMessage()}: {record.exc_info}")
        return True

    logger = logging.getLogger("aiodicom.protocol")
    logger.addFilter(is_bug)
    try:
        yield bugs
    finally:
        logger.removeFilter(is_bug)


def pool_of(server: aiodicom.Server) -> Pool:
    assert server._surroundings is not None
    return server._surroundings.pool


def accept(server: aiodicom.Server) -> None:
    """Accept what waits, before the loop sees that it does."""
    assert server._connections._accepting is not None
    server._connections._accepting.accept(server._listened_on[0].socket)


async def happens(event: asyncio.Event) -> None:
    """Wait for an event that is bound to come."""
    async with asyncio.timeout(PATIENCE):
        await event.wait()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something has come true that nothing tells of."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def empty(server: aiodicom.Server) -> None:
    """Wait until a server has no connection left."""
    assert await server._connections.wait_empty(PATIENCE)


class Keeper:
    """A store handler that keeps what it read, or what reading raised."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.requests: list[aiodicom.StoreRequest] = []
        self.outcomes: asyncio.Queue[bytes | Exception] = asyncio.Queue()

    async def __call__(self, request: aiodicom.StoreRequest) -> int:
        self.requests.append(request)
        self.entered.set()
        try:
            self.outcomes.put_nowait(await request.dataset.read())
        except Exception as error:
            self.outcomes.put_nowait(error)
            raise
        return aiodicom.Status.SUCCESS

    async def outcome(self) -> bytes | Exception:
        async with asyncio.timeout(PATIENCE):
            return await self.outcomes.get()


class Gate(Keeper):
    """A store handler that reads nothing until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = asyncio.Event()
        self.cancelled = False

    async def __call__(self, request: aiodicom.StoreRequest) -> int:
        self.entered.set()
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return await super().__call__(request)


async def discard(request: aiodicom.StoreRequest) -> int:
    """Take an object and drop it."""
    request.dataset.discard()
    return aiodicom.Status.SUCCESS


class Peak:
    """The most that was held: by any one account, and by all of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.account = self.pool = 0
        for name in ("hold", "count"):
            monkeypatch.setattr(Account, name, self._measured(getattr(Account, name)))

    def _measured(self, method: Callable[[Account, int], None]) -> Callable[[Account, int], None]:
        def measured(account: Account, count: int) -> None:
            method(account, count)
            self.account = max(self.account, account.held)
            self.pool = max(self.pool, account.pool.held)

        return measured
