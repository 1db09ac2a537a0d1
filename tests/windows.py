"""Handlers that run until they are told, and a peer with an asynchronous operations window."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import aiodicom
from aiodicom import Status, StoreRequest
from aiodicom.wire.dimse import Tag
from aiodicom.wire.items import AsynchronousOperationsWindow
from tests.peer import Peer, association_request, status_of, store_pdus
from tests.serving import serving, until

WINDOW = association_request(more=[AsynchronousOperationsWindow(8, 1)])


class Doors:
    """A store handler that reads its object, and returns when that object's door is opened."""

    def __init__(self) -> None:
        self.doors: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.entered: list[str] = []
        self.read: dict[str, bytes] = {}
        self.failed: dict[str, Exception] = {}
        self.left: list[str] = []
        self.running = self.most = self.cancelled = 0

    async def __call__(self, request: StoreRequest) -> int:
        uid = request.sop_instance_uid
        self.entered.append(uid)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            self.read[uid] = await request.dataset.read()
            await self.doors[uid].wait()
            self.left.append(uid)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        except Exception as error:
            self.failed[uid] = error
            raise
        finally:
            self.running -= 1
        return Status.SUCCESS

    def open(self, *uids: str) -> None:
        for uid in uids or tuple(self.read):
            self.doors[uid].set()

    async def reads(self, *uids: str) -> None:
        """Wait until these objects are read, and their handlers wait."""
        await until(lambda: set(uids) <= set(self.read))


@contextlib.asynccontextmanager
async def hosting(doors: Doors, **settings: Any) -> AsyncIterator[tuple[aiodicom.Server, Peer]]:
    """Serve with these doors, and have a peer that has asked for a window of 8.

    All doors are opened at the end.
    """
    settings = {"store": doors, "window": 8, **settings}
    async with serving(**settings) as server:
        async with Peer(server.port) as peer:
            await peer.associate(WINDOW)
            yield server, peer
        doors.open()


async def send_stores(peer: Peer, *numbers: int) -> None:
    """Send the objects 1.2.N, each with N as its Message ID."""
    for number in numbers:
        await peer.send(store_pdus(f"1.2.{number}", message_id=number))


async def answered(peer: Peer) -> tuple[int | None, int]:
    """Return the Message ID and the Status of the next response."""
    response = await peer.response()
    return response.number(Tag.MESSAGE_ID_BEING_RESPONDED_TO), status_of(response)
