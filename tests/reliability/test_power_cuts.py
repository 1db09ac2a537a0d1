"""The power is cut at every moment of a short history, with everything lost that may be lost."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from aiodicom.storage import commit
from aiodicom.storage.commit import Durability
from aiodicom.storage.folder_tree import FolderTree
from aiodicom.storage.object_file import Duplicates, ObjectExists, ObjectFile
from aiodicom.storage.renaming import rename_files
from tests.reliability.disk import Disk
from tests.reliability.histories import History, Sent
from tests.reliability.recording import Event
from tests.storage.faults import fail


def two(history: History) -> None:
    history.batch(Sent("CT.1"))
    history.batch(Sent("CT.2"))


def batches(history: History) -> None:
    history.batch(*(Sent(f"CT.{n}") for n in range(3)))
    history.batch(*(Sent(f"CT.{n}") for n in range(3, 6)))


def same_name_again(history: History) -> None:
    for version in range(3):
        history.batch(Sent("CT.1", b"version %d" % version))


def same_name_in_a_batch(history: History) -> None:
    history.batch(*(Sent("CT.1", b"version %d" % version) for version in range(3)))
    history.batch(Sent("CT.1", b"another"), Sent("CT.2"))


def large_among_small(history: History) -> None:
    large = Sent("CT.1", bytes(range(200)), parts=4)
    file = history.begin(large)
    history.batch(Sent("CT.2"), Sent("CT.3"))
    history.finish((large, file))
    history.batch(Sent("CT.1", bytes(range(100)), parts=2))


def large_and_small_together(history: History) -> None:
    history.batch(Sent("CT.1", bytes(99), parts=3), Sent("CT.2"), Sent("CT.1", b"small"))


def new_folders(history: History) -> None:
    history.batch(Sent("a/CT.1"))
    history.batch(Sent("a/b/CT.2"), Sent("c/CT.3"))
    history.batch(Sent("a/CT.4"), Sent("a/b/CT.2", b"replaced"))


def folder_that_another_process_has_made(history: History) -> None:
    history.batch(Sent("CT.1"))
    history.tree(2).make(f"{history.root}/a/b")
    history.batch(Sent("a/b/CT.2"))


def folder_that_was_removed(history: History) -> None:
    history.batch(Sent("a/CT.1"))
    history.remove("a")
    history.batch(Sent("a/CT.2"))
    history.batch(Sent("a/CT.3"))


def all_that_was_removed(history: History) -> None:
    history.batch(Sent("CT.1"))
    history.remove("")
    history.batch(Sent("CT.2"))


HISTORIES = [
    two,
    batches,
    same_name_again,
    same_name_in_a_batch,
    large_among_small,
    large_and_small_together,
    new_folders,
    folder_that_another_process_has_made,
    folder_that_was_removed,
    all_that_was_removed,
]


def record(history: History, happens: Callable[[History], None]) -> None:
    with history.recorder:
        happens(history)


@pytest.mark.parametrize("duplicates", Duplicates)
@pytest.mark.parametrize("happens", HISTORIES)
def test_whatever_was_acknowledged_is_there_and_whole(
    tmp_path: Path, happens: Callable[[History], None], duplicates: Duplicates
) -> None:
    history = History(tmp_path, duplicates)
    record(history, happens)
    findings = history.examine()
    assert findings.broken == []
    assert findings.objects
    if duplicates is not Duplicates.REFUSE:
        assert history.errors == []
    assert all(isinstance(error, ObjectExists) for error in history.errors)


@pytest.mark.parametrize("happens", HISTORIES)
def test_without_durability_something_is_lost_and_something_not_whole(
    tmp_path: Path, happens: Callable[[History], None]
) -> None:
    history = History(tmp_path, durability=Durability.NONE)
    record(history, happens)
    assert {finding.split(" is ")[1] for finding in history.examine().broken} >= {
        "lost",
        "not whole",
    }


def test_folder_that_another_process_has_made_again_is_not_known_to_be_durable(
    tmp_path: Path,
) -> None:
    history = History(tmp_path)
    with history.recorder:
        history.batch(Sent("a/CT.1"), process=1)
        history.remove("a")
        history.tree(2).make(f"{history.root}/a")
        history.batch(Sent("a/CT.2"), process=1)
    assert history.examine().broken == []


@pytest.mark.parametrize(
    ("call", "name", "failed"),
    [
        ("fdatasync", ".aiodicom-00000001-4.part", 1),
        ("rename", ".aiodicom-00000001-4.part", 1),
        ("fsync", "received", 3),
    ],
)
def test_failure_in_a_batch_breaks_no_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, name: str, failed: int
) -> None:
    history = History(tmp_path)
    with history.recorder:
        history.batch(Sent("CT.1"), Sent("CT.2", b"old"))
        with monkeypatch.context() as patched:
            fail(patched, call, errno.EIO, name)
            history.batch(Sent("CT.3"), Sent("CT.2", b"new"), Sent("CT.4"))
        history.batch(Sent("CT.5"))
    assert len(history.errors) == failed
    assert history.examine().broken == []


def test_folder_above_whose_sync_has_failed_is_not_known_to_be_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(tmp_path)
    with history.recorder:
        history.batch(Sent("CT.1"))
        with monkeypatch.context() as patched:
            fail(patched, "fsync", errno.EIO, "received")
            history.batch(Sent("a/CT.2"))
        history.batch(Sent("a/CT.3"))
    assert len(history.errors) == 1
    assert history.examine().broken == []


def test_short_names_at_the_end_of_a_study(tmp_path: Path) -> None:
    history = History(tmp_path)
    sent = [Sent("a/CT.1"), Sent("a/CT.2")]
    with history.recorder:
        history.batch(*sent)
        begin = len(history.recorder.events)
        rename_files(f"{history.root}/a", ["CT.1", "CT.2"])
    disk = Disk(history.base)
    for number, event in enumerate(history.recorder.events):
        if isinstance(event, Event):
            disk.apply(event)
        if number >= begin:  # there is each of them, under one name or the other, and nothing else
            for files in disk.states(64, random.Random(0)):
                assert set(files.values()) == {each.data for each in sent}


# What the model finds --------------------------------------------------------------------------


def broken_by(
    history: History, monkeypatch: pytest.MonkeyPatch, where: object, name: str, value: object
) -> set[str]:
    """What is found when a step is left out."""
    monkeypatch.setattr(where, name, value)
    record(history, new_folders)
    return {finding.split(" is ")[1] for finding in history.examine().broken}


def test_missing_sync_of_data_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = broken_by(History(tmp_path), monkeypatch, ObjectFile, "sync", lambda file: None)
    assert "not whole" in found


def test_missing_sync_of_a_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = broken_by(History(tmp_path), monkeypatch, commit, "sync_folder", lambda folder: None)
    assert found == {"lost", "not the one that was acknowledged"}


def test_missing_sync_of_the_folders_above_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = broken_by(History(tmp_path), monkeypatch, FolderTree, "holders", lambda *_: [])
    assert found == {"lost"}


def test_name_before_the_data_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish = ObjectFile.publish

    def published_early(file: ObjectFile) -> None:
        descriptor = os.dup(file._descriptor)
        publish(file)
        os.close(descriptor)

    monkeypatch.setattr(ObjectFile, "sync", published_early)
    history = History(tmp_path)
    with history.recorder:
        history.batch(Sent("CT.1"))
    assert f"{history.root}/CT.1 is not whole" in history.examine().broken
