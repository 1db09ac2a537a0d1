"""Commands after objects and studies: their words, what a peer may put into them, their turn."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import socket
import subprocess
import threading
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aiodicom.announcing.templates import Template, reception_command, study_command
from aiodicom.announcing.words import safe
from aiodicom.cli import actions
from aiodicom.cli.actions import Actions
from aiodicom.storage.stored import EndedStudy, StoredObject
from tests.serving import until

EVIL = [
    "$(touch HACKED)",
    "`touch HACKED`",
    '"; touch HACKED; "',
    "'; touch HACKED; '",
    "x\ntouch HACKED\n",
    "x; touch HACKED #",
    "|touch HACKED",
    "&& touch HACKED",
    "${IFS}",
    "--help",
]

TRUE = reception_command("true")


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def note(tmp_path: Path) -> str:
    """A program that notes its words, one a line, and their end."""
    path = tmp_path / "note"
    path.write_text('#!/bin/sh\nprintf "%s\\n" "$@" end >> noted\n')
    path.chmod(0o755)
    return os.fspath(path)


def noted(folder: Path) -> list[str]:
    return (folder / "noted").read_text().splitlines()


def stored(
    folder: str = "/in", name: str = "CT.1.2", calling: str = "PEER", called: str = "HERE",
    address: str = "127.0.0.1",
) -> StoredObject:  # fmt: skip
    return StoredObject(folder, name, "1.2.840", "1.2", "1.2.9", calling, called, address, 1)


def ended(last: StoredObject) -> EndedStudy:
    return EndedStudy(last.study_instance_uid, last.folder, 1, last)


def run(template: Template, last: StoredObject, **settings: Any) -> None:
    """Run a command for an object, to its end."""

    async def main() -> None:
        async with Actions(on_reception=template, looks_up=False, **settings) as running:
            running.stored(last)

    asyncio.run(main())


# Words --------------------------------------------------------------------------------------------


def test_values_become_words(tmp_path: Path, note: str) -> None:
    template = reception_command(f"{note} #p #f #a #c #r plain")
    assert template.words
    run(template, stored("/in put", calling="MY SCU"))
    assert noted(tmp_path) == ["/in put", "CT.1.2", "MY SCU", "HERE", "127.0.0.1", "plain", "end"]


@pytest.mark.parametrize(
    "text",
    [
        "NOTE #p/#f --from=#a",
        "NOTE '#p/#f' '--from=#a'",
        'NOTE "#p/#f" "--from=#a"',
        'NOTE #p"/"#f --from="#a"',
        "NOTE #p/#f --from=#a; true",
        "true && NOTE '#p/#f' '--from=#a'",
        'true && NOTE "#p/#f" "--from=#a"',
        '(NOTE #p/#f "--from="#a)',
        'x="--from=#a"; NOTE "#p/#f" "$x"',
        'NOTE #p/#f "$(echo "--from=#a")"',
        "NOTE #p/#f \"$(echo '--from=#a')\"",
        "if true; then NOTE #p/#f --from=#a; fi",
        "note() { NOTE #p/#f --from=#a; }; note other words",
    ],
)
def test_value_is_one_word_however_it_is_quoted(tmp_path: Path, note: str, text: str) -> None:
    run(reception_command(text.replace("NOTE", note)), stored("/in  put/*", calling="A  B"))
    assert noted(tmp_path) == ["/in  put/*/CT.1.2", "--from=A  B", "end"]


def test_what_a_shell_does_is_done(tmp_path: Path) -> None:
    (tmp_path / "CT.1.2").write_bytes(b"object")
    template = reception_command("mv #p/#f moved.$((1+1)) && echo done > log 2>&1")
    assert not template.words
    run(template, stored(os.fspath(tmp_path)))
    assert (tmp_path / "moved.2").read_bytes() == b"object"
    assert (tmp_path / "log").read_text() == "done\n"


@pytest.mark.parametrize("more", ["", " && true"])
def test_placeholder_of_a_file_stays_in_the_command_for_studies(
    tmp_path: Path, note: str, more: str
) -> None:
    command = study_command(f"{note} #p #f \"#f\" '#f' x#f #a{more}")

    async def main() -> None:
        async with Actions(on_study_end=command, looks_up=False) as running:
            running.study_ended(ended(stored()))

    asyncio.run(main())
    assert noted(tmp_path) == ["/in", "#f", "#f", "#f", "x#f", "PEER", "end"]


def test_value_that_looks_like_a_placeholder_is_left_alone(tmp_path: Path, note: str) -> None:
    run(reception_command(f"{note} #p"), stored("/in/#f #a"))
    assert noted(tmp_path) == ["/in/#f #a", "end"]


def test_environment_has_the_values_as_they_came(tmp_path: Path) -> None:
    names = "PATH FILE CALLING_AET CALLED_AET PEER".split()
    template = reception_command("env -0 > variables")
    run(template, stored(calling="A$(x)\n\0B", called="C'D"))
    lines = (tmp_path / "variables").read_text().split("\0")
    variables = dict(line.partition("=")[::2] for line in lines)
    values = [variables[f"AIODICOM_{name}"] for name in names]
    assert values == ["/in", "CT.1.2", "A$(x)\nB", "C'D", "127.0.0.1"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no command"),
        ("  ", "no command"),
        ("echo 'x", "' is missing"),
        ('echo "x', '" is missing'),
        ("echo $(x", r"\) is missing"),
        ("echo `x", "` is missing"),
        ("echo `cat #f`", "write"),
        ("echo ${x#a}", "outside"),
        ("cat << E", "script"),
        ("echo x # said", "comment"),
        ("#f --now", "cannot be the command"),
        ("'#p'/run", "cannot be the command"),
        ("if true; then echo x", "no command for /bin/sh"),
        ("echo x | | cat", "no command for /bin/sh"),
        ("echo \0", "NUL"),
    ],
)
def test_template_that_cannot_be_run_is_said_at_once(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        reception_command(text)


def test_no_shell_where_none_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    popen = subprocess.Popen

    def noting(words: list[str], **settings: Any) -> subprocess.Popen[bytes]:
        started.append(words)
        return popen(words, **settings)

    monkeypatch.setattr(subprocess, "Popen", noting)
    run(reception_command("true '#p; x' \"#f\""), stored())
    assert started == [["true", "/in; x", "CT.1.2"]]


# What a peer can choose ---------------------------------------------------------------------------


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize(
    "text",
    [
        "NOTE #a #c #r #f",
        "NOTE '#a' \"#c\" x#r '#f'",
        "NOTE #a #c #r #f | cat",
        "NOTE '#a' \"#c\" \"$(echo #r)\" '#f' > out",
        "sh -c 'NOTE #a #c #r #f'",
        'sh -c "NOTE #a #c #r #f" ; true',
        "eval NOTE #a '#c' \"#r\" '\"#f\"'",
        "echo #a #c #r #f | sh",
        "sh -c #a; sh -c #c; sh -c #r; sh -c #f",
    ],
)
def test_what_a_peer_chose_is_never_run(
    tmp_path: Path, note: str, evil: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostbyaddr", lambda address: (evil, [], []))

    template = reception_command(text.replace("NOTE", note))

    async def main() -> None:
        async with Actions(on_reception=template) as running:
            running.stored(stored(calling=evil, called=evil))

    asyncio.run(main())
    assert not (tmp_path / "HACKED").exists()


@pytest.mark.parametrize("evil", EVIL)
def test_safe_text_has_nothing_for_a_shell_and_is_no_option(evil: str) -> None:
    text = safe(evil)
    assert not text.startswith("-")
    words = shlex.split(text, comments=True)
    assert "".join(words) == text.replace(" ", "")
    assert not set(text) & set("$`\"'\n;|&<>()#*?[]{}~\\!")


# Turns --------------------------------------------------------------------------------------------


class Gate:
    """Commands that begin, and end when they are let."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        self.running = self.most = 0
        self.opened = threading.Event()
        self._lock = threading.Lock()
        monkeypatch.setattr(Actions, "_run", self._run)

    def _run(self, template: Template, last: StoredObject) -> None:
        with self._lock:
            self.names.append(last.name)
            self.running += 1
            self.most = max(self.most, self.running)
        assert self.opened.wait(10)
        with self._lock:
            self.running -= 1


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(monkeypatch)
    yield gate
    gate.opened.set()


async def test_some_run_at_a_time_and_the_others_in_their_order(gate: Gate) -> None:
    names = [f"CT.{number}" for number in range(20)]
    async with Actions(on_reception=TRUE, at_once=1) as running:
        for name in names:
            assert running.stored(stored(name=name)) is None
        gate.opened.set()
    assert gate.names == names
    assert gate.most == 1


async def test_no_more_run_at_a_time_than_may(gate: Gate) -> None:
    async with Actions(on_reception=TRUE, at_once=3) as running:
        for _ in range(10):
            running.stored(stored())
        await until(lambda: gate.running == 3)
        gate.opened.set()
    assert gate.most == 3
    assert len(gate.names) == 10


async def test_object_waits_for_its_command_where_that_is_wanted(gate: Gate) -> None:
    async with Actions(on_reception=TRUE, waits=True) as running:
        waiting = running.stored(stored())
        assert waiting is not None
        task = asyncio.ensure_future(waiting)
        await until(lambda: gate.running == 1)
        assert not task.done()
        gate.opened.set()
        await asyncio.wait_for(task, 10)


async def test_sender_that_is_too_fast_waits_and_loses_nothing(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "MAXIMUM_WAITING", 3)
    async with Actions(on_reception=TRUE, at_once=1) as running:
        answers = [running.stored(stored(name=f"CT.{number}")) for number in range(6)]
        assert [answer is None for answer in answers] == [True] * 4 + [False] * 2
        late: list[Awaitable[None]] = [answer for answer in answers if answer is not None]
        tasks = [asyncio.ensure_future(answer) for answer in late]
        await asyncio.sleep(0)
        assert not any(task.done() for task in tasks)
        gate.opened.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 10)
    assert len(gate.names) == 6


async def test_end_is_bounded_and_says_what_was_not_run(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    async with Actions(on_reception=TRUE, at_once=1, patience=0.05) as running:
        running.stored(stored(name="CT.1"))
        running.stored(stored(name="CT.2"))
    logged = [(r.levelno, r.getMessage()) for r in caplog.records if r.name == "aiodicom.actions"]
    assert logged == [
        (logging.WARNING, "1 commands have not ended; they run on"),
        (logging.ERROR, "Not run, for want of time: true for CT.2"),
    ]


async def test_command_that_a_stop_did_not_wait_for_runs_on(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    command = await asyncio.to_thread(reception_command, "read line < pipe; echo $line > said")
    async with Actions(on_reception=command, patience=0.05, looks_up=False) as running:
        running.stored(stored())
    await asyncio.to_thread((tmp_path / "pipe").write_text, "late\n")
    said = tmp_path / "said"
    await until(lambda: said.exists() and said.read_text() == "late\n")


async def test_interrupt_at_a_terminal_is_for_the_receiver_alone(tmp_path: Path) -> None:
    template = await asyncio.to_thread(reception_command, "ps -o sid= -p $$ > session")
    async with Actions(on_reception=template, looks_up=False) as running:
        running.stored(stored())
    assert int((tmp_path / "session").read_text()) != os.getsid(0)


async def test_real_commands_run_beside_the_loop(tmp_path: Path, note: str) -> None:
    template = await asyncio.to_thread(reception_command, f"{note} #f")
    async with Actions(on_reception=template, looks_up=False) as running:
        for number in range(5):
            running.stored(stored(name=f"CT.{number}"))
    assert sorted(noted(tmp_path)) == sorted([*(f"CT.{n}" for n in range(5)), *["end"] * 5])


async def test_without_a_command_nothing_is_run(gate: Gate) -> None:
    gate.opened.set()
    async with Actions(waits=True) as running:
        assert running.stored(stored()) is None
        running.study_ended(ended(stored()))
    assert gate.names == []


# What goes wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("false", "The command false ended with exit code 1"),
        ("exit 7", "The command exit ended with exit code 7"),
        ("sh -c 'kill -9 $$'", "The command sh ended with signal 9"),
        ("no-such-program-here #f", "The command no-such-program-here ended with exit code 127"),
    ],
)
def test_failure_is_a_warning(text: str, warning: str, caplog: pytest.LogCaptureFixture) -> None:
    run(reception_command(text), stored(), waits=True)
    logged = [r for r in caplog.records if r.name == "aiodicom.actions"]
    assert [(r.levelno, r.getMessage()) for r in logged] == [(logging.WARNING, warning)]


def test_program_that_has_gone_is_a_warning(
    tmp_path: Path, note: str, caplog: pytest.LogCaptureFixture
) -> None:
    template = reception_command(f"{note} #f")
    (tmp_path / "note").unlink()
    run(template, stored(), waits=True)
    logged = [r for r in caplog.records if r.name == "aiodicom.actions"]
    assert [r.levelno for r in logged] == [logging.WARNING]
    assert "Cannot run" in logged[0].getMessage()


async def test_thread_that_cannot_be_had_costs_one_command(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def cannot(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", cannot)
        async with Actions(on_reception=TRUE, waits=True) as running:
            answer = running.stored(stored())
            assert answer is not None
            await asyncio.wait_for(answer, 10)
    assert "can't start new thread" in caplog.text


# Hosts --------------------------------------------------------------------------------------------


def peers_of(tmp_path: Path, note: str, addresses: list[str], looks_up: bool = True) -> list[str]:
    template = reception_command(f"{note} #r")

    async def main() -> None:
        async with Actions(on_reception=template, looks_up=looks_up, at_once=1) as running:
            for address in addresses:
                running.stored(stored(address=address))

    asyncio.run(main())
    return [line for line in noted(tmp_path) if line != "end"]


def test_host_is_named_up_to_the_first_dot_and_asked_for_once(
    tmp_path: Path, note: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def by_address(address: str) -> tuple[str, list[str], list[str]]:
        asked.append(address)
        return "ct-3.radiology.example", [], []

    monkeypatch.setattr(socket, "gethostbyaddr", by_address)
    assert peers_of(tmp_path, note, ["192.0.2.1", "192.0.2.1"]) == ["ct-3", "ct-3"]
    assert asked == ["192.0.2.1"]


def test_host_without_a_name_is_its_address(
    tmp_path: Path, note: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(address: str) -> tuple[str, list[str], list[str]]:
        raise socket.herror(1, "Unknown host")

    monkeypatch.setattr(socket, "gethostbyaddr", unknown)
    assert peers_of(tmp_path, note, ["192.0.2.1"]) == ["192.0.2.1"]


def test_without_lookup_nobody_is_asked(
    tmp_path: Path, note: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(socket, "gethostbyaddr", asked.append)
    assert peers_of(tmp_path, note, ["192.0.2.1"], looks_up=False) == ["192.0.2.1"]
    assert asked == []


def test_name_server_that_does_not_answer_is_not_waited_for(
    tmp_path: Path, note: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def silent(address: str) -> tuple[str, list[str], list[str]]:
        assert released.wait(10)
        return "late", [], []

    monkeypatch.setattr(socket, "gethostbyaddr", silent)
    monkeypatch.setattr(actions, "LOOKUP", 0.05)
    assert peers_of(tmp_path, note, ["192.0.2.1", "192.0.2.1"]) == ["192.0.2.1"] * 2
    released.set()
