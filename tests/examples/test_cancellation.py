"""What docs/embedding.md says of cancelling a server."""

from __future__ import annotations

import asyncio
import contextlib

import anyio
import pytest

import aiodicom
from aiodicom.testing import ScriptedPeer, server
from tests.serving import Gate, happens

pytestmark = pytest.mark.anyio


async def test_a_task_that_is_cancelled_lets_running_stores_end() -> None:
    gate, listening = Gate(), asyncio.Event()
    running = server(gate, grace=5)
    task = asyncio.create_task(_serve(running, listening))
    await happens(listening)
    async with ScriptedPeer(running.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3")
        await happens(gate.entered)
        task.cancel()
        gate.opened.set()
        await peer.finish_store(b"")
        assert await peer.status() == aiodicom.Status.SUCCESS
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_cancel_scope_gives_them_no_time() -> None:
    gate, listening, scope = Gate(), asyncio.Event(), anyio.CancelScope()
    running = server(gate, grace=5)

    async def serve() -> None:
        with scope:
            await _serve(running, listening)

    task = asyncio.create_task(serve())
    await happens(listening)
    async with ScriptedPeer(running.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3")
        await happens(gate.entered)
        scope.cancel()
        await peer.aborted()
    await task
    assert gate.cancelled


async def _serve(running: aiodicom.Server, listening: asyncio.Event) -> None:
    async with running:
        listening.set()
        await asyncio.Event().wait()
