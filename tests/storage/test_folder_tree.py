"""Folders that are made meanwhile, by whomever: an object counts when all above it are durable."""

from __future__ import annotations

import os
import shutil
import threading
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
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = FolderTree(os.fspath(root))
    assert synced(monkeypatch, below(folders, "a/b")) == ["a", "b", "root"]
    assert synced(monkeypatch, below(folders, "a/b", "CT.2")) == ["b"]
    assert synced(monkeypatch, below(folders, "a/c")) == ["a", "c"]


def test_folder_that_somebody_else_has_made_may_not_be_durable(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "a").mkdir()  # by another process, or by a thread that has not synced it yet
    assert synced(monkeypatch, below(FolderTree(os.fspath(root)), "a")) == ["a", "root"]


def test_folder_that_was_removed_is_made_and_synced_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = FolderTree(os.fspath(root))
    synced(monkeypatch, below(folders, "a/b"))
    shutil.rmtree(root / "a")
    assert synced(monkeypatch, below(folders, "a/b")) == ["a", "b", "root"]
    shutil.rmtree(root)
    assert synced(monkeypatch, below(folders, "a/b")) == ["a", "b", "root", root.parent.name]
    assert tree(root) == ["a/b/CT.1"]


def test_folder_that_is_made_again_while_its_holders_are_synced_is_not_known(root: Path) -> None:
    folders = FolderTree(os.fspath(root))
    folder = f"{root}/a"
    folders.make(folder)
    made = folders.made
    os.rmdir(folder)
    folders.make(folder)
    folders.synced(folder, made)
    assert folders.holders(folder) == [os.fspath(root)]
    folders.synced(folder, folders.made)
    assert folders.holders(folder) == []


def test_what_is_remembered_is_bounded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_tree, "MAXIMUM_KNOWN", 10)
    folders = FolderTree(os.fspath(root))
    for number in range(100):
        folders.synced(f"{root}/{number}", 0)
        assert folders.holders(f"{root}/{number}") == []
    assert len(folders._durable) <= 10


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
