"""A service manager in miniature: it holds a listening socket, and hears what services tell."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.processes import PATIENCE, tries

_HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="dicom.socket")
os.execv(sys.argv[2], sys.argv[2:])
"""


class Supervisor:
    """Starts receivers on one socket; a context manager."""

    def __init__(self, folder: Path, given: socket.socket | None = None) -> None:
        self.folder = folder
        self.listening = given or socket.create_server(("127.0.0.1", 0), backlog=512)
        self.told: list[str] = []
        self._telling = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._telling.bind("")  # an abstract name that is free
        self._telling.settimeout(PATIENCE)
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def port(self) -> int:
        return int(self.listening.getsockname()[1])

    def start(
        self, command: str, *options: str, environ: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a receiver on our socket; its log is appended to ``log``."""
        name = "@" + self._telling.getsockname()[1:].decode()
        number = self.listening.fileno()
        words = (sys.executable, "-m", f"aiodicom.{command}", *options)
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                (sys.executable, "-c", _HAND_OVER, str(number), *words),
                pass_fds=(number,),
                cwd=self.folder,
                stderr=log,
                env={**os.environ, "NOTIFY_SOCKET": name, **(environ or {})},
            )
        self._processes.append(process)
        return process

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def wait_told(self, line: str) -> str:
        """Wait until a service has told a line; return all that it has told with it."""
        for _ in tries(f"not told {line}: {self.told}"):
            self.told.append(self._telling.recv(4096).decode())
            if line in self.told[-1].split("\n"):
                return self.told[-1]
        raise AssertionError("unreachable")

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        self._telling.close()
        self.listening.close()


@contextlib.contextmanager
def supervising(folder: Path, given: socket.socket | None = None) -> Iterator[Supervisor]:
    supervisor = Supervisor(folder, given)
    try:
        yield supervisor
    finally:
        supervisor.close()
