"""Lines that a thread writes: whoever has them never waits, and may lose some."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from aiodicom.monitor.line_file import Lines
from aiodicom.seldom import Seldom

__all__ = ["LineWriter"]

logger = logging.getLogger("aiodicom.monitor")

GATHERED = 0.1
"""Seconds for which lines are gathered: a thread that is woken for each one costs more."""

MOST_WAITING = 10_000
"""Lines that may wait for the disk; further ones are dropped."""

PATIENCE = 5.0
"""Seconds that the disk has at the end, and when the file is opened anew."""


@dataclass(slots=True)
class _Batch:
    """Lines to be written, and how many were dropped before them."""

    lines: list[bytes]
    dropped: int


@dataclass(slots=True)
class _Reopening:
    """The wish that the file is opened anew."""

    done: asyncio.Future[None]


class LineWriter:
    """Writes lines in a thread of its own, between `start` and `close`, for one event loop.

    Parameters
    ----------
    lines : Lines
        Where to.
    tell_dropped : callable
        Makes a line that says how many lines are missing before it.
    """

    def __init__(self, lines: Lines, tell_dropped: Callable[[int], bytes]) -> None:
        self._lines = lines
        self._tell_dropped = tell_dropped
        self._seldom = Seldom()
        self._loop: asyncio.AbstractEventLoop
        self._is_open = False
        self._gathered: list[bytes] = []
        self._dropped = 0  # since the last batch
        self._taken = 0  # lines that the thread was given
        self._done = 0  # lines that it has tried to write; it alone counts here
        self._lost = 0  # lines that it could not write; its own as well
        self._timer: asyncio.TimerHandle | None = None
        self._queue: queue.SimpleQueue[_Batch | _Reopening | None] = queue.SimpleQueue()
        self._ended = asyncio.Event()

    async def start(self, *, must_open: bool) -> None:
        """Open the file and start the thread.

        Parameters
        ----------
        must_open : bool
            Whether it is an error if the file cannot be opened; else it is tried again.

        Raises
        ------
        OSError
            Where it cannot be opened.
        """
        self._loop, self._is_open = asyncio.get_running_loop(), True
        thread = threading.Thread(target=self._work, name="aiodicom lines", daemon=True)
        thread.start()
        try:
            await self.reopen()
        except OSError as error:
            if must_open:
                await self.close()
                raise
            self._failed(error)
        except asyncio.CancelledError:  # the thread ends when it has opened the file
            self._is_open = False
            self._queue.put(None)
            raise

    def put(self, line: bytes) -> None:
        """Take a line, with its end; drop it where too many wait, or after the end."""
        if not self._is_open:
            return
        if self._taken - self._done + len(self._gathered) >= MOST_WAITING:
            self._dropped += 1
            self._complain("the disk is too slow")
            return
        self._gathered.append(line)
        if self._timer is None:
            self._timer = self._loop.call_later(GATHERED, self._hand_over)

    async def reopen(self) -> None:
        """Open the file anew, after all lines up to now.

        Raises
        ------
        OSError
            Where it cannot be opened.
        """
        if not self._is_open:
            return
        self._hand_over()
        done = self._loop.create_future()
        self._queue.put(_Reopening(done))
        try:
            async with asyncio.timeout(PATIENCE):
                await done
        except TimeoutError:
            raise OSError(f"{self._lines.name} cannot be opened: the disk is too slow") from None

    async def close(self) -> None:
        """Write what waits, and end the thread; give up where that takes too long."""
        if not self._is_open:
            return
        self._hand_over()
        self._queue.put(None)
        try:
            async with asyncio.timeout(PATIENCE):
                await self._ended.wait()
        except TimeoutError:
            missing = self._taken - self._done
            logger.error("%s: %d lines are not written in the end", self._lines.name, missing)
        self._is_open = False

    def _hand_over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._gathered or self._dropped:
            self._taken += len(self._gathered)
            self._queue.put(_Batch(self._gathered, self._dropped))
            self._gathered, self._dropped = [], 0

    def _failed(self, error: OSError) -> None:
        self._complain(os.strerror(error.errno) if error.errno else str(error))

    def _complain(self, why: str) -> None:
        text, name = "%s: lines are dropped: %s", self._lines.name
        self._seldom.log(logger, logging.ERROR, why, text, name, why)

    # In the thread -------------------------------------------------------------------------------

    def _work(self) -> None:
        while (wish := self._queue.get()) is not None:
            if isinstance(wish, _Batch):
                self._write(wish)
            else:
                self._open(wish)
        if self._lost:
            self._write(_Batch([], 0))
        with contextlib.suppress(OSError):
            self._lines.close()
        self._tell(self._ended.set)

    def _write(self, batch: _Batch) -> None:
        missing = self._lost + batch.dropped
        lines = [self._tell_dropped(missing), *batch.lines] if missing else batch.lines
        written = 0
        try:
            written = self._lines.append(lines)
            error = OSError("the disk has taken a part of them")
        except Exception as failure:  # a stream of somebody's may raise whatever it likes
            error = failure if isinstance(failure, OSError) else OSError(type(failure).__name__)
        if written < len(lines):
            self._tell(self._failed, error)
        said = missing if written else 0
        self._lost = missing - said + len(batch.lines) - max(written - bool(missing), 0)
        self._done += len(batch.lines)

    def _open(self, wish: _Reopening) -> None:
        try:
            self._lines.open()
        except Exception as failure:
            error = failure if isinstance(failure, OSError) else OSError(str(failure))
            self._tell(_settle, wish.done, error)
        else:
            self._tell(_settle, wish.done, None)

    def _tell(self, what: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # a loop that is closed has given up on us
            self._loop.call_soon_threadsafe(what, *arguments)


def _settle(done: asyncio.Future[None], error: OSError | None) -> None:
    if done.done():  # nobody waits any more
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
