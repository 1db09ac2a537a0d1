"""How a receiver is started and stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.messages import LoadError
from benchmarks.receivers.receiver import Receiver
from benchmarks.usage import forget_peak, is_listening, resident_memory

__all__ = ["Running", "environment", "started"]

START_SECONDS = 20.0
STOP_SECONDS = 5.0

_SETTLING_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Running:
    """A receiver that accepts connections.

    Attributes
    ----------
    pid, port : int
        Its process, and where it listens.
    idle : int
        Its resident size, in bytes, before anything was sent.
    """

    pid: int
    port: int
    idle: int


@contextlib.contextmanager
def started(receiver: Receiver, folder: str) -> Iterator[Running]:
    """Start a receiver that stores into `folder`; stop it, with its children, at the end.

    Raises
    ------
    LoadError
        Where it ends by itself, or does not listen in time.
    """
    port = _free_port()
    receiver.prepare(Path(folder), port)
    process = subprocess.Popen(
        [part.format(port=port, folder=folder) for part in receiver.command],
        env=environment(receiver),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # so that its children can be stopped with it
    )
    try:
        _wait_until_listening(process, port)
        time.sleep(_SETTLING_SECONDS)
        forget_peak(process.pid)
        yield Running(process.pid, port, resident_memory(process.pid))
        if process.poll() is not None:
            raise LoadError("the receiver has ended by itself")
    finally:
        _stop(process)


def environment(receiver: Receiver) -> dict[str, str]:
    """Return the environment that it is started in."""
    inherited = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}
    return inherited | dict(receiver.environment)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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
