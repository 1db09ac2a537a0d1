"""One of several processes on a port: what it and its parent tell each other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import signal
import socket
import traceback
from collections.abc import Iterator

from aiodicom.shares import Share

__all__ = ["GO", "READY", "SIGNALS", "Worker"]

logger = logging.getLogger("aiodicom.workers")

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""What ends a server."""

READY = b"R"
"""Said by a worker that could serve; what follows it, or comes instead, is a pickled error."""

GO = b"G"
"""Said by the parent when all are ready."""

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
    """

    def __init__(
        self, share: Share, channel: socket.socket, mask: set[int | signal.Signals]
    ) -> None:
        self.share = share
        self._channel = channel
        self._mask = mask
        self._may_go = asyncio.Event()
        self._is_to_stop = asyncio.Event()

    @contextlib.contextmanager
    def attending(self) -> Iterator[None]:
        """Hear signals, and what the parent says or that it is gone, while the body runs."""
        loop = asyncio.get_running_loop()
        self._channel.setblocking(False)
        loop.add_reader(self._channel, self._hear)
        for number in SIGNALS:
            loop.add_signal_handler(number, self._stop)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        try:
            yield
        finally:
            for number in SIGNALS:
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

    def _hear(self) -> None:
        try:
            said = self._channel.recv(1)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if said == GO:
            self._may_go.set()
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


def _pickled(error: BaseException) -> bytes:
    """Return an error as the parent can raise it, or one that says the same."""
    text = "".join(traceback.format_exception(error))[-MAXIMUM_TRACEBACK:]
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(f"in a worker:\n{text}")
    return pickle.dumps(error)
