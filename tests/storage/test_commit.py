"""Writer threads: what is done in which order, what fails alone, what a job owns."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from aiodicom.storage.commit import (
    MAXIMUM_SLICES,
    Duplicates,
    Durability,
    Job,
    ObjectExists,
    ObjectFile,
    Writers,
    make_folders,
    perform,
)
from aiodicom.wire.buffers import Account, Block, Pool
from tests.storage.faults import Gate, fail, record


def file_in(
    folder: Path, name: str = "CT.1", duplicates: Duplicates = Duplicates.REPLACE
) -> ObjectFile:
    return ObjectFile(os.fspath(folder), name, f".{name}.part", duplicates)


def job(file: ObjectFile, *buffers: bytes, is_last: bool = True) -> Job:
    return Job(file, buffers or (b"data",), None, is_last)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


# The order of things ------------------------------------------------------------------------------


def test_durable_is_data_then_name_then_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record(monkeypatch)
    perform([job(file_in(tmp_path))], Durability.DURABLE)
    assert calls == [
        ("open", ".CT.1.part"),
        ("writev", ".CT.1.part"),
        ("fdatasync", ".CT.1.part"),
        ("rename", ".CT.1.part"),
        ("open", tmp_path.name),
        ("fsync", tmp_path.name),
    ]


def test_without_durability_nothing_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record(monkeypatch)
    perform([job(file_in(tmp_path))], Durability.NONE)
    assert [call for call, _ in calls] == ["open", "writev", "rename"]


def test_batch_syncs_all_data_before_the_first_name_and_each_folder_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record(monkeypatch)
    perform([job(file_in(tmp_path, f"CT.{n}")) for n in range(3)], Durability.DURABLE)
    order = [call for call, _ in calls if call in ("fdatasync", "rename", "fsync")]
    assert order == ["fdatasync"] * 3 + ["rename"] * 3 + ["fsync"]


def test_slab_of_a_large_object_is_neither_synced_nor_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record(monkeypatch)
    file = file_in(tmp_path)
    perform([job(file, b"first", is_last=False)], Durability.DURABLE)
    assert [call for call, _ in calls] == ["open", "writev"]
    assert names(tmp_path) == [".CT.1.part"]
    perform([job(file, b"last")], Durability.DURABLE)
    assert (tmp_path / "CT.1").read_bytes() == b"firstlast"


def test_new_folders_are_synced_with_the_folders_that_hold_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record(monkeypatch)
    file = file_in(tmp_path / "study" / "series")
    perform([job(file)], Durability.DURABLE)
    order = [name for call, name in calls if call in ("rename", "fsync")]
    assert order[0] == ".CT.1.part"
    assert sorted(order[1:]) == sorted(["series", "study", tmp_path.name])


@pytest.mark.timeout(5)
def test_folders_are_made_from_where_the_process_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = make_folders("study/series/")
    assert made == [os.fspath(tmp_path / "study"), os.fspath(tmp_path)]
    assert make_folders("study/series") == []


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for duplicates in Duplicates:
        perform([job(file_in(tmp_path, "CT.1", duplicates))], Durability.DURABLE)
    assert len(os.listdir("/proc/self/fd")) == before


# Failures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("open", errno.EACCES),
        ("open", errno.ENOSPC),
        ("writev", errno.ENOSPC),
        ("writev", errno.EDQUOT),
        ("writev", errno.EIO),
        ("fdatasync", errno.EIO),
        ("fdatasync", errno.ENOSPC),
        ("rename", errno.ENOSPC),
        ("rename", errno.EROFS),
    ],
)
def test_failure_leaves_nothing_and_the_rest_of_the_batch_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    asked = fail(monkeypatch, call, code, ".CT.2.part")
    jobs = [job(file_in(tmp_path, f"CT.{n}")) for n in (1, 2, 3)]
    perform(jobs, Durability.DURABLE)
    assert [getattr(j.error, "errno", None) for j in jobs] == [None, code, None]
    assert names(tmp_path) == ["CT.1", "CT.3"]
    assert asked.count(".CT.2.part") == 1  # above all, a failed sync is not tried again


def test_failure_leaves_the_object_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    perform([job(file_in(tmp_path), b"first")], Durability.DURABLE)
    fail(monkeypatch, "fdatasync", errno.EIO, ".CT.1.part")
    perform([job(file_in(tmp_path), b"second")], Durability.DURABLE)
    assert (tmp_path / "CT.1").read_bytes() == b"first"


def test_error_that_the_kernel_kept_until_close_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, "close", errno.EIO, ".CT.1.part")
    attempt = job(file_in(tmp_path))
    perform([attempt], Durability.NONE)
    monkeypatch.undo()
    assert isinstance(attempt.error, OSError)
    assert names(tmp_path) == []


def test_folder_that_cannot_be_synced_fails_all_that_is_in_it_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.mkdir()
    bad.mkdir()
    asked = fail(monkeypatch, "fsync", errno.EIO, "bad")
    jobs = [job(file_in(bad, "CT.1")), job(file_in(good, "CT.2")), job(file_in(bad, "CT.3"))]
    perform(jobs, Durability.DURABLE)
    assert [getattr(j.error, "errno", None) for j in jobs] == [errno.EIO, None, errno.EIO]
    assert sorted(asked) == ["bad", "good"]


@pytest.mark.parametrize("which", ["parent", "study", "series"])
def test_new_folder_that_cannot_be_synced_fails_the_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    parent = tmp_path / "parent"
    parent.mkdir()
    fail(monkeypatch, "fsync", errno.EIO, which)
    attempt = job(file_in(parent / "study" / "series"))
    perform([attempt], Durability.DURABLE)
    assert isinstance(attempt.error, OSError)


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    attempt = job(file_in(tmp_path / "file" / "folder"))
    perform([attempt], Durability.DURABLE)
    assert isinstance(attempt.error, NotADirectoryError)


# Bytes --------------------------------------------------------------------------------------------


def test_more_slices_than_the_kernel_takes_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    original = os.writev

    def counting(descriptor: int, buffers: Sequence[bytes]) -> int:
        counts.append(len(buffers))
        return original(descriptor, buffers)

    monkeypatch.setattr(os, "writev", counting)
    slices = [n.to_bytes(2, "big") for n in range(3 * MAXIMUM_SLICES + 1)]
    perform([job(file_in(tmp_path), *slices)], Durability.NONE)
    assert counts == [MAXIMUM_SLICES] * 3 + [1]
    assert (tmp_path / "CT.1").read_bytes() == b"".join(slices)


@pytest.mark.parametrize("part", [1, 3, 5, 11])
def test_short_writes_go_on_where_the_kernel_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    write = os.write

    def short_writev(descriptor: int, buffers: Sequence[bytes]) -> int:
        return write(descriptor, b"".join(buffers)[:part])

    def short_write(descriptor: int, data: memoryview) -> int:
        return write(descriptor, data[:part])

    monkeypatch.setattr(os, "writev", short_writev)
    monkeypatch.setattr(os, "write", short_write)
    perform([job(file_in(tmp_path), b"one", b"two", b"three")], Durability.DURABLE)
    assert (tmp_path / "CT.1").read_bytes() == b"onetwothree"


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
@pytest.mark.parametrize("duplicates", Duplicates)
def test_mode_follows_the_umask(
    tmp_path: Path, mask: int, mode: int, duplicates: Duplicates
) -> None:
    with umask(mask):
        perform([job(file_in(tmp_path, "CT.1", duplicates))], Durability.DURABLE)
    assert (tmp_path / "CT.1").stat().st_mode & 0o777 == mode


# A name that is taken -----------------------------------------------------------------------------


def store_twice(folder: Path, duplicates: Duplicates) -> Job:
    perform([job(file_in(folder), b"first")], Durability.NONE)
    second = job(file_in(folder, "CT.1", duplicates), b"second")
    perform([second], Durability.DURABLE)
    return second


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_replace(tmp_path: Path) -> None:
    second = store_twice(tmp_path, Duplicates.REPLACE)
    assert contents(tmp_path) == {"CT.1": b"second"}
    assert second.error is None
    assert second.file.existed


def test_keep(tmp_path: Path) -> None:
    second = store_twice(tmp_path, Duplicates.KEEP)
    assert contents(tmp_path) == {"CT.1": b"first"}
    assert second.error is None
    assert second.file.existed


def test_refuse(tmp_path: Path) -> None:
    second = store_twice(tmp_path, Duplicates.REFUSE)
    assert contents(tmp_path) == {"CT.1": b"first"}
    assert isinstance(second.error, ObjectExists)


def test_both(tmp_path: Path) -> None:
    second = store_twice(tmp_path, Duplicates.BOTH)
    third = job(file_in(tmp_path, "CT.1", Duplicates.BOTH), b"third")
    perform([third], Durability.DURABLE)
    assert contents(tmp_path) == {"CT.1": b"first", "CT.1~1": b"second", "CT.1~2": b"third"}
    assert (second.file.name, third.file.name) == ("CT.1~1", "CT.1~2")


@pytest.mark.parametrize("duplicates", Duplicates)
def test_free_name_is_taken_whatever_the_policy(tmp_path: Path, duplicates: Duplicates) -> None:
    first = job(file_in(tmp_path, "CT.1", duplicates), b"first")
    perform([first], Durability.DURABLE)
    assert contents(tmp_path) == {"CT.1": b"first"}
    assert not first.file.existed


@pytest.mark.parametrize("duplicates", Duplicates)
def test_link_that_has_the_name_is_never_followed(tmp_path: Path, duplicates: Duplicates) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"precious")
    folder = tmp_path / "received"
    folder.mkdir()
    (folder / "CT.1").symlink_to(elsewhere)
    perform([job(file_in(folder, "CT.1", duplicates), b"sent")], Durability.DURABLE)
    assert elsewhere.read_bytes() == b"precious"


def test_folder_that_has_the_name_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "CT.1").mkdir()
    attempt = job(file_in(tmp_path))
    perform([attempt], Durability.DURABLE)
    assert isinstance(attempt.error, IsADirectoryError)
    assert names(tmp_path) == ["CT.1"]


# Threads ------------------------------------------------------------------------------------------


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
    with pytest.raises(RuntimeError, match="not been started"):
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
        doing = asyncio.create_task(running.do(Job(file_in(tmp_path), block.views, block, True)))
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
        doing = asyncio.create_task(running.do(job(file, is_last=False)))
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
        doing = asyncio.create_task(running.do(job(file)))
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
    doing = asyncio.create_task(running.do(job(file_in(tmp_path))))
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
        stuck = asyncio.create_task(running.do(job(file_in(tmp_path, "CT.1"))))
        await gate.wait_reached()
        try:
            await asyncio.wait_for(running.do(job(file_in(tmp_path, "CT.2"))), 5)
        finally:
            gate.opened.set()
        await stuck
    assert names(tmp_path) == ["CT.1", "CT.2"]


async def test_loop_is_free_while_the_writers_are_stuck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    async with writers() as running:
        doing = asyncio.create_task(running.do(job(file_in(tmp_path))))
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
            doing = asyncio.create_task(running.do(job(file_in(tmp_path, name))))
            await gate.wait_reached()
            stopping = asyncio.create_task(running.stop())
            await asyncio.sleep(0)  # now it waits for the job
            gate.opened.set()
            await stopping
            await doing

    for name in ("CT.1", "CT.2"):
        asyncio.run(stop_while_writing(name))
    assert names(tmp_path) == ["CT.1", "CT.2"]
