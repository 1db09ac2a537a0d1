"""Log lines that peers can cause as often as they like: each once a minute."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable
from typing import Final

__all__ = ["Seldom"]

PERIOD: Final = 60.0
"""Seconds for which a line is not logged again."""

ROOM: Final = 256
"""Keys that are told apart at a time; all others share one."""


class _Others:
    """The key of those that there is no room for."""


class Seldom:
    """Logs what is the same once a period, and how much more of it there was; at DEBUG all of it.

    What is counted is told with the next line that is logged after the period, of whatever key:
    there is no timer. Memory is bounded, whatever the keys are made of.

    Parameters
    ----------
    period : float
        Seconds for which a line is not logged again.
    room : int
        Keys that are told apart at a time. While there are as many, all others share one.
    clock : callable
        Tells the time, in seconds.
    """

    __slots__ = ("_clock", "_known", "_period", "_room")

    def __init__(
        self,
        period: float = PERIOD,
        room: int = ROOM,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._period = period
        self._room = room
        self._clock = clock
        self._known: dict[Hashable, _Line] = {}  # the oldest first

    def log(
        self, logger: logging.Logger, level: int, key: Hashable, message: str, *args: object
    ) -> None:
        """Log a line, or count it where there was one of its key less than a period ago.

        Parameters
        ----------
        logger : logging.Logger
            Who logs it.
        level : int
            With which level.
        key : hashable
            What is the same: who the peer is and what it did. It is small, and nothing in it is
            of the peer's choice: no AE title.
        message : str
            The line, with places for `args`.
        """
        now = self._clock()
        before = self._known.get(key)
        if before is not None and before.time + self._period <= now:
            del self._known[key]
        else:
            before = None
        self._tell_of_before(now - self._period)
        if key not in self._known and len(self._known) >= self._room:
            key = _Others
        line = self._known.get(key)
        if line is not None:
            line.more += 1
            logger.debug(message, *args)
            return
        text = message % args if args else message
        self._known[key] = _Line(now, logger, level, text)
        _tell(logger, level, text, before.more if before is not None else 0)

    def _tell_of_before(self, time: float) -> None:
        """Forget what was logged up to a time, and tell how much more of it there was."""
        while self._known:
            key = next(iter(self._known))
            line = self._known[key]
            if line.time > time:
                return
            del self._known[key]
            if line.more:
                _tell(line.logger, line.level, line.text, line.more)


def _tell(logger: logging.Logger, level: int, text: str, more: int) -> None:
    if more:
        logger.log(level, "%s (and %d more like it)", text, more)
    else:
        logger.log(level, "%s", text)


class _Line:
    """A line that was logged, and how many more like it were not."""

    __slots__ = ("level", "logger", "more", "text", "time")

    def __init__(self, time: float, logger: logging.Logger, level: int, text: str) -> None:
        self.time = time
        self.logger = logger
        self.level = level
        self.text = text
        self.more = 0
