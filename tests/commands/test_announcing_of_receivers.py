"""storescp and dcmrecv: who else is told of what was stored."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx  # noqa: F401  where it is imported first, in HttpPost, the loop would wait
import pytest

from aiodicom import dcmrecv, storescp
from aiodicom.cli.common import Failed
from aiodicom.cli.options import UsageError
from aiodicom.wire.dimse import Status
from tests.announcing.endpoint import answering
from tests.commands.running import running, settings_of, store
from tests.commands.test_inetd import inetd
from tests.processes import PATIENCE, Sender, receiving, tries
from tests.serving import until

RECEIVERS = [storescp, dcmrecv]
OBJECT, STUDY = "org.aiodicom.object.stored", "org.aiodicom.study.quiet"
URL = "http://127.0.0.1:9/"


@pytest.mark.parametrize("command", RECEIVERS)
async def test_every_url_is_told_of_objects_and_quiet_studies(
    tmp_path: Path, command: ModuleType
) -> None:
    async with answering() as one, answering() as other:
        urls = "--announce-url", one.url, "--announce-url", other.url
        words = "-od", str(tmp_path), *urls, "--announce-quiet", "0.01"
        async with running(command, *words) as server:
            await store(server.port, "1.2.3", study="1.2.9")
            await until(lambda: len(one.posted) == len(other.posted) == 2)
    first, second = (each.event for each in one.posted)
    assert [(e["type"], e["subject"]) for e in (first, second)] == [
        (OBJECT, "1.2.3"),
        (STUDY, "1.2.9"),
    ]
    assert first["data"]["study_instance_uid"] == "1.2.9"
    assert second["data"]["reason"] == "quiet"
    assert [each.event for each in other.posted] == [first, second]


@pytest.mark.parametrize("command", RECEIVERS)
async def test_command_is_told_and_paths_where_they_are_asked_for(
    tmp_path: Path, command: ModuleType
) -> None:
    got = tmp_path / "got"
    words = "--announce-command", f"cat > {got}.part && mv {got}.part {got}", "--announce-paths"
    folder = tmp_path / "in"
    await asyncio.to_thread(folder.mkdir)
    async with running(command, "-od", str(folder), *words) as server:
        await store(server.port, "1.2.3")
        await until(got.exists)
    event = json.loads(await asyncio.to_thread(got.read_text))
    assert event["type"] == OBJECT
    assert event["data"]["path"] == str(folder / "CT.1.2.3")


async def test_announcements_go_with_the_commands_for_objects_and_studies(tmp_path: Path) -> None:
    folder, done = tmp_path / "in", tmp_path / "done"
    commands = "-su", "", "-xcr", f"echo '#f' >> {done}", "-xcs", f"echo study >> {done}"
    async with answering() as endpoint:
        words = *commands, "--announce-url", endpoint.url, "--announce-quiet", "60"
        async with running(storescp, "-od", str(folder), *words) as server:
            await store(server.port, "1.2.3")
    assert [each.event["type"] for each in endpoint.posted] == [OBJECT, STUDY]
    assert endpoint.posted[1].event["data"]["reason"] == "stopped"
    assert sorted((await asyncio.to_thread(done.read_text)).split()) == ["CT.1.2.3", "study"]


@pytest.mark.parametrize("command", RECEIVERS)
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--announce-url", "ftp://SECRET/"), "begins with http:// or https://"),
        (("--announce-url", "http://h:x/SECRET"), "Port could not be cast"),
        (("--announce-command", "echo '"), "is missing"),
        (("--announce-command", URL, "--announce-quiet", "0"), "more than 0"),
        (("--announce-url", URL, "--announce-quiet", "soon"), "more than 0"),
        (("--announce-quiet", "5"), "only allowed with --announce-url or --announce-command"),
        (("--announce-paths",), "only allowed with --announce-url or --announce-command"),
        (("--announce-url", URL, "--ignore"), "not allowed with --announce-url"),
        (
            ("--announce-url", URL, "--announce-quiet", "5", "--workers", "2"),
            "--announce-quiet not allowed with --workers 2: the associations of one study may go",
        ),
    ],
)
def test_wrong_command_line_says_what_is_wrong(
    command: ModuleType, words: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(UsageError) as raised:
        settings_of(command, *words)
    assert complaint in str(raised.value)
    assert "SECRET" not in str(raised.value)


def test_studies_are_not_for_inetd() -> None:
    with pytest.raises(UsageError, match="--inetd not allowed with --announce-quiet"):
        settings_of(storescp, "--inetd", "--announce-url", URL, "--announce-quiet", "5")


@pytest.mark.parametrize("command", RECEIVERS)
def test_without_httpx_it_is_said_what_to_install(
    command: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    settings = settings_of(command, "-od", str(tmp_path), "--announce-url", URL)
    with pytest.raises(Failed, match=r"--announce-url needs httpx: pip install 'aiodicom\[http\]'"):
        command.make_server(settings)


def appended(path: Path, count: int) -> list[dict[str, Any]]:
    """The events that a command has appended to a file, one a line, when there are so many."""
    for _ in tries(f"no {count} events"):
        lines = path.read_text().splitlines() if path.exists() else []
        if len(lines) >= count and lines[-1].endswith("}"):
            return [json.loads(line) for line in lines]
    raise AssertionError


@pytest.fixture
def appending(tmp_path: Path) -> tuple[Path, tuple[str, str]]:
    """A file, and the options that have each event appended to it at one go."""
    path = tmp_path / "events"
    return path, ("--announce-command", f'echo "$(cat)" >> {path}')


def test_workers_announce_their_objects_with_ids_of_their_own(
    tmp_path: Path, appending: tuple[Path, tuple[str, str]]
) -> None:
    path, words = appending
    folder = tmp_path / "in"
    folder.mkdir()
    with receiving("storescp", *words, "--workers", "2", folder=folder) as receiver:
        senders = [Sender(receiver.port) for _ in range(4)]
        for number, sender in enumerate(senders):
            sender.associate()
            assert sender.store(f"1.2.{number}") == Status.SUCCESS
        for sender in senders:
            sender.release()
            sender.socket.close()
        events = appended(path, 4)
        assert receiver.stop() == 0
    assert sorted(event["subject"] for event in events) == [f"1.2.{n}" for n in range(4)]
    assert len({event["id"] for event in events}) == 4
    assert len({event["id"].partition("-")[0] for event in events}) == 2


def test_process_of_inetd_announces_before_it_ends(
    tmp_path: Path, appending: tuple[Path, tuple[str, str]]
) -> None:
    path, words = appending
    with inetd(tmp_path, *words) as (sender, process):
        sender.associate()
        assert sender.store("1.2.3") == Status.SUCCESS
        sender.release()
        sender.socket.close()
        assert process.wait(PATIENCE) == 0
    (event,) = appended(path, 1)
    assert event["subject"] == "1.2.3"
