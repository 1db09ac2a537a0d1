"""Lines that a thread writes: nobody waits for them, and none is missing without a word."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Sequence

import pytest

from aiodicom.monitor import line_writer
from aiodicom.monitor.line_writer import LineWriter
from tests.peer import PATIENCE
from tests.serving import until


class Paper:
    """Lines in memory, on which one writes only while it may."""

    name = "paper"

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.may_write = threading.Event()
        self.may_write.set()
        self.is_reached = threading.Event()
        self.most: int | None = None
        self.opened = self.closed = 0
        self.error: OSError | None = None

    def open(self) -> None:
        if self.error is not None:
            raise self.error
        self.opened += 1

    def append(self, lines: Sequence[bytes]) -> int:
        self.is_reached.set()
        self.may_write.wait(PATIENCE)
        if self.most == 0:
            raise OSError(28, "No space left on device")
        self.lines += lines[: self.most]
        return len(lines[: self.most])

    def close(self) -> None:
        self.closed += 1


@contextlib.asynccontextmanager
async def writing(paper: Paper) -> AsyncIterator[LineWriter]:
    writer = LineWriter(paper, lambda count: b"%d missing" % count)
    await writer.start(must_open=True)
    try:
        yield writer
    finally:
        await writer.close()
    await until(lambda: all(t.name != "aiodicom lines" for t in threading.enumerate()))


async def test_lines_are_written_soon_and_in_order() -> None:
    paper = Paper()
    async with writing(paper) as writer:
        for number in range(100):
            writer.put(b"%d" % number)
        await until(lambda: len(paper.lines) == 100)
    assert paper.lines == [b"%d" % number for number in range(100)]
    assert (paper.opened, paper.closed) == (1, 1)


async def test_a_start_that_is_given_up_leaves_no_thread_and_no_file() -> None:
    class Slow(Paper):
        def open(self) -> None:
            self.is_reached.set()
            self.may_write.wait(PATIENCE)
            super().open()

    paper = Slow()
    paper.may_write.clear()
    writer = LineWriter(paper, lambda count: b"")
    starting = asyncio.create_task(writer.start(must_open=True))
    await until(paper.is_reached.is_set)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    paper.may_write.set()
    await until(lambda: all(t.name != "aiodicom lines" for t in threading.enumerate()))
    assert (paper.opened, paper.closed) == (1, 1)


async def test_at_the_end_all_lines_are_written() -> None:
    paper = Paper()
    async with writing(paper) as writer:
        writer.put(b"one")
    assert paper.lines == [b"one"]
    writer.put(b"two")  # too late
    assert paper.lines == [b"one"]


async def test_a_slow_disk_has_lines_dropped_and_says_so_in_their_place(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(line_writer, "MOST_WAITING", 3)
    paper = Paper()
    async with writing(paper) as writer:
        paper.may_write.clear()
        for number in range(5):
            writer.put(b"%d" % number)
        await until(paper.is_reached.is_set)
        writer.put(b"5")
        paper.may_write.set()
        await until(lambda: writer._done == 3)
        writer.put(b"6")
    assert paper.lines == [b"2 missing", b"0", b"1", b"2", b"1 missing", b"6"]
    assert caplog.messages == ["paper: lines are dropped: the disk is too slow"]


async def test_a_full_disk_loses_lines_and_the_log_says_how_many(
    caplog: pytest.LogCaptureFixture,
) -> None:
    paper = Paper()
    async with writing(paper) as writer:
        paper.most = 0
        for number in range(3):
            writer.put(b"%d" % number)
        await until(lambda: writer._done == 3)
        paper.most = None
        writer.put(b"3")
    assert paper.lines == [b"3 missing", b"3"]
    assert caplog.messages == ["paper: lines are dropped: No space left on device"]


async def test_a_disk_that_takes_a_part_loses_the_rest() -> None:
    paper = Paper()
    async with writing(paper) as writer:
        paper.most = 2
        for number in range(5):
            writer.put(b"%d" % number)
        await until(lambda: writer._done == 5)
        paper.most = None
    assert paper.lines == [b"0", b"1", b"3 missing"]


@pytest.mark.parametrize(("most", "missing"), [(0, 6), (1, 3), (2, 2)])
async def test_what_was_lost_is_not_said_twice_nor_forgotten(most: int, missing: int) -> None:
    paper = Paper()
    async with writing(paper) as writer:
        for paper.most in (0, most):  # the second time the line about the first three comes first
            before = writer._done
            for number in range(3):
                writer.put(b"%d" % number)
            await until(lambda: writer._done == before + 3)  # noqa: B023
        paper.most = None
    said = sum(int(line.split()[0]) for line in paper.lines if line.endswith(b"missing"))
    assert paper.lines[-1] == b"%d missing" % missing
    assert said + len([line for line in paper.lines if not line.endswith(b"missing")]) == 6


async def test_a_file_that_cannot_be_opened_is_an_error_at_the_start() -> None:
    paper = Paper()
    paper.error = PermissionError(13, "no", "paper")
    writer = LineWriter(paper, lambda count: b"")
    with pytest.raises(PermissionError):
        await writer.start(must_open=True)
    await until(lambda: all(t.name != "aiodicom lines" for t in threading.enumerate()))


async def test_a_replacing_worker_goes_on_without_its_file(
    caplog: pytest.LogCaptureFixture,
) -> None:
    paper = Paper()
    paper.error = PermissionError(13, "no", "paper")
    writer = LineWriter(paper, lambda count: b"")
    await writer.start(must_open=False)
    writer.put(b"one")
    await writer.close()
    assert paper.lines == [b"one"]  # it was tried again
    assert caplog.messages == ["paper: lines are dropped: Permission denied"]


async def test_a_file_is_opened_anew_behind_the_lines_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paper = Paper()
    monkeypatch.setattr(paper, "open", lambda: paper.lines.append(b"opened"))
    async with writing(paper) as writer:
        writer.put(b"one")
        await writer.reopen()
        writer.put(b"two")
    assert paper.lines == [b"opened", b"one", b"opened", b"two"]


async def test_a_disk_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(line_writer, "PATIENCE", 0.05)
    paper = Paper()
    async with writing(paper) as writer:
        paper.may_write.clear()
        writer.put(b"one")
        with pytest.raises(OSError, match="too slow"):
            await writer.reopen()
        await writer.close()
        assert caplog.messages == ["paper: 1 lines are not written in the end"]
        paper.may_write.set()


async def test_putting_a_line_wakes_nobody() -> None:
    """A thread that is woken for each line would take the interpreter from the loop."""
    paper = Paper()
    async with writing(paper) as writer:
        writer.put(b"one")
        writer.put(b"two")
        await asyncio.sleep(0)
        assert writer._queue.empty()
        assert not paper.is_reached.is_set()
