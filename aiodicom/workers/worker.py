"""One of several processes on a port: what it and its parent tell each other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import signal
import socket
import traceback
from collections.abc import Callable, Iterator, Mapping

from aiodicom.workers.shares import Share
from aiodicom.workers.signals import ENDS

__all__ = ["GO", "HURRY", "READY", "RELOAD", "Worker"]

logger = logging.getLogger("aiodicom.workers")

READY = b"R"
"""Said by a worker that could serve; what follows it, or comes instead, is a pickled error."""

GO = b"G"
"""Said by the parent when all are ready."""

HURRY = b"H"
"""Said by the parent when running stores have no more time."""

RELOAD = b"L"
"""Said by the parent when files are to be read again."""

LAST_WORD = 1.0
"""Seconds that the parent has to take a worker's error."""

MAXIMUM_TRACEBACK = 16_384
"""Characters of a traceback that reach the parent."""


class Worker:
    """One worker, as it sees itself.

    Parameters
    ----------
    share : Share
        Its slot among the others'.
    channel : socket.socket
        To its parent, which is gone when that ends.
    mask : set of int
        The signals to be blocked while it serves. Until then those that end a server are blocked
        as well, and afterwards they are ignored, so that none comes at a wrong time.
    is_behind : bool
        Whether files were read again since its parent has read them.
    """

    def __init__(
        self,
        share: Share,
        channel: socket.socket,
        mask: set[int | signal.Signals],
        *,
        is_behind: bool = False,
    ) -> None:
        self.share = share
        self.is_behind = is_behind
        self._channel = channel
        self._mask = mask
        self._may_go = asyncio.Event()
        self._is_to_stop = asyncio.Event()

    @contextlib.contextmanager
    def attending(self, *, hurry: Callable[[], None], reload: Callable[[], None]) -> Iterator[None]:
        """Hear signals, and what the parent says or that it is gone, while the body runs.

        The first signal is obeyed. Further ones are for the parent, which has heard them as well
        if they have come to all of us.
        """
        loop = asyncio.get_running_loop()
        self._channel.setblocking(False)
        acts = {GO: self._may_go.set, HURRY: hurry, RELOAD: reload}
        loop.add_reader(self._channel, self._hear, acts)
        for number in ENDS:
            loop.add_signal_handler(number, self._stop)
        signal.signal(signal.SIGHUP, _leave_to_parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        try:
            yield
        finally:
            for number in ENDS:
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)  # whatever thread it is sent to
            loop.remove_reader(self._channel)

    async def ready(self) -> None:
        """Say that this worker could serve, and wait until all could, or until it is to stop."""
        if self._is_to_stop.is_set():
            return
        self.share.serve(True)  # now: else who is told to go first would take everything
        with contextlib.suppress(OSError):  # of a parent that is gone, `_hear` hears
            self._channel.send(READY)
        await self._may_go.wait()

    async def wait_stop(self) -> None:
        """Wait until this worker is to stop."""
        await self._is_to_stop.wait()

    def _hear(self, acts: Mapping[bytes, Callable[[], None]]) -> None:
        try:
            said = self._channel.recv(1)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if said in acts:
            acts[said]()
            return
        asyncio.get_running_loop().remove_reader(self._channel)
        logger.error("Stopping a worker: its parent process is gone")
        self._stop()

    def _stop(self) -> None:
        self._is_to_stop.set()
        self._may_go.set()

    def failed(self, error: BaseException) -> None:
        """Tell the parent what this worker ends with."""
        self._channel.settimeout(LAST_WORD)
        with contextlib.suppress(OSError):
            self._channel.sendall(_pickled(error))


def _leave_to_parent(number: int, frame: object) -> None:
    """Do nothing. To ignore the signal would have commands for objects ignore it too."""


def _pickled(error: BaseException) -> bytes:
    """Return an error as the parent can raise it, or one that says the same."""
    text = "".join(traceback.format_exception(error))[-MAXIMUM_TRACEBACK:]
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(f"in a worker:\n{text}")
    return pickle.dumps(error)
