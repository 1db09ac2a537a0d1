"""Writer threads: what a job owns, and what waits for what."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiodicom.storage.commit import Durability, Job, perform
from aiodicom.storage.writers import Writers
from aiodicom.wire.buffers import Account, Block, Pool
from tests.storage.faults import Gate
from tests.storage.objects import contents, file_in, job, names


class Nobody:
    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def squeeze(self) -> None: ...


@contextlib.asynccontextmanager
async def writers(durability: Durability = Durability.DURABLE) -> AsyncIterator[Writers]:
    running = Writers(durability)
    running.start()
    try:
        yield running
    finally:
        await running.stop()


async def test_jobs_of_many_objects_come_back(tmp_path: Path) -> None:
    async with writers() as running:
        jobs = [job(file_in(tmp_path, f"CT.{n}"), b"%d" % n) for n in range(100)]
        await asyncio.gather(*(running.do(j) for j in jobs))
        assert contents(tmp_path) == {f"CT.{n}": b"%d" % n for n in range(100)}


async def test_failed_job_raises_where_it_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "CT.1").mkdir()
    async with writers() as running:
        with pytest.raises(IsADirectoryError):
            await running.do(job(file_in(tmp_path)))


async def test_writers_must_be_started(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="not running"):
        await Writers(Durability.NONE).do(job(file_in(tmp_path)))


async def test_threads_end_with_stop(tmp_path: Path) -> None:
    before = threading.active_count()
    async with writers() as running:
        await running.do(job(file_in(tmp_path)))
    writing = [t for t in threading.enumerate() if t.name.startswith("aiodicom-writer")]
    assert not writing
    assert threading.active_count() <= before + 1  # asyncio.to_thread keeps its own


class Stale(list[threading.Lock]):
    """Looks full: what was in it another thread has just taken."""

    def __bool__(self) -> bool:
        return True


async def test_stop_while_the_threads_wake_by_themselves(tmp_path: Path) -> None:
    async with writers() as running:
        await running.do(job(file_in(tmp_path)))
        running._parked = Stale(running._parked)


async def test_cancelled_job_keeps_its_memory_until_it_has_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    account = Account(Pool(), Nobody(), 1 << 20)
    slab = account.take_slab()
    assert slab is not None
    block = Block(account, [slab.view[:4]], 4, slab)
    async with writers() as running:
        doing = running.do(Job(file_in(tmp_path), block.views, block, True))
        await gate.wait_reached()
        doing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await doing
        assert account.held == 1 << 20
        gate.opened.set()
    assert account.held == 0
    assert (tmp_path / "CT.1").read_bytes() == bytes(4)  # it was complete


async def test_abandoned_object_is_removed_after_the_job_that_is_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    file = file_in(tmp_path)
    async with writers() as running:
        doing = running.do(job(file, is_last=False))
        await gate.wait_reached()
        doing.cancel()
        running.abandon(file)
        assert names(tmp_path) == [".CT.1.part"]
        gate.opened.set()
    assert names(tmp_path) == []


async def test_abandoned_object_that_has_its_name_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    file = file_in(tmp_path)
    async with writers() as running:
        doing = running.do(job(file))
        await gate.wait_reached()
        running.abandon(file)
        gate.opened.set()
        await doing
    assert contents(tmp_path) == {"CT.1": b"data"}


async def test_stop_waits_for_jobs_that_nobody_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    running = Writers(Durability.DURABLE)
    running.start()
    doing = running.do(job(file_in(tmp_path)))
    await gate.wait_reached()
    stopping = asyncio.create_task(running.stop())
    gate.opened.set()
    await stopping
    assert names(tmp_path) == ["CT.1"]
    await doing


async def test_object_does_not_wait_for_one_that_a_writer_is_stuck_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch, name=".CT.1.part")
    async with writers() as running:
        stuck = running.do(job(file_in(tmp_path, "CT.1")))
        await gate.wait_reached()
        try:
            await asyncio.wait_for(running.do(job(file_in(tmp_path, "CT.2"))), 5)
        finally:
            gate.opened.set()
        await stuck
    assert names(tmp_path) == ["CT.1", "CT.2"]


@pytest.mark.parametrize(("call", "is_last"), [("writev", False), ("fdatasync", True)])
async def test_object_waits_for_no_part_of_a_large_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, is_last: bool
) -> None:
    monkeypatch.setattr("aiodicom.storage.writers.PATIENCE", 1000.0)
    large = [file_in(tmp_path, name) for name in ("CT.1", "CT.2")]
    async with writers() as running:
        for file in large:
            await running.do(job(file, is_last=False))
        gates = [Gate(monkeypatch, call, f".CT.{n}.part") for n in (1, 2)]
        stuck = [running.do(job(file, is_last=is_last)) for file in large]
        await gates[0].wait_reached()
        try:
            await asyncio.wait_for(running.do(job(file_in(tmp_path, "CT.3"))), 5)
            assert not gates[1].reached.is_set()
        finally:
            for gate in gates:
                gate.opened.set()
        await asyncio.gather(*stuck)


async def test_objects_and_parts_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def noted(batch: list[Job], durability: Durability) -> None:
        done.append("".join(each.file.name[-1] for each in batch))
        perform(batch, durability)

    monkeypatch.setattr("aiodicom.storage.writers.perform", noted)
    gate = Gate(monkeypatch, name=".CT.1.part")
    running = Writers(Durability.NONE, threads=1)
    running.start()
    doing = [running.do(job(file_in(tmp_path, "CT.1")))]
    await gate.wait_reached()
    doing += [running.do(job(file_in(tmp_path, f"CT.{n}"), is_last=n < 5)) for n in range(2, 8)]
    gate.opened.set()
    await asyncio.gather(*doing)
    await running.stop()
    assert done == ["1", "5", "234", "6", "7"]


async def test_parts_go_on_while_their_writer_is_at_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiodicom.storage.writers.PATIENCE", 1000.0)
    part, small = (Gate(monkeypatch, name=f".CT.{n}.part") for n in (1, 3))
    async with writers() as running:
        first = running.do(job(file_in(tmp_path, "CT.1"), is_last=False))
        await part.wait_reached()
        second = running.do(job(file_in(tmp_path, "CT.2"), is_last=False))
        stuck = running.do(job(file_in(tmp_path, "CT.3")))
        try:
            await small.wait_reached()
            part.opened.set()
            await asyncio.wait_for(asyncio.gather(first, second), 5)
        finally:
            part.opened.set()
            small.opened.set()
        await stuck


async def test_loop_is_free_while_the_writers_are_stuck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    async with writers() as running:
        doing = running.do(job(file_in(tmp_path)))
        await gate.wait_reached()
        assert await asyncio.wait_for(asyncio.sleep(0, "still here"), 5) == "still here"
        assert not doing.done()
        gate.opened.set()
        await doing


def test_writers_serve_one_event_loop_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Writers(Durability.NONE)

    async def stop_while_writing(name: str) -> None:
        with monkeypatch.context() as patched:
            gate = Gate(patched)
            running.start()
            doing = running.do(job(file_in(tmp_path, name)))
            await gate.wait_reached()
            stopping = asyncio.create_task(running.stop())
            await asyncio.sleep(0)  # now it waits for the job
            gate.opened.set()
            await stopping
            await doing

    for name in ("CT.1", "CT.2"):
        asyncio.run(stop_while_writing(name))
    assert names(tmp_path) == ["CT.1", "CT.2"]


def test_a_stuck_writer_is_helped_in_the_next_event_loop_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Writers(Durability.DURABLE)

    async def two(first: str, second: str, patience: float) -> None:
        monkeypatch.setattr("aiodicom.storage.writers.PATIENCE", patience)
        gate = Gate(monkeypatch, name=f".{first}.part")
        running.start()
        stuck = running.do(job(file_in(tmp_path, first)))
        await gate.wait_reached()
        other = running.do(job(file_in(tmp_path, second)))
        try:
            if patience < 1:
                await asyncio.wait_for(other, 5)
        finally:
            gate.opened.set()
            await stuck
            await running.stop()

    asyncio.run(two("CT.1", "CT.2", 3600))  # ends before anybody has looked
    asyncio.run(two("CT.3", "CT.4", 0.001))
    assert names(tmp_path) == ["CT.1", "CT.2", "CT.3", "CT.4"]


async def test_a_job_after_the_end_is_refused_and_its_memory_given_back(tmp_path: Path) -> None:
    account = Account(Pool(), Nobody(), 1 << 20)
    async with writers() as running:
        pass
    with pytest.raises(RuntimeError, match="not running"):
        await running.do(Job(file_in(tmp_path), (b"data",), Block(account, [b"data"], 4), True))
    assert account.held == 0


async def test_an_object_that_is_abandoned_after_the_end_is_removed(tmp_path: Path) -> None:
    async with writers() as running:
        pass
    file = file_in(tmp_path)
    await asyncio.to_thread(file.write, [b"data"])
    running.abandon(file)
    await asyncio.get_running_loop().shutdown_default_executor()
    assert names(tmp_path) == []
