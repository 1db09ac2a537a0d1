"""Sockets that a service manager hands over, what it is told, and restarts under load."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom import systemd
from aiodicom.systemd import Notifier
from aiodicom.wire.dimse import Status
from aiodicom.workers.parent import Workers
from aiodicom.workers.shares import Shares
from tests.peer import Peer
from tests.processes import PATIENCE, Sender, tries, visible
from tests.serving import serving
from tests.supervisor import supervising

OURS = {"LISTEN_PID": str(os.getpid())}

# Sockets -----------------------------------------------------------------------------------------


@pytest.fixture
def third(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A descriptor that stands for the first one that is handed over."""
    number = os.open(os.devnull, os.O_RDWR)
    monkeypatch.setattr(systemd, "FIRST", number)
    yield number
    os.close(number)


def hand_over(given: socket.socket, number: int) -> None:
    os.dup2(given.fileno(), number)


def test_sockets_are_taken_and_the_variables_with_them(third: int) -> None:
    environ = {**OURS, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "a", "OTHER": "stays"}
    with socket.create_server(("127.0.0.1", 0)) as listening:
        hand_over(listening, third)
        (taken,) = systemd.take_sockets(environ)
        assert taken.getsockname() == listening.getsockname()
        assert not taken.get_inheritable()
        taken.detach()
    assert environ == {"OTHER": "stays"}


@pytest.mark.parametrize("pid", [{}, {"LISTEN_PID": "1"}, {"LISTEN_PID": "nonsense"}])
def test_sockets_of_another_process_are_left_alone(pid: dict[str, str]) -> None:
    environ = {"LISTEN_FDS": "1", **pid}
    assert not systemd.has_sockets(environ)
    assert systemd.take_sockets(environ) == []


def test_number_of_sockets_that_is_none_is_said() -> None:
    with pytest.raises(OSError, match="LISTEN_FDS is 'two': it must be how many"):
        systemd.take_sockets({**OURS, "LISTEN_FDS": "two"})


def test_descriptor_that_is_no_socket_is_said(third: int) -> None:
    with pytest.raises(OSError, match=rf"descriptor {third} \(dicom.socket\), .* is no socket"):
        systemd.take_sockets({**OURS, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "dicom.socket"})


def unix() -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.bind("")
    made.listen()
    return made


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (unix, "is a socket of AF_UNIX, not of TCP"),
        (lambda: socket.socket(type=socket.SOCK_DGRAM), "is no stream socket"),
        (socket.socket, "does not listen"),
    ],
)
def test_socket_that_cannot_be_served_on_is_said(
    make: type[socket.socket], complaint: str, third: int
) -> None:
    with make() as given:
        hand_over(given, third)
        with pytest.raises(OSError, match=complaint):
            systemd.take_sockets({**OURS, "LISTEN_FDS": "1"})
        with pytest.raises(ValueError, match=complaint):
            aiodicom.serve(sockets=[given])


def test_no_sockets_at_all_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="no sockets: leave them out"):
        aiodicom.serve(sockets=[])


async def test_server_on_sockets_of_somebody_else_s() -> None:
    with socket.create_server(("127.0.0.1", 0)) as kept:
        given = [socket.create_server(("127.0.0.1", 0)), kept.dup()]
        async with serving(sockets=given, port=1) as server:
            assert server.port == server.addresses[0][1]
            assert server.where.startswith("ports ")
            for _, port in server.addresses:
                async with Peer(port) as peer:
                    await peer.associate()
                    assert await peer.echo() == Status.SUCCESS
        assert [each.fileno() for each in given] == [-1, -1]
        with socket.create_connection(kept.getsockname()):  # waits for the next server
            pass


# What a service manager is told ------------------------------------------------------------------


@pytest.mark.parametrize("is_abstract", [True, False])
def test_what_is_told(is_abstract: bool, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hearing:
        hearing.bind("" if is_abstract else str(tmp_path / "notify"))
        hearing.setblocking(False)
        name = hearing.getsockname()
        address = "@" + name[1:].decode() if is_abstract else name
        notifier = Notifier({"NOTIFY_SOCKET": address})
        notifier.ready("Listening")
        notifier.reloading()
        notifier.reloaded()
        notifier.stopping()
        told = [hearing.recv(4096).decode().split("\n") for _ in range(4)]
    assert told[0] == told[2] == ["READY=1", "STATUS=Listening"]
    assert told[1][0] == "RELOADING=1"
    assert re.fullmatch(r"MONOTONIC_USEC=\d+", told[1][1])
    assert told[3] == ["STOPPING=1", "STATUS=Stopping"]


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "@nobody", "vsock:2:1", "x" * 200])
def test_nobody_to_tell_is_no_error(address: str) -> None:
    Notifier({"NOTIFY_SOCKET": address}).ready("Listening")


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_watchdog_is_told_at_half_of_its_time(
    variables: dict[str, str], seconds: float | None
) -> None:
    assert Notifier({"NOTIFY_SOCKET": "@nobody", **variables}).watchdog == seconds


@pytest.mark.parametrize("workers", ["1", "2"])
def test_service_tells_what_it_does(tmp_path: Path, workers: str) -> None:
    watched = {"WATCHDOG_USEC": "100000"}
    with supervising(tmp_path) as supervisor:
        service = supervisor.start("echoscp", "--workers", workers, environ=watched)
        told = supervisor.wait_told("READY=1")
        assert f"STATUS=Listening on port {supervisor.port} as ECHOSCP" in told
        for _ in range(3):
            supervisor.wait_told("WATCHDOG=1")
        service.send_signal(signal.SIGHUP)
        supervisor.wait_told("RELOADING=1")
        supervisor.wait_told("READY=1")
        service.terminate()
        supervisor.wait_told("STOPPING=1")
        assert service.wait(PATIENCE) == 0


def test_reload_by_workers_is_told_only_while_they_serve() -> None:
    told: list[str] = []

    class Hearing(Notifier):
        def _tell(self, *lines: str) -> None:
            told.append(lines[0])

    kinds: dict[str, Any] = {"on_ready": lambda: None, "on_stopping": lambda: None}
    parent = Workers(1, lambda worker: None, Shares(1), Hearing({}), **kinds, grace=0)
    with parent._hearing_signals():
        parent._reload()
        assert told == []
        parent._were_ready = True
        parent._reload()
        assert told == ["RELOADING=1", "READY=1"]
        parent._stop()
        parent._reload()
        assert told[2:] == ["STOPPING=1"]


# Commands ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_port", [True, False])
def test_port_may_be_left_out_or_be_the_unit_s(tmp_path: Path, has_port: bool) -> None:
    with supervising(tmp_path) as supervisor:
        words = (str(supervisor.port), "-v") if has_port else ()
        supervisor.start("echoscp", *words)
        with Sender(supervisor.port) as sender:  # before it accepts
            sender.associate()
            sender.release()


@pytest.mark.parametrize(
    ("command", "words", "code", "complaint"),
    [
        ("storescp", ("1",), 1, "F: port 1 was asked for, and the socket unit listens on "),
        ("dcmrecv", ("1",), 64, "F: port 1 was asked for, and the socket unit listens on "),
        ("echoscp", ("-ba", "127.0.0.1"), 1, "F: --bind-address has no use with a socket unit"),
    ],
)
def test_command_line_that_contradicts_the_unit(
    tmp_path: Path, command: str, words: tuple[str, ...], code: int, complaint: str
) -> None:
    with supervising(tmp_path) as supervisor:
        assert supervisor.start(command, *words).wait(PATIENCE) == code
        assert supervisor.log.startswith(complaint)
        assert supervisor.log.count("\n") == 1


def test_unix_socket_is_refused_by_name(tmp_path: Path) -> None:
    with supervising(tmp_path, unix()) as supervisor:
        assert supervisor.start("echoscp").wait(PATIENCE) == 1
        assert supervisor.log.startswith("F: descriptor 3 (dicom.socket), which LISTEN_FDS speaks")
        assert "AF_UNIX" in supervisor.log


# A restart under load ----------------------------------------------------------------------------


class Load:
    """Senders without a pause, one association for each object, that try nothing twice."""

    def __init__(self, port: int, count: int) -> None:
        self.acknowledged: list[str] = []
        self.failures: list[str] = []
        self._port = port
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(n,)) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def _send(self, number: int) -> None:
        count = 0
        while not self._enough.is_set():
            count += 1
            uid = f"1.2.{number}.{count}"
            try:
                with Sender(self._port) as sender:
                    sender.associate()
                    assert sender.store(uid) == Status.SUCCESS
                    self.acknowledged.append(uid)
                    sender.release()
            except (OSError, EOFError, AssertionError) as error:
                self.failures.append(f"{uid}: {error!r}")

    def wait_more(self, count: int) -> None:
        """Wait until some more objects are acknowledged."""
        enough = len(self.acknowledged) + count
        for _ in tries(f"no {count} more objects; {self.failures}"):
            if len(self.acknowledged) >= enough:
                return

    def stop(self) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join(PATIENCE)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_restart_under_load_fails_nobody_and_loses_nothing(tmp_path: Path, workers: str) -> None:
    words = ("storescp", "-v", "--workers", workers, "-od", "received")
    with supervising(tmp_path) as supervisor:
        old = supervisor.start(*words)
        load = Load(supervisor.port, 8)
        try:
            load.wait_more(50)
            old.terminate()
            assert old.wait(PATIENCE) == 0
            old = supervisor.start(*words)
            load.wait_more(50)
        finally:
            load.stop()
        old.terminate()
        assert old.wait(PATIENCE) == 0
    assert load.failures == []
    stored = [name.removeprefix("CT.") for name in visible(tmp_path / "received")]
    assert sorted(stored) == sorted(load.acknowledged)
