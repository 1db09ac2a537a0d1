"""Many associations at once, good ones and all others, and what their senders saw."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from dataclasses import dataclass, field

from aiodicom.wire.dimse import Tag
from aiodicom.wire.items import AsynchronousOperationsWindow
from tests.peer import Peer, association_request, ct_dataset, fragment, status_of, store_pdus

AT_ONCE = 8
"""Associations that there are at a time."""

WIDE = association_request(more=[AsynchronousOperationsWindow(8, 1)])

UNWANTED = association_request(calling="UNWANTED")
"""Is rejected."""

REFUSED, FAILING = "1.2.8", "1.2.9"
"""UIDs that begin so are refused, and have the handler fail."""


@dataclass
class Seen:
    """What the senders saw, and what they did not stay to see."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    unread: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    rejected: int = 0
    refused: int = 0
    accepted: int = 0


class Load:
    """Sends to a server; `seen` is what came of it.

    Parameters
    ----------
    port : int
        The server's.
    seed : int
        What happens follows from it.
    """

    def __init__(self, port: int, seed: int) -> None:
        self.seen = Seen()
        self._port = port
        self._chance = random.Random(seed)
        self._uids = 0

    async def run(self, associations: int) -> Seen:
        """Have so many associations, of all kinds."""
        kinds = (
            self._stores, self._stores, self._pipelines, self._breaks_off, self._breaks_off,
            self._goes_without_a_word, self._is_rejected, self._is_no_dicom, self._repeats_itself,
            self._uses_a_message_id_twice,
        )  # fmt: skip
        free = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> None:
            async with free, asyncio.timeout(30), Peer(self._port) as peer:
                await kinds[number % len(kinds)](peer)

        async with asyncio.TaskGroup() as tasks:
            for number in range(associations):
                tasks.create_task(one(number))
        return self.seen

    def _uid(self) -> str:
        self._uids += 1
        return f"{self._chance.choice(('1.2.3', '1.2.3', '1.2.3', REFUSED, FAILING))}.{self._uids}"

    def _data(self, uid: str) -> bytes:
        return ct_dataset(uid, bytes(2 * self._chance.choice((10, 3000, 100_000))))

    async def _associate(self, peer: Peer, *, is_wide: bool = False) -> None:
        await peer.associate(WIDE if is_wide else None)
        self.seen.accepted += 1

    async def _answer(self, peer: Peer) -> None:
        response = await peer.response()
        uid = response.uid(Tag.AFFECTED_SOP_INSTANCE_UID)
        self.seen.answers[uid, status_of(response)] += 1

    # Kinds of associations -----------------------------------------------------------------------

    async def _stores(self, peer: Peer) -> None:
        await self._associate(peer)
        for _ in range(self._chance.randrange(1, 6)):
            uid = self._uid()
            await peer.send(store_pdus(uid, self._data(uid)))
            await self._answer(peer)
        await peer.release()

    async def _pipelines(self, peer: Peer) -> None:
        await self._associate(peer, is_wide=True)
        for number in range(6):
            uid = self._uid()
            await peer.send(store_pdus(uid, self._data(uid), message_id=number))
        for _ in range(6):
            await self._answer(peer)
        await peer.release()

    async def _repeats_itself(self, peer: Peer) -> None:
        await self._associate(peer)
        uid = self._uid()
        data = self._data(uid)
        for _ in range(3):
            await peer.send(store_pdus(uid, data))
            await self._answer(peer)
        await peer.abort()

    async def _uses_a_message_id_twice(self, peer: Peer) -> None:
        await self._associate(peer, is_wide=True)
        for _ in range(4):
            uid = self._uid()
            await peer.send(store_pdus(uid, self._data(uid), message_id=1))
        for _ in range(4):
            await self._answer(peer)
        await peer.release()

    async def _breaks_off(self, peer: Peer) -> None:
        await self._associate(peer)
        uid = self._uid()
        await peer.send(store_pdus(uid, self._data(uid)))
        await self._answer(peer)
        broken = f"1.2.3.{self._uid()}"
        self.seen.broken.add(broken)
        await peer.begin_store(broken, self._data(broken)[:8000])
        way = self._chance.randrange(4)
        if way == 0:
            await peer.abort()
        elif way == 1:
            peer.reset()
        elif way == 2:
            await peer.send(b"\xff\0\0\0\0\0")
            with contextlib.suppress(EOFError, ConnectionError):
                await peer.aborted()
        else:
            await peer.send(fragment(b"\0" * 10))
            peer.cut()

    async def _goes_without_a_word(self, peer: Peer) -> None:
        await self._associate(peer)
        uid = self._uid()
        self.seen.unread.add(uid)
        await peer.send(store_pdus(uid, self._data(uid)))
        await peer.abort()

    async def _is_rejected(self, peer: Peer) -> None:
        await peer.rejected(UNWANTED)
        self.seen.rejected += 1

    async def _is_no_dicom(self, peer: Peer) -> None:
        await peer.send(b"GET / HTTP/1.1\r\n\r\n")
        await peer.half_close()
        with contextlib.suppress(ConnectionError):
            await peer.closed()
        self.seen.refused += 1
