"""Whose temporary files go, and whose stay: real processes that are killed, and races."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from aiodicom import FileStorage
from aiodicom.storage import leftovers
from aiodicom.storage.leftovers import Owner, remove_leftovers
from tests.peer import ct_dataset, dataset_pdus
from tests.processes import Sender, dataset_of, receiving, tries, unfinished, visible
from tests.storage.objects import file_in, names, warnings_of
from tests.storage.test_files import begun

UID, NAME = "1.2.3", "CT.1.2.3"


def lock_files(folder: Path) -> list[Path]:
    return sorted(folder.glob(".aiodicom-*.lock"))


def leave(folder: Path, owner: str = "0123abcd", parts: int = 2) -> list[Path]:
    """Make what a receiver leaves behind that was killed."""
    left = [folder / f".aiodicom-{owner}-{n}.part" for n in range(parts)]
    for path in (folder / f".aiodicom-{owner}.lock", *left):
        path.write_bytes(b"unfinished")
    return left


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, as another process would."""
    descriptor = os.open(path, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


# Processes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [50, 200_000, 2_500_000])
def test_killed_receiver_leaves_nothing_that_the_next_start_does_not_remove(
    tmp_path: Path, sent: int
) -> None:
    first, second = ct_dataset(UID, bytes(3_000_000)), ct_dataset(UID, b"\1" * 3_000_000)
    with receiving("storescp", folder=tmp_path) as receiver, Sender(receiver.port) as sender:
        sender.associate()
        assert sender.store(UID, first) == 0
        sender.send(begun(second, sent))
        if sent > 1 << 20:
            wait_for_part(tmp_path)
        receiver.stop(signal.SIGKILL)
    assert visible(tmp_path) == [NAME]
    assert dataset_of(tmp_path / NAME) == first
    assert len(lock_files(tmp_path)) == 1
    expected = len(unfinished(tmp_path))
    with receiving("storescp", folder=tmp_path) as receiver:
        assert unfinished(tmp_path) == []
        assert len(lock_files(tmp_path)) == 1
        assert receiver.stop() == 0
        warning = "W: Removed 1 unfinished files of a receiver that is gone"
        assert receiver.lines == [warning] * expected
    assert os.listdir(tmp_path) == [NAME]
    assert dataset_of(tmp_path / NAME) == first


def wait_for_part(folder: Path) -> None:
    for _ in tries("no temporary file"):
        if any((folder / name).stat().st_size for name in unfinished(folder)):
            return


def test_running_receiver_is_left_alone_by_one_that_starts(tmp_path: Path) -> None:
    data = ct_dataset(UID, b"\1" * 3_000_000)
    with receiving("storescp", folder=tmp_path) as old, Sender(old.port) as sender:
        sender.associate()
        sender.send(begun(data, 2_500_000))
        wait_for_part(tmp_path)
        with receiving("storescp", folder=tmp_path) as new, Sender(new.port) as other:
            assert len(unfinished(tmp_path)) == 1
            other.associate()
            assert other.store("1.2.4") == 0
            new.stop(signal.SIGKILL)
        sender.send(dataset_pdus(data[2_500_000:]))
        assert sender.status() == 0
    assert visible(tmp_path) == [NAME, "CT.1.2.4"]
    assert dataset_of(tmp_path / NAME) == data


# Cleaning -----------------------------------------------------------------------------------------


def test_folders_below_are_not_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study").mkdir()
    leave(tmp_path)
    read: list[object] = []
    listdir = os.listdir

    def noting(path: str) -> list[str]:
        read.append(path)
        return listdir(path)

    monkeypatch.setattr(os, "listdir", noting)
    monkeypatch.setattr(os, "scandir", read.append)
    assert remove_leftovers(tmp_path.as_posix()) == 2
    assert set(read) == {tmp_path.as_posix()}


def test_temporary_file_of_a_sorted_object_stands_in_the_folder_itself(tmp_path: Path) -> None:
    file = file_in(tmp_path, "CT.1")
    file.folder = (tmp_path / "study").as_posix()
    file.write([b"unfinished"])
    assert [path.parent for path in tmp_path.rglob("*.part")] == [tmp_path]
    file.remove()


def test_files_of_an_owner_without_a_lock_go(tmp_path: Path) -> None:
    """A power cut may keep the end of its lock and not that of its files."""
    left = leave(tmp_path)
    lock_files(tmp_path)[0].unlink()
    assert remove_leftovers(tmp_path.as_posix()) == len(left)
    assert names(tmp_path) == []


def test_live_owners_files_stay(tmp_path: Path) -> None:
    left = leave(tmp_path)
    with locked(lock_files(tmp_path)[0]):
        assert remove_leftovers(tmp_path.as_posix()) == 0
        assert all(path.exists() for path in left)
    assert remove_leftovers(tmp_path.as_posix()) == 2


def test_owner_in_this_process_is_alive_too(tmp_path: Path) -> None:
    owner = Owner(tmp_path.as_posix())
    part = tmp_path / owner.temporary_name()
    part.write_bytes(b"unfinished")
    assert remove_leftovers(tmp_path.as_posix()) == 0
    assert part.exists()
    owner.close()


@pytest.mark.parametrize(
    "name",
    [
        "CT.1.2.3",
        "notes.part",
        ".aiodicom-0123abcd.part",
        ".aiodicom-0123abcd-1.part.bak",
        ".aiodicom-0123ABCD-1.part",
        "x.aiodicom-0123abcd-1.part",
    ],
)
def test_what_is_no_dead_owners_temporary_file_stays(tmp_path: Path, name: str) -> None:
    leave(tmp_path)
    (tmp_path / name).write_bytes(b"somebody's")
    assert remove_leftovers(tmp_path.as_posix()) == 2
    assert os.listdir(tmp_path) == [name]


def test_link_to_another_folder_is_not_followed(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "received", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    leave(folder)
    (elsewhere / ".aiodicom-0123abcd-1.part").write_bytes(b"not ours")
    (folder / "link").symlink_to(elsewhere)
    assert remove_leftovers(folder.as_posix()) == 2
    assert unfinished(elsewhere)


def test_leftover_that_cannot_be_removed_is_tried_again_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    left = leave(tmp_path)
    unlink = os.unlink

    def stubborn(path: str) -> None:
        if path == left[0].as_posix():
            raise PermissionError(1, "Operation not permitted", path)
        unlink(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", stubborn)
        assert remove_leftovers(tmp_path.as_posix()) == 1
    assert len(warnings_of(caplog)) == 1
    assert remove_leftovers(tmp_path.as_posix()) == 1
    assert os.listdir(tmp_path) == []


async def test_start_says_what_it_has_removed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    leave(tmp_path, parts=3)
    async with FileStorage(tmp_path):
        assert unfinished(tmp_path) == []
    assert warnings_of(caplog) == ["Removed 3 unfinished files of a receiver that is gone"]


# Owners -------------------------------------------------------------------------------------------


def test_owners_never_share_a_temporary_name(tmp_path: Path) -> None:
    owners = [Owner(tmp_path.as_posix()) for _ in range(5)]
    assert len({owner.temporary_name() for owner in owners for _ in range(20)}) == 100
    for owner in owners:
        owner.close()
    assert os.listdir(tmp_path) == []


def test_owner_who_loses_its_lock_to_a_cleaner_takes_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, asked = leftovers._lock, []

    def lock_after_a_cleaner(descriptor: int) -> bool:
        asked.append(descriptor)
        if len(asked) == 1:  # it has the lock
            return False
        if len(asked) == 2:  # it has had the lock, and removed the file
            os.unlink(os.readlink(f"/proc/self/fd/{descriptor}"))
        return lock(descriptor)

    monkeypatch.setattr(leftovers, "_lock", lock_after_a_cleaner)
    owner = Owner(tmp_path.as_posix())
    monkeypatch.undo()
    assert len(asked) == 3
    mine = tmp_path / owner.temporary_name()
    mine.write_bytes(b"unfinished")
    assert remove_leftovers(tmp_path.as_posix()) == 0
    assert mine.exists()
    owner.close()


def test_two_cleaners_at_once_do_not_mind_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(tmp_path, parts=3)
    remove_parts = leftovers._remove_parts
    others: list[int | None] = []

    def while_another_cleans(*args: object) -> int:
        if not others:
            others.append(None)
            others.append(remove_leftovers(tmp_path.as_posix()))
        return remove_parts(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(leftovers, "_remove_parts", while_another_cleans)
    assert remove_leftovers(tmp_path.as_posix()) == 3
    assert others == [None, 0]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("module", "call"), [(fcntl, "flock"), (os, "fsync"), (os, "listdir")])
async def test_start_that_fails_leaves_no_lock(
    tmp_path: Path, module: ModuleType, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    folder = tmp_path / "new"
    with monkeypatch.context() as patched:
        patched.setattr(module, call, failing)
        with pytest.raises(OSError, match=f"cannot store in {folder}"):
            await FileStorage(folder).__aenter__()
    assert lock_files(folder) == []
