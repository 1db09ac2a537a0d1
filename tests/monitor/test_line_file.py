"""Whole lines in a file, whatever the disk and others do."""

from __future__ import annotations

import errno
import io
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from aiodicom.monitor.line_file import AppendedFile, Stream, lines_of


def full_after(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have only so many bytes be written from now on."""
    write, left = os.write, [room]

    def written(descriptor: int, data: memoryview) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "full")
        count = write(descriptor, data[: left[0]])
        left[0] -= count
        return count

    monkeypatch.setattr("aiodicom.monitor.line_file.os.write", written)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_lines_are_appended_to_what_is_there(log: Path) -> None:
    log.write_bytes(b"before\n")
    assert AppendedFile(str(log)).append([b"one\n", b"two\n"]) == 2
    assert log.read_bytes() == b"before\none\ntwo\n"


def test_a_line_that_somebody_has_not_ended_stays_by_itself(log: Path) -> None:
    log.write_bytes(b"bef")
    AppendedFile(str(log)).append([b"one\n"])
    assert log.read_bytes() == b"bef\none\n"


@pytest.mark.parametrize(("room", "whole"), [(4, 1), (5, 1), (7, 1), (8, 2), (11, 2)])
def test_a_disk_that_is_full_has_whole_lines(
    room: int, whole: int, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_after(room, monkeypatch)
    lines = [b"one\n", b"two\n", b"six\n"]
    assert AppendedFile(str(log)).append(lines) == whole
    assert log.read_bytes() == b"".join(lines[:whole])


@pytest.mark.parametrize("room", [0, 1, 3])
def test_a_disk_that_has_room_for_no_line_is_as_it_was(
    room: int, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.write_bytes(b"before\n")
    full_after(room, monkeypatch)
    with pytest.raises(OSError, match="full"):
        AppendedFile(str(log)).append([b"one\n"])
    assert log.read_bytes() == b"before\n"


def test_a_torn_line_and_a_full_disk(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log.write_bytes(b"bef")
    full_after(6, monkeypatch)
    assert AppendedFile(str(log)).append([b"one\n", b"two\n"]) == 1
    assert log.read_bytes() == b"bef\none\n"


def _append_many(path: str, letter: bytes) -> None:
    lines = AppendedFile(path)
    for _ in range(200):
        lines.append([letter * 3000 + b"\n"] * 2)


def test_lines_of_several_processes_are_whole(log: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_append_many, args=(str(log), letter)) for letter in (b"a", b"b")
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0]
    lines = log.read_bytes().splitlines()
    assert sorted(lines) == [b"a" * 3000] * 400 + [b"b" * 3000] * 400


def test_one_process_waits_for_what_another_one_writes(log: Path) -> None:
    """Else a full disk would have it cut off what somebody else has written."""
    import fcntl

    with log.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        process = multiprocessing.get_context("spawn").Process(
            target=_append_many, args=(str(log), b"a")
        )
        process.start()
        process.join(0.7)
        assert process.is_alive()
        assert log.read_bytes() == b""
    process.join(30)
    assert process.exitcode == 0


def test_a_file_that_is_opened_anew_is_the_one_under_the_name(log: Path) -> None:
    lines = AppendedFile(str(log))
    lines.append([b"one\n"])
    log.rename(log.with_name("old"))
    lines.append([b"two\n"])
    lines.open()
    lines.append([b"six\n"])
    lines.close()
    assert log.with_name("old").read_bytes() == b"one\ntwo\n"
    assert log.read_bytes() == b"six\n"


def test_a_file_that_cannot_be_opened_anew_stays(log: Path) -> None:
    lines = AppendedFile(str(log))
    lines.append([b"one\n"])
    log.rename(log.with_name("old"))
    log.mkdir()
    with pytest.raises(IsADirectoryError):
        lines.open()
    lines.append([b"two\n"])
    assert log.with_name("old").read_bytes() == b"one\ntwo\n"


def test_a_pipe_gets_each_line_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    written: list[int] = []
    write = os.write

    def count(descriptor: int, data: memoryview) -> int:
        written.append(len(data))
        return write(descriptor, data)

    monkeypatch.setattr("aiodicom.monitor.line_file.os.write", count)
    with os.fdopen(writing, "wb") as stream, os.fdopen(reading, "rb") as other:
        assert Stream(stream).append([b"one\n", b"three\n"]) == 2
        assert os.read(other.fileno(), 100) == b"one\nthree\n"
    assert written == [4, 6]


def test_a_pipe_that_nobody_reads_any_more() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as stream, pytest.raises(BrokenPipeError):
        Stream(stream).append([b"one\n"])


@pytest.mark.parametrize("make", [io.BytesIO, io.StringIO])
def test_a_stream_without_a_descriptor(make: Callable[[], io.BytesIO | io.StringIO]) -> None:
    stream = make()
    lines = lines_of(stream)
    lines.open()
    lines.append([b"one\n"])
    assert stream.getvalue() in (b"one\n", "one\n")


def test_what_a_stream_s_owner_has_written_comes_first(log: Path) -> None:
    with log.open("w") as stream:
        stream.write("hello\n")
        lines = lines_of(stream)
        lines.open()
        lines.append([b"one\n"])
    assert log.read_text() == "hello\none\n"
