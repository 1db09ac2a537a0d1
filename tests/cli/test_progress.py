"""How far sending has come: lines, and a bar on a terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TextIO

import pytest

from aiodicom.cli.bar import Bar
from aiodicom.cli.progress import INTERVAL, Lines, Progress, readable_size
from aiodicom.cli.showing import make_progress

PATIENCE = 10


@dataclass
class Clock:
    """A time that goes on when a test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Said:
    """Lines, and the clock that they are said by."""

    lines: list[str] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)

    def progress(self, files: int = 20, size: int = 8_000_000) -> Lines:
        return Lines(files, size, self.lines.append, self.clock)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (1234, "1.2 kB"),
        (999_949, "999.9 kB"), (999_951, "1.0 MB"), (12_900_000, "12.9 MB"), (5e9, "5.0 GB"),
        (3e12, "3.0 TB"), (3e15, "3000.0 TB"), (12.6, "13 bytes"),
    ],
)  # fmt: skip
def test_sizes_are_readable(count: float, text: str) -> None:
    assert readable_size(count) == text


# Lines --------------------------------------------------------------------------------------------


def test_a_line_comes_when_it_is_time_for_one() -> None:
    said = Said()
    with said.progress() as progress:
        for _ in range(4):
            progress.sent(500_000)
            progress.done()
        said.clock.now += INTERVAL - 0.1
        progress.sent(0)
        assert said.lines == []
        said.clock.now += 0.1
        progress.sent(0)
        progress.sent(0)
    assert said.lines == ["4 of 20 files, 2.0 MB of 8.0 MB, 200.0 kB/s, 30 s left"]


def test_another_line_comes_after_the_interval_with_the_rate_of_all() -> None:
    said = Said()
    with said.progress() as progress:
        said.clock.now += INTERVAL
        progress.sent(4_000_000)
        said.clock.now += INTERVAL - 1
        progress.sent(2_000_000)
        said.clock.now += 1
        progress.done()
        progress.sent(0)
    assert said.lines == [
        "0 of 20 files, 4.0 MB of 8.0 MB, 400.0 kB/s, 10 s left",
        "1 of 20 files, 6.0 MB of 8.0 MB, 300.0 kB/s, 7 s left",
    ]


@pytest.mark.parametrize(
    ("count", "line"),
    [
        (0, "0 of 20 files, 0 bytes of 8.0 MB, 0 bytes/s, 0 s left"),
        (9_000_000, "0 of 20 files, 9.0 MB of 8.0 MB, 900.0 kB/s, 0 s left"),
    ],
)
def test_nothing_and_more_than_all_can_be_said_as_well(count: int, line: str) -> None:
    said = Said()
    with said.progress() as progress:
        said.clock.now += INTERVAL
        progress.sent(count)
    assert said.lines == [line]


def test_time_before_the_first_byte_could_be_sent_does_not_count() -> None:
    said = Said()
    progress = said.progress()
    said.clock.now += 100  # the connection was long in coming
    with progress:
        progress.sent(1_000_000)
        assert said.lines == []
        said.clock.now += INTERVAL
        progress.sent(1_000_000)
    assert said.lines == ["0 of 20 files, 2.0 MB of 8.0 MB, 200.0 kB/s, 30 s left"]


# Where they go ------------------------------------------------------------------------------------


@contextlib.contextmanager
def pipe() -> Iterator[tuple[int, TextIO]]:
    """Two ends; the test may have closed the one that reads."""
    reading, writing = os.pipe()
    try:
        with open(writing, "w") as stream:
            yield reading, stream
    finally:
        with contextlib.suppress(OSError):
            os.close(reading)


@contextlib.contextmanager
def terminal() -> Iterator[tuple[int, TextIO]]:
    """A terminal's other end, and what writes on it."""
    reading, writing = pty.openpty()
    try:
        with open(writing, "w") as stream:
            yield reading, stream
    finally:
        os.close(reading)


CURSOR_SHOWN = "\x1b[?25h"
"""The last that a bar writes."""


def written(reading: int, text: str = CURSOR_SHOWN) -> str:
    """Return what is written on a terminal until there is `text`: it need not come at once."""
    data = b""
    while text.encode() not in data:
        assert select.select((reading,), (), (), PATIENCE)[0], data
        data += os.read(reading, 1 << 16)
    return data.decode()


@pytest.fixture
def every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call is time for a line."""
    monkeypatch.setattr("aiodicom.cli.progress.INTERVAL", 0.0)


def writers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "aiodicom-progress"]


def all_written() -> None:
    for thread in writers():
        thread.join(PATIENCE)
        assert not thread.is_alive()


Opened = Callable[[], contextlib.AbstractContextManager[tuple[int, TextIO]]]


@pytest.mark.usefixtures("every_time")
@pytest.mark.parametrize(("opened", "files"), [(pipe, 1), (pipe, 3), (terminal, 1)])
def test_lines_come_where_there_is_no_terminal_and_for_one_file(opened: Opened, files: int) -> None:
    with opened() as (reading, stream):
        with make_progress(files, 4000, stream) as progress:
            assert isinstance(progress, Lines)
            progress.sent(1000)
        line = written(reading, "\n")
        all_written()
    assert re.fullmatch(rf"0 of {files} files, 1\.0 kB of 4\.0 kB, .*/s, \d s left\r?\n", line)


@pytest.mark.usefixtures("every_time")
def test_standard_error_is_where_they_go(capfd: pytest.CaptureFixture[str]) -> None:
    with make_progress(3, 4000) as progress:
        progress.sent(1000)
    all_written()
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("0 of 3 files, 1.0 kB of 4.0 kB, ")


@pytest.mark.usefixtures("every_time")
@pytest.mark.parametrize("files", [1, 3])
def test_nothing_is_said_where_standard_error_is_closed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], files: int
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with make_progress(files, 4000) as progress:
        progress.sent(1000)
        progress.done()
    all_written()
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("every_time")
async def test_a_line_that_nobody_reads_stops_nothing() -> None:
    with pipe() as (reading, stream):
        descriptor = stream.fileno()
        os.set_blocking(descriptor, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(descriptor, bytes(1 << 16))
        os.set_blocking(descriptor, True)
        with make_progress(3, 4000, stream) as progress:
            progress.sent(1000)
        all_written()
        os.set_blocking(reading, False)
        with contextlib.suppress(BlockingIOError):
            while data := os.read(reading, 1 << 20):
                assert not data.strip(b"\0")


@pytest.mark.usefixtures("every_time")
async def test_a_reader_that_is_gone_stops_nothing() -> None:
    with pipe() as (reading, stream):
        os.close(reading)
        with make_progress(3, 4000, stream) as progress:
            progress.sent(1000)
        all_written()


def test_nothing_can_be_said() -> None:
    progress = Progress()
    with progress as same:
        same.sent(1)
        same.done()
    assert same is progress


# The bar ------------------------------------------------------------------------------------------


@pytest.fixture
def usual_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What rich looks at besides the terminal itself."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")


def shown(reading: int) -> str:
    """Return the last that a terminal shows, as it is after what was overwritten."""
    text = written(reading)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).rstrip().split("\r")[-1]


@pytest.mark.usefixtures("usual_terminal")
def test_several_files_on_a_terminal_make_a_bar() -> None:
    with terminal() as (reading, stream):
        with make_progress(3, 12_900_000, stream) as progress:
            assert isinstance(progress, Bar)
            begun = written(reading, " files ")
            progress.sent(4_000_000)
            progress.sent(2_000_000)
            progress.done()
            progress.done()
        line = shown(reading)
    assert "0/3 files" in begun
    assert line.startswith("2/3 files ")
    assert " 6.0/12.9 MB " in line


@pytest.mark.usefixtures("usual_terminal")
async def test_the_bar_shows_the_rate_and_the_time_left_and_blocks_nothing() -> None:
    now = Clock()
    with terminal() as (reading, stream):
        bar = Bar(3, 12_000_000, stream)
        bar._bar.get_time = now
        with bar:
            for _ in range(3):
                now.now += 1.0
                bar.sent(2_000_000)
            now.now += 1.0  # what rich has drawn meanwhile it draws again
        line = shown(reading)
    assert re.search(r" 6\.0/12\.0 MB +2\.0 MB/s +0:00:03$", line), line


@pytest.mark.usefixtures("usual_terminal")
def test_the_terminal_is_left_as_it_was_also_by_a_failure() -> None:
    before = set(threading.enumerate())
    with terminal() as (reading, stream):
        with pytest.raises(LookupError), Bar(2, 100, stream):
            raise LookupError
        text = written(reading)
    assert text.count("\x1b[?25l") == 1
    assert text.endswith("\r\n" + CURSOR_SHOWN)  # the cursor is there again, on a line of its own
    for thread in set(threading.enumerate()) - before:  # it has been told to end
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.mark.usefixtures("usual_terminal")
def test_lines_come_on_a_terminal_where_rich_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "aiodicom.cli.bar")
    for name in ("rich", "rich.console", "rich.progress"):
        monkeypatch.setitem(sys.modules, name, None)
    with terminal() as (_, stream):
        assert isinstance(make_progress(3, 100, stream), Lines)
