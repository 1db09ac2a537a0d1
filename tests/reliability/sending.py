"""Senders that store objects of mixed sizes into a server, several times under the same UIDs."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Literal

import aiodicom
from aiodicom import FileStorage, StoreRequest
from aiodicom.storage.object_file import Duplicates
from aiodicom.storage.schemes import Layout
from aiodicom.storage.sorting import by_study_uid
from tests.peer import Peer
from tests.reliability.promises import Findings, dataset_in, examine
from tests.reliability.recording import Recorder
from tests.storage.objects import sorted_dataset

__all__ = ["Load", "dataset_of_size", "mixed_size"]


def mixed_size(chance: random.Random, largest: int = 4_000_000) -> int:
    """Bytes of pixels: mostly small images, some large ones, few of several slabs."""
    kind = chance.random()
    if kind < 0.5:
        return chance.randrange(100, 6_000)
    if kind < 0.85:
        return chance.randrange(6_000, 600_000)
    return chance.randrange(600_000, largest)


def dataset_of_size(uid: str, study: str, version: int, size: int) -> bytes:
    """An object each of whose blocks says which version it is of."""
    pattern = b"%s version %12d " % (uid.encode(), version)
    return sorted_dataset(uid, study, pixels=pattern * (size // len(pattern) + 1))


@dataclass(slots=True)
class Load:
    """Some servers in this process that share a folder, and who stores what into them.

    Parameters
    ----------
    base : str
        An empty folder; what is stored goes to ``received`` in it.
    sorts : bool
        Whether it is sorted by study.
    servers : int
        How many; each has a storage of its own, as if it were another process.
    """

    base: str
    chance: random.Random
    duplicates: Duplicates = Duplicates.REPLACE
    durability: Literal["durable", "none"] = "durable"
    sorts: bool = False
    servers: int = 1
    largest: int = 2_500_000
    sent: dict[tuple[str, int], bytes] = field(default_factory=dict)
    stored: int = 0
    recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.base)

    async def run(self, associations: int, objects: int) -> None:
        """Store so many objects from each of several associations, and record what is done."""
        async with AsyncExitStack() as stack:
            stack.enter_context(self.recorder)
            ports = []
            for _ in range(self.servers):
                storage = await stack.enter_async_context(self._storage())
                server = aiodicom.serve(port=0, store=self._acknowledging(storage))
                ports.append((await stack.enter_async_context(server)).port)
            senders = [
                self._send(ports[number % self.servers], number, objects)
                for number in range(associations)
            ]
            await asyncio.gather(*senders)

    def _storage(self) -> FileStorage:
        return FileStorage(
            f"{self.base}/received",
            duplicates=self.duplicates.value,
            durability=self.durability,
            layout=Layout(sorting=by_study_uid()) if self.sorts else None,
        )

    def _acknowledging(self, storage: FileStorage) -> Callable[[StoreRequest], Awaitable[int]]:
        async def store(request: StoreRequest) -> int:
            status = await storage(request)
            if status == aiodicom.Status.SUCCESS:
                uid = request.sop_instance_uid
                content = self.sent[uid, request.message_id]
                self.recorder.acknowledge(self._path(uid), content)
                self.stored += 1
            return status

        return store

    def _study(self, uid: str) -> str:
        return f"1.2.{int(uid[-1]) % 3}"

    def _path(self, uid: str) -> str:
        folder = f"{self.base}/received"
        return f"{folder}/{self._study(uid)}/CT.{uid}" if self.sorts else f"{folder}/CT.{uid}"

    async def _send(self, port: int, number: int, objects: int) -> None:
        async with Peer(port) as peer:
            await peer.associate()
            for message_id in range(number * objects + 1, (number + 1) * objects + 1):
                uid = f"1.2.3.{self.chance.randrange(10 + objects)}"
                size = mixed_size(self.chance, self.largest)
                data = dataset_of_size(uid, self._study(uid), message_id, size)
                self.sent[uid, message_id] = data
                await peer.store(uid, data, message_id)
            await peer.release()

    def examine(self, limit: int, seed: int) -> Findings:
        """Cut the power at every moment of it, in `limit` ways each."""
        return examine(
            os.fspath(self.base),
            self.recorder.events,
            self.sent.values(),
            self.duplicates,
            dataset_in,
            limit,
            seed,
        )
