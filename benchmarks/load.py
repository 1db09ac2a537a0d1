"""The load generator: a process of its own that sends prebuilt bytes and counts answers.

An object costs it two system calls, two patched UIDs and a search in the answer, so that it is
never the bottleneck; what it costs is reported beside the results. An association sends its next
object when the last one has been answered.

It is given an `Order` as JSON on standard input and writes an `Outcome` as JSON.
"""

from __future__ import annotations

import contextlib
import gc
import json
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from aiodicom.errors import ProtocolError
from benchmarks.messages import (
    RELEASE_REQUEST,
    LoadError,
    StoreMessage,
    agreed_length,
    associate_request,
    status_of,
)
from benchmarks.usage import peak_memory, processor_seconds, processor_times

__all__ = ["Order", "Outcome"]

_NOTHING = memoryview(b"")
_RELEASE_RP = 0x06
_ANSWER_SIZE = 1 << 14


@dataclass(frozen=True, slots=True)
class Order:
    """What to send.

    Attributes
    ----------
    receiver, port : int
        The receiver's process, and where it listens on 127.0.0.1.
    dataset : str
        A file that holds the dataset of object number 0.
    associations : int
        How many at a time.
    objects : int
        How many on each of them.
    seconds : float
        After so long no association begins another object; each sends one at least.
    patience : float
        Seconds without any answer after which the receiver counts as hung.
    first : int
        The number of the first object.
    together : bool
        Whether all associations begin together, when the last of them has been accepted; else
        each one begins when it has been.
    """

    receiver: int
    port: int
    dataset: str
    associations: int
    objects: int
    seconds: float
    patience: float = 10.0
    first: int = 0
    together: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back.

    Attributes
    ----------
    acknowledged : list of int
        How many objects of each association were answered 0x0000. Association ``i`` of ``n`` sends
        the numbers ``first + i``, ``first + i + n``, ``first + i + 2 * n`` and so on.
    seconds : float
        From the first byte of the first object to the last answer.
    p50, p99 : float
        Seconds from an object's first byte to its answer.
    generator, receiver : float
        Seconds of processor time of the generator itself, and of the receiver.
    peak : int
        The receiver's peak memory in bytes, while it has all its associations.
    error : str
        What went wrong, or an empty string.
    """

    acknowledged: list[int]
    seconds: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    generator: float = 0.0
    receiver: float = 0.0
    peak: int = 0
    error: str = ""

    @property
    def objects(self) -> int:
        """How many were acknowledged on all associations."""
        return sum(self.acknowledged)


class Gate:
    """Where associations wait for each other.

    Parameters
    ----------
    needed : int
        How many have to be there; then they all go on.
    when_open : callable
        What is done before.
    """

    def __init__(self, needed: int, when_open: Callable[[], None]) -> None:
        self._needed = needed
        self._when_open = when_open
        self._waiting: list[Callable[[], None]] = []

    def arrive(self, go_on: Callable[[], None]) -> None:
        """Take one more; let all go on if it is the last."""
        self._waiting.append(go_on)
        if len(self._waiting) < self._needed:
            return
        self._when_open()
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            with contextlib.suppress(BlockingIOError):
                each()


class Run:
    """What the associations share: when to begin and to end, and what is measured then.

    Accepting and releasing associations is not storing: where the receiver can have them all at
    once, time and usage are those between the last acceptance and the first release.
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        together = order.associations if order.together else 1
        self.beginning = Gate(together, self._begin)
        self.ending = Gate(together, self._end)
        self.stop_at = 0.0
        self.generator = self.receiver = 0.0
        self.peak = 0
        self._generator_before = 0.0
        self._receiver_before: dict[int, int] = {}

    def _begin(self) -> None:
        if not self.stop_at:
            self._receiver_before = processor_times(self.order.receiver)
            self._generator_before = time.process_time()
            self.stop_at = time.perf_counter() + self.order.seconds

    def _end(self) -> None:
        self.generator = time.process_time() - self._generator_before
        receiver_after = processor_times(self.order.receiver)
        self.receiver = processor_seconds(self._receiver_before, receiver_after)
        self.peak = peak_memory(self.order.receiver)


class Association:
    """One association; what it waits for is the method that takes the next PDU."""

    def __init__(self, run: Run, index: int, dataset: bytes) -> None:
        self.acknowledged = 0
        self.is_done = False
        self.first_begun = 0.0
        self.last_answered = 0.0
        self.latencies: list[float] = []
        self.socket = socket.socket()
        self._run = run
        self._order = run.order
        self._number = run.order.first + index
        self._dataset = dataset
        self._begun = 0.0
        self._unsent = memoryview(associate_request())
        self._answer = bytearray(_ANSWER_SIZE)
        self._answer_view = memoryview(self._answer)
        self._filled = 0
        self._take: Callable[[bytes], None] = self._accepted

    def connect(self, *, blocking: bool) -> None:
        """Open the connection, or begin to."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The kernel's own timeouts: Python's would cost a poll() for each call.
        patience = struct.pack("ll", int(self._order.patience), 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        self.socket.setblocking(blocking)
        self.socket.connect_ex(("127.0.0.1", self._order.port))  # `send` will tell

    def send(self) -> None:
        """Send what is to be sent, or as much as the connection takes."""
        sent = self.socket.send(self._unsent)
        self._unsent = self._unsent[sent:] if sent < len(self._unsent) else _NOTHING

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
            if self._unsent and not events & select.EPOLLIN:
                self.send()
            else:
                self.receive()
        except BlockingIOError:
            pass

    def run_alone(self) -> None:
        """Do everything, on a blocking connection."""
        try:
            while not self.is_done:
                while self._unsent:
                    self.send()
                self.receive()
        except BlockingIOError:
            raise LoadError(_hung(self._order)) from None

    def _accepted(self, pdu: bytes) -> None:
        self._message = StoreMessage(self._dataset, agreed_length(pdu))
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
        if self._unsent:
            raise LoadError("an object was acknowledged before it was sent")
        self.acknowledged += 1
        self.latencies.append(now - self._begun)
        self.last_answered = now
        if self.acknowledged == self._order.objects or now >= self._run.stop_at:
            self._run.ending.arrive(self._release)
        else:
            self._number += self._order.associations
            self._send_object(now)

    def _send_object(self, now: float) -> None:
        self._begun = now
        self._message.patch(self._number)
        self._unsent = self._message.view
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


def _hung(order: Order) -> str:
    return f"no answer for {order.patience:g} s"


def _run_all(order: Order, associations: Sequence[Association]) -> None:
    """Run several associations at once."""
    epoll = select.epoll()
    by_descriptor = {}
    for association in associations:
        association.connect(blocking=False)
        descriptor = association.socket.fileno()
        by_descriptor[descriptor] = association
        epoll.register(descriptor, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
    while by_descriptor:
        ready = epoll.poll(order.patience)
        if not ready:
            raise LoadError(_hung(order))
        for descriptor, events in ready:
            association = by_descriptor[descriptor]
            association.ready(events)
            if association.is_done:
                del by_descriptor[descriptor]


def _perform(order: Order) -> Outcome:
    dataset = Path(order.dataset).read_bytes()
    run = Run(order)
    associations = [Association(run, index, dataset) for index in range(order.associations)]
    gc.disable()  # nothing here makes cycles
    error = ""
    try:
        if order.associations == 1:
            associations[0].connect(blocking=True)
            associations[0].run_alone()
        else:
            _run_all(order, associations)
    except (LoadError, ProtocolError) as problem:
        error = str(problem)
    except OSError as problem:
        error = problem.strerror or type(problem).__name__
    return _outcome(run, associations, error)


def _outcome(run: Run, associations: Sequence[Association], error: str) -> Outcome:
    latencies = sorted(second for each in associations for second in each.latencies)
    acknowledged = [association.acknowledged for association in associations]
    if not latencies:
        return Outcome(acknowledged, error=error or "nothing was acknowledged")
    begun = min(each.first_begun for each in associations if each.acknowledged)
    seconds = max(each.last_answered for each in associations) - begun
    p50, p99 = (latencies[int(len(latencies) * part)] for part in (0.5, 0.99))
    return Outcome(
        acknowledged, seconds, p50, p99, run.generator, run.receiver, run.peak, error=error
    )


if __name__ == "__main__":
    json.dump(asdict(_perform(Order(**json.load(sys.stdin)))), sys.stdout)
