"""tee(): several handlers for each object."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiodicom.dataset import DatasetStream
from aiodicom.errors import AbortAssociation, AssociationClosed
from aiodicom.failures import cancels_us
from aiodicom.handling.lifecycle import ComposedHandler, hand_on
from aiodicom.handling.places import Places
from aiodicom.requests import StoreHandler, StoreRequest
from aiodicom.wire.dimse import Status

__all__ = ["tee"]


def tee(first: StoreHandler, *others: StoreHandler) -> ComposedHandler:
    """Make a handler of several, each of which is given every object, at the same time.

    All see the whole dataset, which is held once: the slowest of them sets the pace. Each one
    reads, peeks or discards as if it were alone.

    The object is stored when all have stored it: the answer is success then, or the first
    warning in the order of the handlers. Where one fails, its failure is the answer, and the
    others hear of it as of a peer that has gone: reading raises `AssociationClosed` before the
    last fragment has come, and whoever has all of the dataset runs to its end. The answer waits
    for that. So one of them, such as a `FileStorage`, may have stored what the peer is told has
    failed; it will send it again. `AbortAssociation` goes before other failures.

    Parameters
    ----------
    first : callable
        A store handler.
    *others : callable
        More of them.

    Returns
    -------
    ComposedHandler
        A store handler, which enters, reloads and asks (``admit``) all of them.
    """
    return _Tee((first, *others))


class _Tee(ComposedHandler):
    async def _store(self, request: StoreRequest, places: Places) -> int:
        branches = request.dataset.branch(len(self._parts))
        outcomes = _Outcomes(branches, places)
        async with asyncio.TaskGroup() as tasks:
            for number, (part, branch) in enumerate(zip(self._parts, branches, strict=True)):
                own = StoreRequest(request.association, request.context, request.command, branch)
                tasks.create_task(outcomes.run(number, part, own))
        return outcomes.answer()


class _Outcomes:
    """What has become of one object."""

    def __init__(self, branches: Sequence[DatasetStream], places: Places) -> None:
        self._branches = branches
        self._places = places
        self._statuses: list[int] = [Status.SUCCESS] * len(branches)
        self._failure: int | BaseException | None = None

    async def run(self, number: int, handler: StoreHandler, request: StoreRequest) -> None:
        """Have one handler store it; whatever comes of that is kept, not raised."""
        dataset = request.dataset
        try:
            status = self._statuses[number] = _checked(
                await hand_on(handler, request, self._places), dataset
            )
            if not Status.is_success(status):
                self._failed(status)
        except (Exception, asyncio.CancelledError) as error:
            if cancels_us(error):
                raise
            self._failed(error)
        finally:
            if not dataset.consumed:
                dataset.discard()

    def _failed(self, failure: int | BaseException) -> None:
        if self._failure is None:
            self._failure = failure
            for branch in self._branches:
                branch.fail(AssociationClosed("another handler of the object has failed"))
        elif isinstance(failure, AbortAssociation):
            self._failure = failure

    def answer(self) -> int:
        """Return the answer of all, or raise it."""
        failure, self._failure = self._failure, None
        if isinstance(failure, int):
            return failure
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # whose traceback has this frame
        return next((status for status in self._statuses if status), Status.SUCCESS)


def _checked(status: object, dataset: DatasetStream) -> int:
    """Check what a handler has returned, as it is checked of one that is alone."""
    if not isinstance(status, int) or isinstance(status, bool) or not 0 <= status <= 0xFFFF:
        raise TypeError("a handler has returned what is no status")
    if Status.is_success(status) and not dataset.consumed:
        raise dataset.refusal or RuntimeError("a handler has returned success without reading")
    return status
