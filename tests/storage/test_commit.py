"""What is done in which order, and what fails alone."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from aiodicom.storage.commit import Durability, perform
from aiodicom.storage.object_file import (
    Duplicates,
    make_folders,
)
from tests.storage.faults import fail, record
from tests.storage.objects import file_in, job, names


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


def test_disk_begins_with_all_of_a_batch_before_the_first_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record(monkeypatch)
    perform([job(file_in(tmp_path, f"CT.{n}")) for n in range(3)], Durability.DURABLE)
    order = [call for call in calls if call[0] in ("posix_fadvise", "fdatasync")]
    parts = [f".CT.{n}.part" for n in range(3)]
    begun = [("posix_fadvise", part) for part in parts]
    assert order == begun + [("fdatasync", part) for part in parts]


def test_disk_is_told_only_of_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "posix_fadvise", lambda _, start, size, how: told.append((start, size)))
    file = file_in(tmp_path)
    perform([job(file, b"some", b"thing", is_last=False)], Durability.DURABLE)
    perform([job(file, b"more", is_last=False)], Durability.DURABLE)
    perform([job(file, b"last")], Durability.DURABLE)
    assert told == [(0, 9), (9, 4)]


def test_hint_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [job(file_in(tmp_path, f"CT.{n}")) for n in range(3)]
    asked = fail(monkeypatch, "posix_fadvise", errno.EINVAL, ".CT.1.part")
    perform(jobs, Durability.DURABLE)
    assert [j.error for j in jobs] == [None] * 3
    assert names(tmp_path) == ["CT.0", "CT.1", "CT.2"]
    assert len(asked) == 3


def test_slab_of_a_large_object_is_neither_synced_nor_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record(monkeypatch)
    file = file_in(tmp_path)
    perform([job(file, b"first", is_last=False)], Durability.DURABLE)
    assert [call for call, _ in calls] == ["open", "writev", "posix_fadvise"]
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
