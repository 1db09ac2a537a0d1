"""The A-ABORTs that a statement names are those that come."""

from __future__ import annotations

import asyncio

import pytest

from aiodicom import storescp
from aiodicom.testing import ScriptedPeer
from tests.commands.running import running
from tests.conformance.asking import cells, section, written

UNKNOWN = b"\x09\x00\x00\x00\x00\x04----"
RELEASED = b"\x06\x00\x00\x00\x00\x04\x00\x00\x00\x00"
TOO_LONG = b"\x04\x00\xff\xff\xff\xff"  # a P-DATA-TF
TOO_LARGE = b"\x01\x00\x00\x10\x00\x00"  # an A-ASSOCIATE-RQ

CASES = [
    (False, UNKNOWN, "in its place"),
    (False, RELEASED, "in its place"),
    (False, TOO_LARGE, "an A-ASSOCIATE-RQ has more"),
    (True, UNKNOWN, "a PDU of an unknown type, in an association"),
    (True, RELEASED, "has no place for in this state"),
    (True, TOO_LONG, "breaks PS3.7 or PS3.8"),
]


@pytest.fixture
def anyio_backend() -> str:
    """What is answered is the same in both loops."""
    return "asyncio"


@pytest.mark.parametrize(("is_associated", "sent", "why"), CASES)
async def test_it_comes_as_it_is_stated(is_associated: bool, sent: bytes, why: str) -> None:
    text = await asyncio.to_thread(written, "storescp", "11112")
    rows = cells(section(text, "7.3.1"))
    (said,) = [(int(row[0][0]), int(row[1][0])) for row in rows if why in row[2]]
    async with running(storescp) as server, ScriptedPeer(server.port) as peer:
        if is_associated:
            await peer.associate()
        await peer.send(sent)
        came = await peer.aborted()
        assert (came.source, came.reason) == said
