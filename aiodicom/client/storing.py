"""One object over one association: its command, its dataset, its response."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable

from aiodicom.client.association import RequestorAssociation
from aiodicom.client.results import StoreResult, result_of
from aiodicom.describe import escape_path
from aiodicom.errors import NotSent
from aiodicom.objects.header import ObjectHeader
from aiodicom.objects.prepared import Preparation, Prepared
from aiodicom.objects.stream import frame_stream
from aiodicom.wire.dimse import CommandSet, encode_store_request
from aiodicom.wire.proposal import DEFLATED

__all__ = ["begin", "store_prepared", "store_stream"]

logger = logging.getLogger("aiodicom.client")


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
        response = await begin(association, prepared, executor, priority, None)
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
    is_padded = header.transfer_syntax_uid == DEFLATED
    parts = frame_stream(chunks, context.context_id, preparation.room, is_padded=is_padded)
    async with contextlib.aclosing(parts):
        first = await anext(parts)
        response = await association.store(context.context_id, message_id, command, first, parts)
    return result_of(header, uid, await response)


async def begin(
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
    logger.info("Sending file: %s", escape_path(header.path))
    if progress is not None:
        is_whole = prepared.is_whole  # then it is the file, whatever it became on its way
        progress(header.size if is_whole else prepared.payload(prepared.first))
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
    ahead: asyncio.Future[bytearray] | None = loop.run_in_executor(executor, prepared.read)
    try:
        while ahead is not None:
            part = await asyncio.shield(ahead)
            ahead = None
            if not prepared.is_all_read:
                ahead = loop.run_in_executor(executor, prepared.read)
            if progress is not None:
                progress(prepared.payload(part))
            yield part
    finally:
        if ahead is not None:
            ahead.add_done_callback(_forget)
        prepared.close()


def _forget(ahead: asyncio.Future[bytearray]) -> None:
    """Take what became of a part that nobody wants any more."""
    if not ahead.cancelled():
        ahead.exception()
