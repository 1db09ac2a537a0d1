"""A server on a real socket, and peers that behave or do not."""

from __future__ import annotations

from pathlib import Path

import aiodicom
from tests.peer import Peer


async def test_echo_is_answered_without_a_handler() -> None:
    async with aiodicom.serve(port=0) as server, Peer(server.port) as peer:
        await peer.associate()
        assert await peer.echo() == aiodicom.Status.SUCCESS
        await peer.release()


async def test_store(tmp_path: Path) -> None:
    async with (
        aiodicom.serve(port=0, store=aiodicom.FileStorage(tmp_path)) as server,
        Peer(server.port) as peer,
    ):
        await peer.associate()
        assert await peer.store("1.2.3") == aiodicom.Status.SUCCESS
        await peer.release()
