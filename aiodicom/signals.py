"""The signals of a process that is a server: reload, stop, hurry, die."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from types import FrameType, TracebackType
from typing import Any, NoReturn, Protocol, Self

__all__ = ["ENDS", "NUMBERS", "Insistence", "Listener", "Signals", "die_of", "put_back"]

ENDS = (signal.SIGINT, signal.SIGTERM)
"""What ends a server."""

NUMBERS = (*ENDS, signal.SIGHUP)

ECHO = 1.0
"""Seconds within which a second signal is the first one, come by another way: whoever sends one to
a process and to its group, as `timeout` does, has said it once."""


class Insistence:
    """How often a process was told to end: stop, then hurry, then die."""

    def __init__(self) -> None:
        self._times = 0
        self._last = 0.0

    def again(self) -> int:
        """Count a signal; return 1, 2, or 3 from then on, or 0 for an echo of the last one."""
        now = time.monotonic()
        if self._times and now - self._last <= ECHO:
            return 0
        self._last = now
        self._times = min(self._times + 1, 3)
        return self._times


class Listener(Protocol):
    """Who is told what signals are for."""

    def stop(self, number: signal.Signals) -> None:
        """Hear the first signal that ends a server."""

    def hurry(self, number: signal.Signals) -> None:
        """Hear the second one."""

    def reload(self) -> None:
        """Hear SIGHUP."""


class Signals:
    """Hears signals from before the loop runs until after it has ended: none is lost.

    A context manager, in the main thread. The third signal that ends a server ends the process,
    as if nobody had heard it.
    """

    def __init__(self) -> None:
        self._insistence = Insistence()
        self._listener: Listener | None = None
        self._waiting: list[tuple[int, int]] = []
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in NUMBERS:
            self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        put_back(self._before)

    @contextlib.contextmanager
    def heard_by(self, listener: Listener) -> Iterator[None]:
        """Have the running loop tell a listener while the body runs, and what came before."""
        loop = asyncio.get_running_loop()
        for number in NUMBERS:
            loop.add_signal_handler(number, self._hear, number)
        self._listener = listener
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            self._tell(*each)
        try:
            yield
        finally:
            self._listener = None
            for number in NUMBERS:
                loop.remove_signal_handler(number)  # now it would end us: not for long
                signal.signal(number, self._hear)

    def _hear(self, number: int, _: FrameType | None = None) -> None:
        times = 0 if number == signal.SIGHUP else self._insistence.again()
        if times == 3:
            die_of(number)
        if times or number == signal.SIGHUP:
            self._tell(number, times)

    def _tell(self, number: int, times: int) -> None:
        if self._listener is None:
            self._waiting.append((number, times))
        elif times == 0:
            self._listener.reload()
        elif times == 1:
            self._listener.stop(signal.Signals(number))
        else:
            self._listener.hurry(signal.Signals(number))


def put_back(handlers: Mapping[signal.Signals, Any]) -> None:
    """Install signal handlers that `signal.signal` has returned."""
    for number, handler in handlers.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)


def die_of(number: int) -> NoReturn:
    """End this process by a signal."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # as process 1, which a signal does not end
