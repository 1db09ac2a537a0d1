"""DatasetStream: the encoded dataset of one message, while it arrives.

The stream is the only thing between an association and a handler. Not reading it is
back-pressure: what is not released counts, and above a mark the association stops reading.
A peer that vanishes makes every further read raise, never a short read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from aiodicom.errors import AssociationClosed, Refused
from aiodicom.wire.buffers import Block
from aiodicom.wire.dimse import Status

__all__ = ["DatasetStream"]

SHORTAGE = 2.0
"""Seconds that somebody who looks ahead waits for more while memory is short."""


class DatasetStream:
    """The bytes of a dataset, as its sender encoded it in the negotiated transfer syntax.

    Iterate over it for chunks that are safe to keep::

        async for chunk in request.dataset:
            await upload.write(chunk)

    or use `block` for views of the buffers themselves. One coroutine reads at a time.

    Attributes
    ----------
    size : int
        The bytes that have come so far.
    complete : bool
        Whether the last fragment has come.

    Where it becomes longer than a receiver wants (``Limits.object_bytes``), every way to read it
    raises `Refused` with 0xA700, and what still comes is dropped.
    """

    __slots__ = (
        *("_blocks", "_branches", "_buffered", "_discarded", "_error", "_hurried"),
        *("_on_discard", "_waiter", "_wanted", "complete", "size"),
    )

    def __init__(self, on_discard: Callable[[], None] = lambda: None) -> None:
        self.size = 0
        self.complete = False
        self._on_discard = on_discard
        self._blocks: deque[Block] = deque()
        self._branches: tuple[DatasetStream, ...] = ()
        self._buffered = 0
        self._wanted = 0
        self._hurried = False
        self._discarded = False
        self._error: AssociationClosed | Refused | None = None
        self._waiter: asyncio.Future[None] | None = None

    # The reader's side -----------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks()

    async def _chunks(self) -> AsyncIterator[bytes]:
        while (block := await self.block()) is not None:
            with block:
                chunk = bytes(block)
            yield chunk

    async def read(self) -> bytes:
        """Return everything that has not been read yet, once all of it has come.

        The whole dataset is then in memory, outside the server's budget: iterate where it may
        be large.

        Raises
        ------
        AssociationClosed
            Where the association ended before the last fragment.
        """
        return b"".join([chunk async for chunk in self])

    async def block(self, at_least: int = 1) -> Block | None:
        """Wait for more of the dataset and return it without copying.

        Parameters
        ----------
        at_least : int
            How many bytes to wait for. Fewer come at the end of the dataset, and where memory
            is short.

        Returns
        -------
        Block or None
            None after the last byte. Release the block when its views are not needed any more;
            until then it counts against the association.

        Raises
        ------
        AssociationClosed
            Where the association ended before the last fragment, or the dataset was discarded.
        Refused
            Where the dataset is longer than it may be.
        """
        while not self._is_enough(at_least):
            self._wanted = at_least
            await self._wait()
        if self._error is not None:
            raise self._error
        if self._discarded:
            raise AssociationClosed("the rest of the dataset was discarded")
        self._hurried = False
        if not self._blocks:
            if self._branches:
                raise RuntimeError("the dataset is read by others")
            return None
        first = self._blocks.popleft()
        while self._blocks:
            first.absorb(self._blocks.popleft())
        self._buffered = 0
        return first

    def check_unread(self) -> None:
        """Check that it can be read from its first byte on.

        Raises
        ------
        AssociationClosed
            Where the association has ended before the last fragment, or it was discarded.
        Refused
            Where it is longer than it may be.
        RuntimeError
            Where something of it was read.
        """
        if self._error is not None:
            raise self._error
        if self._discarded:
            raise AssociationClosed("the rest of the dataset was discarded")
        if self._branches or self.size > self._buffered:
            raise RuntimeError("something of the dataset was read already")

    async def ahead(self, offset: int, most: int) -> bytes:
        """Wait for what follows its first `offset` bytes, and copy it; nothing is taken.

        Parameters
        ----------
        offset : int
            Bytes that are known.
        most : int
            How many bytes are copied at most.

        Returns
        -------
        bytes
            Empty at the end of the dataset, and nowhere else.

        Raises
        ------
        Refused
            Also with 0xA700, where memory is short and nothing more comes for a while: then
            perhaps the peer is not read from before somebody takes what is there.
        AssociationClosed, RuntimeError
            As `check_unread`.
        """
        self.check_unread()
        while self._buffered <= offset and not self.complete:
            self._wanted = offset + 1
            await self._wait_while_short()
            self.check_unread()
        return self._copied(offset, most)

    def branch(self, count: int) -> tuple[DatasetStream, ...]:
        """Return streams each of which has all of it; it cannot be read itself any more.

        Nothing is copied: a part of it is held until the last of them has released it. So the
        slowest sets the pace. Whoever does not read its stream to the end must `discard` it.

        Raises
        ------
        AssociationClosed, Refused, RuntimeError
            As `check_unread`.
        """
        self.check_unread()
        self._branches = tuple(DatasetStream(self._branch_discarded) for _ in range(count))
        blocks, self._blocks, self._buffered = self._blocks, deque(), 0
        for block in blocks:
            self._feed_branches(block, is_last=False)
        if self.complete:
            self._feed_branches(None, is_last=True)
        if self._hurried:
            self._hurry_branches()
        return self._branches

    def discard(self) -> None:
        """Say that the rest of the dataset is not wanted: it is dropped as it comes.

        A success may then be returned without having read the dataset; it is sent after the
        last fragment.
        """
        if self._discarded or self.refusal is not None:
            return
        self.close()
        if not self.complete and self._error is None:
            self._on_discard()

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be read of it any more: it was discarded, refused or cut short."""
        return self._discarded or self._error is not None

    @property
    def discarded(self) -> bool:
        """Whether `discard` was called."""
        return self._discarded

    @property
    def consumed(self) -> bool:
        """Whether the dataset was read to its end, or discarded; one that is refused is not."""
        return self._discarded or (self.complete and not self._blocks and self._error is None)

    @property
    def refusal(self) -> Refused | None:
        """What reading raises where the dataset is longer than it may be."""
        return self._error if isinstance(self._error, Refused) else None

    async def wait_complete(self) -> None:
        """Wait for the last fragment.

        Raises
        ------
        AssociationClosed
            Where the association ended before it.
        """
        while not self.complete and self._error is None:
            self._wanted = 1 << 62
            await self._wait()
        if self._error is not None:
            raise self._error

    def _is_enough(self, at_least: int) -> bool:
        if self.complete or self._error is not None or self._discarded:
            return True
        return self._buffered >= at_least or (self._hurried and self._buffered > 0)

    async def _wait(self) -> None:
        if self._waiter is not None:
            raise RuntimeError("two coroutines read one dataset")
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def _wait_while_short(self) -> None:
        """Wait as `_wait`, where memory is short and something is held not for long."""
        if not (self._hurried and self._buffered):
            await self._wait()
            return
        try:
            async with asyncio.timeout(SHORTAGE):
                await self._wait()
        except TimeoutError:
            raise Refused(Status.OUT_OF_RESOURCES, "memory is short") from None

    # The association's side ------------------------------------------------------------------

    def feed(self, block: Block | None, is_last: bool) -> None:
        """Take a part of the dataset, and whether it was the last one."""
        if block is not None:
            self.size += block.size
            if not self._branches:
                self._append(block)
        self.complete = self.complete or is_last
        if self._branches:
            self._feed_branches(block, is_last)
        if is_last or self._is_enough(self._wanted):
            self._wake()

    def refuse(self, error: Refused) -> None:
        """Take no more: whoever reads it is raised `error`, also where all of it has come."""
        if self._error is None:
            self._error = error
            self._release_all()
            self._wake()
            for branch in self._branches:
                branch.refuse(error)
            if not self.complete:
                self._on_discard()

    def hurry(self) -> None:
        """Have the reader take what is there, because no more will come before it does."""
        if not self._hurried:
            self._hurried = True
            self._wake()
        self._hurry_branches()

    def fail(self, error: AssociationClosed) -> None:
        """End the stream before its last fragment; what was not read is dropped."""
        if self.complete or self._error is not None:
            return
        self._error = error
        self._release_all()
        self._wake()
        for branch in self._branches:
            branch.fail(error)

    def close(self) -> None:
        """Drop what was not read: nobody will, and who waits for more is told so."""
        self._discarded = True
        self._release_all()
        self._wake()
        for branch in self._branches:
            branch.close()

    def _append(self, block: Block) -> None:
        if self._discarded or self._error is not None:
            block.release()
            return
        self._buffered += block.size
        blocks = self._blocks
        if blocks and block.is_small_copy and blocks[-1].is_small_copy:
            blocks[-1].absorb(block)
        else:
            blocks.append(block)

    def _copied(self, offset: int, most: int) -> bytes:
        """Return what is there behind the first `offset` bytes, but not more than `most`."""
        parts = []
        for block in self._blocks:
            for view in block.views:
                if offset >= len(view):
                    offset -= len(view)
                elif most:
                    parts.append(bytes(view[offset : offset + most]))
                    most -= len(parts[-1])
                    offset = 0
        return b"".join(parts)

    # Branches ----------------------------------------------------------------------------------

    def _feed_branches(self, block: Block | None, is_last: bool) -> None:
        shares = [None] * len(self._branches) if block is None else block.share(len(self._branches))
        for branch, share in zip(self._branches, shares, strict=True):
            branch.feed(share, is_last)

    def _hurry_branches(self) -> None:
        for branch in self._branches:
            branch.hurry()

    def _branch_discarded(self) -> None:
        """Drop what still comes once nobody wants it."""
        if all(branch.is_closed for branch in self._branches):
            self.discard()

    def _release_all(self) -> None:
        self._buffered = 0
        while self._blocks:
            self._blocks.popleft().release()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
