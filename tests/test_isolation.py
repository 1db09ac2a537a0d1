"""One peer's trouble is its own: what the others do costs a newcomer nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

import aiodicom
from aiodicom import Status, StoreRequest
from aiodicom.wire.pdu import encode_pdu
from tests.peer import Peer, association_request, command_pdu, store_command, store_pdus
from tests.serving import MIB, Gate, Keeper, Peak, discard, happens, pool_of, serving

REQUEST = encode_pdu(association_request())

BUDGET = aiodicom.Limits(buffered_bytes=8 * MIB, association_bytes=2 * MIB)

EXCESS = 64 << 10
"""What one read may add to a budget that is used up, for each association: a scratch buffer."""


@contextlib.asynccontextmanager
async def peers(server: aiodicom.Server, count: int) -> AsyncIterator[list[Peer]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Peer(server.port)) for _ in range(count)]


async def stores(server: aiodicom.Server, data: bytes = bytes(MIB)) -> bool:
    """Associate, store one object, and leave; tell whether it was stored."""
    async with Peer(server.port) as peer:
        await peer.associate()
        stored = await peer.store("1.2.3", data) == Status.SUCCESS
        await peer.release()
    return stored


async def send_store(peer: Peer, data: bytes) -> int:
    """Associate and store one object; tell its status."""
    await peer.associate()
    async with asyncio.timeout(60):
        await peer.send(store_pdus("1.2.3", data))
    return await peer.status()


# Silent, half-sent, idle -----------------------------------------------------------------------


async def test_silent_half_sent_and_idle_connections_are_nobody_else_s_business() -> None:
    async with (
        serving(store=discard) as server,
        peers(server, 100) as silent,
        peers(server, 100) as half_sent,
        peers(server, 100) as idle,
    ):
        assert len(silent) == 100
        for peer in half_sent:
            await peer.send(REQUEST[: len(REQUEST) // 2])
        for peer in idle:
            await peer.associate()
        async with asyncio.timeout(5):
            assert await stores(server)
        assert server.associations >= 100


async def test_stalled_senders_are_nobody_else_s_business() -> None:
    keeper = Keeper()
    async with serving(store=keeper) as server, peers(server, 100) as stalled:
        for number, peer in enumerate(stalled):
            await peer.associate()
            whole = store_pdus("1.2.3", bytes(100_000))
            await peer.send(whole[: (number + 1) * len(whole) // 101])
        async with asyncio.timeout(5):
            assert await stores(server)


async def test_a_stuck_handler_is_nobody_else_s_business() -> None:
    entered = asyncio.Event()

    async def handler(request: StoreRequest) -> int:
        if request.association.calling_ae_title == "STUCK":
            entered.set()
            await asyncio.Event().wait()
        request.dataset.discard()
        return Status.SUCCESS

    async with serving(store=handler, grace=0) as server, Peer(server.port) as stuck:
        await stuck.associate(association_request(calling="STUCK"))
        await stuck.send(store_pdus("1.2.3"))
        await happens(entered)
        assert await stores(server)


# The budget --------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["chunks", "whole", "writer"])
async def test_slow_readers_keep_to_the_budget_and_all_of_them_finish(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(request: StoreRequest) -> int:
        if way == "chunks":
            async for _ in request.dataset:
                await asyncio.sleep(0.001)
        elif way == "whole":
            await asyncio.sleep(0.05)
            await request.dataset.read()
        else:
            while (block := await request.dataset.block(MIB)) is not None:
                with block:
                    await asyncio.sleep(0.005)
        return Status.SUCCESS

    peak, data = Peak(monkeypatch), bytes(3 * MIB)
    async with serving(store=slow, limits=BUDGET) as server, peers(server, 50) as senders:
        statuses = await asyncio.gather(*(send_store(peer, data) for peer in senders))
    assert statuses == [Status.SUCCESS] * 50
    assert peak.pool <= 8 * MIB + 50 * EXCESS
    assert peak.account <= 2 * MIB + MIB


async def test_handlers_that_all_wait_keep_to_the_budget_and_finish_when_they_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, peak, data = Gate(), Peak(monkeypatch), bytes(3 * MIB)
    async with serving(store=gate, limits=BUDGET) as server, peers(server, 50) as senders:
        sending = asyncio.gather(*(send_store(peer, data) for peer in senders))
        await happens(gate.entered)
        await asyncio.wait([sending], timeout=0.5)
        assert not sending.done()
        assert peak.pool <= 8 * MIB + 50 * EXCESS
        gate.opened.set()
        assert await sending == [Status.SUCCESS] * 50
        assert peak.pool <= 8 * MIB + 50 * EXCESS


async def test_newcomers_store_while_others_stall_in_mid_dataset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    peak = Peak(monkeypatch)
    part = store_pdus("1.2.3", bytes(3 * MIB))[: MIB // 2]
    async with serving(store=writer, limits=BUDGET) as server, peers(server, 20) as stalled:
        for peer in stalled:
            await peer.associate()
            await peer.send(part)
        for _ in range(5):
            async with asyncio.timeout(10):
                assert await stores(server, bytes(3 * MIB))
        assert peak.pool <= 8 * MIB + 21 * EXCESS
        assert pool_of(server).held <= 8 * MIB


async def test_newcomers_store_while_others_hold_the_whole_budget() -> None:
    """Twenty handlers that do not read at all; what they hold is theirs until they do."""

    async def handler(request: StoreRequest) -> int:
        if request.association.calling_ae_title == "STUCK":
            return await gate(request)
        return await writer(request)

    gate = Gate()
    async with serving(store=handler, limits=BUDGET) as server, peers(server, 20) as stuck:
        for peer in stuck:
            await peer.associate(association_request(calling="STUCK"))
        sending = [asyncio.ensure_future(p.send(store_pdus("1", bytes(3 * MIB)))) for p in stuck]
        await happens(gate.entered)
        await asyncio.wait(sending, timeout=0.3)
        assert pool_of(server).held > 4 * MIB
        async with asyncio.timeout(10):
            assert await stores(server, bytes(3 * MIB))
        gate.opened.set()
        for peer in stuck:
            assert await peer.status() == Status.SUCCESS
        await asyncio.gather(*sending)


async def test_those_who_stalled_go_on_where_they_stopped() -> None:
    data = bytes(range(256)) * (3 * MIB // 256)
    whole, half = store_pdus("1.2.3", data), 3 * MIB // 2
    keeper = Keeper()
    async with serving(store=keeper, limits=BUDGET) as server, peers(server, 20) as stalled:
        for peer in stalled:
            await peer.associate()
            await peer.send(whole[:half])
        sending = [asyncio.ensure_future(peer.send(whole[half:])) for peer in stalled]
        for peer in stalled:
            assert await peer.status() == Status.SUCCESS
        await asyncio.gather(*sending)
        for _ in stalled:
            assert await keeper.outcome() == data


async def writer(request: StoreRequest) -> int:
    """Take what there is as a writer of files does."""
    while (block := await request.dataset.block(MIB)) is not None:
        with block:
            await asyncio.sleep(0)
    return Status.SUCCESS


async def test_many_idle_associations_hold_no_memory() -> None:
    async with serving(store=discard) as server, peers(server, 50) as idle:
        for peer in idle:
            await peer.associate()
            assert await peer.store("1.2.3", bytes(200_000)) == Status.SUCCESS
        assert pool_of(server).held == 0
        await idle[0].send(command_pdu(store_command("1.2.4")))
        assert await idle[1].echo() == Status.SUCCESS
        assert pool_of(server).held == 0
