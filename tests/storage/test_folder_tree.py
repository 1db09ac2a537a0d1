"""Folders that are made meanwhile, by whomever: an object counts when all above it are durable."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiodicom.storage import folder_tree
from aiodicom.storage.commit import Durability, Job, perform
from aiodicom.storage.folder_tree import FolderTree
from aiodicom.storage.object_file import Duplicates, ObjectFile
from tests.storage.faults import record
from tests.storage.objects import job, tree


def below(folders: FolderTree, where: str, name: str = "CT.1") -> Job:
    """A job for an object in a subfolder."""
    file = ObjectFile(folders, name, f".{name}.part", Duplicates.REPLACE)
    file.folder = f"{folders.root}/{where}"
    return job(file)


def synced(monkeypatch: pytest.MonkeyPatch, *jobs: Job) -> list[str]:
    """Perform jobs; return the folders that were synced."""
    with monkeypatch.context() as patched:
        calls = record(patched)
        perform(jobs, Durability.DURABLE)
    assert [j.error for j in jobs] == [None] * len(jobs)
    return sorted(name for call, name in calls if call == "fsync")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def folders(root: Path) -> Iterator[FolderTree]:
    tree = FolderTree(os.fspath(root))
    yield tree
    tree.close()


def test_object_stands_in_the_root_until_it_is_complete(root: Path) -> None:
    first = below(FolderTree(os.fspath(root)), "a/b")
    first.is_last = False
    perform([first], Durability.DURABLE)
    assert os.listdir(root) == [".CT.1.part"]
    first.is_last = True
    perform([first], Durability.DURABLE)
    assert tree(root) == ["a/b/CT.1"]
    assert os.listdir(root) == ["a"]


def test_folders_above_are_synced_with_the_first_object_and_not_again(
    folders: FolderTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert synced(monkeypatch, below(folders, "a/b")) == ["a", "b", "root"]
    assert synced(monkeypatch, below(folders, "a/b", "CT.2")) == ["b"]
    assert synced(monkeypatch, below(folders, "a/c")) == ["a", "c", "root"]


def test_folder_that_somebody_else_has_made_may_not_be_durable(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "a").mkdir()  # by another process, or by a thread that has not synced it yet
    assert synced(monkeypatch, below(FolderTree(os.fspath(root)), "a")) == ["a", "root"]


def test_folder_that_was_removed_is_made_and_synced_again(
    root: Path, folders: FolderTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced(monkeypatch, below(folders, "a/b"))
    shutil.rmtree(root / "a")
    assert synced(monkeypatch, below(folders, "a/b")) == ["a", "b", "root"]
    shutil.rmtree(root)
    assert synced(monkeypatch, below(folders, "a/b")) == ["a", "b", "root", root.parent.name]
    assert tree(root) == ["a/b/CT.1"]


def test_folder_that_is_made_again_while_its_holders_are_synced_is_not_known(
    root: Path, folders: FolderTree
) -> None:
    folder = f"{root}/a"
    folders.make(folder)
    descriptor = os.open(folder, os.O_RDONLY)
    os.rmdir(folder)
    folders.make(folder)
    folders.synced(folder, descriptor)
    assert folders.holders(folder) == [os.fspath(root)]
    folders.synced(folder, os.open(folder, os.O_RDONLY))
    assert folders.holders(folder) == []


def test_what_is_remembered_is_bounded_and_forgotten_at_the_end(
    root: Path, folders: FolderTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_tree, "MAXIMUM_KNOWN", 10)
    before = len(os.listdir("/proc/self/fd"))
    for number in [*range(100), 99]:
        folders.make(f"{root}/{number}")
        folders.synced(f"{root}/{number}", os.open(f"{root}/{number}", os.O_RDONLY))
        assert folders.holders(f"{root}/{number}") == []
        assert len(os.listdir("/proc/self/fd")) <= before + 10
    folders.close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert folders.holders(f"{root}/99") == [os.fspath(root)]


def test_new_folder_is_nobody_elses(root: Path) -> None:
    folders = [FolderTree(os.fspath(root)) for _ in range(4)]
    barrier = threading.Barrier(4)
    made: list[str] = []

    def make(tree: FolderTree) -> None:
        barrier.wait(10)
        made.extend(tree.make_new(str) for _ in range(50))

    threads = [threading.Thread(target=make, args=(tree,)) for tree in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(made) == sorted(f"{root}/{number}" for number in range(200))


def test_new_folder_in_a_root_that_is_gone(root: Path) -> None:
    root.rmdir()
    assert FolderTree(os.fspath(root)).make_new(str) == f"{root}/0"


def test_root_of_the_file_system_may_be_stored_in() -> None:
    assert FolderTree("/").holders("//study") == ["//"]
