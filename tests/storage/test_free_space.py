"""Room for objects: what is enough, who looks, and what senders hear where there is too little."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiodicom import FileStorage, Status
from aiodicom.storage import free_space
from aiodicom.storage.free_space import MOST_BYTES, MOST_INODES, FreeSpace, Room
from aiodicom.wire.dimse import Tag
from aiodicom.wire.items import ProposedContext
from aiodicom.wire.negotiation import IMPLICIT_LITTLE, VERIFICATION
from tests.peer import PATIENCE, Peer, association_request, status_of
from tests.serving import MIB, serving, until

GIB = 1 << 30
AMPLE = Room(100 * GIB, 1000 * GIB, 10**6, 10**7)
FULL = Room(100 * MIB, 1000 * GIB, 10**6, 10**7)
CONGESTED = (2, 3, 1)


class Disk:
    """A file system that has what a test says."""

    def __init__(self) -> None:
        self.room = AMPLE
        self.looks = 0
        self.error: OSError | None = None
        self.threads: set[str] = set()
        self.answers = threading.Event()
        self.answers.set()

    def of(self, folder: str) -> Room:
        self.looks += 1
        self.threads.add(threading.current_thread().name)
        assert self.answers.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        return self.room


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """The file system under test; a second takes a hundredth of one."""
    disk = Disk()
    monkeypatch.setattr(Room, "of", disk.of)
    monkeypatch.setattr(free_space, "INTERVAL", 0.01)
    return disk


async def fill(disk: Disk, storage: FileStorage) -> None:
    """Fill the disk up, and have that noticed."""
    disk.room = FULL
    look = storage._space._look
    if look is not None:  # under way: it may have seen that there was room
        await asyncio.wait([look])
    storage._space._judge(FULL)


@pytest.fixture
def messages(caplog: pytest.LogCaptureFixture) -> Iterator[list[tuple[str, str]]]:
    """What is said of room, with its level."""
    said: list[tuple[str, str]] = []

    def note(record: logging.LogRecord) -> bool:
        if "room in" in record.getMessage():
            said.append((record.levelname, record.getMessage()))
        return True

    caplog.set_level(logging.INFO, "aiodicom.storage")
    logger = logging.getLogger("aiodicom.storage")
    logger.addFilter(note)
    yield said
    logger.removeFilter(note)


# What is enough -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free", "total", "is_enough"),
    [
        (MOST_BYTES, 1000 * GIB, True),
        (MOST_BYTES - 1, 1000 * GIB, False),
        (MIB, 64 * MIB, True),  # a small tmpfs
        (MIB // 2, 64 * MIB, False),
        (0, 0, True),  # a tmpfs without a size
    ],
)
def test_enough_is_a_hundredth_or_what_anybody_needs(
    free: int, total: int, is_enough: bool
) -> None:
    assert (not Room(free, total, 10**6, 10**7).lacks(None, None)) == is_enough


@pytest.mark.parametrize(
    ("free", "total", "is_enough"),
    [(MOST_INODES, 10**9, True), (MOST_INODES - 1, 10**9, False), (10, 1000, True), (0, 0, True)],
)
def test_inodes_are_counted_where_the_file_system_counts_them(
    free: int, total: int, is_enough: bool
) -> None:
    assert (not Room(GIB, GIB, free, total).lacks(None, None)) == is_enough


def test_who_says_how_much_is_enough() -> None:
    room = Room(500, 1000, 50, 100)
    assert not room.lacks(500, 50)
    assert room.lacks(501, 0) == "500 bytes are free, 501 are to stay so"
    assert room.lacks(0, 51) == "50 inodes are free, 51 are to stay so"
    assert not room.lacks(0, 0)
    assert room.lacks(500, 0, more=1)


def test_room_is_what_the_system_says(tmp_path: Path) -> None:
    room, usage = Room.of(os.fspath(tmp_path)), shutil.disk_usage(tmp_path)
    assert room.total_bytes == usage.total
    assert 0 < room.free_bytes <= usage.total


@pytest.mark.parametrize("setting", ["least_free_bytes", "least_free_inodes"])
def test_less_than_nothing_cannot_be_kept_free(setting: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        FileStorage(tmp_path, **{setting: -1})  # type: ignore[arg-type]


# Who is told --------------------------------------------------------------------------------------


async def test_where_there_is_too_little_objects_are_refused_until_there_is_more(
    disk: Disk, tmp_path: Path, messages: list[tuple[str, str]]
) -> None:
    storage = FileStorage(tmp_path)
    async with serving(store=storage) as server, Peer(server.port) as peer:
        await peer.associate()
        assert await peer.store("1.2.3") == Status.SUCCESS
        disk.room = FULL
        async with asyncio.timeout(PATIENCE):
            while await peer.store("1.2.4") == Status.SUCCESS:
                pass
        async with Peer(server.port) as newcomer:
            assert await newcomer.rejected() == CONGESTED
        assert await peer.echo() == Status.SUCCESS
        disk.room = AMPLE  # nobody sends anything, and it is seen
        await until(lambda: not storage._space.is_short)
        assert await peer.store("1.2.5") == Status.SUCCESS
        async with Peer(server.port) as newcomer:
            await newcomer.associate()
    assert [level for level, _ in messages] == ["WARNING", "INFO"]
    assert f"{100 * MIB} bytes are free, {MOST_BYTES} are to stay so" in messages[0][1]


async def test_who_would_only_echo_hears_of_it_as_well(disk: Disk, tmp_path: Path) -> None:
    disk.room = FULL
    echo = association_request([ProposedContext.of(1, VERIFICATION, IMPLICIT_LITTLE)])
    async with serving(store=FileStorage(tmp_path)) as server, Peer(server.port) as peer:
        assert await peer.rejected(echo) == CONGESTED


async def test_a_full_disk_and_many_senders_do_not_fill_the_log(
    disk: Disk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = FileStorage(tmp_path)
    async with serving(store=storage) as server, contextlib.AsyncExitStack() as opened:
        peers = [await opened.enter_async_context(Peer(server.port)) for _ in range(16)]
        for peer in peers:
            await peer.associate()
        await fill(disk, storage)
        for peer in peers * 3:
            assert await peer.store("1.2.3") == Status.OUT_OF_RESOURCES
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert [line for line in said if line.startswith("Refused")] == [
        "Refused: 0xA700 too little room; try again later (127.0.0.1)"
    ]


async def test_a_refusal_does_not_wait_for_the_object(disk: Disk, tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    async with serving(store=storage) as server, Peer(server.port) as peer:
        await peer.associate()
        await fill(disk, storage)
        await peer.begin_store("1.2.3", b"a part")
        response = await peer.response()
        assert status_of(response) == Status.OUT_OF_RESOURCES
        assert response.text(Tag.ERROR_COMMENT) == "too little room; try again later"
        await peer.finish_store(bytes(1000))
        assert await peer.echo() == Status.SUCCESS
    assert not os.listdir(tmp_path)


async def test_a_disk_that_is_full_at_the_start_is_no_reason_not_to_start(
    disk: Disk, tmp_path: Path, messages: list[tuple[str, str]]
) -> None:
    disk.room = FULL
    async with serving(store=FileStorage(tmp_path)) as server, Peer(server.port) as peer:
        assert await peer.rejected() == CONGESTED
    assert [level for level, _ in messages] == ["WARNING"]


async def test_a_little_more_is_not_enough_again(
    disk: Disk, tmp_path: Path, messages: list[tuple[str, str]]
) -> None:
    disk.room = FULL
    async with FileStorage(tmp_path) as storage:
        for share, is_short in [(100, True), (109, True), (110, False), (101, False), (99, True)]:
            disk.room = Room(MOST_BYTES * share // 100 + 1, 1000 * GIB, 10**6, 10**7)
            storage._space._judge(disk.room)
            assert storage._space.is_short == is_short
    assert [level for level, _ in messages] == ["WARNING", "INFO", "WARNING"]


async def test_without_a_limit_nothing_is_too_little(disk: Disk, tmp_path: Path) -> None:
    disk.room = Room(0, GIB, 0, 1000)
    storage = FileStorage(tmp_path, least_free_bytes=0, least_free_inodes=0)
    async with serving(store=storage) as server, Peer(server.port) as peer:
        await peer.associate()
        assert await peer.store("1.2.3") == Status.SUCCESS
    assert disk.looks == 1


async def test_where_the_system_does_not_answer_the_writers_say_why(
    disk: Disk, tmp_path: Path
) -> None:
    disk.room = FULL
    async with FileStorage(tmp_path) as storage:
        assert storage._space.is_short
        disk.error = OSError(errno.EIO, "Input/output error")
        await until(lambda: not storage._space.is_short)


# Who looks ----------------------------------------------------------------------------------------


async def test_objects_are_not_looked_for_one_by_one_nor_in_the_loop(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(free_space, "INTERVAL", 60)
    async with serving(store=FileStorage(tmp_path)) as server, Peer(server.port) as peer:
        await peer.associate()
        for number in range(50):
            assert await peer.store(f"1.2.{number}") == Status.SUCCESS
    assert disk.looks == 1  # before the first
    assert threading.main_thread().name not in disk.threads


async def test_who_is_refused_makes_nobody_look(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(free_space, "INTERVAL", 60)
    storage = FileStorage(tmp_path)
    async with serving(store=storage) as server, Peer(server.port) as peer:
        await peer.associate()
        storage._space._judge(FULL)
        for number in range(20):
            assert await peer.store(f"1.2.{number}") == Status.OUT_OF_RESOURCES
    assert disk.looks == 1


async def test_who_is_idle_and_has_room_is_not_looked_after(disk: Disk, tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    async with serving(store=storage) as server, Peer(server.port) as peer:
        await peer.associate()
        assert await peer.store("1.2.3") == Status.SUCCESS
        await until(lambda: not storage._space.is_watched)
        looks = disk.looks
        assert await peer.hears_nothing(0.1)  # ten times as long as from look to look
        assert disk.looks == looks


async def test_a_look_that_hangs_is_the_only_one_and_in_nobody_s_way(
    disk: Disk, tmp_path: Path
) -> None:
    storage = FileStorage(tmp_path)
    async with serving(store=storage) as server, Peer(server.port) as peer:
        await peer.associate()
        await until(lambda: not storage._space.is_watched)
        disk.answers.clear()
        looks = disk.looks
        for number in range(20):
            assert await peer.store(f"1.2.{number}") == Status.SUCCESS
        await until(lambda: disk.looks > looks)
        assert await peer.store("1.3") == Status.SUCCESS
        assert disk.looks == looks + 1
    disk.answers.set()


async def test_a_storage_that_has_ended_looks_no_more_and_may_begin_again(
    disk: Disk, tmp_path: Path
) -> None:
    disk.room = FULL
    storage = FileStorage(tmp_path)
    async with storage:
        pass
    looks = disk.looks
    await asyncio.sleep(0.05)
    assert disk.looks == looks
    assert not storage._space.asks  # nothing has changed since
    disk.room = AMPLE
    async with storage:
        assert not storage._space.is_short


def test_one_that_was_never_started_asks_nobody() -> None:
    space = FreeSpace()
    space.watch()
    space.stop()
    assert not space.is_watched
