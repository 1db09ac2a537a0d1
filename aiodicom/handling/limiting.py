"""at_most(): so many objects at a time."""

from __future__ import annotations

import anyio

from aiodicom.errors import Refused
from aiodicom.handling.lifecycle import ComposedHandler
from aiodicom.requests import StoreHandler, StoreRequest
from aiodicom.wire.dimse import Status

__all__ = ["at_most"]


def at_most(number: int, handler: StoreHandler, *, waits: bool = True) -> ComposedHandler:
    """Make a handler that stores so many objects at a time, of all associations of a process.

    Parameters
    ----------
    number : int
        How many.
    handler : callable
        The store handler.
    waits : bool
        Whether the next one waits for its turn, the longest waiting first, and is not read
        meanwhile: back-pressure. Otherwise it is refused at once with 0xA700, out of resources,
        and its sender may try again.

    Returns
    -------
    ComposedHandler
        A store handler, which enters, reloads and asks (``admit``) that one.

    Raises
    ------
    ValueError
        Where `number` is less than 1.
    """
    if number < 1:
        raise ValueError(f"{number} objects at a time would be none: 1 or more")
    return _AtMost(number, handler, waits)


class _AtMost(ComposedHandler):
    def __init__(self, number: int, handler: StoreHandler, waits: bool) -> None:
        super().__init__((handler,))
        self._handler = handler
        self._waits = waits
        self._turns = anyio.Semaphore(number)

    async def __call__(self, request: StoreRequest) -> int:
        """Store one object.

        Raises
        ------
        Refused
            0xA700 where it is one too many and does not wait.
        """
        try:
            self._turns.acquire_nowait()
        except anyio.WouldBlock:
            if not self._waits:
                comment = "too many objects at a time"
                raise Refused(Status.OUT_OF_RESOURCES, comment) from None
            await self._turns.acquire()
        try:
            return await self._handler(request)
        finally:
            self._turns.release()
