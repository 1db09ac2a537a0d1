"""The acceptor's conversation: one coroutine per association.

It knows neither sockets nor files. Events of the upper layer are fed to it as they come; its
program counter is its state: negotiate, then message by message until release or abort.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from aiodicom.dataset import DatasetStream
from aiodicom.describe import accept_lines, escape, message_lines, request_lines
from aiodicom.errors import (
    AssociationAborted,
    AssociationClosed,
    AssociationRejected,
    ProtocolError,
    Refused,
)
from aiodicom.requests import (
    AssociationInfo,
    Authorize,
    EchoHandler,
    EchoRequest,
    StoreHandler,
    StoreRequest,
)
from aiodicom.wire.dimse import CommandField, CommandSet, Status, Tag, response_to
from aiodicom.wire.negotiation import (
    VERIFICATION,
    Policy,
    PresentationContext,
    negotiate,
)
from aiodicom.wire.pdu import Abort, AssociateReject, ReleaseRequest
from aiodicom.wire.upper_layer import Fragment, Incoming, Message, UpperLayer

__all__ = ["Association", "Link", "Service"]

logger = logging.getLogger("aiodicom.association")

CROWDED = 32
"""Messages that may wait for their turn before the association stops reading."""


class Link(Protocol):
    """The connection, as the conversation sees it."""

    def flush(self) -> None:
        """Send what the upper layer has to send, and close where it says so."""

    async def drain(self) -> None:
        """Wait while the peer does not take what was sent to it."""

    def idle(self) -> None:
        """Hear that the conversation waits for the peer."""

    def crowded(self, is_crowded: bool) -> None:
        """Hear that more messages wait than should, or no longer."""


@dataclass(frozen=True, slots=True)
class Service:
    """What an acceptor does for its peers.

    Parameters
    ----------
    policy : Policy
        What it agrees to.
    store, echo : callable or None
        The handlers.
    authorize : callable or None
        Called before an association is accepted.
    admit : callable
        Raises `AssociationRejected` where the server has no room for one more.
    """

    policy: Policy
    store: StoreHandler | None = None
    echo: EchoHandler | None = None
    authorize: Authorize | None = None
    admit: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    comment: str = ""
    offending: tuple[int, ...] = ()


@dataclass(slots=True)
class _Arrival:
    message: Message
    dataset: DatasetStream | None


class Association:
    """One association that a peer has asked for.

    Parameters
    ----------
    upper : UpperLayer
        The state of the wire.
    link : Link
        The connection.
    service : Service
        What to do with requests.
    info : AssociationInfo
        Who asks.
    """

    def __init__(
        self, upper: UpperLayer, link: Link, service: Service, info: AssociationInfo
    ) -> None:
        self.info = info
        self.receiving: DatasetStream | None = None
        self.is_waiting = False
        self._upper = upper
        self._link = link
        self._service = service
        self._contexts: dict[int, PresentationContext] = {}
        self._inbox: deque[_Arrival | ReleaseRequest] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._end: AssociationClosed | None = None
        self._stopping = False

    # What comes from the connection ----------------------------------------------------------

    def feed(self, event: Incoming) -> None:
        """Take an event of the upper layer."""
        if isinstance(event, Fragment):
            if self.receiving is None:  # cannot be: the upper layer has checked it
                raise RuntimeError("a fragment without a message")
            self.receiving.feed(event.block, event.is_last)
            if event.is_last:
                self.receiving = None
            return
        if isinstance(event, Message):
            dataset = None
            if event.command.has_dataset:
                dataset = self.receiving = DatasetStream(self._upper.discard_dataset)
            self._inbox.append(_Arrival(event, dataset))
            if len(self._inbox) == CROWDED:
                self._link.crowded(True)
        elif isinstance(event, Abort):
            self.lost(AssociationAborted(event.source, event.reason))
        elif isinstance(event, ReleaseRequest):
            if self.receiving is not None:
                self.receiving.fail(AssociationClosed("released in the middle of a dataset"))
                self.receiving = None
            self._inbox.append(event)
        self._wake()

    def lost(self, error: AssociationClosed) -> None:
        """Hear that the association has ended without release."""
        if self._end is None:
            self._end = error
        if self.receiving is not None:
            self.receiving.fail(error)
            self.receiving = None
        self._wake()

    def stop(self) -> None:
        """Finish what runs, then abort."""
        self._stopping = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # The conversation --------------------------------------------------------------------------

    async def converse(self) -> None:
        """Run the association from its request to its end."""
        try:
            if await self._negotiated():
                await self._serve_messages()
        except ProtocolError as error:
            logger.error("Association Aborted: %s", error)
            self._upper.abort(2, error.reason)
        except AssociationAborted:
            logger.info("Association Aborted")
        except AssociationClosed as error:
            logger.warning("Association Lost: %s", error)
        finally:
            self._drop_the_rest()
            self._link.flush()

    async def _negotiated(self) -> bool:
        request = self.info.request
        logger.info("Association Received")
        _debug(request_lines, request)
        try:
            self._service.admit()
            agreement = negotiate(request, self._service.policy)
            if self._service.authorize is not None:
                await self._authorize(self._service.authorize)
        except AssociationRejected as rejection:
            logger.warning(
                "Association Rejected: %s (calling %s, called %s, %s)",
                rejection,
                escape(self.info.calling_ae_title),
                escape(self.info.called_ae_title),
                self.info.address,
            )
            if self._end is None:
                reject = AssociateReject(rejection.result, rejection.source, rejection.reason)
                self._upper.reject(reject)
            return False
        if self._end is not None:
            raise self._end
        self._contexts = agreement.contexts
        self._upper.accept(agreement.accept)
        self._link.flush()
        logger.info("Association Accepted")
        _debug(accept_lines, agreement.accept)
        return True

    async def _authorize(self, authorize: Authorize) -> None:
        try:
            await authorize(self.info)
        except AssociationRejected:
            raise
        except Exception:
            logger.exception("The authorize hook failed")
            raise AssociationRejected("the authorize hook failed", 2, 1, 1) from None

    async def _serve_messages(self) -> None:
        while (arrival := await self._next()) is not None:
            if isinstance(arrival, ReleaseRequest):
                logger.info("Association Released")
                self._upper.respond_to_release()
                return
            await self._serve(arrival.message, arrival.dataset)
            await self._link.drain()
        logger.info("Association Aborted: the server stops")
        self._upper.abort()

    async def _next(self) -> _Arrival | ReleaseRequest | None:
        """Return what comes next; None where we stop and nothing is under way."""
        while not self._inbox:
            if self._end is not None:
                raise self._end
            if self._stopping and self.receiving is None:
                return None
            self.is_waiting = True
            self._link.idle()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
                self.is_waiting = False
        if len(self._inbox) == CROWDED:
            self._link.crowded(False)
        return self._inbox.popleft()

    def _drop_the_rest(self) -> None:
        if self.receiving is not None:
            self.receiving.close()
        for arrival in self._inbox:
            if isinstance(arrival, _Arrival) and arrival.dataset is not None:
                arrival.dataset.close()
        self._inbox.clear()

    # One message -------------------------------------------------------------------------------

    async def _serve(self, message: Message, dataset: DatasetStream | None) -> None:
        command = message.command
        if logger.isEnabledFor(logging.INFO):
            _log_arrival(command)
        _debug(message_lines, message.context_id, command, "INCOMING")
        context = self._contexts.get(message.context_id)
        if context is None:
            raise ProtocolError(f"a message in context {message.context_id}, never proposed")
        if command.is_response or command.field == CommandField.C_CANCEL:
            logger.debug("Nothing to do for a %s", command.name)
            if dataset is not None:
                dataset.discard()
            return
        if command.number(Tag.MESSAGE_ID) is None:
            raise ProtocolError("a request without a Message ID")
        try:
            _check(context, command, dataset)
            answer = await self._handle(context, command, dataset)
        except Refused as refusal:
            answer = _Answer(refusal.status, refusal.comment, refusal.offending)
        if dataset is not None and not dataset.consumed:
            dataset.discard()
        self._respond(message, answer)

    async def _handle(
        self, context: PresentationContext, command: CommandSet, dataset: DatasetStream | None
    ) -> _Answer:
        if command.field == CommandField.C_ECHO:
            if self._service.echo is None:
                return _Answer(Status.SUCCESS)
            echo = EchoRequest(self.info, context, command)
            return await self._answer_of(self._service.echo(echo))
        assert dataset is not None
        assert self._service.store is not None
        request = StoreRequest(self.info, context, command, dataset)
        answer = await self._answer_of(self._service.store(request))
        if Status.is_success(answer.status):
            if not dataset.consumed:
                logger.error("The store handler returned success without reading the dataset")
                return _Answer(Status.UNABLE_TO_PROCESS, "the object was not read")
            await dataset.wait_complete()
        return answer

    async def _answer_of(self, handling: Awaitable[int]) -> _Answer:
        """Wait for a handler and make an answer of whatever it does."""
        try:
            status = await handling
        except Refused as refusal:
            logger.warning("Refused: %s", escape(str(refusal)))
            return _Answer(refusal.status, refusal.comment, refusal.offending)
        except OSError as error:  # TimeoutError is one
            logger.error("The handler failed: %s", error)
            return _Answer(Status.OUT_OF_RESOURCES, error.strerror or type(error).__name__)
        except Exception as error:
            if isinstance(error, AssociationClosed) and self._end is not None:
                raise
            logger.exception("The handler failed")
            return _Answer(Status.UNABLE_TO_PROCESS, "the handler failed")
        if not isinstance(status, int) or not 0 <= status <= 0xFFFF:
            logger.error("The handler returned %r, which is no status", status)
            return _Answer(Status.UNABLE_TO_PROCESS, "the handler failed")
        return _Answer(status)

    def _respond(self, message: Message, answer: _Answer) -> None:
        if not self._upper.can_send:
            return
        response = response_to(message.command, answer.status, answer.comment, answer.offending)
        _debug(message_lines, message.context_id, response, "OUTGOING")
        self._upper.send(message.context_id, response.encode())
        self._link.flush()


def _check(
    context: PresentationContext, command: CommandSet, dataset: DatasetStream | None
) -> None:
    """Refuse what cannot be handed to a handler (PS3.7 9.1.1.1.9 and annex C)."""
    if not context.is_accepted:
        raise Refused(Status.SOP_CLASS_NOT_SUPPORTED, "presentation context not accepted")
    for tag in (Tag.AFFECTED_SOP_CLASS_UID, Tag.REQUESTED_SOP_CLASS_UID):
        if command.uid(tag) not in ("", context.abstract_syntax):
            comment = "SOP class is not the presentation context's"
            raise Refused(Status.SOP_CLASS_NOT_SUPPORTED, comment, (tag,))
    if context.abstract_syntax == VERIFICATION:
        if command.field != CommandField.C_ECHO:
            raise Refused(Status.UNRECOGNIZED_OPERATION)
        return
    if command.field != CommandField.C_STORE:
        raise Refused(Status.UNRECOGNIZED_OPERATION)
    if not command.uid(Tag.AFFECTED_SOP_INSTANCE_UID):
        tag = Tag.AFFECTED_SOP_INSTANCE_UID
        raise Refused(Status.INVALID_SOP_INSTANCE, "no Affected SOP Instance UID", (tag,))
    if not command.uid(Tag.AFFECTED_SOP_CLASS_UID):
        tag = Tag.AFFECTED_SOP_CLASS_UID
        raise Refused(Status.MISTYPED_ARGUMENT, "no Affected SOP Class UID", (tag,))
    if dataset is None:
        raise Refused(Status.CANNOT_UNDERSTAND, "Not a dataset: there is none")


def _log_arrival(command: CommandSet) -> None:
    if command.field == CommandField.C_STORE:
        logger.info("Received Store Request")
    elif command.field == CommandField.C_ECHO:
        logger.info("Received Echo Request (MsgID %s)", command.number(Tag.MESSAGE_ID))
    else:
        logger.info("Received %s", command.name)


def _debug(describe: Callable[..., Iterator[str]], *args: object) -> None:
    """Write what `describe` says to the debug log, if anybody reads that."""
    if logger.isEnabledFor(logging.DEBUG):
        for line in describe(*args):
            logger.debug("%s", line)
