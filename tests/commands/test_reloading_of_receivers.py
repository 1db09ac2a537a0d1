"""Receivers that are told to read their files again: access rules, keys and certificates."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiodicom.wire.pdu import AssociateReject
from tests.certificates import Authority, Identity
from tests.commands.test_tls_of_receivers import shown
from tests.peer import association_request
from tests.processes import Receiver, Sender, receiving, run_command, tries
from tests.workers.test_workers import kill, workers_of

BROKEN = "calling_ae_titles = ["


@contextlib.contextmanager
def obeying(folder: Path, workers: str, *options: str) -> Iterator[Receiver]:
    """Run echoscp with an access file in its folder, which is for CT1 at first."""
    allow(folder, "CT1")
    words = ("-v", "--workers", workers, "--access-file", "access.toml", *options)
    with receiving("echoscp", *words, folder=folder) as receiver:
        try:
            receiver.wait_for_line("I: Listening on port")
            yield receiver
        finally:
            kill(receiver)


def allow(folder: Path, title: str) -> None:
    (folder / "access.toml").write_text(f'calling_ae_titles = ["{title}"]')


def hang_up(receiver: Receiver, workers: str, line: str) -> None:
    """Send SIGHUP, and wait until every worker has said something once more."""
    before = receiver.log.count(line)
    receiver.process.send_signal(signal.SIGHUP)
    for _ in tries(f"somebody has not said {line!r}"):
        if receiver.log.count(line) == before + int(workers):
            return


def admitted(receiver: Receiver) -> list[str]:
    """Return which titles may associate: asked often enough for every worker to answer."""
    found = []
    for title in ("CT1", "CT2"):
        answers = set()
        for _ in range(4):
            with Sender(receiver.port) as sender:
                sender.send(association_request(calling=title))
                answers.add(type(sender.receive()))
        assert len(answers) == 1, f"{title}: one worker says this, another one that"
        if answers != {AssociateReject}:
            found.append(title)
    return found


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_access_file_is_read_again_and_one_that_is_broken_changes_nothing(
    workers: str, tmp_path: Path
) -> None:
    with obeying(tmp_path, workers) as receiver, Sender(receiver.port) as sender:
        sender.send(association_request(calling="CT1"))
        sender.receive()
        allow(tmp_path, "CT2")
        assert admitted(receiver) == ["CT1"]
        hang_up(receiver, workers, "Reloaded: access file access.toml: 0 rules")
        assert admitted(receiver) == ["CT2"]
        (tmp_path / "access.toml").write_text(BROKEN)
        hang_up(receiver, workers, "Not reloaded: access file access.toml is no TOML: ")
        assert admitted(receiver) == ["CT2"]
        sender.release()  # who was let in by the first rules is in


def test_a_worker_that_cannot_read_the_rules_of_now_does_not_serve_by_older_ones(
    tmp_path: Path,
) -> None:
    with obeying(tmp_path, "2") as receiver:
        allow(tmp_path, "CT2")
        hang_up(receiver, "2", "Reloaded: access file")
        (tmp_path / "access.toml").write_text(BROKEN)
        gone = workers_of(receiver)[0]
        os.kill(gone, signal.SIGKILL)
        receiver.wait_for_line("E: Worker 1 (process ")
        for _ in tries("no second try"):
            if "(access file access.toml is no TOML: " in receiver.log:
                break
        assert admitted(receiver) == ["CT2"]  # by the other one
        allow(tmp_path, "CT1")
        os.kill(workers_of(receiver)[0], signal.SIGKILL)  # now both are of the new rules
        for _ in tries("they do not start"):
            if receiver.log.count("Reloaded: access file") == 4:
                break
        assert admitted(receiver) == ["CT1"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_rules_and_certificates_are_read_again_together(workers: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    first, second, ct1 = (authority.issue(name) for name in ("first", "second", "ct1.clinic"))
    folder = tmp_path / "folder"
    folder.mkdir()
    options = ("--tls-look-every", "0", "+cf", str(authority.certificate),
               "+tls", str(first.key), str(first.certificate))  # fmt: skip
    with obeying(folder, workers, *options) as receiver:
        assert echoed(receiver, authority, ct1)
        bind = '[[rule]]\ncalling_ae_title = "CT1"\ncertificate_names = ["{}"]'
        (folder / "access.toml").write_text(bind.format("second"))
        shutil.copyfile(second.certificate, first.certificate)
        hang_up(receiver, workers, "Not reloaded: ")  # the key is still to come: half of it is read
        receiver.wait_for_line("I: Reloaded: access file access.toml: 1 rules")
        assert shown(receiver.port) == ("first",)
        assert not echoed(receiver, authority, ct1)
        shutil.copyfile(second.key, first.key)
        (folder / "access.toml").write_text(bind.format("ct1.clinic"))
        hang_up(receiver, workers, "Reloaded: certificate ")
        assert shown(receiver.port) == ("second",)
        assert echoed(receiver, authority, ct1)


def echoed(receiver: Receiver, authority: Authority, own: Identity) -> bool:
    words = ("+tls", str(own.key), str(own.certificate), "+cf", str(authority.certificate))
    done = run_command("echoscu", "127.0.0.1", str(receiver.port), "-aet", "CT1", *words)
    return done.returncode == 0
