"""What handlers that are made of others have of these: life cycle, `admit`, whose turn it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Self

from aiodicom.errors import DicomError
from aiodicom.handling.places import Limit, Places
from aiodicom.reloading import Reloadable
from aiodicom.requests import AssociationInfo, StoreHandler, StoreRequest

__all__ = ["ComposedHandler", "ask", "hand_on", "limits_of"]


class ComposedHandler(ABC):
    """A store handler that is made of others; see `tee`, `when` and `at_most`.

    It is an asynchronous context manager that enters those which are, in order, each of them once
    however often it is in there, and leaves them in the opposite order.

    Parameters
    ----------
    parts : iterable of callable
        What it is made of.

    Attributes
    ----------
    leaves : tuple of callable
        The handlers at the bottom, which are made of no others, each of them once.
    """

    def __init__(self, parts: Iterable[StoreHandler]) -> None:
        self._parts = tuple(parts)
        leaves: dict[int, StoreHandler] = {}
        for part in self._parts:
            for leaf in part.leaves if isinstance(part, ComposedHandler) else (part,):
                leaves[id(leaf)] = leaf
        self.leaves: tuple[StoreHandler, ...] = tuple(leaves.values())
        self._entered: list[AsyncExitStack] = []
        composed = [part for part in self._parts if isinstance(part, ComposedHandler)]
        self._is_limited: bool = any(part._is_limited for part in composed)

    async def __call__(self, request: StoreRequest) -> int:
        """Store one object, when it is its turn in all handlers that store so many at a time.

        Raises
        ------
        Refused
            0xA700 where it is one too many for one of them, and does not wait.
        """
        places = Places(limits_of(self, request))
        try:
            await places.take()
            return await self._store(request, places)
        finally:
            places.end_all()

    @abstractmethod
    async def _store(self, request: StoreRequest, places: Places) -> int:
        """Store one object that has its places."""

    def _limits(self, request: StoreRequest) -> Sequence[Limit]:
        """Return the limits of the parts that are given an object."""
        return [limit for part in self._parts for limit in limits_of(part, request)]

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for leaf in self.leaves:
                if isinstance(leaf, AbstractAsyncContextManager):
                    await stack.enter_async_context(leaf)
            self._entered.append(stack.pop_all())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._entered.pop().aclose()

    def admit(self, info: AssociationInfo) -> None:
        """Ask the parts about an association, before it is accepted.

        Parameters
        ----------
        info : AssociationInfo
            Who asks.

        Raises
        ------
        AssociationRejected
            Where one of them says no.
        """
        for part in self._parts:
            ask(part, info)

    async def reload(self) -> str:
        """Have those handlers read their files again that do, all of them; return what they say.

        Raises
        ------
        DicomError
            What those say that cannot. They go on with what they have, and the others with what
            they have read.
        """
        said: list[str] = []
        failures: list[str] = []
        for leaf in self.leaves:
            if isinstance(leaf, Reloadable):
                try:
                    said.append(await leaf.reload())
                except (DicomError, OSError) as error:
                    failures.append(str(error))
        if failures:
            raise DicomError("; ".join(failures + [f"but reloaded: {line}" for line in said]))
        return "; ".join(said) or "store handlers, which have nothing to read again"


def ask(handler: StoreHandler | None, info: AssociationInfo) -> None:
    """Ask a handler about an association, if it has an `admit`.

    Raises
    ------
    AssociationRejected
        Where it says no.
    """
    admit = getattr(handler, "admit", None)
    if admit is not None:
        admit(info)


async def hand_on(handler: StoreHandler, request: StoreRequest, places: Places) -> int:
    """Give an object that has its places to a part."""
    if isinstance(handler, ComposedHandler):
        return await handler._store(request, places)
    return await handler(request)


def limits_of(handler: StoreHandler, request: StoreRequest) -> Sequence[Limit]:
    """Return the limits that an object comes under in a handler."""
    if isinstance(handler, ComposedHandler) and handler._is_limited:
        return handler._limits(request)
    return ()
