"""A disk that fails for a while, under several associations: who is refused, what comes after."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aiodicom import FileStorage, Status
from aiodicom.storage.schemes import Layout
from aiodicom.storage.sorting import by_study_uid
from aiodicom.wire.dimse import Tag
from tests.peer import Peer, status_of, store_pdus
from tests.processes import dataset_of, tries, unfinished
from tests.reliability.sending import dataset_of_size
from tests.serving import serving
from tests.storage.faults import Gate
from tests.storage.objects import tree

SMALL, LARGE = 6_000, 1_300_000
"""Bytes of pixels: one job, and two."""


@asynccontextmanager
async def associated(folder: Path, count: int, **settings: Any) -> AsyncIterator[list[Peer]]:
    """Associations with a server that stores into a folder."""
    async with AsyncExitStack() as stack:
        storage = FileStorage(folder, **settings)
        server = await stack.enter_async_context(serving(store=storage))
        peers = [await stack.enter_async_context(Peer(server.port)) for _ in range(count)]
        for peer in peers:
            await peer.associate()
        yield peers
        for peer in peers:
            await peer.release()


def is_writer() -> bool:
    return threading.current_thread().name.startswith("aiodicom-writer")


def break_call(monkeypatch: pytest.MonkeyPatch, call: str, code: int) -> None:
    """Make a system call of the writers fail until that is undone."""
    original = getattr(os, call)

    def failing(*args: Any, **kwargs: Any) -> Any:
        if not is_writer():
            return original(*args, **kwargs)
        if call == "close":  # it tells of what it could not write, and has closed
            original(*args, **kwargs)
        raise OSError(code, os.strerror(code), "/secret")

    monkeypatch.setattr(os, call, failing)


def data_of(uid: str, version: int, size: int) -> bytes:
    return dataset_of_size(uid, f"1.2.{version}", version, size)


def wait_for_no_part(folder: Path) -> None:
    for _ in tries("something unfinished is left"):
        if not unfinished(folder):
            return


async def refused(peer: Peer, uid: str, data: bytes) -> str:
    """Store in vain, for want of resources; return the Error Comment."""
    await peer.send(store_pdus(uid, data))
    response = await peer.response()
    assert status_of(response) == Status.OUT_OF_RESOURCES
    return response.text(Tag.ERROR_COMMENT)


# Faults that last --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "code", "settings"),
    [
        ("open", errno.EMFILE, {}),
        ("open", errno.EROFS, {}),
        ("writev", errno.ENOSPC, {}),
        ("writev", errno.EDQUOT, {}),
        ("writev", errno.EIO, {}),
        ("fdatasync", errno.EIO, {}),
        ("close", errno.EDQUOT, {}),
        ("rename", errno.EACCES, {}),
        ("link", errno.EROFS, {"duplicates": "keep"}),
        ("link", errno.EDQUOT, {"duplicates": "both"}),
        ("mkdir", errno.EROFS, {"layout": Layout(sorting=by_study_uid())}),
        ("fsync", errno.EIO, {}),
        ("fsync", errno.ENOSPC, {"layout": Layout(sorting=by_study_uid())}),
    ],
    ids=lambda value: errno.errorcode[value] if isinstance(value, int) else None,
)
async def test_disk_that_fails_for_a_while(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    code: int,
    settings: dict[str, Any],
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    async with associated(tmp_path, 3, **settings) as peers:
        first = data_of("1.1", 1, SMALL)
        assert await peers[0].store("1.1", first) == Status.SUCCESS
        with monkeypatch.context() as broken:
            break_call(broken, call, code)
            sizes = (SMALL, SMALL, LARGE)
            comments = await asyncio.gather(
                *(
                    refused(peer, f"1.2.{number}", data_of(f"1.2.{number}", 2 + number, size))
                    for number, (peer, size) in enumerate(zip(peers, sizes, strict=True))
                )
            )
            assert comments == [os.strerror(code)] * 3  # and no path
            assert [await peer.echo() for peer in peers] == [0] * 3
        wait_for_no_part(tmp_path)
        (kept,) = (path for path in tree(tmp_path) if path.endswith("CT.1.1"))
        assert dataset_of(tmp_path / kept) == first
        after = [data_of(f"1.3.{n}", 1, LARGE if n else SMALL) for n in range(3)]
        stored = (peer.store(f"1.3.{n}", after[n]) for n, peer in enumerate(peers))
        assert await asyncio.gather(*stored) == [Status.SUCCESS] * 3
    for number, data in enumerate(after):
        (path,) = (path for path in tree(tmp_path) if path.endswith(f"CT.1.3.{number}"))
        assert dataset_of(tmp_path / path) == data
    assert unfinished(tmp_path) == []
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # uvloop keeps one of its own


@pytest.mark.parametrize("call", ["writev", "fdatasync", "rename"])
@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_object_that_cannot_be_replaced_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, size: int
) -> None:
    async with associated(tmp_path, 1) as (peer,):
        first = data_of("1.1", 1, size)
        assert await peer.store("1.1", first) == Status.SUCCESS
        with monkeypatch.context() as broken:
            break_call(broken, call, errno.EIO)
            await refused(peer, "1.1", data_of("1.1", 2, size))
        assert dataset_of(tmp_path / "CT.1.1") == first
    assert tree(tmp_path) == ["CT.1.1"]


async def test_what_a_disk_that_has_become_read_only_keeps_goes_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        async with associated(tmp_path, 1) as (peer,):
            assert await peer.store("1.1", data_of("1.1", 1, SMALL)) == Status.SUCCESS
            break_call(broken, "fdatasync", errno.EROFS)
            break_call(broken, "unlink", errno.EROFS)
            await refused(peer, "1.2", data_of("1.2", 1, SMALL))
    assert len(unfinished(tmp_path)) == 1  # its owner is gone, and so is the owner's lock
    async with associated(tmp_path, 1):
        assert unfinished(tmp_path) == []
    assert tree(tmp_path) == ["CT.1.1"]


# Disks that are slow, and writes that are short -----------------------------------------------


@pytest.mark.parametrize("call", ["writev", "fdatasync", "rename", "fsync"])
async def test_slow_disk_delays_the_answer_and_nobody_elses_echo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    async with associated(tmp_path, 2) as (peer, other):
        data = data_of("1.1", 1, SMALL)
        with monkeypatch.context() as patched:
            gate = Gate(patched, call)
            await peer.send(store_pdus("1.1", data))
            await gate.wait_reached()
            assert await other.echo() == Status.SUCCESS
            assert await peer.hears_nothing()
            gate.opened.set()
            assert await peer.status() == Status.SUCCESS
    assert dataset_of(tmp_path / "CT.1.1") == data


def shortened(original: Callable[[int, Any], int]) -> Callable[[int, Any], int]:
    """A call that takes half of what it is given, at least a byte."""

    def short(descriptor: int, data: Any) -> int:
        if not is_writer():
            return original(descriptor, data)
        whole = bytes(data) if isinstance(data, (bytes, memoryview)) else b"".join(data)
        return os.pwrite(descriptor, *_half(descriptor, whole))

    return short


def _half(descriptor: int, data: bytes) -> tuple[bytes, int]:
    return data[: len(data) // 2 or 1], os.lseek(descriptor, 0, os.SEEK_END)


@pytest.mark.parametrize("size", [0, SMALL, LARGE])
async def test_writes_that_are_short_are_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    for call in ("write", "writev"):
        monkeypatch.setattr(os, call, shortened(getattr(os, call)))
    async with associated(tmp_path, 1) as (peer,):
        data = data_of("1.1", 1, size)
        assert await peer.store("1.1", data) == Status.SUCCESS
    monkeypatch.undo()
    assert dataset_of(tmp_path / "CT.1.1") == data
