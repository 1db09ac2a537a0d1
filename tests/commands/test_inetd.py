"""``storescp --inetd``: the test is inetd."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from aiodicom import dcmrecv, echoscp, storescp
from aiodicom.cli.options import UsageError
from aiodicom.wire.dimse import Status
from aiodicom.wire.pdu import Abort, encode_pdu
from tests.peer import association_request
from tests.processes import PATIENCE, Sender, visible

COMMAND = (sys.executable, "-m", "aiodicom.storescp", "--inetd", "-od", "received")


@contextlib.contextmanager
def inetd(
    folder: Path, *options: str, stderr_is_socket: bool = True
) -> Iterator[tuple[Sender, subprocess.Popen[bytes]]]:
    """Connect to an inetd that starts the command for us, as ``nowait`` services are started."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sender = Sender(listening.getsockname()[1])
        accepted, _ = listening.accept()
    with sender, accepted:
        connection = accepted.fileno()
        errors = connection if stderr_is_socket else subprocess.PIPE
        process = subprocess.Popen(
            (*COMMAND, *options), stdin=connection, stdout=connection, stderr=errors, cwd=folder
        )
        accepted.close()
        try:
            yield sender, process
        finally:
            process.kill()
            process.communicate()


def test_one_association_is_served_and_the_process_ends(tmp_path: Path) -> None:
    with inetd(tmp_path) as (sender, process):
        sender.associate()
        assert sender.store("1.2.3") == Status.SUCCESS
        sender.release()
        sender.socket.close()
        assert process.wait(PATIENCE) == 0
    assert visible(tmp_path / "received") == ["CT.1.2.3"]


def test_log_does_not_reach_the_connection_that_is_standard_error(tmp_path: Path) -> None:
    with inetd(tmp_path, "-d") as (sender, process):
        sender.associate()  # fails where a line of the log precedes the answer
        sender.release()
        sender.socket.shutdown(socket.SHUT_WR)
        with pytest.raises(EOFError):
            sender.receive()
        assert process.wait(PATIENCE) == 0


def test_wrong_command_line_does_not_reach_the_connection(tmp_path: Path) -> None:
    with inetd(tmp_path, "--nonsense") as (sender, process):
        with pytest.raises(EOFError):
            sender.receive()
        assert process.wait(PATIENCE) == 1


def test_log_goes_to_standard_error_where_that_is_another(tmp_path: Path) -> None:
    with inetd(tmp_path, "-v", stderr_is_socket=False) as (sender, process):
        sender.associate()
        sender.release()
        sender.socket.close()
        _, errors = process.communicate(timeout=PATIENCE)
    assert "I: Association Released\n" in errors.decode()
    assert "Listening" not in errors.decode()


@pytest.mark.parametrize(
    "sends", [b"", encode_pdu(association_request())[:50]], ids=["nothing", "a half"]
)
def test_peer_that_leaves_ends_the_process(tmp_path: Path, sends: bytes) -> None:
    with inetd(tmp_path) as (sender, process):
        sender.send(sends)
        sender.socket.close()
        assert process.wait(PATIENCE) == 0


def test_peer_that_has_reset_the_connection_before_is_no_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sender = socket.create_connection(listening.getsockname())
        accepted, _ = listening.accept()
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sender.close()
    with accepted:
        done = subprocess.run(
            (*COMMAND, "-v"), stdin=accepted.fileno(), capture_output=True, text=True, cwd=tmp_path,
            timeout=PATIENCE, check=False,
        )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr == "I: The connection was lost before it was served\n"


@pytest.mark.parametrize("make", [socket.socketpair, lambda: [socket.create_server(("", 0))]])
def test_socket_that_is_no_connection_is_said(
    tmp_path: Path, make: Callable[[], Sequence[socket.socket]]
) -> None:
    with contextlib.ExitStack() as opened:
        given = [opened.enter_context(each) for each in make()]
        number = given[0].fileno()
        done = subprocess.run(
            COMMAND, stdin=number, capture_output=True, cwd=tmp_path, timeout=PATIENCE, check=False
        )
    assert done.returncode == 99
    assert b"standard input is no TCP connection: " in done.stderr


def test_signal_ends_it_in_order(tmp_path: Path) -> None:
    with inetd(tmp_path, "--grace", "0") as (sender, process):
        sender.associate()
        process.terminate()
        assert isinstance(sender.receive(), Abort)
        sender.socket.close()
        assert process.wait(PATIENCE) == 0


def test_descriptor_that_systemd_passes_as_well_is_the_same_connection(tmp_path: Path) -> None:
    text = "import os, sys; os.dup2(0, 3); os.environ.update(LISTEN_FDS='1', LISTEN_PID=str("
    text += "os.getpid())); os.execv(sys.argv[1], sys.argv[1:])"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sender = Sender(listening.getsockname()[1])
        accepted, _ = listening.accept()
    command = (sys.executable, "-c", text, *COMMAND)
    with sender, subprocess.Popen(command, stdin=accepted.fileno(), cwd=tmp_path) as process:
        ours = os.readlink(f"/proc/self/fd/{accepted.fileno()}")
        accepted.close()
        sender.associate()
        opened = [os.readlink(each) for each in Path(f"/proc/{process.pid}/fd").iterdir()]
        assert opened.count(ours) == 1
        sender.release()
        sender.socket.close()
        assert process.wait(PATIENCE) == 0


def test_standard_input_that_is_no_connection_is_said(tmp_path: Path) -> None:
    done = subprocess.run(
        COMMAND, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=tmp_path,
        timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 99
    assert done.stderr.startswith("F: standard input is no TCP connection: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("--workers 2", "--inetd not allowed with --workers"),
        ("-ba 127.0.0.1", "--inetd not allowed with --bind-address"),
        ("-su p -xcs true", "--inetd not allowed with --exec-on-eostudy"),
        ("-su p -tos 1", "--inetd not allowed with --eostudy-timeout"),
    ],
)
def test_options_for_several_connections_are_refused(options: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        storescp.COMMAND.parse(["--inetd", *options.split()])


@pytest.mark.parametrize("command", [storescp, dcmrecv, echoscp])
def test_port_is_missing_without_inetd_and_socket_unit(command: ModuleType) -> None:
    with pytest.raises(UsageError, match="missing parameter port"):
        command.COMMAND.parse(["-v"])
