"""Commands of this package as processes of their own, and a sender that blocks."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from aiodicom.wire.dimse import CommandSet, Tag
from aiodicom.wire.items import ProposedContext
from aiodicom.wire.pdu import (
    PDU,
    AssociateAccept,
    DataTransfer,
    ReleaseRequest,
    ReleaseResponse,
    decode_pdu,
    encode_pdu,
)
from tests.peer import CONTEXTS, association_request, store_pdus

PATIENCE = 20.0
"""Seconds for a process to do what it does in a fraction of one."""


def free_port() -> int:
    """A port that nobody listens on, for a command that wants to be told one."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def run_command(
    command: str, *arguments: str, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself: ``python -m aiodicom.COMMAND ...``."""
    return run_module(f"aiodicom.{command}", *arguments, cwd=cwd)


def run_module(
    module: str, *arguments: str, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m MODULE ...`` to its end."""
    return run((sys.executable, "-m", module, *arguments), cwd=cwd)


def run(
    command: Iterable[str], cwd: Path | None = None, timeout: float = PATIENCE
) -> subprocess.CompletedProcess[str]:
    """Run anything to its end; its output is text."""
    return subprocess.run(
        tuple(command), capture_output=True, text=True, timeout=timeout, check=False, cwd=cwd
    )


class Receiver:
    """A receiving command that runs.

    Attributes
    ----------
    port : int
        Where it listens.
    process : subprocess.Popen
        Itself.
    """

    def __init__(self, port: int, process: subprocess.Popen[bytes], errors: Path | None) -> None:
        self.port = port
        self.process = process
        self._errors = errors

    @property
    def log(self) -> str:
        """What it has written to its standard error so far."""
        return self._errors.read_text() if self._errors else ""

    @property
    def lines(self) -> list[str]:
        return self.log.splitlines()

    @property
    def said(self) -> list[str]:
        """The lines of its log, whichever worker they come from."""
        return [re.sub(r"^([A-Z]: )worker \d+: ", r"\1", line) for line in self.lines]

    def wait_for_line(self, line: str) -> None:
        """Wait until a line of its log begins with `line`, whichever worker it comes from."""
        for _ in tries(f"no line {line!r}"):
            if any(each.startswith(line) for each in self.said):
                return

    def memory(self, name: str) -> int:
        """A line of /proc/PID/status in bytes, such as VmRSS or VmHWM."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
        assert match, status
        return int(match[1]) * 1024

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = PATIENCE) -> int:
        """Send it a signal, wait for its end and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout)


@contextlib.contextmanager
def receiving(
    command: str,
    *options: str,
    folder: Path,
    stderr: int | IO[bytes] | None = None,
    prefix: tuple[str, ...] = (),
) -> Iterator[Receiver]:
    """Run a receiving command on 127.0.0.1 while the body runs; it is killed in the end.

    Parameters
    ----------
    command : str
        The module in `aiodicom`.
    options : str
        What follows the port and the address.
    folder : Path
        Where it runs; its standard error goes to a file beside that, unless `stderr` says.
    prefix : tuple of str
        What runs Python, such as ``prlimit``.
    """
    port = free_port()
    errors = None if stderr is not None else folder.with_name(f"{folder.name}-{port}.log")
    arguments = (*prefix, sys.executable, "-m", f"aiodicom.{command}", str(port))
    with contextlib.ExitStack() as opened:
        output = stderr if errors is None else opened.enter_context(errors.open("wb"))
        process = subprocess.Popen(
            (*arguments, "-ba", "127.0.0.1", *options), cwd=folder, stderr=output
        )
        receiver = Receiver(port, process, errors)
        try:
            _wait_until_it_listens(receiver)
            yield receiver
        finally:
            process.kill()
            process.wait()


def _wait_until_it_listens(receiver: Receiver) -> None:
    for _ in tries(f"port {receiver.port} does not answer"):
        code = receiver.process.poll()
        assert code is None, f"ended at once with exit code {code}:\n{receiver.log}"
        with contextlib.suppress(OSError), Sender(receiver.port):
            return


def tries(complaint: str, patience: float = PATIENCE) -> Iterator[None]:
    """Yield until the caller returns, every few milliseconds; fail after a while."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        yield
        time.sleep(0.005)
    raise AssertionError(complaint)


class Sender:
    """A requestor on a blocking socket; a context manager."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, data: bytes | memoryview | PDU) -> None:
        self.socket.sendall(data if isinstance(data, (bytes, memoryview)) else encode_pdu(data))

    def receive(self) -> PDU:
        """Return the next PDU; EOFError where the other side has closed."""
        head = self._exactly(6)
        return decode_pdu(head + self._exactly(int.from_bytes(head[2:], "big")))

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            received = self.socket.recv(count - len(data))
            if not received:
                raise EOFError
            data += received
        return data

    def associate(
        self, contexts: Iterable[ProposedContext] = CONTEXTS, called: str = "ANY-SCP"
    ) -> AssociateAccept:
        self.send(association_request(contexts, called=called))
        answer = self.receive()
        assert isinstance(answer, AssociateAccept), answer
        return answer

    def response(self) -> CommandSet:
        """Return the next message, which fits into one PDU."""
        pdu = self.receive()
        assert isinstance(pdu, DataTransfer), pdu
        return CommandSet.decode(pdu.pdvs[0].data)

    def status(self) -> int:
        status = self.response().number(Tag.STATUS)
        assert status is not None
        return status

    def store(self, sop_instance_uid: str, data: bytes | None = None, message_id: int = 1) -> int:
        """Send a CT and return the response's Status."""
        self.send(store_pdus(sop_instance_uid, data, message_id))
        return self.status()

    def release(self) -> None:
        self.send(ReleaseRequest())
        assert self.receive() == ReleaseResponse()


def visible(folder: Path) -> list[str]:
    """The names in a folder that a user sees."""
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


def unfinished(folder: Path) -> list[str]:
    """The temporary files in a folder."""
    return sorted(p.name for p in folder.rglob("*.part"))


def dataset_of(path: Path) -> bytes:
    """The bytes of a stored object that follow its File Meta Information (PS3.10 7.1)."""
    data = path.read_bytes()
    assert data[128:132] == b"DICM"
    assert data[132:140] == b"\2\0\0\0UL\4\0"
    return data[144 + int.from_bytes(data[140:144], "little") :]
