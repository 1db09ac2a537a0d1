"""What senders are tried with: refusals, delays, aborts, and objects that go nowhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Self

from aiodicom.cli.common import failing_with
from aiodicom.cli.options import Group, Option, seconds
from aiodicom.cli.receiving import Receiving
from aiodicom.dataset import DatasetStream
from aiodicom.errors import AbortAssociation, AssociationRejected
from aiodicom.events import Watcher
from aiodicom.requests import AssociationInfo, Authorize, StoreHandler, StoreRequest
from aiodicom.storage.free_space import Room
from aiodicom.wire.buffers import Block
from aiodicom.wire.dimse import Status

__all__ = ["TRIALS", "TRIAL_DEFAULTS", "Trials", "admission", "ignore", "tried"]


TRIALS = Group(
    "options for trying senders",
    (
        Option(("-r", "--refuse"), "refuses", "refuse association"),
        Option(("--reject",), "rejects", "reject association without implementation class UID"),
        Option(("-i", "--ignore"), "ignores", "receive data but don't store it"),
        Option(("-s", "--sleep-after"), "sleep_after", "sleep s seconds after store (default: 0)",
               "[s]econds", seconds),
        Option(("-S", "--sleep-during"), "sleep_during",
               "sleep s seconds during store, for each part that comes (default: 0)",
               "[s]econds", seconds),
        Option(("--abort-after",), "abort_after",
               "abort association after an object has come, without storing it"),
        Option(("--abort-during",), "abort_during",
               "abort association while an object comes"),
    ),
)  # fmt: skip

TRIAL_DEFAULTS: Mapping[str, object] = {
    "refuses": False,
    "rejects": False,
    "ignores": False,
    "sleep_after": None,
    "sleep_during": None,
    "abort_after": False,
    "abort_during": False,
}


def tried(
    settings: Mapping[str, Any],
    store: StoreHandler,
    handlers: Sequence[contextlib.AbstractAsyncContextManager[object]] = (),
    watchers: tuple[Watcher, ...] = (),
) -> Receiving:
    """Return what a command does that tries its senders as its command line says.

    Parameters
    ----------
    settings : mapping
        What it says.
    store : callable
        What stores.
    handlers : sequence of context managers
        What is entered before it serves, in order.
    watchers : tuple of callable
        Told of what happens.
    """
    trials = Trials(
        store,
        handlers,
        sleep_during=settings["sleep_during"] or 0,
        abort_during=settings["abort_during"],
        abort_after=settings["abort_after"],
    )
    return Receiving(trials, admission(settings), watchers, settings["sleep_after"] or 0)


def admission(settings: Mapping[str, Any]) -> Authorize | None:
    """Return what turns associations away, where a command line asks for that.

    That is, all of them, or those of who has no implementation class UID (PS3.7 D.3.3.2).
    """
    refuses = settings["refuses"]

    async def authorize(info: AssociationInfo) -> None:
        if refuses:
            raise AssociationRejected("--refuse", 1, 1, 1)
        if not info.request.implementation_class_uid:
            raise AssociationRejected("--reject: no implementation class UID", 1, 1, 1)

    return authorize if refuses or settings["rejects"] else None


async def ignore(request: StoreRequest) -> int:
    """Take an object and drop it."""
    await _drop(request.dataset)
    return Status.SUCCESS


async def _drop(dataset: DatasetStream) -> None:
    while (block := await dataset.block()) is not None:
        block.release()


class SlowDataset(DatasetStream):
    """A dataset of which every part comes some seconds late."""

    def __init__(self, dataset: DatasetStream, seconds: float) -> None:
        super().__init__(dataset.discard)
        self._dataset = dataset
        self._seconds = seconds

    async def block(self, at_least: int = 1) -> Block | None:
        """Wait, and return what has come by then; see `DatasetStream.block`."""
        if self._dataset.consumed:
            return None
        await asyncio.sleep(self._seconds)
        block = await self._dataset.block()
        self.size, self.complete = self._dataset.size, self._dataset.complete
        return block


class Trials:
    """A store handler before which senders are tried: with delays, and with aborts.

    Parameters
    ----------
    store : callable
        What stores.
    handlers : sequence of context managers
        What is entered before it serves, in order.
    sleep_during : float
        Seconds before each part of a dataset is taken.
    abort_during, abort_after : bool
        Whether the association is aborted when a part of a dataset has come, or all of it.
        Then nothing is stored.
    folder_code : int
        The exit code of a command whose store handler cannot be set up.
    """

    def __init__(
        self,
        store: StoreHandler,
        handlers: Sequence[contextlib.AbstractAsyncContextManager[object]] = (),
        *,
        sleep_during: float = 0,
        abort_during: bool = False,
        abort_after: bool = False,
        folder_code: int = 1,
    ) -> None:
        self._store = store
        self._handlers = handlers
        self._sleep_during = sleep_during
        self._abort_during = abort_during
        self._abort_after = abort_after
        self._folder_code = folder_code
        self._entered = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as entered:
            with failing_with(self._folder_code, OSError):
                for handler in self._handlers:
                    await entered.enter_async_context(handler)
            self._entered = entered.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._entered.aclose()

    def admit(self, info: AssociationInfo) -> None:
        """Ask what stores whether it can take an association."""
        ask = getattr(self._store, "admit", None)
        if ask is not None:
            ask(info)

    def room(self) -> Room | None:
        """Ask what stores what room it has, where it knows."""
        ask = getattr(self._store, "room", None)
        return None if ask is None else ask()

    async def __call__(self, request: StoreRequest) -> int:
        """Store one object, or abort.

        Raises
        ------
        AbortAssociation
            Where the command line wants that.
        """
        if self._sleep_during:
            request.dataset = SlowDataset(request.dataset, self._sleep_during)
        if self._abort_during:
            block = await request.dataset.block()
            if block is not None:
                block.release()
            raise AbortAssociation("--abort-during")
        if self._abort_after:
            await _drop(request.dataset)
            raise AbortAssociation("--abort-after")
        return await self._store(request)
