"""One HTTP connection: uvicorn's, without its loggers, and let go of when nothing comes."""

from __future__ import annotations

import asyncio
import logging

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

__all__ = ["Connection"]

MOST_CONNECTIONS = 200
"""Connections at a time: what is more is closed at once."""


class Connection(H11Protocol):
    """A connection of uvicorn's that logs where we do, and no requests."""

    def __init__(self, config: Config, state: ServerState, logger: logging.Logger) -> None:
        super().__init__(config=config, server_state=state, app_state={})
        self.logger = logger
        self.access_log = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, and wait for a request no longer than for the next one."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.close()
            return
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )
