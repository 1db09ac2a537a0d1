"""A scripted requestor behind TLS."""

from __future__ import annotations

import asyncio
import ssl
from typing import Self

from tests.peer import PATIENCE, Peer


class TLSPeer(Peer):
    """A scripted requestor behind TLS.

    Parameters
    ----------
    name : str
        The name that it asks for, and wants in the acceptor's certificate; empty is none.
    """

    def __init__(self, port: int, context: ssl.SSLContext, name: str = "") -> None:
        super().__init__(port)
        self._context = context
        self._name = name

    async def __aenter__(self) -> Self:
        async with asyncio.timeout(PATIENCE):
            self.reader, self.writer = await asyncio.open_connection(
                self._host, self._port, ssl=self._context, server_hostname=self._name
            )
        return self
