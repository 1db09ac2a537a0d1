"""at_most(): so many objects at a time."""

from __future__ import annotations

from aiodicom.handling.lifecycle import ComposedHandler, hand_on, limits_of
from aiodicom.handling.places import Limit, Places
from aiodicom.requests import StoreHandler, StoreRequest

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
        and its sender may try again. In a `tee` the object is given to none of the handlers
        before it has its place.

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
        self._is_limited = True
        self._handler = handler
        self._limit = Limit(number, waits)

    async def _store(self, request: StoreRequest, places: Places) -> int:
        try:
            return await hand_on(self._handler, request, places)
        finally:
            places.end(self._limit)

    def _limits(self, request: StoreRequest) -> list[Limit]:
        return [self._limit, *limits_of(self._handler, request)]
