"""Receiving commands in the test's own process: a command line becomes a server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from aiodicom import Server
from aiodicom.cli.options import Command
from aiodicom.wire.dimse import Status
from aiodicom.wire.items import ProposedContext
from tests.peer import CT, Peer, association_request, element, uid_value
from tests.serving import bugs_logged

Settings = Mapping[str, Any]


def settings_of(command: ModuleType, *options: str) -> Settings:
    """What a command line sets, on a free port of the loopback."""
    parser: Command = command.COMMAND
    settings = parser.parse([*options, "11112"])
    return {**settings, "host": settings["host"] or "127.0.0.1", "port": 0}


@contextlib.asynccontextmanager
async def running(command: ModuleType, *options: str) -> AsyncIterator[Server]:
    """Run a command's server, as its ``main`` does but for signals and the log.

    The log's level is the command line's, and no bug of ours may be in it.
    """
    make: Callable[[Settings], Server] = command.make_server
    settings = await asyncio.to_thread(settings_of, command, *options)
    logger = logging.getLogger("aiodicom")
    level = logger.level
    logger.setLevel(settings["level"])
    try:
        with bugs_logged() as bugs:
            async with await asyncio.to_thread(make, settings) as server:
                yield server
        assert not bugs, bugs
    finally:
        logger.setLevel(level)


@contextlib.asynccontextmanager
async def connected(command: ModuleType, *options: str) -> AsyncIterator[Peer]:
    """Run a command's server, and be connected to it."""
    async with running(command, *options) as server, Peer(server.port) as peer:
        yield peer


def study_dataset(
    instance: str, study: str = "1.2.9", patient: bytes = b"Doe^Jo", date: bytes = b""
) -> bytes:
    """A CT with what files are sorted by."""
    return (
        element(0x00080016, b"UI", uid_value(CT))
        + element(0x00080018, b"UI", uid_value(instance))
        + element(0x00080021, b"DA", date)
        + element(0x00100010, b"PN", patient)
        + element(0x0020000D, b"UI", uid_value(study))
    )


async def answers(port: int, *contexts: tuple[str, ...]) -> list[tuple[int, str]]:
    """Propose abstract syntaxes with transfer syntaxes; return results, and what was chosen."""
    proposed = [
        ProposedContext.of(2 * number + 1, *context) for number, context in enumerate(contexts)
    ]
    async with Peer(port) as peer:
        accept = await peer.associate(association_request(proposed))
        await peer.release()
    return [
        (c.result, c.transfer_syntax if not c.result else "") for c in accept.presentation_contexts
    ]


async def store(port: int, *instances: str, study: str = "1.2.9") -> None:
    async with Peer(port) as peer:
        await peer.associate()
        for instance in instances:
            assert await peer.store(instance, study_dataset(instance, study)) == Status.SUCCESS
        await peer.release()


def files(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    )
