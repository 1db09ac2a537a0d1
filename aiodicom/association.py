"""The acceptor's conversation: one coroutine per association.

It knows neither sockets nor files. Events of the upper layer are fed to it as they come; its
program counter is its state: negotiate, then message by message until release or abort.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from aiodicom.dataset import DatasetStream
from aiodicom.describe import accept_lines, escape, message_lines, request_lines
from aiodicom.errors import (
    AbortAssociation,
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
from aiodicom.wire.dimse import CommandField, CommandSet, Status, Tag, encode_response
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

_RequestT = TypeVar("_RequestT")

# As plain numbers: to name an enumeration's member costs as much as a call, for every message.
_C_STORE = CommandField.C_STORE.value
_C_ECHO = CommandField.C_ECHO.value
_C_CANCEL = CommandField.C_CANCEL.value
_AFFECTED_CLASS = Tag.AFFECTED_SOP_CLASS_UID.value
_REQUESTED_CLASS = Tag.REQUESTED_SOP_CLASS_UID.value
_AFFECTED_INSTANCE = Tag.AFFECTED_SOP_INSTANCE_UID.value
_MESSAGE_ID = Tag.MESSAGE_ID.value

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
    on_ended : callable or None
        Told of an association that was accepted and has ended, after its last handler.
    parameters_level : int
        The level that the parameters of an association, with its presentation contexts, are
        logged with.
    rest : float
        Seconds between the response to a C-STORE and what comes next, to try senders with.
    """

    policy: Policy
    store: StoreHandler | None = None
    echo: EchoHandler | None = None
    authorize: Authorize | None = None
    admit: Callable[[], None] = lambda: None
    on_ended: Callable[[AssociationInfo], None] | None = None
    parameters_level: int = logging.DEBUG
    rest: float = 0


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    comment: str = ""
    offending: tuple[int, ...] = ()


_FAILED = _Answer(Status.UNABLE_TO_PROCESS, "the handler failed")


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
        self._checked: set[tuple[int, int, bytes | None]] = set()
        self._inbox: deque[_Arrival | ReleaseRequest] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._end: AssociationClosed | None = None
        self._was_receiving = False
        self._stopping = False

    # What comes from the connection ----------------------------------------------------------

    def feed(self, event: Incoming) -> None:
        """Take an event of the upper layer."""
        if isinstance(event, Fragment):
            self._feed_dataset(event)
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

    def _feed_dataset(self, fragment: Fragment) -> None:
        if self.receiving is None:  # cannot be: the upper layer has checked it
            raise RuntimeError("a fragment without a message")
        self.receiving.feed(fragment.block, fragment.is_last)
        if fragment.is_last:
            self.receiving = None
            if self._stopping:
                self._wake()

    def lost(self, error: AssociationClosed) -> None:
        """Hear that the association has ended without release."""
        if self._end is None:
            self._end = error
            self._was_receiving = self.receiving is not None
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
            self.is_waiting = False  # from now on the peer waits for us

    # The conversation --------------------------------------------------------------------------

    async def converse(self) -> None:
        """Run the association from its request to its end."""
        try:
            if await self._negotiated():
                try:
                    await self._serve_messages()
                finally:
                    self._tell_ended()
        except ProtocolError as error:
            logger.error("Association Aborted: %s", error)
            self._upper.abort(2, error.reason)
        except AbortAssociation as wish:
            logger.warning("Association Aborted: %s", escape(str(wish) or "a handler wants it"))
        except AssociationAborted:
            logger.info("Association Aborted")
        except AssociationClosed as error:
            level = logging.WARNING if self._was_receiving else logging.INFO
            logger.log(level, "Association Aborted: %s", error)
        finally:
            self._drop_the_rest()
            self._upper.abort()  # whatever has ended the conversation, none goes on without one
            self._link.flush()

    def _tell_ended(self) -> None:
        if self._service.on_ended is not None:
            try:
                self._service.on_ended(self.info)
            except Exception:
                logger.exception("What follows the end of an association failed")

    async def _negotiated(self) -> bool:
        request = self.info.request
        logger.info("Association Received")
        _log(self._service.parameters_level, request_lines, request)
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
        _log(self._service.parameters_level, accept_lines, agreement.accept)
        return True

    async def _authorize(self, authorize: Authorize) -> None:
        try:
            await authorize(self.info)
        except (AbortAssociation, AssociationRejected):
            raise
        except (Exception, asyncio.CancelledError) as error:
            if _cancels_us(error):
                raise
            logger.exception("The authorize hook failed")
            raise AssociationRejected("the authorize hook failed", 2, 1, 1) from None

    async def _serve_messages(self) -> None:
        served = 0
        while (arrival := await self._next()) is not None:
            if isinstance(arrival, ReleaseRequest):
                if self._end is not None:  # the peer has not waited for the answer
                    raise self._end
                logger.info("Association Released")
                self._upper.respond_to_release()
                return
            try:
                await self._serve(arrival.message, arrival.dataset)
            finally:
                if arrival.dataset is not None and not arrival.dataset.consumed:
                    arrival.dataset.discard()
            await self._link.drain()
            if self._service.rest and arrival.message.command.field == _C_STORE:
                await asyncio.sleep(self._service.rest)
            served += 1
            if not served % CROWDED:  # handlers that never wait must not keep the others waiting
                await asyncio.sleep(0)
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
            _log(logging.DEBUG, message_lines, message.context_id, command, "INCOMING")
        context = self._contexts.get(message.context_id)
        if context is None:
            raise ProtocolError(f"a message in context {message.context_id}, never proposed")
        if command.is_response or command.field == _C_CANCEL:
            logger.debug("Nothing to do for a %s", command.name)
            return
        if command.number(_MESSAGE_ID) is None:
            raise ProtocolError("a request without a Message ID")
        try:
            self._check(context, command, dataset)
            answer = await self._handle(context, command, dataset)
        except Refused as refusal:
            answer = _Answer(refusal.status, refusal.comment, refusal.offending)
        except AssociationClosed as error:
            if self._end is not None:
                raise
            logger.error("The handler failed: %s", error)  # the peer's release, or the other side
            answer = _FAILED
        self._respond(message, answer)

    def _check(
        self, context: PresentationContext, command: CommandSet, dataset: DatasetStream | None
    ) -> None:
        """Check what differs from one request to the next; the rest once for each kind."""
        kind = context.context_id, command.field, command.elements.get(_AFFECTED_CLASS)
        if kind not in self._checked:
            _check_kind(context, command)
            if len(self._checked) < CROWDED:
                self._checked.add(kind)
        if command.field == _C_STORE:
            if not command.elements.get(_AFFECTED_INSTANCE, b"").strip(b"\0 "):
                comment = "no Affected SOP Instance UID"
                raise Refused(Status.INVALID_SOP_INSTANCE, comment, (_AFFECTED_INSTANCE,))
            if dataset is None:
                raise Refused(Status.CANNOT_UNDERSTAND, "Not a dataset: there is none")

    async def _handle(
        self, context: PresentationContext, command: CommandSet, dataset: DatasetStream | None
    ) -> _Answer:
        if command.field == _C_ECHO:
            if self._service.echo is None:
                return _Answer(Status.SUCCESS)
            echo = EchoRequest(self.info, context, command)
            return await _answer_of(self._service.echo, echo)
        assert dataset is not None
        assert self._service.store is not None
        request = StoreRequest(self.info, context, command, dataset)
        answer = await _answer_of(self._service.store, request)
        if Status.is_success(answer.status):
            if not dataset.consumed:
                logger.error("The store handler returned success without reading the dataset")
                return _Answer(Status.UNABLE_TO_PROCESS, "the object was not read")
            await dataset.wait_complete()
        return answer

    def _respond(self, message: Message, answer: _Answer) -> None:
        if not self._upper.can_send:
            return
        response = encode_response(message.command, answer.status, answer.comment, answer.offending)
        if logger.isEnabledFor(logging.DEBUG):
            sent = CommandSet.decode(response)
            _log(logging.DEBUG, message_lines, message.context_id, sent, "OUTGOING")
        self._upper.send(message.context_id, response)
        self._link.flush()


async def _answer_of(handler: Callable[[_RequestT], Awaitable[int]], request: _RequestT) -> _Answer:
    """Call a handler and make an answer of whatever it does."""
    try:
        status = await handler(request)
    except (AbortAssociation, AssociationClosed):
        raise
    except Refused as refusal:
        logger.warning("Refused: %s", escape(str(refusal)))
        return _Answer(refusal.status, refusal.comment, refusal.offending)
    except OSError as error:  # TimeoutError is one
        logger.error("The handler failed: %s", error)
        # Not error.strerror: whoever raised it may have put a path into it.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else type(error).__name__
        return _Answer(Status.OUT_OF_RESOURCES, reason)
    except (Exception, asyncio.CancelledError) as error:
        if _cancels_us(error):
            raise
        logger.exception("The handler failed")
        return _FAILED
    if not isinstance(status, int) or isinstance(status, bool) or not 0 <= status <= 0xFFFF:
        logger.error("The handler returned %r, which is no status", status)
        return _FAILED
    return _Answer(int(status))


def _cancels_us(error: BaseException) -> bool:
    """Tell whether our task is cancelled, and not something that a handler waited for."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _check_kind(context: PresentationContext, command: CommandSet) -> None:
    """Refuse what no handler is for (PS3.7 9.1.1.1.9 and annex C)."""
    if not context.is_accepted:
        raise Refused(Status.SOP_CLASS_NOT_SUPPORTED, "presentation context not accepted")
    for tag in (_AFFECTED_CLASS, _REQUESTED_CLASS):
        if command.uid(tag) not in ("", context.abstract_syntax):
            comment = "SOP class is not the presentation context's"
            raise Refused(Status.SOP_CLASS_NOT_SUPPORTED, comment, (tag,))
    is_verification = context.abstract_syntax == VERIFICATION
    if command.field != (_C_ECHO if is_verification else _C_STORE):
        raise Refused(Status.UNRECOGNIZED_OPERATION)
    if not is_verification and not command.uid(_AFFECTED_CLASS):
        comment = "no Affected SOP Class UID"
        raise Refused(Status.MISTYPED_ARGUMENT, comment, (_AFFECTED_CLASS,))


def _log_arrival(command: CommandSet) -> None:
    if command.field == _C_STORE:
        logger.info("Received Store Request")
    elif command.field == _C_ECHO:
        logger.info("Received Echo Request (MsgID %s)", command.number(_MESSAGE_ID))
    else:
        logger.info("Received %s", command.name)


def _log(level: int, describe: Callable[..., Iterator[str]], *args: object) -> None:
    """Write what `describe` says to the log, if anybody reads that."""
    if logger.isEnabledFor(level):
        for line in describe(*args):
            logger.log(level, "%s", line)
