"""Which files are sent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from aiodicom.cli.inputs import find_files
from aiodicom.storage.leftovers import Owner


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files that were made in another order than that of their names."""
    for name in ("c.dcm", "a.dcm", "b.txt", "z/3.dcm", "z/1.dcm", "z/deep/2.dcm", "m/4.DCM"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def found(folder: Path, *names: str, **settings: Any) -> list[str]:
    """What is found, without the folder that all of it is in."""
    paths = find_files([str(folder / name) for name in names or ("",)], **settings)
    return [os.path.relpath(path, folder) for path in paths]


def test_files_are_taken_as_they_are_named(folder: Path) -> None:
    assert found(folder, "z/3.dcm", "a.dcm", "z/3.dcm") == ["z/3.dcm", "a.dcm", "z/3.dcm"]


def test_what_is_not_there_is_missed_by_who_reads_it(folder: Path) -> None:
    assert found(folder, "nothing.dcm", "a.dcm") == ["nothing.dcm", "a.dcm"]


def test_files_of_a_folder_come_in_the_order_of_their_names(folder: Path) -> None:
    assert found(folder) == ["a.dcm", "b.txt", "c.dcm"]


def test_folders_in_folders_come_after_the_files_in_order(folder: Path) -> None:
    assert found(folder, recurse=True) == [
        "a.dcm", "b.txt", "c.dcm", "m/4.DCM", "z/1.dcm", "z/3.dcm", "z/deep/2.dcm",
    ]  # fmt: skip


def test_folders_come_in_order_whatever_the_system_s_is(tmp_path: Path) -> None:
    for letter in "hcaebgfd":
        (tmp_path / letter).mkdir()
        (tmp_path / letter / "1").write_bytes(b"")
    assert found(tmp_path, recurse=True) == [f"{letter}/1" for letter in "abcdefgh"]


def test_several_folders_and_files_in_the_order_in_which_they_are_given(folder: Path) -> None:
    assert found(folder, "z", "b.txt", "m") == ["z/1.dcm", "z/3.dcm", "b.txt", "m/4.DCM"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.dcm", ["a.dcm", "c.dcm", "z/1.dcm", "z/3.dcm", "z/deep/2.dcm"]),
        ("*.DCM", ["m/4.DCM"]),
        ("[13].*", ["z/1.dcm", "z/3.dcm"]),
        ("?.txt", ["b.txt"]),
        ("z*", []),  # names of files, not of folders
    ],
)
def test_a_pattern_chooses_among_the_names_in_folders(
    folder: Path, pattern: str, expected: list[str]
) -> None:
    assert found(folder, pattern=pattern, recurse=True) == expected


def test_a_pattern_does_not_count_for_a_file_that_is_named(folder: Path) -> None:
    assert found(folder, "b.txt", pattern="*.dcm") == ["b.txt"]


def test_a_link_to_a_folder_is_followed_only_where_it_is_named(folder: Path) -> None:
    (folder / "m" / "link").symlink_to(folder / "z")
    (folder / "m" / "round").symlink_to(folder)
    assert found(folder, "m", recurse=True) == ["m/4.DCM"]
    assert found(folder, "m/link") == ["m/link/1.dcm", "m/link/3.dcm"]


def test_a_link_to_a_file_is_a_file_and_a_broken_one_is_missed(folder: Path) -> None:
    (folder / "m" / "file").symlink_to(folder / "a.dcm")
    (folder / "m" / "gone").symlink_to(folder / "nothing")
    assert found(folder, "m") == ["m/4.DCM", "m/file", "m/gone"]


@pytest.mark.parametrize(
    ("closed", "expected"), [("", [""]), ("z", ["m/4.DCM", "z"]), ("z/deep", ["m/4.DCM", "z/deep"])]
)
def test_a_folder_that_cannot_be_read_is_missed_by_who_reads_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, closed: str, expected: list[str]
) -> None:
    scan = os.scandir

    def scandir(path: str) -> Any:
        if Path(path) == folder / closed:
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    wanted = [os.path.normpath(path) for path in expected]
    assert found(folder, recurse=True, pattern="*.DCM") == wanted


def test_a_running_receivers_own_files_are_passed_over(tmp_path: Path) -> None:
    owner = Owner(str(tmp_path))
    try:
        for name in (owner.temporary_name(), "CT.1.2.3", ".hidden"):
            (tmp_path / name).write_bytes(b"")
        (lock,) = tmp_path.glob(".aiodicom-*.lock")
        assert found(tmp_path, "", recurse=True) == [".hidden", "CT.1.2.3"]
        assert found(tmp_path, lock.name) == [lock.name], "it was named"
    finally:
        owner.close()
