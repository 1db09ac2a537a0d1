"""Many objects over one association: read ahead, sent, and their responses taken.

Files are read by worker threads, several small ones in one hop, while those before them are on
their way. As many C-STORE requests are outstanding as the peer has agreed to.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
from collections import deque
from collections.abc import Callable, Iterable

from aiodicom.client.association import RequestorAssociation
from aiodicom.client.results import StoreResult, failed, result_of
from aiodicom.client.storing import begin
from aiodicom.errors import AssociationClosed, DicomError, NotSent
from aiodicom.objects.header import ObjectHeader
from aiodicom.objects.prepared import Preparation, Prepared
from aiodicom.wire.dimse import CommandSet, Priority

__all__ = ["Sender", "Work"]

BATCH = 32
"""Objects that are read together."""

BATCH_BYTES = 1 << 19
"""Bytes of objects that are read together; one is read whatever its size."""

MAXIMUM_OUTSTANDING = 256
"""Requests that are outstanding at a time, where the peer sets no limit."""


class Work:
    """Objects that are still to be sent, shared by the associations that send them.

    Parameters
    ----------
    headers : iterable of ObjectHeader
        What is to be sent.
    share : int
        How many associations there are.
    halt : bool
        Whether the first object that is not stored is the last one that is sent.
    priority : int
        Priority (0000,0700).
    progress : callable or None
        Called with the number of bytes, whenever some are handed over to be sent.

    Attributes
    ----------
    openings : set
        Associations that are being opened; nobody waits for them any more when all is done.
    """

    def __init__(
        self,
        headers: Iterable[ObjectHeader],
        share: int = 1,
        *,
        halt: bool = False,
        priority: int = Priority.MEDIUM,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self.share = share
        self.priority = priority
        self.progress = progress
        self.results: asyncio.Queue[StoreResult | None] = asyncio.Queue()
        self.stopped = False
        self.openings: set[asyncio.Future[RequestorAssociation]] = set()
        self._headers = deque(headers)
        self._unreported = len(self._headers)
        self._halt = halt

    def __bool__(self) -> bool:
        return bool(self._headers) and not self.stopped

    def take(self) -> list[ObjectHeader]:
        """Return the objects that are read together next."""
        taken: list[ObjectHeader] = []
        size = 0
        # Who reads ahead has two batches, and towards the end everybody is to have something.
        most = min(BATCH, max(len(self._headers) // (2 * self.share), 1))
        while self and len(taken) < most:
            size += self._headers[0].size
            if taken and size > BATCH_BYTES:
                break
            taken.append(self._headers.popleft())
        return taken

    def give_back(self, headers: list[ObjectHeader]) -> None:
        """Take back what was not sent."""
        self._headers.extendleft(reversed(headers))

    def report(self, result: StoreResult) -> None:
        """Hand a result to whoever waits for results."""
        if not result.stored and self._halt:
            self.stopped = True
        self._unreported -= 1
        self.results.put_nowait(result)
        if self.is_done:
            for opening in self.openings:  # a peer may serve one association at a time
                opening.cancel()

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do for another association."""
        return self.stopped or not self._unreported


class Sender:
    """Sends objects over one association.

    Parameters
    ----------
    association : RequestorAssociation
        Open.
    work : Work
        What is to be sent.
    preparation : Preparation
        How objects are made ready for this association.
    executor : concurrent.futures.Executor
        Whose threads read.

    Attributes
    ----------
    has_begun : bool
        Whether any object has been begun.
    """

    def __init__(
        self,
        association: RequestorAssociation,
        work: Work,
        preparation: Preparation,
        executor: concurrent.futures.Executor,
    ) -> None:
        self._association = association
        self._work = work
        self._preparation = preparation
        self._executor = executor
        self._loop = asyncio.get_running_loop()
        self.has_begun = False
        self._outstanding = 0
        self._most = association.window or MAXIMUM_OUTSTANDING
        self._changed: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Send until there is no more work, or the association has ended.

        Raises
        ------
        AssociationClosed
            Where it has ended; what was not begun is back in the work.
        """
        batch: deque[Prepared | StoreResult] = deque()
        ahead = self._prepare_next()
        try:
            while not self._work.stopped:
                read = await asyncio.shield(ahead)
                ahead = self._prepare_next()
                if not read:
                    break
                batch.extend(read)
                await self._send_batch(batch)
            await self._until_outstanding(0)
        finally:
            # What a thread is still reading comes back as well, also to a cancelled caller.
            try:
                batch.extend(await asyncio.shield(ahead))
            except asyncio.CancelledError:  # once more
                ahead.add_done_callback(_close)
                raise
            finally:
                self._give_back(batch)

    def _prepare_next(self) -> asyncio.Future[list[Prepared | StoreResult]]:
        headers = self._work.take()
        if not headers:
            nothing: asyncio.Future[list[Prepared | StoreResult]] = self._loop.create_future()
            nothing.set_result([])
            return nothing
        return self._loop.run_in_executor(self._executor, _prepare, self._preparation, headers)

    async def _send_batch(self, batch: deque[Prepared | StoreResult]) -> None:
        while batch and not self._work.stopped:
            prepared = batch[0]
            if isinstance(prepared, StoreResult):
                self._work.report(prepared)
                batch.popleft()
                continue
            await self._until_outstanding(self._most - 1)
            if self._work.stopped:
                return
            if not self._association.is_open:
                raise self._association.end or AssociationClosed("the association has ended")
            batch.popleft()
            self.has_begun = True
            try:
                await self._send(prepared)
            finally:
                prepared.close()

    async def _send(self, prepared: Prepared) -> None:
        work = self._work
        try:
            response = await begin(
                self._association, prepared, self._executor, work.priority, work.progress
            )
        except DicomError as error:
            work.report(failed(prepared.header, error))
            raise AssociationClosed(str(error)) from None
        self._outstanding += 1
        if response.done():
            self._answered(prepared, response)
        else:
            response.add_done_callback(functools.partial(self._answered, prepared))

    def _answered(self, prepared: Prepared, response: asyncio.Future[CommandSet]) -> None:
        self._outstanding -= 1
        error = response.exception()
        if isinstance(error, DicomError):
            self._work.report(failed(prepared.header, error))
        elif error is None:
            result = result_of(
                prepared.header,
                prepared.sop_instance_uid,
                response.result(),
                is_one_of_several=self._most > 1 or self._work.share > 1,
            )
            self._work.report(result)
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def _until_outstanding(self, most: int) -> None:
        """Wait until no more than so many requests are outstanding."""
        while self._outstanding > most:
            self._changed = self._loop.create_future()
            await self._changed

    def _give_back(self, batch: Iterable[Prepared | StoreResult]) -> None:
        headers = []
        for prepared in batch:
            if isinstance(prepared, StoreResult):
                if not self._work.stopped:
                    self._work.report(prepared)
            else:
                prepared.close()
                headers.append(prepared.header)
        self._work.give_back(headers)


def _close(coming: asyncio.Future[list[Prepared | StoreResult]]) -> None:
    """Close what nobody waits for any more."""
    if coming.cancelled() or coming.exception() is not None:
        return
    for prepared in coming.result():
        if isinstance(prepared, Prepared):
            prepared.close()


def _prepare(preparation: Preparation, headers: list[ObjectHeader]) -> list[Prepared | StoreResult]:
    """Make objects ready, in a worker thread."""
    batch: list[Prepared | StoreResult] = []
    for header in headers:
        try:
            batch.append(preparation.of(header))
        except NotSent as error:
            batch.append(failed(header, error))
    return batch
