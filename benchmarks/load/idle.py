"""Associations that are open and say nothing."""

from __future__ import annotations

import contextlib
import resource
import select
import socket
import struct
import time
from collections.abc import Iterator

from benchmarks.load.association import hung
from benchmarks.load.order import Order, Outcome
from benchmarks.messages import LoadError, agreed_length, associate_request
from benchmarks.usage import processor_seconds, resident_memory

__all__ = ["idle_associations", "watch_idle"]

_AT_A_TIME = 32
"""So few wait to be accepted that no listen backlog is too short for them."""

_SETTLING_SECONDS = 0.3
_LINGER_NOT = struct.pack("ii", 1, 0)  # a reset: ten thousand ports need not wait out TIME_WAIT


@contextlib.contextmanager
def idle_associations(order: Order) -> Iterator[list[socket.socket]]:
    """Open as many as are ordered; close them at the end.

    Raises
    ------
    LoadError
        Where one is not accepted, or has been ended meanwhile.
    """
    _allow_files(order.idle + 100)
    with contextlib.ExitStack() as stack:
        connections: list[socket.socket] = []
        while len(connections) < order.idle:
            count = min(_AT_A_TIME, order.idle - len(connections))
            opened = [stack.enter_context(_connection(order)) for _ in range(count)]
            for each in opened:
                _accept(each, order.patience)
            connections += opened
        yield connections
        _check_open(connections)


def watch_idle(order: Order) -> Outcome:
    """Open idle associations; measure what each of them costs the receiver."""
    before = resident_memory(order.receiver)
    begun = time.perf_counter()
    with idle_associations(order):
        opened = time.perf_counter() - begun
        time.sleep(_SETTLING_SECONDS)
        memory = (resident_memory(order.receiver) - before) / order.idle
        processor, start = processor_seconds(order.receiver), time.perf_counter()
        time.sleep(order.seconds)
        processor = processor_seconds(order.receiver) - processor
        share = processor / (time.perf_counter() - start)
    return Outcome(seconds=opened, idle_memory=memory, idle_share=share)


def _connection(order: Order) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", order.port), order.patience)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    connection.sendall(associate_request())
    return connection


def _accept(connection: socket.socket, patience: float) -> None:
    try:
        answer = _exactly(connection, 6)
        answer += _exactly(connection, int.from_bytes(answer[2:6], "big"))
    except TimeoutError:
        raise LoadError(hung(patience)) from None
    agreed_length(answer)


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise LoadError("the receiver closed the connection")
        data += more
    return data


def _check_open(connections: list[socket.socket]) -> None:
    poll = select.poll()
    for each in connections:
        poll.register(each, select.POLLIN | select.POLLRDHUP)
    ended = len(poll.poll(0))
    if ended:
        raise LoadError(f"{ended} of {len(connections)} idle associations were ended")


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise LoadError(f"only {hard} files may be open: ulimit -Hn")
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
