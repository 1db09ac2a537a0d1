"""Peers that come and go, against a real `storescp`: memory and descriptors must stay as they are.

    python -m tests.hostile.cycles 100000

Associate and abort, associate and be rejected, connect and close, in turn. Exit code 1 where memory
has grown by more than 5 MB, or descriptors at all.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiodicom.wire.items import ProposedContext
from aiodicom.wire.pdu import Abort, AssociateReject, AssociateRequest, ae_title_field, encode_pdu
from tests.peer import CONTEXTS, CT, association_request
from tests.processes import Receiver, Sender, receiving, tries

MOST_GROWTH = 5_000_000
"""Bytes that memory may grow by, however many cycles there are."""

WARM_UP = 3000
"""Cycles before the first measurement: after them allocator and caches are as large as they get."""

ACCEPTED = encode_pdu(association_request())
REJECTED = encode_pdu(
    AssociateRequest(ae_title_field("ANY-SCP"), ae_title_field("PEER"), tuple(CONTEXTS))
)
"""Without an application context: PS3.8 9.3.2.1."""

Cycle = Callable[[int, int], None]


def associate_and_abort(port: int, number: int) -> None:
    with Sender(port) as sender:
        sender.send(ACCEPTED)
        assert encode_pdu(sender.receive())[0] == 2
        sender.send(Abort(0, 0))


def associate_and_vanish(port: int, number: int) -> None:
    """A proposal of one's own, and a reset instead of an answer to the answer."""
    contexts = [ProposedContext.of(1, CT, f"1.2.{number}")]
    with Sender(port) as sender:
        sender.associate(contexts)
        sender.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def be_rejected(port: int, number: int) -> None:
    with Sender(port) as sender:
        sender.send(REJECTED)
        assert isinstance(sender.receive(), AssociateReject)


def be_aborted(port: int, number: int) -> None:
    with Sender(port) as sender:
        sender.send(b"\1\0\0\0\0\1" + bytes((number & 0xFF,)))
        assert isinstance(sender.receive(), Abort)


def abandon(port: int, number: int) -> None:
    """An association in the middle of an object."""
    with Sender(port) as sender:
        sender.send(ACCEPTED)
        assert encode_pdu(sender.receive())[0] == 2
        sender.send(b"\4\0\0\1\0\0\0\0\xff\xf0\3\1" + bytes(number % 1000))


def connect_and_close(port: int, number: int) -> None:
    with Sender(port):
        pass


CYCLES: tuple[Cycle, ...] = (
    associate_and_abort,
    be_rejected,
    connect_and_close,
    associate_and_vanish,
    be_aborted,
    abandon,
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process holds."""

    memory: int
    descriptors: int

    @classmethod
    def of(cls, receiver: Receiver) -> Cost:
        """Measure a receiver whose connections have all gone."""
        folder = f"/proc/{receiver.process.pid}/fd"
        descriptors = -1
        for _ in tries("its connections stay"):
            time.sleep(0.05)
            if descriptors == (descriptors := len(os.listdir(folder))) and not _connected(receiver):
                break
        return cls(receiver.memory("VmRSS"), descriptors)


def _connected(receiver: Receiver) -> bool:
    """Tell whether the process still has an end of a connection."""
    folder = Path(f"/proc/{receiver.process.pid}/fd")
    inodes = set()
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            inodes.add(os.readlink(folder / name).removeprefix("socket:[").rstrip("]"))
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    port = f":{receiver.port:04X}"
    return any(
        fields[9] in inodes and fields[1].endswith(port) and fields[3] != "0A"
        for fields in map(str.split, lines)
    )


def run_cycles(port: int, count: int, cycles: tuple[Cycle, ...] = CYCLES) -> None:
    """Run `count` cycles, of every kind in turn."""
    for number in range(count):
        cycles[number % len(cycles)](port, number)


def growth(
    receiver: Receiver, count: int, warm_up: int = WARM_UP, cycles: tuple[Cycle, ...] = CYCLES
) -> tuple[Cost, Cost]:
    """Return what a receiver holds before and after so many cycles."""
    run_cycles(receiver.port, warm_up, cycles)
    before = Cost.of(receiver)
    run_cycles(receiver.port, count, cycles)
    return before, Cost.of(receiver)


def main(arguments: list[str]) -> int:
    count = int(arguments[0]) if arguments else 100_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "received"
        folder.mkdir()
        with receiving("storescp", "-q", "-od", str(folder), folder=folder) as receiver:
            begin = time.monotonic()
            before, after = growth(receiver, count)
            seconds = time.monotonic() - begin
            with Sender(receiver.port) as sender:
                sender.associate()
                assert sender.store("1.2.3") == 0
    grown = after.memory - before.memory
    sys.stdout.write(
        f"{count} cycles in {seconds:.0f} s: memory {before.memory / 1e6:.1f} MB and "
        f"{grown / 1e6:+.2f} MB, descriptors {before.descriptors} and "
        f"{after.descriptors - before.descriptors:+d}\n"
    )
    return int(grown > MOST_GROWTH or after.descriptors > before.descriptors)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
