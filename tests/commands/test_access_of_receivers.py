"""Who may associate with the receiving commands: that their options reach the association."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import ModuleType

import pytest

from aiodicom import dcmrecv, echoscp, storescp
from aiodicom.cli.common import Failed
from aiodicom.cli.options import UsageError
from tests.access.test_passwords import GOOD
from tests.commands.running import connected, running, settings_of
from tests.peer import Peer, association_request
from tests.processes import receiving, run_command

COMMANDS = [
    pytest.param(storescp, ("--ignore",), id="storescp"),
    pytest.param(dcmrecv, ("--ignore",), id="dcmrecv"),
    pytest.param(echoscp, (), id="echoscp"),
]
REQUEST = association_request(calling="CT1", called="HERE")


@pytest.mark.parametrize(("command", "more"), COMMANDS)
async def test_everybody_may_by_default(command: ModuleType, more: tuple[str, ...]) -> None:
    async with connected(command, *more, "-aet", "ELSE") as peer:
        await peer.associate(REQUEST)


@pytest.mark.parametrize(("command", "more"), COMMANDS)
async def test_titles(command: ModuleType, more: tuple[str, ...]) -> None:
    called, calling = "--require-called-aet", "--require-calling-aet"
    async with connected(command, *more, called, "HERE", called, "THERE", calling, "CT1") as peer:
        await peer.associate(REQUEST)
    async with connected(command, *more, called, "THERE") as peer:
        assert await peer.rejected(REQUEST) == (1, 1, 7)
    async with connected(command, *more, calling, "MR1", calling, "US1") as peer:
        assert await peer.rejected(REQUEST) == (1, 1, 3)


@pytest.mark.parametrize(("command", "more"), COMMANDS)
async def test_networks(command: ModuleType, more: tuple[str, ...]) -> None:
    async with connected(command, *more, "--allow", "10.0.0.1", "--allow", "127.0.0.0/8") as peer:
        await peer.associate(REQUEST)
    for options in (("--allow", "10.0.0.0/8"), ("--deny", "::1", "--deny", "127.0.0.1")):
        async with connected(command, *more, *options) as peer:
            assert await peer.closed()


@pytest.mark.parametrize(("command", "more"), COMMANDS)
async def test_an_access_file(command: ModuleType, more: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "access.toml"
    await asyncio.to_thread(path.write_text, 'calling_ae_titles = ["MR1"]')
    async with running(command, *more, "--access-file", str(path)) as server:
        async with Peer(server.port) as peer:
            assert await peer.rejected(REQUEST) == (1, 1, 3)
        async with Peer(server.port) as peer:
            await peer.associate(association_request(calling="MR1"))


@pytest.mark.parametrize(("command", "more"), COMMANDS)
def test_an_access_file_that_is_wrong(
    command: ModuleType, more: tuple[str, ...], tmp_path: Path
) -> None:
    path = tmp_path / "access.toml"
    path.write_text("alow = []")
    with pytest.raises(Failed, match=r"access\.toml: alow: there is no such key") as raised:
        command.make_server(settings_of(command, *more, "--access-file", str(path)))
    assert raised.value.code == (66 if command is dcmrecv else 1)


def test_what_is_wrong_is_one_line(tmp_path: Path) -> None:
    done = run_command("echoscp", "--access-file", "gone.toml", "11112", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "F: access file gone.toml: No such file or directory: it must be readable\n"
    )


@pytest.mark.parametrize("words", [
    ("--require-called-aet", ""), ("--require-calling-aet", "SEVENTEEN LETTERS"),
    ("--allow", "10.0.0.1/8"), ("--deny", "ct1.clinic"),
    *(("--access-file", "f", option, value) for option, value in (
        ("--allow", "::1"), ("--deny", "::1"), ("--require-called-aet", "A"),
        ("--require-calling-aet", "A"))),
], ids=" ".join)  # fmt: skip
def test_what_is_no_rule(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=words[0]):
        settings_of(echoscp, *words)


def test_a_command_says_why_it_rejects(tmp_path: Path) -> None:
    (tmp_path / "users").write_text(f"ann:{GOOD}\n")
    (tmp_path / "access.toml").write_text('called_ae_titles = ["X"]\nidentity.users = "users"')
    with receiving("echoscp", "--access-file", "access.toml", folder=tmp_path) as receiver:
        done = run_command("echoscu", "127.0.0.1", str(receiver.port), "-aet", "CT1")
        assert done.returncode == 1
        receiver.wait_for_line(
            "W: Association Rejected: the called AE title is not ours "
            "(calling CT1, called ANY-SCP, 127.0.0.1)"
        )
