"""``python -m benchmarks.senders``: senders side by side, to DCMTK's fastest receiver.

Whole processes are timed, as their users see them; what a sender needs to start, measured with
no file that it could send, is shown beside it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiodicom.wire.negotiation import EXPLICIT_LITTLE
from aiodicom.wire.part10 import FileMeta
from benchmarks.messages import LoadError, instance_uid
from benchmarks.objects import ct_dataset
from benchmarks.receivers.packages import packages
from benchmarks.receivers.process import started
from benchmarks.receivers.table import FORK, named

CT = "1.2.840.10008.5.1.4.1.1.2"
SHARED_MEMORY = "/dev/shm"


@dataclass(frozen=True, slots=True)
class Sender:
    """A command that sends a folder; it is given the port and the folder."""

    name: str
    package: str
    command: Callable[[str, str], list[str]]


SENDERS = (
    Sender("aiodicom storescu", "aiodicom",
           lambda port, folder: [sys.executable, "-m", "aiodicom.storescu", "127.0.0.1", port,
                                 "+sd", folder]),
    Sender("aiodicom storescu --jobs 2", "aiodicom",
           lambda port, folder: [sys.executable, "-m", "aiodicom.storescu", "127.0.0.1", port,
                                 "+sd", folder, "--jobs", "2"]),
    Sender("DCMTK storescu", "DCMTK",
           lambda port, folder: ["storescu", "127.0.0.1", port, "+sd", folder]),
    Sender("DCMTK dcmsend", "DCMTK",
           lambda port, folder: ["dcmsend", "127.0.0.1", port, "+sd", folder]),
    Sender("pynetdicom storescu", "pynetdicom",
           lambda port, folder: [sys.executable, "-m", "pynetdicom", "storescu", "127.0.0.1", port,
                                 folder, "-cx"]),
)  # fmt: skip


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.senders", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--objects", type=int, default=2000)
    parser.add_argument("--size", type=int, default=6, metavar="KB", help="of an object, in kB")
    parser.add_argument("--without", nargs="*", default=[], metavar="PACKAGE",
                        help="such as pynetdicom, which takes a minute and a half")  # fmt: skip
    return parser.parse_args()


@contextmanager
def _folder() -> Iterator[Path]:
    where = SHARED_MEMORY if os.path.isdir(SHARED_MEMORY) else None
    with tempfile.TemporaryDirectory(prefix="aiodicom-senders-", dir=where) as folder:
        yield Path(folder)


def _make_objects(folder: Path, count: int, size: int) -> None:
    data, first = ct_dataset(size), instance_uid(0)
    folder.mkdir()
    for number in range(count):
        uid = instance_uid(number)
        meta = FileMeta(CT, uid.decode(), EXPLICIT_LITTLE).encode()
        (folder / f"{number:06}.dcm").write_bytes(meta + data.replace(first, uid))


def _time(sender: Sender, objects: Path) -> float:
    """Send all objects to a receiver of its own; return the seconds that it took."""
    with _folder() as stored, started(named(FORK), str(stored)) as running:
        command = sender.command(str(running.port), str(objects))
        environment = os.environ | {"TCP_NODELAY": "1"}
        begun = time.perf_counter()
        done = subprocess.run(command, capture_output=True, env=environment, check=False)
        seconds = time.perf_counter() - begun
        arrived = sum(1 for _ in stored.iterdir())
    expected = sum(1 for _ in objects.iterdir())
    if expected > 1 and (arrived != expected or done.returncode):
        raise LoadError(f"{sender.name}: {arrived} of {expected}, exit code {done.returncode}")
    return seconds


def main() -> None:
    """Measure and print a Markdown table."""
    arguments = _arguments()
    senders = [
        each
        for each in SENDERS
        if each.package in packages() and each.package not in arguments.without
    ]
    times: dict[str, list[float]] = {each.name: [] for each in senders}
    starts: dict[str, list[float]] = {each.name: [] for each in senders}
    with _folder() as folder:
        _make_objects(folder / "many", arguments.objects, arguments.size * 1000)
        _make_objects(folder / "one", 1, arguments.size * 1000)
        for number in range(arguments.rounds):
            first = number % len(senders)
            for sender in senders[first:] + senders[:first]:
                starts[sender.name].append(_time(sender, folder / "one"))
                times[sender.name].append(_time(sender, folder / "many"))
    shutil.rmtree(folder, ignore_errors=True)
    print(f"{arguments.objects} objects of {arguments.size} kB, medians of {arguments.rounds}\n")
    print("| sender | all, s | with one object, s | objects/s without that |")
    print("|---|--:|--:|--:|")
    for name, taken in times.items():
        whole, start = statistics.median(taken), statistics.median(starts[name])
        rate = (arguments.objects - 1) / (whole - start)
        print(f"| {name} | {whole:.2f} | {start:.2f} | {rate:,.0f} |")


if __name__ == "__main__":
    main()
