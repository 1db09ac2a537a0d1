"""Many objects within one window: their memory, and what is on the disk afterwards."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import aiodicom
from aiodicom import Limits, Status, StoreRequest
from aiodicom.wire.buffers import SLAB_SIZE
from tests.peer import Peer, ct_dataset, store_pdus
from tests.scripted_acceptor import dataset_in, nothing_left, write_object
from tests.serving import MIB, Peak, serving, until
from tests.windows import WINDOW, Doors, answered, hosting

SIZES = (0, 300, 6_000, 130_000, 530_000)


class Side(aiodicom.FileStorage):
    """Stores files, and counts how many at a time."""

    running = most = 0

    async def __call__(self, request: StoreRequest) -> int:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            return await super().__call__(request)
        finally:
            self.running -= 1


@pytest.mark.parametrize("limit", [1, 1 << 16, 4 * MIB])
async def test_200_objects_come_through_a_window_byte_for_byte(tmp_path: Path, limit: int) -> None:
    sent, folder = tmp_path / "sent", tmp_path / "received"
    sent.mkdir()
    sizes = [SIZES[number % len(SIZES)] for number in range(198)] + [2 * MIB, 3 * MIB]
    paths = [write_object(sent, f"1.2.{n}", size) for n, size in enumerate(sizes)]
    storage = Side(folder, durability="none")
    limits = Limits(association_bytes=limit)
    async with (
        nothing_left(),
        serving(store=storage, window=8, limits=limits) as server,
        aiodicom.connect("127.0.0.1", server.port, window=8) as requestor,
    ):
        assert {result.status async for result in requestor.send(paths)} == {Status.SUCCESS}
        assert requestor.agreed.window == 8
    assert storage.most <= 8
    assert storage.most > 1 or limit == 1
    for path in paths:
        assert dataset_in(folder / f"CT.{path.stem}") == dataset_in(path)


async def test_handlers_that_do_not_read_hold_no_more_than_their_association_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    peak, limit, opened = Peak(monkeypatch), 2 * MIB, asyncio.Event()
    sizes: list[int] = []

    async def store(request: StoreRequest) -> int:
        await opened.wait()
        size = 0
        while (block := await request.dataset.block()) is not None:
            with block:
                size += block.size
        sizes.append(size)
        return Status.SUCCESS

    async with hosting(
        Doors(), store=store, limits=Limits(association_bytes=limit)
    ) as (server, peer):  # fmt: skip
        (connection,) = server._connections.made
        data = [ct_dataset(f"1.2.{n}", bytes(700_000)) for n in range(16)]
        objects = [store_pdus(f"1.2.{n}", d, n) for n, d in enumerate(data)]
        sending = asyncio.ensure_future(peer.send(b"".join(objects)))
        await until(lambda: connection._account.paused)
        assert await peer.hears_nothing()
        assert not sizes
        opened.set()
        assert {await answered(peer) for _ in objects} == {(n, 0) for n in range(16)}
        await sending
    assert sizes == [len(d) for d in data]
    assert limit < peak.account <= limit + SLAB_SIZE


async def test_a_pause_hurries_the_object_that_arrives_while_whole_ones_are_held() -> None:
    """What waits for more of its dataset takes what is there: else everybody would wait."""
    doors = Doors()
    hurried = asyncio.Event()

    async def store(request: StoreRequest) -> int:
        if request.sop_instance_uid != "1.2.3":
            block = await request.dataset.block(1 << 30)  # all of it, and keeps it
            status = await doors(request)
            assert block is not None
            block.release()
            return status
        size = 0
        while (block := await request.dataset.block(1 << 30)) is not None:
            size += block.size
            block.release()
            hurried.set()
            doors.open("1.2.1", "1.2.2")
        assert size == len(data)
        return Status.SUCCESS

    limits, data = Limits(association_bytes=100_000), ct_dataset("1.2.3", bytes(MIB))
    async with serving(store=store, window=8, limits=limits) as server, Peer(server.port) as peer:
        await peer.associate(WINDOW)
        for number in (1, 2):
            await peer.send(store_pdus(f"1.2.{number}", bytes(40_000), number))
            await doors.reads(f"1.2.{number}")
        sending = asyncio.ensure_future(peer.send(store_pdus("1.2.3", data, 3)))
        assert {await answered(peer) for _ in range(3)} == {(1, 0), (2, 0), (3, 0)}
        await sending
    assert hurried.is_set()


async def test_a_tiny_limit_makes_slow_handlers_take_turns() -> None:
    sizes: list[int] = []

    async def store(request: StoreRequest) -> int:
        await asyncio.sleep(0.005)
        sizes.append(len(await request.dataset.read()))
        await asyncio.sleep(0.005)
        return Status.SUCCESS

    limits = Limits(association_bytes=1)
    async with hosting(Doors(), store=store, limits=limits) as (_, peer):
        objects = [store_pdus(f"1.2.{n}", bytes(n * 7_000), n) for n in range(40)]
        sending = asyncio.ensure_future(peer.send(b"".join(objects)))
        assert {await answered(peer) for _ in objects} == {(n, 0) for n in range(40)}
        await sending
    assert sorted(sizes) == [n * 7_000 for n in range(40)]
