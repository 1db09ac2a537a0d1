"""Receivers that write a JSON log and send spans, as processes."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from aiodicom import storescp
from aiodicom.cli.common import Failed
from aiodicom.cli.options import UsageError
from aiodicom.cli.watching import watchers_of
from aiodicom.monitor import exporting
from tests.commands.running import settings_of
from tests.processes import Receiver, Sender, free_port, receiving, run_command, tries
from tests.workers.test_workers import kill, workers_of


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def wait_for(path: Path, event: str, count: int) -> list[dict[str, Any]]:
    """Wait until a log has so many lines of a kind, and return them."""
    for _ in tries(f"no {count} lines of {event}"):
        lines = [line for line in read(path) if line["event"] == event]
        if len(lines) >= count:
            return lines
    raise AssertionError


def store(receiver: Receiver, *uids: str) -> None:
    with Sender(receiver.port) as sender:
        sender.associate()
        for uid in uids:
            assert sender.store(uid) == 0
        sender.release()


@pytest.mark.parametrize("command", ["storescp", "dcmrecv", "echoscp"])
def test_every_receiver_writes_a_json_log(command: str, tmp_path: Path) -> None:
    with receiving(command, "--json-log", "log", folder=tmp_path) as receiver:
        with Sender(receiver.port) as sender:
            sender.associate()
            sender.release()
        (line,) = wait_for(tmp_path / "log", "association", 1)
        assert line["end"] == "released"
        assert receiver.stop() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_log_that_is_rotated(workers: str, tmp_path: Path) -> None:
    """As logrotate does: rename, SIGHUP."""
    log, old = tmp_path / "log", tmp_path / "old"
    words = ("-v", "--workers", workers, "--json-log", "log")
    with receiving("storescp", *words, folder=tmp_path) as receiver:
        receiver.wait_for_line("I: Listening on port")
        store(receiver, "1.2.1")
        wait_for(log, "object", 1)
        log.rename(old)
        receiver.process.send_signal(signal.SIGHUP)
        for _ in tries("not reloaded"):
            if receiver.log.count("Reloaded: JSON log log") == int(workers):
                break
        for number in range(2, 6):
            store(receiver, f"1.2.{number}")
        assert receiver.stop() == 0
    assert [line["sop_instance_uid"] for line in read(old) if line["event"] == "object"] == [
        "1.2.1"
    ]
    assert len([line for line in read(log) if line["event"] == "object"]) == 4


def test_standard_output_of_several_workers(tmp_path: Path) -> None:
    prefix = ("sh", "-c", 'exec "$@" >out', "sh")
    words = ("-v", "--workers", "2", "--json-log", "-")
    with receiving("storescp", *words, folder=tmp_path, prefix=prefix) as receiver:
        receiver.wait_for_line("I: Listening on port")
        for number in range(4):
            store(receiver, f"1.2.{number}")
        assert len(wait_for(tmp_path / "out", "object", 4)) == 4
        assert receiver.stop() == 0


def test_a_worker_that_is_killed_is_told_of_by_its_successor(tmp_path: Path) -> None:
    words = ("-v", "--workers", "2", "--json-log", "log")
    with receiving("storescp", *words, folder=tmp_path) as receiver:
        try:
            receiver.wait_for_line("I: Listening on port")
            killed = workers_of(receiver)[0]
            os.kill(killed, signal.SIGKILL)
            (line,) = wait_for(tmp_path / "log", "worker_replaced", 1)
            assert line["worker"] in (1, 2)
            store(receiver, "1.2.3")
            wait_for(tmp_path / "log", "object", 1)
            assert receiver.stop() == 0
        finally:
            kill(receiver)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_log_that_cannot_be_opened(workers: str, tmp_path: Path) -> None:
    port = str(free_port())
    words = (port, "-ba", "127.0.0.1", "--workers", workers, "--json-log", "no/log")
    ended = run_command("echoscp", *words, cwd=tmp_path)
    assert ended.returncode == 1
    assert "no/log: No such file or directory" in ended.stderr


def test_standard_output_that_is_the_connection() -> None:
    with pytest.raises(UsageError, match="--json-log - not allowed with --inetd"):
        settings_of(storescp, "--inetd", "--json-log", "-")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_spans_of_a_receiver(workers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The console's exporter writes what it has when it is shut down."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "ward-3")
    errors = tmp_path / "both"
    with errors.open("wb") as output:
        prefix = ("sh", "-c", 'exec "$@" >&2', "sh")
        words = ("--otel", "--workers", workers)
        with receiving(
            "storescp", *words, folder=tmp_path, stderr=output, prefix=prefix
        ) as receiver:
            store(receiver, "1.2.3")
            assert receiver.stop() == 0
    said = errors.read_text()
    assert said.count('"name": "C-STORE"') == 1
    assert '"dicom.sop_instance_uid": "1.2.3"' in said
    assert '"service.name": "ward-3"' in said


def test_no_exporter_for_the_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "entry_points", lambda **wanted: ())
    monkeypatch.delenv("OTEL_TRACES_EXPORTER", raising=False)
    with pytest.raises(Failed, match="--otel: no exporter for OTLP is installed"):
        watchers_of({"json_log": None, "otel": True})


def test_nobody_watches_unless_asked_to() -> None:
    server = storescp.make_server({**settings_of(storescp)})
    assert list(server._watchers) == []
