"""ScriptedPeer: the ends of connections, and what it leaves unread."""

from __future__ import annotations

import asyncio

import pytest

from aiodicom.testing import ScriptedPeer, accepting
from aiodicom.testing.messages import association_request
from aiodicom.wire.pdu import ReleaseResponse

pytestmark = pytest.mark.anyio


async def test_a_reset_is_a_reset() -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.asked()
        peer.reset()

    async with accepting(script) as acceptor, ScriptedPeer(acceptor.port) as peer:
        with pytest.raises(ConnectionResetError):
            await peer.associate()


async def test_one_who_is_cut_off_sees_the_end() -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.asked()
        peer.cut()

    async with accepting(script) as acceptor, ScriptedPeer(acceptor.port) as peer:
        with pytest.raises(EOFError):
            await peer.associate()


async def test_what_comes_is_not_read_by_one_who_has_stopped() -> None:
    answered = asyncio.Event()

    async def script(peer: ScriptedPeer) -> None:
        await peer.accept()
        answered.set()
        await peer.gone()

    async with accepting(script) as acceptor, ScriptedPeer(acceptor.port) as peer:
        peer.stop_reading()
        await peer.send(association_request())
        await answered.wait()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await peer.reader.readexactly(1)


async def test_another_answer_than_expected_is_told() -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.asked()
        await peer.send(ReleaseResponse())

    async with accepting(script) as acceptor, ScriptedPeer(acceptor.port) as peer:
        with pytest.raises(AssertionError, match="AssociateAccept was expected"):
            await peer.associate()
