"""Accepting connections: not too many at once, and not those that are another worker's."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from aiodicom.open_files import end_of_connections
from aiodicom.workers.shares import Share

__all__ = ["Accepting"]

logger = logging.getLogger("aiodicom.server")

RETRY = 0.5
"""Seconds without accepting after the process ran out of descriptors or memory."""

MOMENT = 0.001
"""Seconds for which connections are left to a worker that has fewer."""


class Accepting:
    """Takes connections from listening sockets, in the running loop, until it is closed.

    Parameters
    ----------
    sockets : sequence of socket.socket
        Listening sockets, which are non-blocking and this object's from now on. Other processes
        may have them too.
    share : Share
        What the processes know of each other.
    take : callable
        Given each accepted socket, the address of its peer, and the listening socket.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        share: Share,
        take: Callable[[socket.socket, tuple[Any, ...], socket.socket], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._sockets = sockets
        self._share = share
        self._take = take
        self._end = end_of_connections()
        self._left: dict[socket.socket, asyncio.TimerHandle] = {}
        self._waiting: dict[socket.socket, asyncio.TimerHandle] = {}
        for listening in sockets:
            self._watch(listening)
        share.serve(True)

    def close(self) -> None:
        """Stop listening."""
        self._share.serve(False)
        for timer in (*self._left.values(), *self._waiting.values()):
            timer.cancel()
        for listening in self._sockets:
            self._loop.remove_reader(listening)
            listening.close()
        self._sockets = ()

    def has_fewer(self) -> None:
        """Hear that a connection has gone: what was left to others may be ours again."""
        if self._left and self._share.room() > 0:
            for listening, timer in self._left.items():
                timer.cancel()
                self._watch(listening)
            self._left.clear()

    def _watch(self, listening: socket.socket) -> None:
        self._loop.add_reader(listening, self.accept, listening)

    def accept(self, listening: socket.socket) -> None:
        """Accept what waits, or leave it for a moment to a worker that has fewer."""
        room = self._share.room()
        if room > 0:
            self._accept(listening, room)
            return
        self._share.leave()
        self._loop.remove_reader(listening)
        self._left[listening] = self._loop.call_later(MOMENT, self._come_back, listening)

    def _come_back(self, listening: socket.socket) -> None:
        del self._left[listening]
        self._watch(listening)
        self._share.left_in_vain(self._accept(listening, self._share.come_back()))

    def _accept(self, listening: socket.socket, most: int) -> bool:
        """Accept some connections; tell whether there was any."""
        taken = 0
        for taken in range(most):
            try:
                accepted, address = listening.accept()
            except (BlockingIOError, InterruptedError):
                return taken > 0
            except ConnectionAbortedError:
                continue
            except OSError as error:
                self._cannot_accept(listening, error)
                return taken > 0
            is_last = accepted.fileno() >= self._end
            self._share.accepted()
            self._take(accepted, address, listening)
            if is_last:
                self._cannot_accept(listening, "the other descriptors are for files")
                break
        return True

    def _cannot_accept(self, listening: socket.socket, why: object) -> None:
        """Wait a little: a listening socket that nothing is accepted from stays readable."""
        logger.error("Cannot accept connections for %s s: %s", RETRY, why)
        self._loop.remove_reader(listening)
        self._wait(listening)

    def _wait(self, listening: socket.socket) -> None:
        self._waiting[listening] = self._loop.call_later(RETRY, self._retry, listening)

    def _retry(self, listening: socket.socket) -> None:
        if _next_descriptor(listening) >= self._end:
            self._wait(listening)
            return
        del self._waiting[listening]
        self._watch(listening)


def _next_descriptor(listening: socket.socket) -> int:
    """Return the descriptor that what is accepted next would get."""
    try:
        descriptor = os.dup(listening.fileno())
    except OSError:  # there is none
        return 1 << 31
    os.close(descriptor)
    return descriptor
