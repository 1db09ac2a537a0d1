"""The receivers: how each of them is started and stopped."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from aiodicom.wire.identity import __version__
from benchmarks.messages import LoadError
from benchmarks.usage import is_listening

__all__ = ["FORK", "OURS", "PYNETDICOM", "RECEIVERS", "Receiver", "Running", "started", "versions"]

START_SECONDS = 20.0
STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Receiver:
    """One receiver, with its options.

    Attributes
    ----------
    key : str
        What it is called on the command line.
    name : str
        What it is called in the table.
    package : str
        What has to be there: a name of `versions`.
    command : tuple of str
        How it is started; ``{port}`` and ``{folder}`` are filled in.
    environment : mapping
        Environment variables that it needs.
    preserves_bytes : bool
        Whether it stores a dataset as it came, rather than encode it anew.
    most_associations : int or None
        How many it can be measured with.
    one_at_a_time : bool
        Whether it accepts an association only when the one before has ended.
    """

    key: str
    name: str
    package: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    preserves_bytes: bool = True
    most_associations: int | None = None
    one_at_a_time: bool = False


def _python(module: str, *options: str) -> tuple[str, ...]:
    local = ("-q", "-ba", "127.0.0.1", "-od", "{folder}")
    return (sys.executable, "-m", *module.split(), "{port}", *local, *options)


def _dcmtk(*options: str) -> tuple[str, ...]:
    return ("storescp", "-q", "-od", "{folder}", *options, "-pdu", "131072", "{port}")


# Without it DCMTK leaves Nagle's algorithm on, and answers any sender once per 44 ms.
_NO_DELAY = {"TCP_NODELAY": "1"}

OURS = "ours"
PYNETDICOM = "pynetdicom"
FORK = "dcmtk-fork"

RECEIVERS = (
    Receiver(OURS, "aiodicom storescp", "aiodicom",
             _python("aiodicom.storescp", "-pdu", "131072")),
    Receiver("ours-default", "aiodicom storescp, default -pdu", "aiodicom",
             _python("aiodicom.storescp")),
    Receiver(PYNETDICOM, "pynetdicom storescp", "pynetdicom",
             _python("pynetdicom storescp", "-pdu", "131072"),
             preserves_bytes=False, most_associations=8),  # it refuses the eleventh
    Receiver("dcmtk", "DCMTK storescp", "DCMTK", _dcmtk(), _NO_DELAY,
             preserves_bytes=False, one_at_a_time=True),
    Receiver(FORK, "DCMTK storescp --fork +B", "DCMTK", _dcmtk("--fork", "+B"), _NO_DELAY),
    Receiver("dcmtk-fork-shipped", "DCMTK storescp --fork +B, as shipped", "DCMTK",
             _dcmtk("--fork", "+B")),
)  # fmt: skip


@cache
def versions() -> dict[str, str]:
    """Return the versions of those packages that are there."""
    found = {"aiodicom": __version__}
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        found["pynetdicom"] = importlib.metadata.version("pynetdicom")
    if shutil.which("storescp"):  # others have a command of that name too
        command = ["storescp", "--version"]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        version = re.search(r"\$dcmtk: storescp v(\S+)", shown.stdout)
        if version:
            found["DCMTK"] = version[1]
    return found


@dataclass(frozen=True, slots=True)
class Running:
    """A receiver that accepts connections."""

    pid: int
    port: int


@contextlib.contextmanager
def started(receiver: Receiver, folder: str) -> Iterator[Running]:
    """Start a receiver that stores into `folder`; stop it, with its children, at the end.

    Raises
    ------
    LoadError
        Where it ends by itself, or does not listen in time.
    """
    port = _free_port()
    process = subprocess.Popen(
        [part.format(port=port, folder=folder) for part in receiver.command],
        env=_environment(receiver),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # so that its children can be stopped with it
    )
    try:
        _wait_until_listening(process, port)
        yield Running(process.pid, port)
        if process.poll() is not None:
            raise LoadError("the receiver has ended by itself")
    finally:
        _stop(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _environment(receiver: Receiver) -> dict[str, str]:
    inherited = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}
    return inherited | dict(receiver.environment)


def _wait_until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    give_up = time.monotonic() + START_SECONDS
    while not is_listening(process.pid, port):
        if process.poll() is not None:
            raise LoadError(f"the receiver did not start: exit code {process.returncode}")
        if time.monotonic() > give_up:
            raise LoadError(f"the receiver did not listen within {START_SECONDS:g} s")
        time.sleep(0.02)


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
