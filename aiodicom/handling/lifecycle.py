"""What all handlers that are made of others have of these: their life cycle, and `admit`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Self

from aiodicom.errors import DicomError
from aiodicom.reloading import Reloadable
from aiodicom.requests import AssociationInfo, StoreHandler, StoreRequest

__all__ = ["ComposedHandler", "ask"]


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

    @abstractmethod
    async def __call__(self, request: StoreRequest) -> int:
        """Store one object."""

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
