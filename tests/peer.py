"""A scripted requestor: whatever bytes a test wants, on a real socket."""

from __future__ import annotations

import asyncio

from aiodicom.testing.messages import (
    CONTEXTS,
    CT,
    CT_CONTEXT,
    CT_IMPLICIT_CONTEXT,
    ECHO_CONTEXT,
    association_request,
    command_pdu,
    ct_dataset,
    dataset_pdus,
    echo_command,
    element,
    fragment,
    status_of,
    store_command,
    store_pdus,
    uid_value,
)
from aiodicom.testing.peer import ScriptedPeer

__all__ = [
    "CONTEXTS",
    "CT",
    "CT_CONTEXT",
    "CT_IMPLICIT_CONTEXT",
    "ECHO_CONTEXT",
    "PATIENCE",
    "Peer",
    "association_request",
    "command_pdu",
    "ct_dataset",
    "dataset_pdus",
    "echo_command",
    "element",
    "fragment",
    "status_of",
    "store_command",
    "store_pdus",
    "uid_value",
]

PATIENCE = 10
"""Seconds within which whatever a test waits for comes."""


class Peer(ScriptedPeer):
    """A scripted peer, and what only tests of this package ask of it."""

    async def hears_nothing(self, seconds: float = 0.05) -> bool:
        """Tell whether nothing comes for a while."""
        try:
            async with asyncio.timeout(seconds):
                data = await self.reader.readexactly(1)
        except TimeoutError:
            return True
        raise AssertionError(f"something came: {data!r}")

    async def still_open(self, seconds: float) -> bool:
        """Wait for the end, but not for long; tell whether it has not come."""
        try:
            async with asyncio.timeout(seconds):
                return await self.reader.read(1) != b""
        except TimeoutError:
            return True
        except ConnectionError:  # a byte of ours was on its way
            return False

    async def sends_on_in_vain(self, data: bytes) -> None:
        """Send after the end; the server must drop it, and may not reset the connection."""
        await self.send(data)
        await self.half_close()
        assert await self.closed()
