"""One association of the load generator."""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Callable

from benchmarks.load.run import Run
from benchmarks.messages import (
    RELEASE_REQUEST,
    LoadError,
    Messages,
    agreed_length,
    status_of,
)

__all__ = ["Association", "hung"]

_NOTHING = memoryview(b"")
_RELEASE_RP = 0x06
_ANSWER_SIZE = 1 << 14


class Association:
    """One association; what it waits for is the method that takes the next PDU.

    Parameters
    ----------
    run : Run
        What it is part of.
    number : int
        Of its first object.
    objects : int
        How many it sends at most.
    messages : Messages
        Where it has its message from.
    """

    def __init__(self, run: Run, number: int, objects: int, messages: Messages) -> None:
        self.acknowledged = 0
        self.is_done = False
        self.first_begun = 0.0
        self.last_answered = 0.0
        self.latencies: list[float] = []
        self.socket = socket.socket()
        self._run = run
        self._order = run.order
        self._number = number
        self._objects = objects
        self._messages = messages
        self._begun = 0.0
        self._unsent = memoryview(messages.associate_request)
        self._tail_unsent = 0
        self._answer = bytearray(_ANSWER_SIZE)
        self._answer_view = memoryview(self._answer)
        self._filled = 0
        self._take: Callable[[bytes], None] = self._accepted

    def connect(self, *, blocking: bool) -> None:
        """Open the connection, or begin to."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if blocking:
            # The kernel's own timeouts: Python's would cost a poll() for each call.
            patience = struct.pack("ll", int(self._order.patience), 0)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        self.socket.setblocking(blocking)
        self.socket.connect_ex(("127.0.0.1", self._order.port))  # `send` will tell

    def send(self) -> None:
        """Send what is to be sent, or as much as the connection takes."""
        if self._unsent:
            sent = self.socket.send(self._unsent)
            self._unsent = self._unsent[sent:] if sent < len(self._unsent) else _NOTHING
        while self._tail_unsent and not self._unsent:
            tail = self._message.tail
            position = tail.size - self._tail_unsent
            descriptor = self.socket.fileno()
            self._tail_unsent -= os.sendfile(
                descriptor, tail.descriptor, position, self._tail_unsent
            )

    def receive(self) -> None:
        """Receive, and go on where a PDU is complete."""
        count = self.socket.recv_into(self._answer_view[self._filled :])
        if not count:
            raise LoadError("the receiver closed the connection")
        self._filled += count
        if self._filled < 6:
            return
        size = 6 + int.from_bytes(self._answer[2:6], "big")
        if size > _ANSWER_SIZE:
            raise LoadError("an answer is too long")
        if self._filled < size:
            return
        if self._filled > size:
            raise LoadError("more answers than requests")
        self._filled = 0
        self._take(bytes(self._answer_view[:size]))

    def ready(self, events: int) -> None:
        """Do what the connection is ready for (edge-triggered)."""
        try:
            if self._is_sending and not events & select.EPOLLIN:
                self.send()
            else:
                self.receive()
        except BlockingIOError:
            pass

    def run_alone(self) -> None:
        """Do everything, on a blocking connection."""
        try:
            while not self.is_done:
                while self._is_sending:
                    self.send()
                self.receive()
        except BlockingIOError:
            raise LoadError(hung(self._order.patience)) from None

    @property
    def _is_sending(self) -> bool:
        return bool(self._unsent or self._tail_unsent)

    def _accepted(self, pdu: bytes) -> None:
        self._message = self._messages.of_length(agreed_length(pdu))
        self._take = self._answered
        self._run.beginning.arrive(self._begin)

    def _begin(self) -> None:
        """Send the first object."""
        self.first_begun = time.perf_counter()
        self._send_object(self.first_begun)

    def _answered(self, pdu: bytes) -> None:
        now = time.perf_counter()
        status = status_of(pdu, self._number)
        if status:
            raise LoadError(f"an object was answered 0x{status:04X}")
        if self._is_sending:
            raise LoadError("an object was acknowledged before it was sent")
        self.acknowledged += 1
        self.latencies.append(now - self._begun)
        self.last_answered = now
        if self.acknowledged == self._objects or now >= self._run.stop_at:
            self._run.ending.arrive(self._release)
        else:
            self._number += self._order.associations
            self._send_object(now)

    def _send_object(self, now: float) -> None:
        self._begun = now
        self._message.patch(self._number)
        self._unsent = self._message.view
        self._tail_unsent = self._message.tail.size
        self.send()

    def _release(self) -> None:
        self._take = self._released
        self._unsent = memoryview(RELEASE_REQUEST)
        self.send()

    def _released(self, pdu: bytes) -> None:
        if pdu[0] != _RELEASE_RP:
            raise LoadError("the release was not answered")
        self.socket.close()
        self.is_done = True


def hung(patience: float) -> str:
    """Return what is said of a receiver that has given no answer for so long."""
    return f"no answer for {patience:g} s"
