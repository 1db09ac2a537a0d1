"""A real disk that fills up under a real receiver, in the middle of many senders' objects."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from aiodicom import Status
from tests.peer import Peer
from tests.processes import dataset_of, tries, unfinished, visible
from tests.reliability.sending import dataset_of_size
from tests.reliability.small_disk import SmallDisk, receiving_on_a_small_disk

MIB = 1 << 20
SENDERS, SIZE = 16, 24 * MIB
LARGE, SMALL = 2_500_000, 50_000
"""Bytes of pixels: of three parts, the disk is full between them; and of one."""


class Senders:
    """Associations that last, and what they were told is stored."""

    def __init__(self, peers: list[Peer]) -> None:
        self.peers = peers
        self.stored: dict[str, bytes] = {}
        self.refused = 0

    async def store(self, number: int, uid: str, size: int) -> int:
        data = dataset_of_size(uid, "1.2.9", 1, size)
        status = await self.peers[number].store(uid, data)
        if status == Status.SUCCESS:
            self.stored[uid] = data
        return status

    async def fill(self, number: int) -> None:
        """Store objects until there is no room for one."""
        for count in range(SIZE // LARGE + 1):
            status = await self.store(number, f"1.2.{number}.{count}", LARGE)
            if status != Status.SUCCESS:
                assert status == Status.OUT_OF_RESOURCES
                self.refused += 1
                return
        raise AssertionError("it holds more than it can")


async def fill_and_go_on(disk: SmallDisk) -> Senders:
    async with AsyncExitStack() as stack:
        opened = [Peer(disk.receiver.port) for _ in range(SENDERS)]
        peers = [await stack.enter_async_context(peer) for peer in opened]
        senders = Senders(peers)
        for peer in peers:
            await peer.associate()
        for number in range(SENDERS):
            assert await senders.store(number, f"1.1.{number}", SMALL) == Status.SUCCESS
        disk.fill(leaving=10 * MIB)
        await asyncio.gather(*(senders.fill(number) for number in range(SENDERS)))
        assert [await peer.echo() for peer in peers] == [0] * SENDERS
        wait_for_no_part(disk.folder)
        check(disk.folder, senders)
        disk.make_room()
        again = [senders.store(number, f"1.3.{number}", SMALL) for number in range(SENDERS)]
        assert await asyncio.gather(*again) == [Status.SUCCESS] * SENDERS
        assert await senders.store(0, "1.3.99", LARGE) == Status.SUCCESS
        for peer in peers:
            await peer.release()
    return senders


def wait_for_no_part(folder: Path) -> None:
    """Wait until what was refused is removed, which its sender does not wait for."""
    for _ in tries("something unfinished is left"):
        if not unfinished(folder):
            return


def check(folder: Path, senders: Senders) -> None:
    """What was acknowledged is there, and what is there was acknowledged, or is whole."""
    assert {f"CT.{uid}" for uid in senders.stored} == set(visible(folder))
    for uid, data in senders.stored.items():
        assert dataset_of(folder / f"CT.{uid}") == data


@pytest.mark.parametrize("workers", ["1", "2"])
def test_disk_that_is_full_in_the_middle_of_objects_of_16_senders(
    tmp_path: Path, workers: str
) -> None:
    with receiving_on_a_small_disk(tmp_path, SIZE, "--workers", workers) as disk:
        senders = asyncio.run(fill_and_go_on(disk))
        assert senders.refused == SENDERS
        check(disk.folder, senders)
        assert unfinished(disk.folder) == []
        assert "Traceback" not in disk.receiver.log
