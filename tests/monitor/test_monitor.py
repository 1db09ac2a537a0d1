"""Monitor: what several processes know together, and what the storage has room for."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import aiodicom
from aiodicom.events import ServerListening
from aiodicom.monitor import Monitor
from aiodicom.storage.free_space import Room
from tests.monitor.happening import Happening, who
from tests.peer import Peer
from tests.serving import Keeper, serving, until

PLENTY = Room(50 << 30, 100 << 30, 5, 10)


def in_worker(monitor: Monitor, index: int, act: Callable[[], None]) -> None:
    """Do something in a worker's process, whose end is regular."""

    async def work() -> None:
        async with monitor:
            monitor(ServerListening("TITLE", ()))
            act()

    pid = os.fork()
    if not pid:
        monitor.work(index)
        asyncio.run(work())
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


async def test_a_server_is_watched(anyio_backend: object) -> None:
    monitor = Monitor()
    async with serving(store=Keeper(), watchers=[monitor]) as server:
        async with Peer(server.port) as peer:
            await peer.associate()
            assert await peer.store("2.25.1") == 0
            told = monitor.snapshot()
            assert (told["associations"], told["totals"]["objects"]) == (1, 1)
            assert told["busiest"][0]["sop_class"] == "CT Image Storage"
            assert told["server"]["addresses"] == [["127.0.0.1", server.port]]
            await peer.release()
        await until(lambda: monitor.snapshot()["totals"]["ended"]["released"] == 1)
        assert monitor.is_listening
    assert not monitor.is_listening


async def test_a_monitor_that_a_server_has_is_refused_to_another_one(
    anyio_backend: object,
) -> None:
    monitor = Monitor()
    async with serving(watchers=[monitor]) as server:
        other = aiodicom.serve(host="127.0.0.1", port=0, watchers=[monitor])
        with pytest.raises(RuntimeError, match="one of its own"):
            await other.start()
        assert monitor.snapshot()["server"]["addresses"] == [["127.0.0.1", server.port]]
    async with serving(watchers=[monitor]):
        assert monitor.is_listening


async def test_what_is_in_memory_is_told(anyio_backend: object) -> None:
    monitor = Monitor()
    async with serving(store=Keeper(), watchers=[monitor]) as server:
        async with Peer(server.port) as peer:
            await peer.associate()
            await peer.begin_store("2.25.1", bytes(10_000))
            await until(lambda: monitor.snapshot()["busiest"][0]["bytes"] >= 10_000)
        await until(lambda: monitor.snapshot()["associations"] == 0)
        assert monitor.snapshot()["totals"]["interrupted"] == {"C-STORE": 1}
        assert monitor.snapshot()["buffered_bytes"] == 0


def test_any_worker_answers_for_all() -> None:
    monitor = Monitor()
    monitor.share(3)
    for index in range(3):
        in_worker(monitor, index, lambda: Happening(monitor, who("SENDER")).store(1000))
    monitor.work(1)
    told = monitor.snapshot()
    assert (told["totals"]["objects"], told["totals"]["bytes"]) == (3, 3000)
    assert sum(told["rates"]["objects"]) == 3
    assert [worker["objects"] for worker in told["workers"]] == [1, 1, 1]


def test_nothing_goes_backwards_when_a_worker_dies_and_is_replaced() -> None:
    monitor = Monitor()
    monitor.share(2)
    in_worker(monitor, 0, lambda: Happening(monitor).store(1000))
    assert monitor.snapshot()["restarts"] == 0
    monitor.restarted(0)
    monitor.work(1)
    told = monitor.snapshot()
    assert (told["totals"]["objects"], told["associations"], told["restarts"]) == (1, 0, 1)
    assert told["totals"]["ended"]["died"] == 1
    in_worker(monitor, 0, lambda: Happening(monitor).store(500))
    told = monitor.snapshot()
    assert (told["totals"]["objects"], told["totals"]["ended"]["died"]) == (2, 1)


def test_what_a_worker_has_told_others_tell_as_well_even_where_it_dies() -> None:
    monitor = Monitor()
    monitor.share(2)

    def store_and_tell() -> None:
        Happening(monitor).store(1000)
        assert monitor.snapshot()["totals"]["objects"] == 1

    in_worker(monitor, 0, store_and_tell)
    monitor.work(1)
    assert monitor.snapshot()["totals"]["objects"] == 1


async def test_a_worker_reports_soon_after_something_has_happened(anyio_backend: object) -> None:
    monitor = Monitor()
    monitor.share(2)
    monitor.work(0)
    async with monitor:
        assert monitor._timer is None
        Happening(monitor).store()
        slots = monitor._slots
        assert slots is not None
        await until(lambda: slots.read(0) is not None)
        assert (slots.read(0) or {})["totals"] == monitor._record.report()["totals"]
        assert monitor._timer is None  # nobody is woken again


async def test_a_dataset_that_comes_is_reported_while_somebody_looks(anyio_backend: object) -> None:
    monitor, other = Monitor(), Monitor()
    monitor.share(2)
    monitor.work(0)
    other._slots = slots = monitor._slots
    assert slots is not None
    other.work(1)
    async with monitor:
        request = Happening(monitor).begin(0)
        assert request.dataset is not None
        for size in (1000, 2000):
            request.dataset.size = size
            await until(lambda: other.snapshot()["totals"]["bytes"] == request.size)


async def test_who_begins_to_look_later_is_told_as_well(anyio_backend: object) -> None:
    monitor, other = Monitor(), Monitor()
    monitor.share(2)
    monitor.work(0)
    other._slots = slots = monitor._slots
    assert slots is not None
    other.work(1)
    async with monitor:
        request = Happening(monitor).begin(0)
        assert request.dataset is not None
        await until(lambda: slots.read(0) is not None)
        request.dataset.size = 1000
        await until(lambda: other.snapshot()["totals"]["bytes"] == 1000)


def test_a_worker_that_was_never_missed_is_replaced_as_well() -> None:
    monitor = Monitor()
    monitor.share(2)
    in_worker(monitor, 0, lambda: Happening(monitor).store(1000))
    in_worker(monitor, 0, lambda: None)
    monitor.work(1)
    told = monitor.snapshot()
    assert (told["totals"]["objects"], told["totals"]["ended"]["died"]) == (1, 1)


async def test_free_space_is_asked_in_a_thread_and_not_again_at_once(anyio_backend: object) -> None:
    asked: list[int] = []

    def ask() -> Room:
        asked.append(threading.get_ident())
        return PLENTY

    async with Monitor(ask) as monitor:
        await monitor.refresh()
        await monitor.refresh()
        assert len(asked) == 1
        assert asked[0] != threading.get_ident()
        assert monitor.snapshot()["storage"]["free_bytes"] == 50 << 30
        assert not monitor.lacking


async def test_a_storage_that_cannot_be_asked_is_not_ready(anyio_backend: object) -> None:
    def ask() -> Room:
        raise OSError(5, "Input/output error")

    async with Monitor(ask) as monitor:
        await monitor.refresh()
        assert monitor.lacking == "the storage cannot tell its free space"
        assert monitor.snapshot()["storage"] is None


async def test_a_storage_that_does_not_answer_is_not_waited_for(anyio_backend: object) -> None:
    answers = threading.Event()

    def ask() -> Room:
        answers.wait(10)
        return PLENTY

    async with Monitor(ask) as monitor:
        await monitor.refresh()
        assert monitor.lacking == "the storage does not answer"
        answers.set()
        await monitor.refresh()
        assert not monitor.lacking


async def test_a_storage_tells_whether_it_has_room(tmp_path: Path, anyio_backend: object) -> None:
    storage = aiodicom.FileStorage(tmp_path, least_free_bytes=1 << 62)
    assert storage.room() is None
    async with storage:
        room = await asyncio.to_thread(storage.room)
        assert room is not None
        assert room.free_bytes > 0
        assert "are to stay so" in room.lacking
