"""The requestor's side of one association: transport, requests and their responses, deadlines.

It knows neither files nor which objects there are. Datasets come to it as P-DATA-TF bytes that
are ready to be sent; while it sends it reads, so that an early failed response ends a dataset at
once (PS3.7 9.3.1.3).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import cast

from aiodicom.client.pending import Pending
from aiodicom.describe import (
    accept_lines,
    message_lines,
    reject_text,
    request_lines,
    system_reason,
)
from aiodicom.errors import (
    AbortReason,
    AssociationAborted,
    AssociationClosed,
    AssociationLost,
    AssociationRejected,
    ProtocolError,
)
from aiodicom.limits import Timeouts
from aiodicom.wire.buffers import Account, Pool
from aiodicom.wire.dimse import CommandField, CommandSet, Status, Tag, encode_response
from aiodicom.wire.pdu import (
    Abort,
    AssociateAccept,
    AssociateReject,
    ReleaseRequest,
    ReleaseResponse,
)
from aiodicom.wire.proposal import Agreed, Proposal
from aiodicom.wire.states import State
from aiodicom.wire.upper_layer import Fragment, Incoming, Message, Role, UpperLayer

__all__ = ["RequestorAssociation"]

logger = logging.getLogger("aiodicom.client")

WRITE_HIGH_WATER = 1 << 18
"""Bytes that wait to be sent before the next part of a dataset is read."""

RESPONSE_BYTES = 1 << 20
"""Bytes of memory for datasets that come with responses, of which C-STORE has none."""

_C_ECHO = CommandField.C_ECHO.value
_C_STORE = CommandField.C_STORE.value
_RELEASING = (State.STA8, State.STA9, State.STA10)
_STATUS = Tag.STATUS.value


class RequestorAssociation(asyncio.BufferedProtocol):
    """One association that we ask for.

    Parameters
    ----------
    pool : Pool
        Where memory for what is received comes from.
    proposal : Proposal
        What is proposed.
    timeouts : Timeouts
        How long the peer is waited for.

    Attributes
    ----------
    agreed : Agreed
        What was agreed on, once it is open.
    """

    def __init__(self, pool: Pool, proposal: Proposal, timeouts: Timeouts) -> None:
        self.agreed: Agreed
        self.proposal = proposal
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._account = Account(pool, self, RESPONSE_BYTES)
        self._upper = UpperLayer(Role.REQUESTOR, self._account, proposal.maximum_length)
        self._transport: asyncio.Transport | None = None
        self._end: AssociationClosed | None = None
        self._answer: asyncio.Future[Agreed] = self._loop.create_future()
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._pending = Pending(timeouts.message, self._expired)
        self._sending = asyncio.Lock()  # datasets never interleave (PS3.8 annex E)
        self._writing_paused = False
        self._drained: asyncio.Future[None] | None = None
        self._answered: asyncio.Future[None] | None = None

    # What it is --------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""
        return self._end is None and self._upper.can_send

    @property
    def end(self) -> AssociationClosed | None:
        """How it has ended; None before."""
        return self._end

    @property
    def maximum_send_length(self) -> int:
        """The longest P-DATA-TF, in bytes, that the peer receives; 0: any (PS3.8 D.1)."""
        return self._upper.peer_maximum_length

    @property
    def window(self) -> int:
        """Requests that may be outstanding; 0: any (PS3.7 D.3.3.3)."""
        return self.agreed.window

    # asyncio.BufferedProtocol ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        request = self.proposal.request()
        logger.info("Requesting Association")
        _debug(lambda: request_lines(request, "OUTGOING"))
        self._upper.connecting()
        self._upper.connected(request)
        self._flush()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._upper.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        try:
            events = self._upper.received(nbytes)
            for event in events:
                self._take(event)
        except ProtocolError as error:
            self._upper.abort(2, error.reason)  # where the upper layer has not done it itself
            self._lost(AssociationLost(f"the peer broke the protocol: {error}"))
        self._flush()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._upper.connection_lost()
        self._account.close()
        reason = f": {system_reason(exc)}" if isinstance(exc, OSError) else ""
        self._lost(AssociationLost(f"the connection is lost{reason}"))
        self.resume_writing()
        if not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._wake(self._drained)

    # Holder: called by the account -------------------------------------------------------------

    def pause_reading(self) -> None:
        """Hear that memory is short: never so, because nothing that is received is kept."""

    def resume_reading(self) -> None:
        """Hear that memory is there again."""

    def squeeze(self) -> None:
        """Let go of memory."""
        self._upper.squeeze()

    # What has come -----------------------------------------------------------------------------

    def _take(self, event: Incoming) -> None:
        if isinstance(event, Message):
            self._take_message(event)
        elif isinstance(event, Fragment):
            if event.block is not None:
                event.block.release()
        elif isinstance(event, AssociateAccept):
            _debug(lambda: accept_lines(event, "INCOMING"))
            self.agreed = Agreed.of(self.proposal, event)
            if not self._answer.done():
                self._answer.set_result(self.agreed)
        elif isinstance(event, AssociateReject):
            rejection = AssociationRejected(
                reject_text(event), event.result, event.source, event.reason
            )
            self._end = AssociationClosed("rejected")
            if not self._answer.done():
                self._answer.set_exception(rejection)
        elif isinstance(event, Abort):
            self._lost(AssociationAborted(event.source, event.reason))
        elif isinstance(event, ReleaseRequest):
            if self._upper.state in _RELEASING:  # what came with it may have ended it already
                self._upper.respond_to_release()  # also where both have asked at once
            self._lost(AssociationClosed("released by the peer"))
        elif isinstance(event, ReleaseResponse):
            self._lost(AssociationClosed("released"))

    def _take_message(self, message: Message) -> None:
        command = message.command
        _debug(lambda: message_lines(message.context_id, command, "INCOMING"))
        if not command.is_response:
            # Nobody was given a role that would let them ask us for something.
            if self._upper.can_send and not self._writing_paused:  # who does not read needs none
                refusal = encode_response(command, Status.UNRECOGNIZED_OPERATION)
                self._upper.send(message.context_id, refusal)
            return
        if self._pending.answer(command):
            self._wake(self._answered)
            self._wake(self._drained)  # it may have come before the end of its dataset

    def _lost(self, error: AssociationClosed) -> None:
        """The association has ended: whoever waits for something of it is told."""
        if self._end is None:
            self._end = error
        self._pending.fail(self._end)
        if not self._answer.done():
            self._answer.set_exception(self._end)
            self._answer.exception()
        self._wake(self._answered)
        self._wake(self._drained)

    @staticmethod
    def _wake(waiter: asyncio.Future[None] | None) -> None:
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _flush(self) -> None:
        transport = self._transport
        if transport is None:
            return
        data = self._upper.data_to_send()
        if data:
            transport.write(data)
        if self._upper.closing or self._upper.state is State.STA13:
            # We have nothing more to say, and the acceptor waits for us to close.
            transport.close()

    # Opening and ending ------------------------------------------------------------------------

    async def opened(self) -> Agreed:
        """Wait for the answer to our request.

        Raises
        ------
        AssociationRejected
            Where the peer says no.
        AssociationClosed
            Where it says nothing in time, aborts, or closes the connection.
        """
        try:
            async with asyncio.timeout(self._timeouts.association):
                await asyncio.shield(self._answer)
        except TimeoutError:
            self._upper.abort()
            self._flush()
            message = f"no answer to our request within {self._timeouts.association:g} s"
            raise AssociationLost(message) from None
        logger.info("Association Accepted (Max Send PDV: %d)", self._upper.peer_maximum_length)
        return self.agreed

    async def release(self) -> None:
        """Release the association and close the connection; one that has ended is closed.

        A dataset that is being sent is sent to its end before.

        Raises
        ------
        AssociationClosed
            Where the peer does not answer in time, or ends it in another way.
        """
        async with self._sending:
            is_open = self._end is None and self._upper.state is State.STA6
            if is_open:
                logger.info("Releasing Association")
                self._upper.release()
                self._flush()
        if is_open:
            try:
                async with asyncio.timeout(self._timeouts.association):
                    await asyncio.shield(self._closed)
            except TimeoutError:
                self.abort()
                await self.closed()  # who has not answered may not read our A-ABORT either
                raise AssociationLost("no answer to our release") from None
            if isinstance(self._end, (AssociationAborted, AssociationLost)):
                raise self._end
        await self.closed()

    def abort(self) -> None:
        """Abort the association (A-ABORT, source service-user)."""
        if self._end is None:
            logger.info("Aborting Association")
        self._upper.abort()
        self._flush()
        self._lost(AssociationClosed("aborted by us"))

    async def closed(self) -> None:
        """Wait until the connection is closed, not for ever."""
        if self._transport is not None:
            self._transport.close()
        try:
            async with asyncio.timeout(self._timeouts.closing):
                await asyncio.shield(self._closed)
        except TimeoutError:
            if self._transport is not None:
                self._transport.abort()
                await self._closed

    # Requests ----------------------------------------------------------------------------------

    def next_message_id(self) -> int:
        """Return a Message ID that no outstanding request has."""
        return self._pending.next_message_id()

    async def echo(self, context_id: int, sop_class_uid: str) -> CommandSet:
        """Send a C-ECHO-RQ and return its response.

        Raises
        ------
        AssociationClosed
            Where there is no association any more, or the deadline passes.
        """
        message_id = self.next_message_id()
        command = CommandSet.build(
            _C_ECHO, affected_sop_class_uid=sop_class_uid, message_id=message_id
        )
        async with self._sending:
            await self._turn()
            response = self._begin(_C_ECHO, context_id, message_id, command.encode())
            self._flush()
        self._pending.start_clock(message_id)
        return await response

    async def store(
        self,
        context_id: int,
        message_id: int,
        command: bytes,
        first: bytes | bytearray,
        rest: AsyncIterator[bytes | bytearray] | None = None,
    ) -> asyncio.Future[CommandSet]:
        """Send a C-STORE-RQ with its dataset; return its response, which is still to come.

        Parameters
        ----------
        context_id, message_id : int
            The presentation context, and the Message ID that is in the command.
        command : bytes
            The command set.
        first : bytes
            P-DATA-TF PDUs: the dataset, or its beginning.
        rest : asynchronous iterator, optional
            The PDUs that follow.

        Raises
        ------
        AssociationClosed
            Where there is no association any more, or the peer does not take what is sent.
        Exception
            What `rest` raises; the association is aborted then, because a dataset that has
            begun cannot be taken back.
        """
        async with self._sending:
            await self._turn()
            response = self._begin(_C_STORE, context_id, message_id, command)
            try:
                await self._send_dataset(context_id, response, first, rest)
            except BaseException:
                self.abort()
                raise
        self._pending.start_clock(message_id)
        return response

    async def _turn(self) -> None:
        """Wait until one more request may be outstanding (PS3.7 D.3.3.3)."""
        while self._end is None and 0 < self.window <= len(self._pending):
            self._answered = self._loop.create_future()
            try:
                await self._answered
            finally:
                self._answered = None

    def _begin(
        self, field: int, context_id: int, message_id: int, command: bytes
    ) -> asyncio.Future[CommandSet]:
        if self._end is not None or not self._upper.can_send:
            raise self._end or AssociationClosed("there is no association")
        _debug(lambda: message_lines(context_id, CommandSet.decode(command), "OUTGOING"))
        response = self._pending.add(message_id, field)
        self._upper.send(context_id, command)
        return response

    async def _send_dataset(
        self,
        context_id: int,
        response: asyncio.Future[CommandSet],
        first: bytes | bytearray,
        rest: AsyncIterator[bytes | bytearray] | None,
    ) -> None:
        assert self._transport is not None
        self._transport.writelines((self._upper.data_to_send(), first))
        if rest is None:
            if self._writing_paused:
                await self._drain(response)
            return
        async for part in rest:
            await self._drain(response)
            if self._end is not None:
                raise self._end
            if _is_failure(response):  # before the end: no more of it is wanted
                self._upper.send(context_id, b"\0\0", is_command=False)
                self._flush()
                return
            self._transport.write(part)
        await self._drain(response)

    async def _drain(self, response: asyncio.Future[CommandSet]) -> None:
        """Wait while the peer does not take what was sent, but not once it has refused it."""
        try:
            async with asyncio.timeout(self._timeouts.network):
                while self._writing_paused and self._end is None and not _is_failure(response):
                    self._drained = self._loop.create_future()
                    await self._drained
        except TimeoutError:
            self._expired("the peer does not take what is sent to it")
            raise self._end or AssociationClosed from None
        finally:
            self._drained = None

    def _expired(self, reason: str) -> None:
        self._end = self._end or AssociationLost(reason)
        logger.error("Association Aborted: %s", reason)
        self._upper.abort(2, AbortReason.NOT_SPECIFIED)
        self._flush()
        if self._transport is not None and self._writing_paused:
            self._transport.abort()  # our A-ABORT would wait behind what nobody takes
        self._lost(AssociationLost(reason))


def _is_failure(response: asyncio.Future[CommandSet]) -> bool:
    """Tell whether a response has come that says that the object is not stored."""
    if not response.done() or response.cancelled() or response.exception() is not None:
        return False
    status = response.result().number(_STATUS)
    return status is None or not Status.is_success(status)


def _debug(lines: Callable[[], Iterator[str]]) -> None:
    if logger.isEnabledFor(logging.DEBUG):
        for line in lines():
            logger.debug("%s", line)
