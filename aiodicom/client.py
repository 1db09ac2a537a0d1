"""connect(): the requestor's side, for programs and for the commands that send."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import itertools
import logging
import os
import socket
import ssl as ssl_module
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
)
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self, TypeVar

from aiodicom.access import Timeouts, check_ae_title
from aiodicom.connecting import Address, open_association
from aiodicom.errors import AssociationClosed, DicomError, NotSent
from aiodicom.objects.header import ObjectHeader, parse_header, read_header
from aiodicom.objects.prepared import Alterations, Preparation
from aiodicom.objects.source import room_of
from aiodicom.objects.stream import open_stream
from aiodicom.requestor import RequestorAssociation
from aiodicom.sending import Sender, StoreResult, Work, store_prepared, store_stream
from aiodicom.wire.buffers import Pool
from aiodicom.wire.dimse import Priority, Tag
from aiodicom.wire.items import RoleSelection, SOPClassExtendedNegotiation, UserIdentity
from aiodicom.wire.negotiation import VERIFICATION
from aiodicom.wire.proposal import (
    MAXIMUM_CONTEXTS,
    VERIFICATION_CONTEXT,
    Agreed,
    Context,
    Proposal,
    contexts_for,
)

__all__ = ["Requestor", "connect"]

logger = logging.getLogger("aiodicom.client")

MAXIMUM_LENGTH = 1 << 17
WINDOW = 8

_POOL_BYTES = 4 << 20
_READERS = 4
_SCAN = 64
"""Headers that one hop to a thread reads."""

_ResultT = TypeVar("_ResultT")

Plan = list[tuple[tuple[Context, ...], list[ObjectHeader]]]


class Requestor:
    """A DICOM requestor. Made by `connect`; an asynchronous context manager.

    It has one association at a time, another one where other presentation contexts are needed,
    and several while `send` is asked for that.
    """

    def __init__(
        self,
        address: Address,
        proposal: Proposal,
        *,
        is_automatic: bool,
        timeouts: Timeouts,
        maximum_send_length: int,
    ) -> None:
        self._address = address
        self._proposal = proposal
        self._is_automatic = is_automatic
        self._timeouts = timeouts
        self._maximum_send_length = maximum_send_length
        self._pool = Pool(_POOL_BYTES)
        self._association: RequestorAssociation | None = None
        self._executor: concurrent.futures.ThreadPoolExecutor | None = None
        # Who wants other presentation contexts waits until nobody uses the present ones.
        self._changing = asyncio.Lock()
        self._users = 0
        self._unused = asyncio.Event()
        self._unused.set()

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
        self._association = await self._open(self._proposal)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
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
        association, self._association = self._association, None
        if association is not None:
            await association.release()

    async def abort(self) -> None:
        """Abort the association (PS3.8 7.3)."""
        association, self._association = self._association, None
        if association is not None:
            association.abort()
            await association.closed()

    # Requests ------------------------------------------------------------------------------------

    @property
    def agreed(self) -> Agreed:
        """What was agreed on for the present association.

        Raises
        ------
        AssociationClosed
            Where there is none.
        """
        return self._present().agreed

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
        association = self._present()
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
        source: str | os.PathLike[str] | bytes | AsyncIterable[bytes],
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
            preparation = self._preparation(association, None)
            return await store_stream(association, preparation, header, chunks, priority)

    async def _store(
        self,
        header: ObjectHeader,
        dataset: bytes | None,
        priority: int,
        alterations: Alterations | None,
    ) -> StoreResult:
        async with self._use(header) as association:
            preparation = self._preparation(association, alterations)
            prepared = await self._in_thread(preparation.of, header, dataset)
            return await store_prepared(association, prepared, self._threads(), priority)

    async def send(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        associations: int = 1,
        halt: bool = False,
        priority: int = Priority.MEDIUM,
        alterations: Alterations | None = None,
        form: str = "any",
        progress: Callable[[int], None] | None = None,
    ) -> AsyncIterator[StoreResult]:
        """Send the objects in files, streamed from the disk.

        All headers are read first, because they decide on the presentation contexts. Where
        those are more than 128, the objects are sent over several associations, one after the
        other.

        Parameters
        ----------
        paths : iterable of str or os.PathLike
            Files; iterated over in a worker thread.
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
        """
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
        for contexts, group in self._plan(headers):
            work = Work(group, associations, halt=halt, priority=priority, progress=progress)
            results = self._send_group(work, contexts, alterations)
            async with contextlib.aclosing(results):
                async for result in results:
                    yield result
            if work.stopped:
                return

    async def _send_group(
        self, work: Work, contexts: tuple[Context, ...], alterations: Alterations | None
    ) -> AsyncGenerator[StoreResult, None]:
        async with self._using(contexts):
            workers = [
                asyncio.create_task(self._work(work, contexts, alterations, is_first=not index))
                for index in range(work.share)
            ]
            everything = asyncio.gather(*workers, return_exceptions=True)
            everything.add_done_callback(lambda _: work.results.put_nowait(None))
            try:
                while (result := await work.results.get()) is not None:
                    yield result
            finally:
                for worker in workers:
                    worker.cancel()
                outcomes = await everything
            errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
            for error in errors:
                if work or not isinstance(error, DicomError):
                    raise error
                logger.warning("One association less: %s", error)

    async def _work(
        self,
        work: Work,
        contexts: tuple[Context, ...],
        alterations: Alterations | None,
        *,
        is_first: bool,
    ) -> None:
        """Send over one association, and over another one where it ends too early."""
        proposal = dataclasses.replace(self._proposal, contexts=contexts)
        association = self._association if is_first else None
        while work:
            if association is None or not association.is_open:
                association = await self._open(proposal)
                if is_first:
                    self._association = association
            preparation = self._preparation(association, alterations)
            sender = Sender(association, work, preparation, self._threads())
            with contextlib.suppress(AssociationClosed):
                await sender.run()
        if association is not None and not is_first:
            with contextlib.suppress(AssociationClosed):
                await association.release()

    # Associations --------------------------------------------------------------------------------

    def _plan(self, headers: list[ObjectHeader]) -> Plan:
        """Divide objects among associations: one has 128 presentation contexts at most."""
        if not headers:
            return []
        if not self._is_automatic:
            return [(self._proposal.contexts, headers)]
        plan: list[tuple[list[Context], list[ObjectHeader]]] = []
        place: dict[str, int] = {}
        for contexts in contexts_for((h.sop_class_uid, h.transfer_syntax_uid) for h in headers):
            if not plan or len(plan[-1][0]) + len(contexts) > MAXIMUM_CONTEXTS:
                plan.append(([VERIFICATION_CONTEXT], []))
            plan[-1][0].extend(contexts[: MAXIMUM_CONTEXTS - 1])
            place[contexts[0][0]] = len(plan) - 1
        for header in headers:
            plan[place[header.sop_class_uid]][1].append(header)
        return [(tuple(contexts), group) for contexts, group in plan]

    def _use(self, header: ObjectHeader) -> AbstractAsyncContextManager[RequestorAssociation]:
        """Return the association for one object."""
        kind = (header.sop_class_uid, header.transfer_syntax_uid)
        contexts = next(contexts_for([kind])) if self._is_automatic else self._proposal.contexts
        return self._using(contexts)

    @contextlib.asynccontextmanager
    async def _using(self, contexts: tuple[Context, ...]) -> AsyncIterator[RequestorAssociation]:
        """Have the present association be one that has these contexts, while the body runs.

        One that has not is released before, once nobody uses it any more: there are acceptors
        that serve one association at a time.
        """
        async with self._changing:
            present = self._present()
            missing = [c for c in contexts if c not in present.proposal.contexts]
            if missing or not present.is_open:
                await self._unused.wait()
                with contextlib.suppress(AssociationClosed):
                    await present.release()
                both = (*present.proposal.contexts, *missing)
                wanted = both if len(both) <= MAXIMUM_CONTEXTS else contexts
                proposal = dataclasses.replace(self._proposal, contexts=wanted)
                present = self._association = await self._open(proposal)
            self._users += 1
            self._unused.clear()
        try:
            yield present
        finally:
            self._users -= 1
            if not self._users:
                self._unused.set()

    def _present(self) -> RequestorAssociation:
        if self._association is None:
            raise AssociationClosed("there is no association")
        return self._association

    async def _open(self, proposal: Proposal) -> RequestorAssociation:
        return await open_association(self._address, proposal, self._timeouts, self._pool)

    def _preparation(
        self, association: RequestorAssociation, alterations: Alterations | None
    ) -> Preparation:
        room = room_of(association.maximum_send_length, self._maximum_send_length)
        return Preparation(association.agreed, room, alterations or Alterations())

    # Threads -------------------------------------------------------------------------------------

    def _threads(self) -> concurrent.futures.Executor:
        if self._executor is None:
            self._executor = concurrent.futures.ThreadPoolExecutor(_READERS, "aiodicom-read")
        return self._executor

    async def _in_thread(self, function: Callable[..., _ResultT], *args: object) -> _ResultT:
        return await asyncio.get_running_loop().run_in_executor(self._threads(), function, *args)


def _scan(paths: Iterator[str | os.PathLike[str]], form: str) -> list[ObjectHeader | StoreResult]:
    """Read some headers, in a worker thread."""
    found: list[ObjectHeader | StoreResult] = []
    for path in itertools.islice(paths, _SCAN):
        name = os.fspath(path)
        try:
            found.append(read_header(name, form))
        except NotSent as error:
            found.append(StoreResult(name, error=error))
    return found


def connect(
    host: str,
    port: int,
    *,
    called_ae_title: str = "ANY-SCP",
    calling_ae_title: str = "AIODICOM",
    contexts: Iterable[tuple[str, Iterable[str]]] | None = None,
    roles: Iterable[RoleSelection] = (),
    extended: Iterable[SOPClassExtendedNegotiation] = (),
    maximum_length: int = MAXIMUM_LENGTH,
    maximum_send_length: int = 0,
    window: int = WINDOW,
    user_identity: UserIdentity | None = None,
    timeouts: Timeouts | None = None,
    family: int = socket.AF_UNSPEC,
    ssl: ssl_module.SSLContext | None = None,
    server_hostname: str | None = None,
) -> Requestor:
    """Make a DICOM requestor, to be entered with ``async with``, which asks for an association.

    Parameters
    ----------
    host : str
        The acceptor's name or IP address.
    port : int
        Its TCP port.
    called_ae_title, calling_ae_title : str
        Its AE title, and ours.
    contexts : iterable of (str, iterable of str), optional
        What is proposed: at most 128 abstract syntaxes, each with its transfer syntaxes. By
        default Verification, and whatever the objects that are sent need.
    roles, extended : iterable, optional
        Role selection and SOP class extended negotiation items (PS3.7 D.3.3.4, D.3.3.5).
    maximum_length : int
        The longest P-DATA-TF, in bytes, that the peer may send; 0 for any (PS3.8 D.1).
    maximum_send_length : int
        The longest P-DATA-TF, in bytes, that is sent, where the peer would take longer ones; 0
        for as long as it takes.
    window : int
        How many requests may be outstanding, where the peer agrees (PS3.7 D.3.3.3); 0 for any.
    user_identity : UserIdentity, optional
        Who the user is (PS3.7 D.3.3.7).
    timeouts : Timeouts, optional
        How long the peer is waited for.
    family : int
        ``socket.AF_INET`` or ``AF_INET6`` where the connection must be that.
    ssl : ssl.SSLContext, optional
        For TLS.
    server_hostname : str, optional
        The name that is asked for in the TLS handshake, where it is not `host`.

    Raises
    ------
    ValueError
        Where a value is out of its range.
    """
    if not 1 <= port <= 65535:
        raise ValueError(f"{port} is no TCP port: 1 to 65535")
    proposed = tuple((abstract, tuple(transfer)) for abstract, transfer in contexts or ())
    proposal = Proposal(
        proposed or (VERIFICATION_CONTEXT,),
        check_ae_title(called_ae_title),
        check_ae_title(calling_ae_title),
        maximum_length,
        window,
        user_identity,
        tuple(roles),
        tuple(extended),
    )
    return Requestor(
        Address(host, port, family, ssl, server_hostname),
        proposal,
        is_automatic=not proposed,
        timeouts=timeouts or Timeouts(connection=30),
        maximum_send_length=maximum_send_length,
    )
