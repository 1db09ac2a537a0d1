"""One object on its way to its name: its bytes, its mode, and a name that is taken."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from aiodicom.storage.commit import Durability, Job, perform
from aiodicom.storage.object_file import (
    MAXIMUM_SLICES,
    Duplicates,
    ObjectExists,
)
from tests.storage.objects import contents, file_in, job, names


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


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


def test_both_of_what_has_come_a_thousand_times_does_not_try_all_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CT.1", *(f"CT.1~{number}" for number in range(1, 1000))):
        (tmp_path / name).touch()
    looked: list[str] = []
    access, link = os.access, os.link

    def counting_access(path: str, mode: int, **how: bool) -> bool:
        looked.append(path)
        return access(path, mode, **how)

    def counting_link(path: str, name: str, **how: bool) -> None:
        looked.append(name)
        link(path, name, **how)

    monkeypatch.setattr(os, "access", counting_access)
    monkeypatch.setattr(os, "link", counting_link)
    again = job(file_in(tmp_path, "CT.1", Duplicates.BOTH), b"again")
    perform([again], Durability.NONE)
    assert again.file.name == "CT.1~1000"
    assert len(looked) < 50


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
