"""The commands as processes: what they take, say, store and answer, and how they end."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiodicom.wire.dimse import Status
from aiodicom.wire.identity import __version__
from aiodicom.wire.pdu import Abort
from tests.peer import (
    CT_CONTEXT,
    ECHO_CONTEXT,
    command_pdu,
    ct_dataset,
    dataset_pdus,
    echo_command,
    fragment,
    store_command,
    store_pdus,
)
from tests.processes import (
    PATIENCE,
    Receiver,
    Sender,
    dataset_of,
    free_port,
    receiving,
    run_command,
    run_module,
    tries,
    unfinished,
    visible,
)

UID, NAME = "1.2.3", "CT.1.2.3"

COMMANDS = ("storescp", "dcmrecv", "echoscp")

ALL_COMMANDS = (*COMMANDS, "storescu", "echoscu", "conformance")

signals = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@pytest.fixture
def storescp(tmp_path: Path) -> Iterator[Receiver]:
    with receiving("storescp", "-v", "-od", "received", folder=tmp_path) as receiver:
        yield receiver


def wait_closed(port: int) -> None:
    """Wait until nobody listens on a port."""
    for _ in tries(f"port {port} still answers"):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE):
                pass
        except ConnectionRefusedError:
            return


def echo(sender: Sender) -> int:
    sender.send(command_pdu(echo_command(), ECHO_CONTEXT))
    return sender.status()


# Usage --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("arguments", [(), ("-h",)])
def test_usage(command: str, arguments: tuple[str, ...]) -> None:
    done = run_command(command, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"\nusage: python -m aiodicom.{command} [options] [port]\n" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_version(command: str) -> None:
    done = run_command(command, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        f"aiodicom {command} {__version__}\n",
        "",
    )


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("storescp", "11112 --unknown"),
        ("storescp", "11112 -od"),
        ("storescp", "11112 -pdu many"),
        ("echoscp", "99999"),
        ("echoscp", "-v"),
    ],
)
def test_wrong_command_line(command: str, arguments: str) -> None:
    done = run_command(command, *arguments.split())
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.endswith(f"; see python -m aiodicom.{command} --help\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_package_lists_its_commands(arguments: tuple[str, ...]) -> None:
    done = run_module("aiodicom", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f"\n  {command} " in done.stdout for command in ALL_COMMANDS)


def test_package_tells_its_version() -> None:
    done = run_module("aiodicom", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"aiodicom {__version__}\n", "")


def test_package_has_no_such_command() -> None:
    done = run_module("aiodicom", "findscp")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: no command findscp; one of {', '.join(ALL_COMMANDS)}\n"


def test_package_runs_its_commands() -> None:
    assert run_module("aiodicom", "storescp", "--version").stdout.startswith("aiodicom storescp ")
    done = run_module("aiodicom", "storescp", "99999")
    assert done.returncode == 1
    assert "99999 is not a TCP port" in done.stderr


# What cannot start --------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_port_that_is_in_use(command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_command(command, str(port), "-ba", "127.0.0.1", "-v")
    assert (done.returncode, done.stdout) == (64 if command == "dcmrecv" else 1, "")
    assert done.stderr.startswith(f"F: cannot listen on port {port} of 127.0.0.1: ")
    assert "in use" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("folder", ["file", "file/folder", "/proc", "/proc/folder"])
def test_folder_that_cannot_be_written_to(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    done = run_command(
        "storescp", str(free_port()), "-ba", "127.0.0.1", "-od", folder, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"F: cannot store in {tmp_path / folder}: ")
    assert done.stderr.count("\n") == 1


def test_address_that_is_none() -> None:
    done = run_command("storescp", str(free_port()), "-ba", "256.0.0.1")
    assert done.returncode == 1
    assert done.stderr.startswith("F: cannot listen on port ")
    assert done.stderr.count("\n") == 1


# What they say ------------------------------------------------------------------------------------


def test_verbose_storescp_says_what_its_ancestor_does(storescp: Receiver) -> None:
    with Sender(storescp.port) as sender:
        sender.associate()
        assert sender.store(UID) == Status.SUCCESS
        sender.release()
    storescp.wait_for_line("I: Association Released")
    assert storescp.lines == [
        f"I: Listening on port {storescp.port} as STORESCP",
        "I: Association Received",
        "I: Association Accepted",
        "I: Received Store Request",
        f"I: Storing DICOM file: {NAME}",
        "I: Association Released",
    ]


def test_verbose_echoscp_says_what_its_ancestor_does(tmp_path: Path) -> None:
    with receiving("echoscp", "-v", folder=tmp_path) as receiver:
        with Sender(receiver.port) as sender:
            sender.associate()
            assert echo(sender) == Status.SUCCESS
            sender.release()
        receiver.wait_for_line("I: Association Released")
        assert receiver.lines == [
            f"I: Listening on port {receiver.port} as ECHOSCP",
            "I: Accepting Association",
            "I: Received Echo Request (MsgID 1)",
            "I: Association Released",
        ]


def test_debug_storescp_dumps_the_association_and_its_messages(tmp_path: Path) -> None:
    with receiving("storescp", "-d", folder=tmp_path) as receiver:
        with Sender(receiver.port) as sender:
            sender.associate(called="WHOEVER")
            assert sender.store(UID) == Status.SUCCESS
            sender.release()
        receiver.wait_for_line("I: Association Released")
        lines = receiver.lines
    assert lines[0] == f"D: storescp v{__version__}"
    in_order = iter(lines)
    for expected in (
        "I: Association Received",
        "D: Request Parameters:",
        "D: ===================== INCOMING A-ASSOCIATE-RQ PDU =====================",
        "D: Calling Application Name:           PEER",
        "D: Called Application Name:            WHOEVER",
        "D:     Abstract Syntax: =CT Image Storage",
        "D: ======================== END A-ASSOCIATE-RQ PDU =======================",
        "I: Association Accepted",
        "D: Our Max PDU Receive Size:           16384",
        "D:   Context ID:        3 (Accepted)",
        "I: Received Store Request",
        "D: ======================== INCOMING DIMSE MESSAGE =======================",
        "D: Message Type                  : C-STORE RQ",
        f"D: Presentation Context ID       : {CT_CONTEXT}",
        "D: Affected SOP Class UID        : 1.2.840.10008.5.1.4.1.1.2",
        f"D: Affected SOP Instance UID     : {UID}",
        "D: Data Set                      : Present",
        "D: Priority                      : Medium",
        "D: ========================== END DIMSE MESSAGE ==========================",
        f"I: Storing DICOM file: {NAME}",
        "D: ======================== OUTGOING DIMSE MESSAGE =======================",
        "D: Message Type                  : C-STORE RSP",
        "D: Status                        : 0x0000",
        "I: Association Released",
    ):
        assert expected in in_order, f"{expected!r} is missing, or not in this place"


@pytest.mark.parametrize(
    ("options", "letters"), [(["-q"], ""), ([], "W"), (["-ll", "info"], "WI"), (["-v", "-q"], "")]
)
def test_levels_of_a_refusal(tmp_path: Path, options: list[str], letters: str) -> None:
    with receiving("storescp", *options, folder=tmp_path) as receiver:
        with Sender(receiver.port) as sender:
            sender.associate()
            assert sender.store(UID, ct_dataset("1.2.4")) == Status.DATASET_DOES_NOT_MATCH
            sender.release()
        assert receiver.stop() == 0
        assert {line[0] for line in receiver.lines} == set(letters)


def test_peers_cannot_forge_lines_of_the_log(storescp: Receiver) -> None:
    uid = "1.2\nI: Association Accepted\x1b[2J"
    with Sender(storescp.port) as sender:
        sender.associate()
        sender.store(uid, ct_dataset(uid))
        sender.release()
    storescp.wait_for_line("I: Association Released")
    assert storescp.lines.count("I: Association Accepted") == 1
    assert "\x1b" not in storescp.log


# What they take -----------------------------------------------------------------------------------


def test_objects_go_to_the_current_folder_by_default(tmp_path: Path) -> None:
    with receiving("storescp", folder=tmp_path) as receiver, Sender(receiver.port) as sender:
        sender.associate()
        assert sender.store(UID) == Status.SUCCESS
    assert visible(tmp_path) == [NAME]
    assert dataset_of(tmp_path / NAME) == ct_dataset(UID)


@pytest.mark.parametrize("option", [["-od", "a/b"], ["--output-directory=a/b"]])
def test_output_directory_is_made(tmp_path: Path, option: list[str]) -> None:
    with (
        receiving("storescp", "-od", "c", *option, folder=tmp_path) as receiver,
        Sender(receiver.port) as sender,
    ):
        sender.associate()
        assert sender.store(UID) == Status.SUCCESS
    assert visible(tmp_path / "a" / "b") == [NAME]
    assert not (tmp_path / "c").exists()


def test_ignore_stores_nothing_and_says_success(tmp_path: Path) -> None:
    options = ("--ignore", "-od", "received")
    with (
        receiving("storescp", *options, folder=tmp_path) as receiver,
        Sender(receiver.port) as sender,
    ):
        sender.associate()
        assert sender.store(UID, ct_dataset(UID, bytes(3_000_000))) == Status.SUCCESS
        assert sender.store("1.2.4") == Status.SUCCESS
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("command", "options", "length"),
    [
        ("storescp", [], 16384),
        ("echoscp", [], 16382),
        ("storescp", ["-pdu", "131072"], 131072),
        ("storescp", ["--max-pdu=4096"], 4096),
        ("storescp", ["-pdu", "0"], 0),
        ("storescp", ["-pdu", "4096", "-pdu", "65536"], 65536),
    ],
)
def test_maximum_length_is_what_the_accept_says(
    tmp_path: Path, command: str, options: list[str], length: int
) -> None:
    with receiving(command, *options, folder=tmp_path) as receiver, Sender(receiver.port) as sender:
        assert sender.associate().maximum_length == length


def test_ae_title_is_ours_and_the_one_called_does_not_matter(tmp_path: Path) -> None:
    options = ("-v", "-aet", "FIRST", "--aetitle=ARCHIVE 1")
    with (
        receiving("storescp", *options, folder=tmp_path) as receiver,
        Sender(receiver.port) as sender,
    ):
        assert sender.associate(called="SOMEBODY ELSE").called_ae_title == "SOMEBODY ELSE"
        receiver.wait_for_line(f"I: Listening on port {receiver.port} as ARCHIVE 1")


def test_bind_address_is_the_only_one_that_is_listened_on(storescp: Receiver) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", storescp.port), timeout=PATIENCE)


def test_connection_without_an_association_lasts_as_long_as_acse_timeout(tmp_path: Path) -> None:
    options = ("-ta", "0.2", "-tn", "0")
    with (
        receiving("storescp", *options, folder=tmp_path) as receiver,
        Sender(receiver.port) as sender,
        pytest.raises(EOFError),
    ):
        sender.receive()


@pytest.mark.parametrize("command", COMMANDS)
def test_idle_association_lasts_as_long_as_network_timeout(tmp_path: Path, command: str) -> None:
    options = ("-ta", "0", "-td", "0", "-tn", "0.2")
    with receiving(command, *options, folder=tmp_path) as receiver, Sender(receiver.port) as sender:
        sender.associate()
        assert isinstance(sender.receive(), Abort)


def test_silence_in_a_dataset_lasts_as_long_as_dimse_timeout(tmp_path: Path) -> None:
    with receiving("storescp", "-td", "0.2", "-tn", "0", folder=tmp_path) as receiver:
        with Sender(receiver.port) as sender:
            sender.associate()
            sender.send(command_pdu(store_command(UID)) + fragment(ct_dataset(UID)))
            assert isinstance(sender.receive(), Abort)
        assert receiver.stop() == 0
    assert os.listdir(tmp_path) == []


def test_without_limits_nobody_is_hurried(tmp_path: Path) -> None:
    """As far as a test can wait: longer than the limits of the tests before."""
    options = ("-ta", "0", "-td", "0", "-tn", "0")
    with (
        receiving("storescp", *options, folder=tmp_path) as receiver,
        Sender(receiver.port) as sender,
    ):
        sender.associate()
        sender.send(command_pdu(store_command(UID)))
        sender.socket.settimeout(0.6)
        with pytest.raises(TimeoutError):
            sender.receive()
        sender.socket.settimeout(PATIENCE)
        sender.send(dataset_pdus(ct_dataset(UID)))
        assert sender.status() == Status.SUCCESS


@pytest.mark.parametrize("command", COMMANDS)
def test_as_many_open_files_as_the_system_allows(tmp_path: Path, command: str) -> None:
    prefix = ("prlimit", "--nofile=256:4096")
    with receiving(command, folder=tmp_path, prefix=prefix) as receiver:
        limits = Path(f"/proc/{receiver.process.pid}/limits").read_text().splitlines()
        line = next(line for line in limits if line.startswith("Max open files"))
        assert line.split()[3:5] == ["4096", "4096"]


# How they end -------------------------------------------------------------------------------------


@signals
@pytest.mark.parametrize("command", COMMANDS)
def test_signal_ends_a_command_that_has_nothing_to_do(
    tmp_path: Path, command: str, number: signal.Signals
) -> None:
    with receiving(command, "-v", folder=tmp_path) as receiver:
        assert receiver.stop(number, timeout=3) == 0
        assert receiver.lines[1:] == [f"I: Stopping: {number.name}"]
    assert os.listdir(tmp_path) == []


@signals
def test_store_that_is_under_way_is_finished(
    storescp: Receiver, tmp_path: Path, number: signal.Signals
) -> None:
    data = ct_dataset(UID, bytes(3_000_000))
    with Sender(storescp.port) as sender, Sender(storescp.port) as idle:
        sender.associate()
        idle.associate()
        sender.send(command_pdu(store_command(UID)) + fragment(data[:16000]))
        storescp.wait_for_line("I: Received Store Request")
        storescp.process.send_signal(number)
        wait_closed(storescp.port)
        assert isinstance(idle.receive(), Abort)
        sender.send(dataset_pdus(data[16000:]))
        assert sender.status() == Status.SUCCESS
        assert isinstance(sender.receive(), Abort)
    assert storescp.process.wait(PATIENCE) == 0
    assert os.listdir(tmp_path / "received") == [NAME]
    assert dataset_of(tmp_path / "received" / NAME) == data


def test_sender_that_has_stalled_is_waited_for_as_long_as_the_grace(
    storescp: Receiver, tmp_path: Path
) -> None:
    with Sender(storescp.port) as sender:
        sender.associate()
        sender.send(store_pdus(UID, ct_dataset(UID, bytes(3_000_000)))[:2_500_000])
        for _ in tries("no temporary file"):
            if unfinished(tmp_path / "received"):
                break
        start = time.monotonic()
        assert storescp.stop(timeout=12) == 0
        assert time.monotonic() - start > 4.5
        assert isinstance(sender.receive(), Abort)
    assert os.listdir(tmp_path / "received") == []


def test_second_signal_while_it_stops_changes_nothing(storescp: Receiver) -> None:
    data = ct_dataset(UID)
    with Sender(storescp.port) as sender:
        sender.associate()
        sender.send(command_pdu(store_command(UID)) + fragment(data[:50]))
        storescp.wait_for_line("I: Received Store Request")
        for _ in range(2):
            storescp.process.send_signal(signal.SIGINT)
            wait_closed(storescp.port)
        sender.send(dataset_pdus(data[50:]))
        assert sender.status() == Status.SUCCESS
    assert storescp.process.wait(PATIENCE) == 0


# A standard error that is not read ----------------------------------------------------------------


@contextlib.contextmanager
def unread_pipe() -> Iterator[tuple[int, int]]:
    """A small pipe."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    try:
        yield read, write
    finally:
        os.close(read)
        os.close(write)


def store_many(port: int, count: int) -> None:
    with Sender(port) as sender:
        sender.associate()
        sender.send(b"".join(store_pdus(f"1.2.{n}") for n in range(count)))
        assert [sender.status() for _ in range(count)] == [Status.SUCCESS] * count
        sender.release()


@pytest.mark.parametrize("count", [20, 700], ids=["queue-has-room", "queue-is-full"])
def test_standard_error_that_nobody_reads_stops_nothing(tmp_path: Path, count: int) -> None:
    with (
        unread_pipe() as (_, write),
        receiving("storescp", "-d", folder=tmp_path, stderr=write) as receiver,
    ):
        store_many(receiver.port, count)
        assert receiver.stop(timeout=5) == 0
    assert len(visible(tmp_path)) == count


def test_standard_error_that_is_closed_stops_nothing(tmp_path: Path) -> None:
    read, write = os.pipe()
    with receiving("storescp", "-d", folder=tmp_path, stderr=write) as receiver:
        os.close(read)
        os.close(write)
        store_many(receiver.port, 20)
        assert receiver.stop(timeout=5) == 0
    assert len(visible(tmp_path)) == 20


def test_without_a_standard_error_nothing_is_written_into_a_socket(tmp_path: Path) -> None:
    port = free_port()
    words = f'exec "$0" -m aiodicom.storescp {port} -ba 127.0.0.1 -d 2>&-'
    with subprocess.Popen(["sh", "-c", words, sys.executable], cwd=tmp_path) as process:
        try:
            for _ in tries("it does not listen"):
                with contextlib.suppress(ConnectionRefusedError):
                    store_many(port, 20)
                    break
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
    assert len(visible(tmp_path)) == 20


def test_standard_error_that_is_read_late_has_every_line(tmp_path: Path) -> None:
    text = b""
    with (
        unread_pipe() as (read, write),
        receiving("storescp", "-v", folder=tmp_path, stderr=write) as receiver,
    ):
        store_many(receiver.port, 200)
        os.set_blocking(read, False)
        for _ in tries("the last line is missing"):
            with contextlib.suppress(BlockingIOError):
                text += os.read(read, 1 << 16)
            if b"I: Association Released\n" in text:
                break
    assert text.count(b"I: Storing DICOM file: ") == 200
