"""Short names at the end of a study: two letters and a number, and never another's."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import pytest

from aiodicom.storage.renaming import rename_files
from tests.storage.faults import fail
from tests.storage.objects import contents, names


def make(folder: Path, *files: str) -> list[str]:
    for name in files:
        (folder / name).write_text(name)
    return list(files)


def test_letters_and_numbers_in_the_order_of_arrival(tmp_path: Path) -> None:
    files = make(tmp_path, "CT.1.2.9", "SRe.1.2.1.dcm", "CT.1.2.3")
    assert rename_files(str(tmp_path), files) == 3
    assert contents(tmp_path) == {
        "CT000001": b"CT.1.2.9",
        "SR000002": b"SRe.1.2.1.dcm",
        "CT000003": b"CT.1.2.3",
    }


def test_name_that_is_taken_is_passed_over(tmp_path: Path) -> None:
    make(tmp_path, "CT000001", "CT000003", "MR000002")
    assert rename_files(str(tmp_path), make(tmp_path, "CT.1", "CT.2")) == 2
    assert contents(tmp_path) == {
        "CT000001": b"CT000001",
        "CT000002": b"CT.1",
        "CT000003": b"CT000003",
        "CT000004": b"CT.2",
        "MR000002": b"MR000002",
    }


def test_file_that_is_gone_is_no_trouble(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(tmp_path, "CT.2")
    assert rename_files(str(tmp_path), ["CT.1", "CT.2"]) == 1
    assert names(tmp_path) == ["CT000001"]
    assert not caplog.records


def test_file_system_without_symbolic_links_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    files = make(tmp_path, "CT.1", "CT.2", "CT.3")
    fail(monkeypatch, "symlink", errno.EPERM, "CT.1")
    assert rename_files(str(tmp_path), files) == 0
    assert names(tmp_path) == files
    said = [r.getMessage() for r in caplog.records]
    assert said == ["Files of a study keep their names: Operation not permitted"]


def test_failure_costs_one_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    files = make(tmp_path, "CT.1", "CT.2", "CT.3")
    fail(monkeypatch, "rename", errno.EPERM, "CT.2")
    assert rename_files(str(tmp_path), files) == 2
    assert names(tmp_path) == ["CT.2", "CT000001", "CT000002"]
    assert [r.levelno for r in caplog.records] == [logging.WARNING]


def test_folder_that_is_gone(tmp_path: Path) -> None:
    assert rename_files(str(tmp_path / "gone"), ["CT.1"]) == 0


def test_an_object_that_is_replaced_meanwhile_moves_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever one it is: the newer one was acknowledged as well."""
    files = make(tmp_path, "CT.1")
    newer = tmp_path / "newer"
    newer.write_text("newer")
    rename = os.rename

    def late(source: str, target: str) -> None:
        rename(newer, tmp_path / "CT.1")
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    assert rename_files(str(tmp_path), files) == 1
    assert contents(tmp_path) == {"CT000001": b"newer"}


def test_new_name_is_never_that_of_less_than_an_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = make(tmp_path, "CT.1")
    rename = os.rename

    def looked_at(source: str, target: str) -> None:
        assert contents(tmp_path) == {"CT.1": b"CT.1", "CT000001": b"CT.1"}
        rename(source, target)

    monkeypatch.setattr(os, "rename", looked_at)
    assert rename_files(str(tmp_path), files) == 1
    assert contents(tmp_path) == {"CT000001": b"CT.1"}
