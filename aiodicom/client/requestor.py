"""Requestor: C-ECHO and C-STORE, for programs and for the commands that send."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import itertools
import os
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self, TypeVar

from aiodicom.client.association import RequestorAssociation
from aiodicom.client.associations import Associations
from aiodicom.client.groups import send_group
from aiodicom.client.results import StoreResult
from aiodicom.client.sending import Work
from aiodicom.client.storing import store_prepared, store_stream
from aiodicom.errors import AssociationClosed, NotSent
from aiodicom.objects.altered import Alterations
from aiodicom.objects.header import Form, ObjectHeader, parse_header, read_header
from aiodicom.objects.prepared import Preparation, Prepared
from aiodicom.objects.stream import open_stream
from aiodicom.wire.dimse import Priority, Tag
from aiodicom.wire.negotiation import VERIFICATION
from aiodicom.wire.proposal import Agreed

__all__ = ["Requestor"]

_READERS = 4
_SCAN = 64
"""Headers that one hop to a thread reads."""

_ResultT = TypeVar("_ResultT")


class Requestor:
    """A DICOM requestor. Made by `connect`; an asynchronous context manager.

    It has one association at a time, another one where other presentation contexts are needed,
    and several while `send` is asked for that.
    """

    def __init__(self, associations: Associations) -> None:
        self._associations = associations
        self._executor: concurrent.futures.ThreadPoolExecutor | None = None
        self._workers: set[asyncio.Task[None]] = set()

    # Starting and ending -------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Ask for the association.

        Raises
        ------
        AssociationRejected
            Where the peer says no.
        AssociationClosed
            Where there is no connection, or no answer in time.
        """
        self._associations.present = await self._associations.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            # Those whose results nobody has waited for do not go on behind the caller's back.
            for worker in self._workers:
                worker.cancel()
            await asyncio.gather(*self._workers, return_exceptions=True)
            if exc_type is None:
                with contextlib.suppress(AssociationClosed):  # what was to be done has been done
                    await self.release()
            else:
                await self.abort()
        finally:
            if self._executor is not None:
                self._executor.shutdown(wait=False)

    async def release(self) -> None:
        """Release the association (PS3.8 7.2).

        Raises
        ------
        AssociationClosed
            Where the peer does not answer, or has ended it in another way.
        """
        await self._associations.release()

    async def abort(self) -> None:
        """Abort the association (PS3.8 7.3)."""
        await self._associations.abort()

    # Requests ------------------------------------------------------------------------------------

    @property
    def agreed(self) -> Agreed:
        """What was agreed on for the present association.

        Raises
        ------
        AssociationClosed
            Where there is none.
        """
        return self._associations.current().agreed

    async def c_echo(self) -> int:
        """Ask whether the peer is there (PS3.7 9.1.5).

        Returns
        -------
        int
            The response's Status; 0 is success.

        Raises
        ------
        NotSent
            Where the peer has not accepted the Verification SOP class.
        AssociationClosed
            Where the association has ended, or a deadline passes.
        """
        association = self._associations.current()
        context = association.agreed.context_of(VERIFICATION)
        if context is None:
            raise NotSent("the peer has not accepted the Verification SOP class")
        response = await association.echo(context.context_id, VERIFICATION)
        status = response.number(Tag.STATUS)
        if status is None:
            raise AssociationClosed("a response without a status")
        return status

    async def c_store(
        self,
        source: str | os.PathLike[str] | bytes | bytearray | AsyncIterable[bytes],
        *,
        instance: ObjectHeader | None = None,
        priority: int = Priority.MEDIUM,
        alterations: Alterations | None = None,
    ) -> StoreResult:
        """Send one object (PS3.7 9.1.1), streamed from where it is.

        Parameters
        ----------
        source : path, bytes or asynchronous iterable of bytes
            A DICOM file, its content, or what makes its content up.
        instance : ObjectHeader, optional
            What the object is, where `source` is its dataset without File Meta Information,
            such as the one of a `StoreRequest`.
        priority : int
            Priority (0000,0700).
        alterations : Alterations, optional
            How it is changed on its way. Bytes and streams are sent as they are.

        Returns
        -------
        StoreResult
            What the peer has answered; see its `stored`.

        Raises
        ------
        NotSent
            Where it is no object, or the peer accepts nothing that fits it.
        AssociationRejected
            Where another association was needed for it, and the peer says no.
        AssociationClosed
            Where the association has ended, or a deadline passes.
        """
        if isinstance(source, (str, os.PathLike)):
            header = await self._in_thread(read_header, os.fspath(source))
            return await self._store(header, None, priority, alterations)
        if isinstance(source, (bytes, bytearray)):
            data = bytes(source)
            header = instance or parse_header(data)
            dataset = data if instance else data[header.offset :]
            header = dataclasses.replace(header, size=len(dataset))
            return await self._store(header, dataset, priority, alterations)
        header, chunks = await open_stream(source, instance)
        async with self._use(header) as association:
            preparation = self._associations.preparation(association, Alterations())
            return await store_stream(association, preparation, header, chunks, priority)

    async def _store(
        self,
        header: ObjectHeader,
        dataset: bytes | None,
        priority: int,
        alterations: Alterations | None,
    ) -> StoreResult:
        async with self._use(header) as association:
            preparation = self._associations.preparation(association, alterations or Alterations())
            prepared = await self._prepared(preparation, header, dataset)
            return await store_prepared(association, prepared, self._threads(), priority)

    async def _prepared(
        self, preparation: Preparation, header: ObjectHeader, dataset: bytes | None
    ) -> Prepared:
        loop = asyncio.get_running_loop()
        coming = loop.run_in_executor(self._threads(), preparation.of, header, dataset)
        try:
            return await asyncio.shield(coming)
        except asyncio.CancelledError:
            coming.add_done_callback(_close)  # the thread may have opened its file
            raise

    async def send(
        self,
        paths: Iterable[str | os.PathLike[str] | ObjectHeader],
        *,
        associations: int = 1,
        halt: bool = False,
        priority: int = Priority.MEDIUM,
        alterations: Alterations | None = None,
        form: Form = "any",
        progress: Callable[[int], None] | None = None,
    ) -> AsyncGenerator[StoreResult, None]:
        """Send the objects in files, streamed from the disk.

        All headers are read first, because they decide on the presentation contexts. Where
        those are more than 128, the objects are sent over several associations, one after the
        other.

        Parameters
        ----------
        paths : iterable of str, os.PathLike or ObjectHeader
            Files; iterated over in a worker thread. What `read_header` has read is not read
            again.
        associations : int
            How many associations send at a time. Where the peer does not take so many, those
            that it takes do the work.
        halt : bool
            Whether the first object that is not stored is the last one that is sent.
        priority : int
            Priority (0000,0700).
        alterations : Alterations, optional
            How objects are changed on their way.
        form : {"any", "file", "dataset"}
            Whether datasets without File Meta Information are taken as well, or nothing else.
        progress : callable, optional
            Called with a number of bytes, whenever some are handed over to be sent.

        Yields
        ------
        StoreResult
            For each file, as the responses come; also for those that cannot be sent.

        Raises
        ------
        AssociationRejected, AssociationClosed
            Where another association is needed, and there is none to be had.
        ValueError
            Where `associations` is less than 1.
        """
        if associations < 1:
            raise ValueError(f"{associations} associations send nothing: 1 or more")
        headers: list[ObjectHeader] = []
        iterator = iter(paths)
        while found := await self._in_thread(_scan, iterator, form):
            for one in found:
                if isinstance(one, ObjectHeader):
                    headers.append(one)
                    continue
                yield one
                if halt:
                    return
        for contexts, group in self._associations.plan(headers):
            work = Work(group, associations, halt=halt, priority=priority, progress=progress)
            results = send_group(
                self._associations,
                work,
                contexts,
                alterations or Alterations(),
                self._threads(),
                self._workers,
            )
            async with contextlib.aclosing(results):
                async for result in results:
                    yield result
            if work.stopped:
                return

    def _use(self, header: ObjectHeader) -> AbstractAsyncContextManager[RequestorAssociation]:
        """Return the association for one object."""
        return self._associations.using(self._associations.contexts_of(header))

    # Threads -------------------------------------------------------------------------------------

    def _threads(self) -> concurrent.futures.Executor:
        if self._executor is None:
            self._executor = concurrent.futures.ThreadPoolExecutor(_READERS, "aiodicom-read")
        return self._executor

    async def _in_thread(self, function: Callable[..., _ResultT], *args: object) -> _ResultT:
        return await asyncio.get_running_loop().run_in_executor(self._threads(), function, *args)


def _close(coming: asyncio.Future[Prepared]) -> None:
    """Close what nobody waits for any more."""
    if not coming.cancelled() and coming.exception() is None:
        coming.result().close()


def _scan(
    paths: Iterator[str | os.PathLike[str] | ObjectHeader], form: Form
) -> list[ObjectHeader | StoreResult]:
    """Read some headers, in a worker thread."""
    found: list[ObjectHeader | StoreResult] = []
    for path in itertools.islice(paths, _SCAN):
        if isinstance(path, ObjectHeader):
            found.append(path)
            continue
        name = os.fspath(path)
        try:
            found.append(read_header(name, form))
        except NotSent as error:
            found.append(StoreResult(name, error=error))
    return found
