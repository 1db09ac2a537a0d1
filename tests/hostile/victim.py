"""Receivers under attack: whatever was done to them, the next sender is served."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiodicom
from aiodicom import Status
from tests.peer import CT, PATIENCE, Peer, association_request, element, uid_value
from tests.serving import discard, pool_of, serving

REQUEST_HEAD = association_request(()).encode_body()[:68]
"""The fixed fields of an A-ASSOCIATE-RQ (PS3.8 9.3.2)."""

GONE = (ConnectionError, RuntimeError)
"""What writing raises where the other side has closed: the second by uvloop."""

OBJECT = "1.2.3.4"

DATASET = (
    element(0x00080016, b"UI", uid_value(CT))
    + element(0x00080018, b"UI", uid_value(OBJECT))
    + element(0x0020000D, b"UI", uid_value("1.2.3"))
)
"""What a newcomer sends: a receiver that sorts by study takes it as well."""


async def serves(server: aiodicom.Server) -> None:
    """See that a newcomer's echo and store succeed, and that nothing of the attack is held."""
    async with asyncio.timeout(PATIENCE), Peer(server.port) as newcomer:
        await newcomer.associate()
        assert await newcomer.echo() == Status.SUCCESS
        assert await newcomer.store(OBJECT, DATASET) == Status.SUCCESS
        await newcomer.release()


@contextlib.asynccontextmanager
async def attacked(**settings: Any) -> AsyncIterator[aiodicom.Server]:
    """Run a receiver, and see afterwards that it serves the next sender and holds nothing."""
    async with serving(**{"store": discard, **settings}) as server:
        yield server
        await serves(server)
        async with asyncio.timeout(PATIENCE):
            while server.associations or pool_of(server).held:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.001)


def pdu(pdu_type: int, body: bytes) -> bytes:
    """A PDU of any type and body."""
    return bytes((pdu_type, 0)) + len(body).to_bytes(4, "big") + body


def raw_item(item_type: int, value: bytes, second: int = 0) -> bytes:
    """An item of any type and value (PS3.8 9.3.2)."""
    return bytes((item_type, second)) + len(value).to_bytes(2, "big") + value


def proposal(items: bytes) -> bytes:
    """An A-ASSOCIATE-RQ of any items."""
    return pdu(1, REQUEST_HEAD + items)
