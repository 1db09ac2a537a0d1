"""How many requests are answered in a second: objects come first, in the same event loop."""

from __future__ import annotations

import asyncio

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Pace"]

RATE = 200.0
"""Requests a second: about a hundred viewers."""

BURST = 50
"""Requests that need not wait after a quiet time: a page has several files."""

LONGEST = 0.5
"""Seconds that a request waits for its turn."""


class Pace:
    """An ASGI application around another one, to which requests go no faster than so.

    Parameters
    ----------
    application : callable
        The other one.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self._next = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request in its turn; with 503 where it would have to wait for too long."""
        now = asyncio.get_running_loop().time()
        turn = max(self._next, now - BURST / RATE)
        if turn - now > LONGEST:
            close = {"connection": "close", "retry-after": "1"}
            answer = PlainTextResponse("too many requests at a time\n", 503, close)
            await answer(scope, receive, send)
            return
        self._next = turn + 1 / RATE
        if turn > now:
            await asyncio.sleep(turn - now)
        await self._application(scope, receive, send)
