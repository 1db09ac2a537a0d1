"""An object that comes in chunks: what it is, and its dataset as P-DATA-TF PDUs.

Its length is not known before its end, so one chunk is always held back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator

from aiodicom.errors import NotSent
from aiodicom.objects.header import LONGEST, ObjectHeader, TooShort, parse_header
from aiodicom.objects.source import CHUNK, Framer, Source

__all__ = ["frame_stream", "open_stream"]


async def open_stream(
    chunks: AsyncIterable[bytes], instance: ObjectHeader | None = None
) -> tuple[ObjectHeader, AsyncIterator[bytes]]:
    """Return what an object is, and its dataset.

    Parameters
    ----------
    chunks : asynchronous iterable of bytes
        The content of a DICOM file, or a dataset alone.
    instance : ObjectHeader, optional
        What the object is, where there is a dataset alone.

    Raises
    ------
    NotSent
        Where it is no object.
    """
    iterator = aiter(chunks)
    if instance is not None:
        return instance, iterator
    beginning = b""
    while True:
        try:
            header = parse_header(beginning, is_all=False)
            break
        except TooShort:
            pass
        try:
            beginning += await anext(iterator)
        except StopAsyncIteration:
            header = parse_header(beginning)
            break
        if len(beginning) > LONGEST:
            raise NotSent("no SOP Instance UID in its first megabyte")
    header = dataclasses.replace(header, size=0)
    return header, _chain(beginning[header.offset :], iterator)


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


async def frame_stream(
    chunks: AsyncIterator[bytes], context_id: int, room: int, *, is_padded: bool = False
) -> AsyncGenerator[bytearray, None]:
    """Yield P-DATA-TF PDUs that hold what `chunks` hold.

    Where `is_padded`, an odd length is made even, as what is deflated may be (PS3.5 A.5).

    Raises
    ------
    NotSent
        Where it is of an odd length in the end.
    """
    waiting = bytearray()
    step = max(CHUNK // room, 1) * room
    async for chunk in chunks:
        waiting += chunk
        while len(waiting) > step:
            yield _frame(bytes(waiting[:step]), context_id, room, is_last=False)
            del waiting[:step]
    if len(waiting) % 2 and is_padded:
        waiting += b"\0"
    if len(waiting) % 2:
        raise NotSent("its dataset is of an odd length")
    yield _frame(bytes(waiting), context_id, room, is_last=True)


def _frame(data: bytes, context_id: int, room: int, *, is_last: bool) -> bytearray:
    framer = Framer(context_id, room, len(data), is_end=is_last)
    source, framed = Source([data]), bytearray()
    while True:
        wire, slots = framer.frame()
        source.read_into(slots)
        framed += wire
        if not framer.left:
            return framed
