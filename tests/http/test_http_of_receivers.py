"""``--http`` of the receiving commands."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from aiodicom.cli.common import Failed
from aiodicom.cli.http import HTTP, pages_of
from tests.http.load import Modality, sending
from tests.processes import Sender, free_port, receiving, run_command, tries, visible

where = HTTP.convert


def asked(port: int, path: str) -> tuple[int, str]:
    """What is answered at a path, and with which status."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def metric(port: int, name: str) -> float:
    """The value of a metric that has no labels, or of one with them."""
    lines = asked(port, "/metrics")[1].splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[-1])


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("8080", ("127.0.0.1", 8080)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("host.example:80", ("host.example", 80)),
        ("[::1]:8080", ("::1", 8080)),
    ],
)
def test_a_port_is_of_the_loopback_and_a_host_may_be_said(text: str, meant: object) -> None:
    assert where(text) == meant


@pytest.mark.parametrize("text", ["", "x", "0", "65536", ":80", "::1:80", "host:", "8080/"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not|names"):
        where(text)


@pytest.mark.parametrize("command", ["storescp", "dcmrecv", "echoscp"])
def test_every_receiver_has_pages(command: str, tmp_path: Path) -> None:
    port = free_port()
    with receiving(command, "--http", str(port), "-v", folder=tmp_path) as receiver:
        receiver.wait_for_line(f"I: Live page and metrics on http://127.0.0.1:{port}/")
        assert asked(port, "/readyz") == (200, '{"ready":true,"reasons":[]}')
        storage = json.loads(asked(port, "/live")[1])["storage"]
        assert (storage is None) == (command == "echoscp")
        assert receiver.stop() == 0


def test_without_what_it_needs_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Failed, match=r"pip install 'aiodicom\[http\]'") as failed:
        pages_of({"http": ("127.0.0.1", 8080)}, None)
    assert failed.value.code == 1


def test_without_the_option_there_is_nothing() -> None:
    assert pages_of({"http": None}, None) == ()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_ends_it_at_once(workers: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = ("--http", str(port), "--workers", workers)
        ended = run_command("storescp", str(free_port()), *options, cwd=tmp_path)
    assert ended.returncode == 1
    assert f"HTTP: cannot listen on port {port} of 127.0.0.1: " in ended.stderr


def test_it_is_not_ready_where_there_is_too_little_room(tmp_path: Path) -> None:
    port = free_port()
    with receiving("storescp", "--http", str(port), "--min-free", "1000t", folder=tmp_path):
        status, text = asked(port, "/readyz")
        assert status == 503
        assert "are to stay so" in json.loads(text)["reasons"][0]
        assert asked(port, "/healthz")[0] == 200


def test_what_is_stored_is_what_is_counted_over_all_workers(tmp_path: Path) -> None:
    port = free_port()
    options = ("--http", str(port), "--workers", "2", "--durability", "none")
    with receiving("storescp", *options, folder=tmp_path) as receiver:
        with sending(receiver.port, [Modality(size=100, pause=0.001)] * 4):
            for _ in tries("nothing is stored"):
                if len(visible(tmp_path)) > 200:
                    break
        for _ in tries("the metrics are not those of what was stored"):
            if metric(port, "aiodicom_objects_stored_total") == len(visible(tmp_path)):
                break
        assert metric(port, "aiodicom_workers") == 2
        assert metric(port, "aiodicom_associations") == 0


def test_a_worker_that_is_killed_takes_nothing_along(tmp_path: Path) -> None:
    port = free_port()
    options = ("--http", str(port), "--workers", "2", "--durability", "none", "-v")
    with receiving("storescp", *options, folder=tmp_path) as receiver:
        with Sender(receiver.port) as sender:
            sender.associate()
            assert sender.store("2.25.1") == 0
            for _ in tries("no worker tells of it"):
                if metric(port, "aiodicom_objects_stored_total") == 1:
                    break
            for _ in tries("not everybody knows of it"):  # whoever answers
                if all(metric(port, "aiodicom_associations") == 1 for _ in range(10)):
                    break
            for pid in children(receiver.process.pid):
                os.kill(pid, signal.SIGKILL)
        for _ in tries("they are not replaced"):
            try:
                if metric(port, "aiodicom_listening") == 1:
                    break
            except OSError:
                pass
        for _ in tries("restarts are not counted"):
            if metric(port, "aiodicom_worker_restarts_total") == 2:
                break
        assert metric(port, "aiodicom_objects_stored_total") == 1
        assert metric(port, 'aiodicom_associations_ended_total{how="died"}') == 1


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
