"""tee(): several handlers for each object."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import aiodicom
from aiodicom import (
    AbortAssociation,
    AssociationAborted,
    AssociationClosed,
    FileStorage,
    Refused,
    Status,
    StoreRequest,
    tee,
)
from tests.peer import Peer, command_pdu, ct_dataset, dataset_pdus, store_command, store_pdus
from tests.serving import MIB, Gate, Keeper, Peak, discard, happens, pool_of, serving, until
from tests.storage.objects import tree

DATA = ct_dataset("1.2.3", bytes(100_000))


async def at_once(request: StoreRequest) -> int:
    raise Refused(Status.OUT_OF_RESOURCES, "not today")


async def unread(request: StoreRequest) -> int:
    return Status.SUCCESS


async def nothing(request: StoreRequest) -> int:
    await request.dataset.read()
    return None  # type: ignore[return-value]


async def broken(request: StoreRequest) -> int:
    await request.dataset.read()
    raise ValueError("a bug")


async def full(request: StoreRequest) -> int:
    await request.dataset.read()
    raise OSError(28, "no space")


async def cancelled(request: StoreRequest) -> int:
    await request.dataset.read()
    raise asyncio.CancelledError


async def aborting(request: StoreRequest) -> int:
    raise AbortAssociation("enough")


def returning(status: int) -> aiodicom.StoreHandler:
    async def handler(request: StoreRequest) -> int:
        await request.dataset.read()
        return status

    return handler


async def status_of(*handlers: aiodicom.StoreHandler, data: bytes = DATA) -> int:
    """Return what a peer is told; it must be served afterwards."""
    async with serving(store=tee(*handlers)) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus("1.2.3", data))
        status = await peer.status()
        assert await peer.echo() == Status.SUCCESS
    return status


# All see all of it -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1000, 3 * MIB])
async def test_each_handler_has_the_whole_dataset(size: int) -> None:
    keepers, data = [Keeper() for _ in range(3)], ct_dataset("1.2.3", bytes(size))
    assert await status_of(*keepers, data=data) == Status.SUCCESS
    for keeper in keepers:
        assert await keeper.outcome() == data
        assert keeper.requests[0].sop_instance_uid == "1.2.3"


async def test_file_storage_and_another_have_the_same_bytes(tmp_path: Path) -> None:
    keeper, storage = Keeper(), FileStorage(tmp_path, durability="none")
    data = ct_dataset("1.2.3", bytes(3 * MIB))
    assert await status_of(storage, keeper, data=data) == Status.SUCCESS
    (file,) = tree(tmp_path)
    assert (tmp_path / file).read_bytes().endswith(data)
    assert await keeper.outcome() == data


async def test_handlers_peek_decode_and_discard_as_if_they_were_alone() -> None:
    async def index(request: StoreRequest) -> int:
        seen.append((await request.peek("SOPInstanceUID")).SOPInstanceUID)
        seen.append((await request.decode(pixels=False)).SOPInstanceUID)
        return Status.SUCCESS

    seen: list[str] = []
    keeper = Keeper()
    assert await status_of(index, keeper, discard) == Status.SUCCESS
    assert seen == ["1.2.3", "1.2.3"]
    assert await keeper.outcome() == DATA


async def test_one_handler_is_enough_and_so_is_a_tee_of_tees() -> None:
    keepers = [Keeper() for _ in range(3)]
    assert await status_of(tee(keepers[0]), tee(*keepers[1:])) == Status.SUCCESS
    assert [await keeper.outcome() for keeper in keepers] == [DATA] * 3


async def test_what_all_discard_is_dropped_and_stored_when_it_is_whole() -> None:
    async with serving(store=tee(discard, discard)) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", DATA[:100])
        assert await peer.hears_nothing()
        await peer.finish_store(DATA[100:])
        assert await peer.status() == Status.SUCCESS


async def test_copies_of_what_has_come_already_do_not_stop_the_rest() -> None:
    """They pause the peer while nothing is read from it: somebody must take them all the same."""

    async def patient(request: StoreRequest) -> int:
        shared.set()
        size = 0
        while (block := await request.dataset.block(MIB)) is not None:
            size += block.size
            block.release()
        sizes.append(size)
        return Status.SUCCESS

    async def after_a_peek(request: StoreRequest) -> int:
        assert await request.peek("SOPInstanceUID")
        return await tee(patient, patient, patient)(request)

    sizes: list[int] = []
    shared, limits = asyncio.Event(), aiodicom.Limits(association_bytes=64 << 10)
    async with serving(store=after_a_peek, limits=limits) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", DATA[:30_000])
        await happens(shared)
        await peer.finish_store(DATA[30_000:])
        assert await peer.status() == Status.SUCCESS
    assert sizes == [len(DATA)] * 3


# What is answered --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("handlers", "status"),
    [
        ((returning(0), returning(0xB000)), 0xB000),
        ((returning(0xB007), returning(0xB000)), 0xB007),
        ((returning(0), returning(0xA700)), 0xA700),
        ((returning(0xB000), at_once), 0xA700),
        ((at_once, returning(0)), 0xA700),
        ((discard, unread), 0xC211),
        ((unread, discard), 0xC211),
        ((discard, nothing), 0xC211),
        ((discard, broken), 0xC211),
        ((discard, cancelled), 0xC211),
        ((discard, full), 0xA700),
    ],
)
async def test_success_is_that_of_all_and_a_failure_that_of_one(
    handlers: tuple[aiodicom.StoreHandler, ...], status: int
) -> None:
    assert await status_of(*handlers) == status


async def test_the_failure_that_came_first_is_the_answer() -> None:
    """The other one fails because of it, or is broken."""

    async def later(request: StoreRequest) -> int:
        with pytest.raises(AssociationClosed, match="another handler"):
            await request.dataset.read()
        raise ValueError("nobody hears of this")

    async with serving(store=tee(later, at_once)) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", DATA[:100])
        assert await peer.status() == Status.OUT_OF_RESOURCES


async def test_a_failure_is_answered_before_the_rest_has_come_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    storage = FileStorage(tmp_path, durability="none")
    async with serving(store=tee(storage, at_once)) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", DATA[:100])
        assert await peer.status() == Status.OUT_OF_RESOURCES
        await peer.send(dataset_pdus(bytes(5 * MIB)))
        assert await peer.echo() == Status.SUCCESS
        assert pool_of(server).held == 0
    assert not tree(tmp_path)


async def test_who_has_all_of_it_when_another_fails_runs_to_its_end(tmp_path: Path) -> None:
    """So the object may be stored although the peer is told that it is not."""
    stored = asyncio.Event()

    async def late(request: StoreRequest) -> int:
        await request.dataset.read()
        await stored.wait()
        raise Refused(Status.OUT_OF_RESOURCES)

    storage = FileStorage(tmp_path, durability="none", on_stored=lambda _: stored.set())
    assert await status_of(storage, late) == Status.OUT_OF_RESOURCES
    assert len(tree(tmp_path)) == 1


async def test_an_answer_waits_for_all_handlers() -> None:
    gate = Gate()
    async with serving(store=tee(gate, at_once)) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus("1.2.3", DATA))
        await happens(gate.entered)
        assert await peer.hears_nothing()
        gate.opened.set()
        assert await peer.status() == Status.OUT_OF_RESOURCES
        assert await gate.outcome() == DATA


@pytest.mark.parametrize("handlers", [(Keeper(), aborting), (at_once, aborting)])
async def test_an_abort_goes_before_everything(handlers: tuple[aiodicom.StoreHandler, ...]) -> None:
    async with serving(store=tee(*handlers)) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", DATA[:100])
        assert (await peer.aborted()).source == 0


# Peers and servers that go -----------------------------------------------------------------------


async def test_a_peer_that_goes_is_raised_in_all_of_them() -> None:
    keepers = [Keeper(), Keeper()]
    async with serving(store=tee(*keepers)) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", DATA[:100])
        await happens(keepers[0].entered)
        await peer.abort()
        for keeper in keepers:
            assert isinstance(await keeper.outcome(), AssociationAborted)


async def test_an_object_that_is_too_long_is_refused_in_all_of_them() -> None:
    async def swallowing(request: StoreRequest) -> int:
        with pytest.raises(Refused):
            await request.dataset.read()
        return Status.SUCCESS

    keeper, limits = Keeper(), aiodicom.Limits(object_bytes=1000)
    store = tee(swallowing, keeper)
    async with serving(store=store, limits=limits) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", DATA[:100])
        await happens(keeper.entered)
        await peer.send(dataset_pdus(DATA[100:]))
        assert await peer.status() == Status.OUT_OF_RESOURCES
    assert isinstance(await keeper.outcome(), Refused)


async def test_a_server_that_stops_cancels_all_of_them() -> None:
    gates = [Gate(), Gate()]
    async with serving(store=tee(*gates), grace=0) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", DATA[:100])
        await happens(gates[1].entered)
        await server.stop()
    assert [gate.cancelled for gate in gates] == [True, True]


async def test_what_is_refused_before_it_begins_is_given_to_none_of_them() -> None:
    keeper, limits = Keeper(), aiodicom.Limits(object_bytes=1000)
    async with serving(store=tee(keeper), limits=limits) as server, Peer(server.port) as peer:
        await peer.associate()
        assert await peer.store("1.2.3", DATA) == Status.OUT_OF_RESOURCES
    assert not keeper.requests


# Memory ------------------------------------------------------------------------------------------


async def test_the_slowest_sets_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, keeper, peak = Gate(), Keeper(), Peak(monkeypatch)
    limits, data = aiodicom.Limits(association_bytes=2 * MIB), bytes(30 * MIB)
    store = tee(keeper, gate)
    async with serving(store=store, limits=limits) as server, Peer(server.port) as peer:
        await peer.associate()
        sending = asyncio.ensure_future(peer.send(store_pdus("1.2.3", data)))
        await happens(gate.entered)
        await until(lambda: any(c._reading_paused for c in server._connections.made))
        gate.opened.set()
        assert await peer.status() == Status.SUCCESS
        await sending
        assert await keeper.outcome() == await gate.outcome() == data
    assert peak.account <= 2 * MIB + MIB


async def test_many_senders_of_large_objects_to_several_handlers_are_all_served(
    tmp_path: Path,
) -> None:
    """In little memory, where what one handler waits for the other may hold."""

    async def slow(request: StoreRequest) -> int:
        async for _ in request.dataset:
            await asyncio.sleep(0.001)
        return Status.SUCCESS

    storage = FileStorage(tmp_path, durability="none", duplicates="both")
    limits = aiodicom.Limits(buffered_bytes=4 * MIB, association_bytes=MIB)
    data = command_pdu(store_command("1.2.3")) + dataset_pdus(ct_dataset("1.2.3", bytes(MIB)))

    async def send(port: int) -> int:
        async with Peer(port) as peer:
            await peer.associate()
            await peer.send(data)
            return await peer.status()

    async with serving(store=tee(storage, slow), limits=limits) as server:
        async with asyncio.timeout(30):
            statuses = await asyncio.gather(*(send(server.port) for _ in range(12)))
    assert statuses == [Status.SUCCESS] * 12
    assert len(tree(tmp_path)) == 12


@pytest.mark.parametrize("fails", [at_once, discard, broken])
async def test_one_that_ends_early_holds_the_others_up_neither_in_time_nor_in_memory(
    fails: Callable[[StoreRequest], Awaitable[int]],
) -> None:
    """More than the association may hold comes after it has ended."""
    keeper, limits = Keeper(), aiodicom.Limits(association_bytes=MIB)
    store = tee(fails, keeper)
    async with serving(store=store, limits=limits) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus("1.2.3", bytes(10 * MIB)))
        status = await peer.status()
    assert (status == Status.SUCCESS) == (fails is discard)
