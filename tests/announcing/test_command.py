"""Command: what it is given, what its exit code means, and what becomes of one that hangs."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from aiodicom.announcing import Announcement, Announcer, Command, Retries, TryAgain, Undeliverable
from aiodicom.announcing.cloud_events import cloud_event
from tests.announcing.values import announced, quiet, stored
from tests.serving import until


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def run(text: str, announcement: Announcement | None = None, **settings: object) -> None:
    command = await asyncio.to_thread(Command, text, **settings)  # type: ignore[arg-type]
    await command(announcement or announced())


def read(path: str) -> str:
    return Path(path).read_text()


async def test_event_is_on_its_standard_input() -> None:
    await run("cat > got")
    assert json.loads(await asyncio.to_thread(read, "got")) == cloud_event(announced())


async def test_event_has_the_path_where_it_is_asked_for() -> None:
    await run("cat > got", paths=True)
    event = json.loads(await asyncio.to_thread(read, "got"))
    assert event["data"]["path"] == announced().stored.path


async def test_placeholders_are_those_of_the_commands_for_objects(tmp_path: Path) -> None:
    script = 'printf "%s\\n" #p #f #a #c #r "$AIODICOM_EVENT" "$AIODICOM_EVENT_ID" > got'
    await run(script, announced(calling_ae_title="A$(x) B"))
    assert (await asyncio.to_thread(read, "got")).splitlines() == [
        "/in/Doe_20240101", "CT.1.2.3", "A__x_ B", "HERE", "192.0.2.1",
        "org.aiodicom.object.stored", "id-1.2.3",
    ]  # fmt: skip


async def test_of_a_study_the_file_stays_a_placeholder() -> None:
    await run('printf "%s\\n" #p "#f" "$AIODICOM_EVENT" > got', quiet())
    lines = (await asyncio.to_thread(read, "got")).splitlines()
    assert lines == ["/in/Doe_20240101", "#f", "org.aiodicom.study.quiet"]


@pytest.mark.parametrize("code", [1, 2, 75, 126, 127, 255])
async def test_failure_is_tried_again(code: int) -> None:
    with pytest.raises(TryAgain, match=f"exit code {code}"):
        await run(f"exit {code}")


async def test_death_by_a_signal_is_tried_again() -> None:
    with pytest.raises(TryAgain, match="signal 15"):
        await run("kill -TERM $$")


async def test_command_may_not_want_it_at_all() -> None:
    with pytest.raises(Undeliverable, match="exit code 65"):
        await run("exit 65")


async def test_command_that_does_not_read_has_taken_it() -> None:
    await run("true")
    await run("exec 0<&-; exit 0", quiet(stored("1", series_instance_uid="1" * 100)))


async def test_command_that_is_gone_is_tried_again(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    command = await asyncio.to_thread(Command, os.fspath(program))
    await command(announced())
    program.unlink()
    with pytest.raises(OSError, match="No such file"):
        await command(announced())


async def test_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    with pytest.raises(TryAgain, match=r"no end within 0\.3 s"):
        await run("sleep 100 & echo $! > child; wait", timeout=0.3)
    await _is_gone(tmp_path / "child")


async def test_command_that_runs_at_the_end_is_killed(tmp_path: Path) -> None:
    command = await asyncio.to_thread(Command, "echo $$ > started; mv started pid; sleep 100")
    async with Announcer(command, grace=0) as announcing:
        announcing.stored(stored())
        await until((tmp_path / "pid").exists)
    assert announcing.counts[0].dropped == 1
    await _is_gone(tmp_path / "pid")


async def test_command_that_fails_twice_is_run_three_times() -> None:
    text = 'cat >> got; echo >> got; test "$(wc -l < got)" -ge 3'
    command = await asyncio.to_thread(Command, text)
    async with Announcer(command, retries=Retries(first=0.001, most=0.001)) as announcing:
        announcing.stored(stored())
        await until(lambda: announcing.counts[0].sent == 1)
        assert announcing.counts[0].retried == 2
    lines = (await asyncio.to_thread(read, "got")).splitlines()
    assert len(lines) == 3
    assert len(set(lines)) == 1


@pytest.mark.parametrize("text", ["", "#f x", 'echo "', "cat <<END", "if"])
def test_command_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Command(text)


def test_timeout_is_more_than_nothing() -> None:
    with pytest.raises(ValueError, match="more than 0"):
        Command("true", timeout=0)


async def _is_gone(path: Path) -> None:
    pid = int(await asyncio.to_thread(path.read_text))

    def gone() -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return True
        return state.rpartition(")")[2].split()[0] == "Z"

    await until(gone)
