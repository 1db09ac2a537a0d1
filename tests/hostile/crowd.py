"""A newcomer among peers of every bad kind at once, against a real `storescp`.

    python -m tests.hostile.crowd [seconds]

200 silent connections, 200 idle associations, 100 half-sent requests, 50 peers that never read,
and a load balancer's probes, 1,000 a second for a minute. Exit code 1 where a newcomer's echo or
store takes 0.3 s or more.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from aiodicom.wire.pdu import encode_pdu
from tests.peer import ECHO_CONTEXT, association_request, command_pdu, ct_dataset, echo_command
from tests.processes import Sender, receiving

MOST_SECONDS = 0.3
"""Seconds within which a newcomer has its answer."""

PAUSE = 0.05
"""Seconds between two newcomers."""

PROBES_PER_SECOND = 1000

REQUEST = encode_pdu(association_request())
ECHO = command_pdu(echo_command(), ECHO_CONTEXT)


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many of each kind there are, and how many probes come in a second."""

    silent: int = 200
    idle: int = 200
    half_sent: int = 100
    deaf: int = 50
    probes: int = PROBES_PER_SECOND


@dataclass(slots=True)
class Newcomers:
    """How long echo and store of newcomers took, in seconds, and how many probes there were."""

    echo: list[float] = field(default_factory=list)
    store: list[float] = field(default_factory=list)
    associate: list[float] = field(default_factory=list)
    probes: int = 0
    seconds: float = 0

    @property
    def longest(self) -> float:
        return max(*self.echo, *self.store)


@contextlib.contextmanager
def crowded(port: int, crowd: Crowd) -> Iterator[None]:
    """Have all of them connected while the body runs."""
    with contextlib.ExitStack() as stack:
        for _ in range(crowd.silent):
            stack.enter_context(Sender(port))
        for _ in range(crowd.idle):
            stack.enter_context(Sender(port)).associate()
        for number in range(crowd.half_sent):
            sender = stack.enter_context(Sender(port))
            sender.send(REQUEST[: 1 + number * (len(REQUEST) - 2) // crowd.half_sent])
        for _ in range(crowd.deaf):
            _never_read(stack.enter_context(Sender(port)))
        yield


def _never_read(sender: Sender) -> None:
    """Ask, and take no answers, until the receiver takes no more questions."""
    sender.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sender.associate()
    sender.socket.settimeout(0.01)
    with contextlib.suppress(TimeoutError):
        for _ in range(100):
            sender.send(ECHO * 500)


def probe(port: int, rate: int, stopped: threading.Event, newcomers: Newcomers) -> None:
    """Connect and close, so many times a second."""
    begin = time.monotonic()
    while not stopped.is_set():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
            newcomers.probes += 1
        ahead = newcomers.probes / rate - (time.monotonic() - begin)
        if ahead > 0:
            stopped.wait(ahead)


def come(port: int, number: int, newcomers: Newcomers) -> None:
    """Associate, echo, store and leave."""
    uid = f"1.2.{number}"
    data = ct_dataset(uid, bytes(100_000))
    start = time.monotonic()
    with Sender(port) as sender:
        sender.associate()
        associated = time.monotonic()
        sender.send(ECHO)
        assert sender.status() == 0
        echoed = time.monotonic()
        assert sender.store(uid, data) == 0
        newcomers.associate.append(associated - start)
        newcomers.echo.append(echoed - associated)
        newcomers.store.append(time.monotonic() - echoed)
        sender.release()


def measure(port: int, crowd: Crowd, seconds: float) -> Newcomers:
    """Let newcomers come, one after the other, for some seconds."""
    newcomers, stopped = Newcomers(), threading.Event()
    with crowded(port, crowd):
        arguments = port, crowd.probes, stopped, newcomers
        probing = threading.Thread(target=probe, args=arguments)
        begin = time.monotonic()
        probing.start()
        try:
            while (passed := time.monotonic() - begin) < seconds or not newcomers.store:
                come(port, len(newcomers.store), newcomers)
                time.sleep(PAUSE)
        finally:
            stopped.set()
            probing.join()
    newcomers.seconds = passed
    return newcomers


def row(name: str, seconds: list[float]) -> str:
    """Median, 99th percentile and maximum, in milliseconds."""
    ordered = sorted(seconds)
    p99 = ordered[math.ceil(0.99 * len(ordered)) - 1]
    numbers = statistics.median(ordered), p99, ordered[-1]
    return f"{name:<10}" + "".join(f"{1000 * number:>10.1f}" for number in numbers) + "\n"


def main(arguments: list[str]) -> int:
    seconds = float(arguments[0]) if arguments else 60.0
    options = "-q", "--network-timeout", str(int(seconds) + 60), "-ta", str(int(seconds) + 60)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "received"
        folder.mkdir()
        with receiving("storescp", *options, "-od", str(folder), folder=folder) as receiver:
            newcomers = measure(receiver.port, Crowd(), seconds)
            memory = receiver.memory("VmHWM")
    write = sys.stdout.write
    write(f"{len(newcomers.store)} newcomers, {newcomers.probes / newcomers.seconds:.0f} probes a ")
    write(f"second for {newcomers.seconds:.0f} s, {os.cpu_count()} processors, ")
    write(f"{memory / 1e6:.0f} MB at most\n{'ms':<10}{'median':>10}{'p99':>10}{'maximum':>10}\n")
    for name, durations in (
        ("associate", newcomers.associate),
        ("echo", newcomers.echo),
        ("store", newcomers.store),
    ):
        write(row(name, durations))
    return int(newcomers.longest >= MOST_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
