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

HARMLESS = signal.SIGURG
"""A signal that does nothing to a process that does not hear it."""

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

    Parameters
    ----------
    is_last : bool
        Whether the process ends afterwards: further signals are ignored then. Else those that
        were heard before are heard again as they were.
    """

    def __init__(self, *, is_last: bool = False) -> None:
        self._is_last = is_last
        self._insistence = Insistence()
        self._loop: asyncio.AbstractEventLoop | None = None
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
        put_back(self._before, is_last=self._is_last)

    @contextlib.contextmanager
    def heard_by(self, listener: Listener) -> Iterator[None]:
        """Have the running loop tell a listener while the body runs, and what came before."""
        # Not `add_signal_handler` for each: to remove one makes it deadly for a moment. A loop
        # that hears any signal is woken by all of them.
        self._loop = asyncio.get_running_loop()
        self._loop.add_signal_handler(HARMLESS, _nothing)
        self._listener = listener
        waiting, self._waiting = self._waiting, []
        for number, times in waiting:
            _tell(listener, number, times)
        try:
            yield
        finally:
            loop, self._loop = self._loop, None
            loop.remove_signal_handler(HARMLESS)

    def _hear(self, number: int, _: FrameType | None) -> None:
        times = 0 if number == signal.SIGHUP else self._insistence.again()
        if times == 3:
            die_of(number)
        if not times and number != signal.SIGHUP:
            return
        if self._loop is None or self._listener is None:
            self._waiting.append((number, times))
        else:
            self._loop.call_soon_threadsafe(_tell, self._listener, number, times)


def _tell(listener: Listener, number: int, times: int) -> None:
    if times == 0:
        listener.reload()
    elif times == 1:
        listener.stop(signal.Signals(number))
    else:
        listener.hurry(signal.Signals(number))


def _nothing() -> None:
    """Hear a signal that nobody needs to hear."""


def put_back(handlers: Mapping[signal.Signals, Any], *, is_last: bool = False) -> None:
    """Install signal handlers that `signal.signal` has returned.

    Where a process that was told to end is about to, what tells it anything more is ignored.
    """
    for number, handler in handlers.items():
        if is_last and number in NUMBERS:
            handler = signal.SIG_IGN
        signal.signal(number, signal.SIG_DFL if handler is None else handler)


def die_of(number: int) -> NoReturn:
    """End this process by a signal."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # as process 1, which a signal does not end
