"""One HTTP connection: uvicorn's, without its loggers, and let go of when nothing comes of it."""

from __future__ import annotations

import asyncio
import logging

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from aiodicom.seldom import Seldom

__all__ = ["Connection", "SeldomLogger"]

MOST_CONNECTIONS = 200
"""Connections at a time: whoever comes then takes the place of the one that got nothing longest."""

PATIENCE = 10.0
"""Seconds within which a request must have come, and its answer be taken."""


class SeldomLogger(logging.LoggerAdapter[logging.Logger]):
    """Logs what peers can cause as often as they like once a minute."""

    level = logging.WARNING

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logger)
        self._seldom = Seldom()

    def log(self, level: int, msg: object, *args: object, **kwargs: object) -> None:
        """Log a line, unless there was the same one just now."""
        self._seldom.log(self.logger, level, msg, str(msg), *args)


class Connection(H11Protocol):
    """A connection of uvicorn's that logs where we do, and no requests.

    uvicorn waits for the rest of a request, and for who does not read, as long as they like.
    """

    def __init__(self, config: Config, state: ServerState, logger: SeldomLogger) -> None:
        super().__init__(config=config, server_state=state, app_state={})
        self.logger = logger  # type: ignore[assignment]
        self.access_log = False
        self._expiry: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, in the place of another one where there are too many."""
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > MOST_CONNECTIONS:
            others = (each for each in self.connections if isinstance(each, Connection))
            last = min(others, key=Connection.due)
            self.connections.discard(last)  # others may come before it has gone
            last.transport.abort()

    def on_response_complete(self) -> None:
        """Wait for the next request, and for this answer to be taken."""
        self._wait()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if self._expiry is not None:
            self._expiry.cancel()
        super().connection_lost(exc)

    def due(self) -> float:
        """Tell when it is dropped; the connections that got something lately are so later."""
        return 0 if self._expiry is None else self._expiry.when()

    def _wait(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = self.loop.call_later(PATIENCE, self.transport.abort)
