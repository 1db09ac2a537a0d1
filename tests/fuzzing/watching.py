"""What no input may bring about: failures in the log or in the loop, and tasks that stay."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Any

__all__ = ["Finding", "watched"]


class Finding(AssertionError):
    """An input has done what it must not."""


class _Reader(logging.Handler):
    """Reads every line of the log as those do who are paid for it."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.exc_info or (message.startswith("The handler failed")):
            text = logging.Formatter().format(record)
            self.bad.append(f"a failure that is not the peer's: {text}")
        elif not message.isprintable():
            self.bad.append(f"what a peer said is in the log as it came: {message!r}")


@contextlib.contextmanager
def watched(loop: asyncio.AbstractEventLoop, level: int = logging.WARNING) -> Iterator[None]:
    """Watch log and loop.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        It runs nothing now, nor afterwards.
    level : int
        Down to which level the log is written.

    Raises
    ------
    Finding
        Where something failed that is not the peer's fault, or a task is left.
    """
    logger, reader = logging.getLogger("aiodicom"), _Reader()
    failures: list[dict[str, Any]] = []
    before = logger.level, logger.propagate
    logger.addHandler(reader)
    logger.setLevel(level)
    logger.propagate = False
    loop.set_exception_handler(lambda _, context: failures.append(context))
    try:
        yield
    finally:
        logger.removeHandler(reader)
        logger.setLevel(before[0])
        logger.propagate = before[1]
    if reader.bad:
        raise Finding(reader.bad[0])
    if failures:
        raise Finding(str(failures[0])) from failures[0].get("exception")
    if left := asyncio.all_tasks(loop):
        raise Finding(f"tasks are left: {left}")
