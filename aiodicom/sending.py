"""Many objects over one association: read ahead, sent, and their responses taken.

Files are read by worker threads, several small ones in one hop, while those before them are on
their way. As many C-STORE requests are outstanding as the peer has agreed to.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from dataclasses import dataclass

from aiodicom.errors import AssociationClosed, DicomError, NotSent
from aiodicom.objects.header import ObjectHeader
from aiodicom.objects.prepared import Preparation, Prepared
from aiodicom.objects.stream import frame_stream
from aiodicom.requestor import RequestorAssociation
from aiodicom.wire.dimse import CommandField, CommandSet, Priority, Status, Tag

__all__ = ["Sender", "StoreResult", "Work", "store_prepared", "store_stream"]

logger = logging.getLogger("aiodicom.sending")

BATCH = 32
"""Objects that are read together."""

BATCH_BYTES = 1 << 19
"""Bytes of objects that are read together; one is read whatever its size."""

MAXIMUM_OUTSTANDING = 256
"""Requests that are outstanding at a time, where the peer sets no limit."""

_MEANINGS = {status.value: f" - {status.name.replace('_', ' ').capitalize()}" for status in Status}

_C_STORE = CommandField.C_STORE.value
_STATUS = Tag.STATUS.value
_ERROR_COMMENT = Tag.ERROR_COMMENT.value


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What became of one object.

    Attributes
    ----------
    path : str
        Its file; empty where it came from elsewhere.
    sop_class_uid, sop_instance_uid : str
        What it was sent as; empty where its file told neither.
    status : int or None
        Status (0000,0900) of the response; None where there was none.
    comment : str
        Error Comment (0000,0902) of the response.
    error : DicomError or None
        Why there was no response: `NotSent`, or how the association ended.
    size : int
        Bytes of the dataset.
    """

    path: str
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    status: int | None = None
    comment: str = ""
    error: DicomError | None = None
    size: int = 0

    @property
    def stored(self) -> bool:
        """Whether the peer says that it has stored the object: success, or a warning."""
        return self.status is not None and Status.is_success(self.status)

    @property
    def reason(self) -> str:
        """What became of it, in a few words."""
        if self.status is None:
            return str(self.error)
        comment = f": {self.comment}" if self.comment else ""
        return f"0x{self.status:04X}{comment}"


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
        self._headers = deque(headers)
        self._halt = halt

    def __bool__(self) -> bool:
        return bool(self._headers) and not self.stopped

    def take(self) -> list[ObjectHeader]:
        """Return the objects that are read together next."""
        taken: list[ObjectHeader] = []
        size = 0
        most = min(BATCH, max(len(self._headers) // self.share, 1))
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
        self.results.put_nowait(result)


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
            while True:
                batch.extend(await ahead)
                if not batch:
                    break
                ahead = self._prepare_next()
                await self._send_batch(batch)
            await self._until_outstanding(0)
        finally:
            # What a thread is still reading comes back as well, also to a cancelled caller.
            batch.extend(await asyncio.shield(ahead))
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
                raise AssociationClosed("the association has ended")
            batch.popleft()
            await self._send(prepared)

    async def _send(self, prepared: Prepared) -> None:
        work = self._work
        try:
            response = await _begin(
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
            result = result_of(prepared.header, prepared.sop_instance_uid, response.result())
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
                self._work.report(prepared)
            else:
                prepared.close()
                headers.append(prepared.header)
        self._work.give_back(headers)


async def store_prepared(
    association: RequestorAssociation,
    prepared: Prepared,
    executor: concurrent.futures.Executor,
    priority: int,
) -> StoreResult:
    """Send one object and return what the peer answers.

    Raises
    ------
    NotSent
        Where it cannot be read to its end.
    AssociationClosed
        Where the association has ended, or a deadline passes.
    """
    try:
        response = await _begin(association, prepared, executor, priority, None)
    finally:
        prepared.close()
    return result_of(prepared.header, prepared.sop_instance_uid, await response)


async def store_stream(
    association: RequestorAssociation,
    preparation: Preparation,
    header: ObjectHeader,
    chunks: AsyncIterator[bytes],
    priority: int,
) -> StoreResult:
    """Send one object that comes in chunks, and return what the peer answers.

    Raises
    ------
    NotSent
        Where nothing that the peer has accepted fits it as it is.
    AssociationClosed
        Where the association has ended, or a deadline passes.
    """
    context = preparation.context(header)
    if context.transfer_syntax != header.transfer_syntax_uid:
        raise NotSent("a stream is sent as it is, and the peer does not accept its transfer syntax")
    message_id = association.next_message_id()
    uid = header.sop_instance_uid
    command = encode_store_request(message_id, header.sop_class_uid, uid, priority)
    parts = frame_stream(chunks, context.context_id, preparation.room)
    async with contextlib.aclosing(parts):
        first = await anext(parts)
        response = await association.store(context.context_id, message_id, command, first, parts)
    return result_of(header, uid, await response)


async def _begin(
    association: RequestorAssociation,
    prepared: Prepared,
    executor: concurrent.futures.Executor,
    priority: int,
    progress: Callable[[int], None] | None,
) -> asyncio.Future[CommandSet]:
    """Send one object; return its response, which is still to come."""
    header, context_id = prepared.header, prepared.context.context_id
    message_id = association.next_message_id()
    command = encode_store_request(
        message_id, header.sop_class_uid, prepared.sop_instance_uid, priority
    )
    logger.info("Sending file: %s", header.path)
    if progress is not None:
        progress(len(prepared.first))
    if prepared.is_whole:
        return await association.store(context_id, message_id, command, prepared.first)
    async with contextlib.aclosing(_rest_of(prepared, executor, progress)) as rest:
        return await association.store(context_id, message_id, command, prepared.first, rest)


async def _rest_of(
    prepared: Prepared,
    executor: concurrent.futures.Executor,
    progress: Callable[[int], None] | None,
) -> AsyncGenerator[bytearray, None]:
    """Yield what follows the first PDUs of an object; the next ones are read meanwhile."""
    loop = asyncio.get_running_loop()
    ahead = None
    try:
        while not prepared.is_all_read or ahead is not None:
            part = await (ahead or loop.run_in_executor(executor, prepared.read))
            ahead = None
            if not prepared.is_all_read:
                ahead = loop.run_in_executor(executor, prepared.read)
            if progress is not None:
                progress(len(part))
            yield part
    finally:
        if ahead is not None:  # its thread may still have the file
            await asyncio.wait([ahead])
        prepared.close()


def encode_store_request(
    message_id: int, sop_class_uid: str, sop_instance_uid: str, priority: int = 0
) -> bytes:
    """Return the command set of a C-STORE-RQ (PS3.7 9.3.1.1)."""
    command = CommandSet.build(
        _C_STORE,
        dataset=True,
        affected_sop_class_uid=sop_class_uid,
        message_id=message_id,
        priority=priority,
        affected_sop_instance_uid=sop_instance_uid,
    )
    return command.encode()


def result_of(header: ObjectHeader, sop_instance_uid: str, response: CommandSet) -> StoreResult:
    """Return what a response says."""
    status = response.number(_STATUS)
    if logger.isEnabledFor(logging.INFO):
        said = "none" if status is None else f"0x{status:04X}{_MEANINGS.get(status, '')}"
        logger.info("Received Store Response (Status: %s)", said)
    return StoreResult(
        header.path,
        header.sop_class_uid,
        sop_instance_uid,
        status,
        response.text(_ERROR_COMMENT) if status else "",
        NotSent("a response without a status") if status is None else None,
        header.size,
    )


def failed(header: ObjectHeader, error: DicomError) -> StoreResult:
    """Return the result of an object that was not answered."""
    return StoreResult(
        header.path,
        header.sop_class_uid,
        header.sop_instance_uid,
        error=error,
        size=header.size,
    )


def _prepare(preparation: Preparation, headers: list[ObjectHeader]) -> list[Prepared | StoreResult]:
    """Make objects ready, in a worker thread."""
    batch: list[Prepared | StoreResult] = []
    for header in headers:
        try:
            batch.append(preparation.of(header))
        except NotSent as error:
            batch.append(failed(header, error))
    return batch
