"""A new version on the socket of the old one: nobody who connects is refused."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiodicom
from tests.processes import PATIENCE
from tests.serving import until
from tests.supervisor import Supervisor, supervising


class Senders:
    """Senders that open an association for each request, one after the other, without a pause."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.served = 0
        self.failures: list[aiodicom.DicomError] = []

    async def send(self) -> None:
        while True:
            try:
                async with aiodicom.connect("127.0.0.1", self._port) as requestor:
                    assert await requestor.c_echo() == aiodicom.Status.SUCCESS
            except aiodicom.DicomError as error:
                self.failures.append(error)
                return
            self.served += 1

    async def serve_more(self, count: int) -> None:
        """Wait until so many more were served."""
        wanted = self.served + count
        await until(lambda: self.served >= wanted or bool(self.failures))


@contextlib.asynccontextmanager
async def sending(port: int) -> AsyncIterator[Senders]:
    senders = Senders(port)
    tasks = [asyncio.create_task(senders.send()) for _ in range(4)]
    try:
        yield senders
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def wait_told(supervisor: Supervisor, line: str) -> None:
    await asyncio.to_thread(supervisor.wait_told, line)


async def test_the_new_one_begins_before_the_old_one_ends(tmp_path: Path) -> None:
    with supervising(tmp_path) as supervisor:
        old = await asyncio.to_thread(supervisor.start, "storescp", "-od", "objects")
        await wait_told(supervisor, "READY=1")
        async with sending(supervisor.port) as senders:
            await senders.serve_more(20)
            new = await asyncio.to_thread(supervisor.start, "storescp", "-od", "objects")
            await wait_told(supervisor, "READY=1")
            old.terminate()
            assert await asyncio.to_thread(old.wait, PATIENCE) == 0
            await senders.serve_more(20)
        assert senders.failures == []
        assert new.poll() is None


async def test_the_old_one_ends_before_the_new_one_begins(tmp_path: Path) -> None:
    with supervising(tmp_path) as supervisor:
        old = await asyncio.to_thread(supervisor.start, "storescp", "-od", "objects")
        await wait_told(supervisor, "READY=1")
        async with sending(supervisor.port) as senders:
            await senders.serve_more(20)
            old.terminate()
            assert await asyncio.to_thread(old.wait, PATIENCE) == 0
            await asyncio.to_thread(supervisor.start, "storescp", "-od", "objects")
            await wait_told(supervisor, "READY=1")
            await senders.serve_more(20)
        assert senders.failures == []
