"""The acceptor's conversation: one coroutine per association.

It knows neither sockets nor files. Events of the upper layer are fed to it as they come; its
program counter is its state: negotiate, then message by message until release or abort. Within
an asynchronous operations window wider than 1 each request has a task of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from aiodicom.acceptor.answering import FAILED, Answer, Answering, log_lines
from aiodicom.acceptor.telling import Telling
from aiodicom.access.rules import AccessRules
from aiodicom.dataset import DatasetStream
from aiodicom.describe import accept_lines, escape, message_lines, request_lines
from aiodicom.errors import (
    AbortAssociation,
    AssociationAborted,
    AssociationClosed,
    AssociationLost,
    AssociationRejected,
    ProtocolError,
    Refused,
)
from aiodicom.events import ConnectionRefused, Event, How, ProposalRejected
from aiodicom.failures import cancels_us, log_failure
from aiodicom.requests import AssociationInfo, Authorize, EchoHandler, StoreHandler
from aiodicom.seldom import Seldom
from aiodicom.wire.dimse import CommandField, CommandSet, Status, Tag, encode_response
from aiodicom.wire.negotiation import (
    Agreement,
    Policy,
    PresentationContext,
    negotiate,
    with_identity_response,
)
from aiodicom.wire.pdu import Abort, AssociateReject, ReleaseRequest
from aiodicom.wire.upper_layer import Fragment, Incoming, Message, UpperLayer

__all__ = ["Association", "Link", "Service"]

logger = logging.getLogger("aiodicom.association")

# As plain numbers: to name an enumeration's member costs as much as a call, for every message.
_C_STORE = CommandField.C_STORE.value
_MESSAGE_ID = Tag.MESSAGE_ID.value

CROWDED = 32
"""Small messages that may wait for their turn before the association stops reading."""

SMALL = 1 << 10
"""Bytes that a small message takes while it waits, whatever it says, and a large one on top."""


class Link(Protocol):
    """The connection, as the conversation sees it."""

    def flush(self) -> None:
        """Send what the upper layer has to send, and close where it says so."""

    async def drain(self) -> None:
        """Wait while the peer does not take what was sent to it."""

    def idle(self) -> None:
        """Hear that the conversation waits for the peer."""

    def crowded(self, waiting: int) -> None:
        """Hear how many bytes of messages wait where that is more than should; else 0."""


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
    access : AccessRules or None
        Who may associate; asked before `authorize`.
    admit : callable
        Counts an association in; raises `AssociationRejected` where there is no room for it.
    leave : callable
        Counts an association out that was counted in, or was not let in.
    tell : callable or None
        Told of what happens; None where nobody watches.
    parameters_level : int
        The level that the parameters of an association, with its presentation contexts, are
        logged with.
    rest : float
        Seconds between the response to a C-STORE and what comes next, to try senders with.
    seldom : Seldom
        Logs what peers can cause as often as they like.
    object_bytes : int or None
        The longest dataset that is taken.
    """

    policy: Policy
    store: StoreHandler | None = None
    echo: EchoHandler | None = None
    authorize: Authorize | None = None
    access: AccessRules | None = None
    admit: Callable[[AssociationInfo], None] = lambda _: None
    leave: Callable[[AssociationInfo], None] = lambda _: None
    tell: Callable[[Event], None] | None = None
    parameters_level: int = logging.DEBUG
    rest: float = 0
    seldom: Seldom = field(default_factory=Seldom)
    object_bytes: int | None = None


_DUPLICATE = Answer(Status.DUPLICATE_INVOCATION, "Message ID is in use")


_Arrival = tuple[Message, DatasetStream | None]


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
        self._answering: Answering
        self._window = 1
        self._running = 0  # requests that are served side by side
        self._failure: ProtocolError | AbortAssociation | None = None
        self._inbox: list[_Arrival | ReleaseRequest] = []  # short; an empty deque is 760 bytes
        self._waiting = 0  # bytes in there
        self._waiter: asyncio.Future[None] | None = None
        self._end: AssociationClosed | None = None
        self._was_receiving = False
        self._stopping = False
        self._is_counted = False
        self._is_rejected = self._is_told = False
        self._early: AssociationClosed | None = None  # of a release that a dataset did not expect
        self._telling: Telling | None = None
        self._outcome: tuple[How, str] | None = None

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
            if self._telling is not None:
                self._telling.begun(event, dataset)
            self._inbox.append((event, dataset))
            self._waiting += SMALL + event.size
            if self._waiting >= CROWDED * SMALL:
                self._link.crowded(self._waiting)
        elif isinstance(event, Abort):
            self.lost(AssociationAborted(event.source, event.reason), "aborted")
        elif isinstance(event, ReleaseRequest):
            if self.receiving is not None:
                self._early = AssociationClosed("released in the middle of a dataset")
                self.receiving.fail(self._early)
                self.receiving = None
            self._inbox.append(event)
        self._wake()

    def _feed_dataset(self, fragment: Fragment) -> None:
        if self.receiving is None:  # cannot be: the upper layer has checked it
            raise RuntimeError("a fragment without a message")
        self.receiving.feed(fragment.block, fragment.is_last)
        most = self._service.object_bytes
        if most is not None and self.receiving.size > most:
            comment = f"the object has more than {most} bytes"
            self.receiving.refuse(Refused(Status.OUT_OF_RESOURCES, comment))
        if fragment.is_last:
            self.receiving = None
            if self._telling is not None:
                self._telling.completed()
            if self._stopping:
                self._wake()

    def lost(self, error: AssociationClosed, how: How = "lost") -> None:
        """Hear that the association has ended without release."""
        if self._end is None:
            self._end = error
            self._outcome = how, str(error)
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
                await self._serve_messages()
        except ProtocolError as error:
            self._outcome = "violated", str(error)
            self._aborted(logging.ERROR, "violated", str(error))
            self._upper.abort(2, error.reason)
        except AbortAssociation as wish:
            self._outcome = "handler", str(wish) or "a handler wants it"
            self._aborted(logging.WARNING, "wished", str(wish) or "a handler wants it")
        except AssociationAborted:
            logger.info("Association Aborted")
        except AssociationClosed as error:
            if self._was_receiving:
                self._aborted(logging.WARNING, "lost", str(error))
            else:
                logger.info("Association Aborted: %s", escape(str(error)))
        finally:
            if self._is_counted:
                self._service.leave(self.info)
            self._drop_the_rest()
            self._upper.abort()  # whatever has ended the conversation, none goes on without one
            self._link.flush()
            self.tell_end()

    def _aborted(self, level: int, kind: str, why: str) -> None:
        key = self.info.address, kind
        self._service.seldom.log(logger, level, key, "Association Aborted: %s", escape(why))

    def tell_end(self) -> None:
        """Tell that the conversation is over, in whatever way; only the first call does."""
        if self._is_told:
            return
        self._is_told = True
        how, text = self._outcome or ("failed", "a bug of aiodicom's")
        if self._telling is not None:
            self._telling.ended(how, text)
        elif self._service.tell is not None and not self._is_rejected:
            self._service.tell(ConnectionRefused(self.info.address, "unanswered", text))

    async def _negotiated(self) -> bool:
        service, request = self._service, self.info.request
        logger.info("Association Received")
        log_lines(logger, service.parameters_level, request_lines, request)
        try:
            agreement = await self._agreed()
        except AssociationRejected as rejection:
            self._rejected(rejection)
            return False
        if self._end is not None:
            raise self._end
        self._answering = Answering(
            self.info, agreement.contexts, service.store, service.echo, service.seldom
        )
        self._window = agreement.window or CROWDED
        self._upper.accept(agreement.accept)
        self._link.flush()
        if service.tell is not None:
            self._telling = Telling(service.tell, self.info, agreement.contexts)
        logger.info("Association Accepted")
        log_lines(logger, service.parameters_level, accept_lines, agreement.accept)
        return True

    async def _agreed(self) -> Agreement:
        """Ask whoever may reject; those that cost nothing first."""
        service, info = self._service, self.info
        if service.access is not None:
            with self._rejecting("access rules"):
                service.access.check(info)
        self._is_counted = True
        with self._rejecting("admit of the store handler"):
            service.admit(info)
        agreement = negotiate(info.request, service.policy)
        if service.access is not None:
            with self._rejecting("verifier of user identities"):
                response = await service.access.identify(info)
            if response is not None:
                accept = with_identity_response(agreement.accept, response)
                agreement = replace(agreement, accept=accept)
        if service.authorize is not None:
            with self._rejecting("authorize hook"):
                await service.authorize(info)
        return agreement

    @contextlib.contextmanager
    def _rejecting(self, what: str) -> Iterator[None]:
        """Reject where somebody's code fails: what it would have said nobody knows."""
        try:
            yield
        except (AbortAssociation, AssociationRejected):
            raise
        except (Exception, asyncio.CancelledError) as error:
            if cancels_us(error):
                raise
            log_failure(logger, f"The {what} failed", error, self._service.seldom)
            raise AssociationRejected(f"the {what} failed", 2, 1, 1) from None

    def _rejected(self, rejection: AssociationRejected) -> None:
        triple = rejection.result, rejection.source, rejection.reason
        self._service.seldom.log(
            logger,
            logging.WARNING,
            (self.info.address, *triple),  # no titles, of which a peer may have many
            "Association Rejected: %s (calling %s, called %s, %s)",
            escape(str(rejection)),
            escape(self.info.calling_ae_title),
            escape(self.info.called_ae_title),
            self.info.address,
        )
        if self._end is None:
            self._upper.reject(AssociateReject(*triple))
            self._is_rejected = True
            if self._service.tell is not None:
                self._service.tell(ProposalRejected(self.info, *triple, str(rejection)))

    async def _serve_messages(self) -> None:
        if self._window == 1:
            await self._serve_in_turn()
        else:
            await self._serve_side_by_side()
        if self._failure is not None:
            raise self._failure
        if self._end is not None:  # or the peer has not waited for the answer to its release
            raise self._end
        if self._inbox and isinstance(self._inbox[0], ReleaseRequest):
            logger.info("Association Released")
            self._upper.respond_to_release()
            self._outcome = "released", ""
        else:
            logger.info("Association Aborted: the server stops")
            self._outcome = "stopped", "the server stops"
            self._upper.abort()

    async def _next(self) -> _Arrival | None:
        """Return what is to be served next; None where nothing is any more."""
        while not self._inbox or self._running == self._window:
            if self._end is not None and not self._inbox:
                return None
            if self._stopping and self.receiving is None:
                return None
            if not self._running:
                self.is_waiting = True
                self._link.idle()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
                self.is_waiting = False
        arrival = self._inbox[0]
        if isinstance(arrival, ReleaseRequest):
            return None
        if self._stopping and self._window > 1:  # who sends without a pause has always more
            return None
        del self._inbox[0]
        was_crowded = self._waiting >= CROWDED * SMALL
        self._waiting -= SMALL + arrival[0].size
        if was_crowded:
            self._link.crowded(self._waiting if self._waiting >= CROWDED * SMALL else 0)
        return arrival

    def _drop_the_rest(self) -> None:
        if self.receiving is not None:
            self.receiving.close()
        for arrival in self._inbox:
            if not isinstance(arrival, ReleaseRequest) and arrival[1] is not None:
                arrival[1].close()
        self._inbox.clear()

    # Requests in turn, where the window is 1 ---------------------------------------------------

    async def _serve_in_turn(self) -> None:
        context_of, rest = self._answering.context_of, self._service.rest
        served = 0
        while (arrival := await self._next()) is not None:
            message, dataset = arrival
            try:
                context = context_of(message)
                if context is not None:
                    await self._serve(context, message, dataset)
            finally:
                if dataset is not None and not dataset.consumed:
                    dataset.discard()
            await self._link.drain()
            if rest and message.command.field == _C_STORE:
                await asyncio.sleep(rest)
            served += 1
            if not served % CROWDED:  # handlers that never wait must not keep the others waiting
                await asyncio.sleep(0)
            del arrival, message, dataset  # who is idle holds no message

    # Requests side by side, within a wider window (PS3.7 D.3.3.3) ------------------------------

    async def _serve_side_by_side(self) -> None:
        in_use: set[int | None] = set()
        begun = 0
        async with asyncio.TaskGroup() as tasks:  # none outlives it, and it waits for all
            while (arrival := await self._next()) is not None:
                self._running += 1
                tasks.create_task(self._serve_beside_others(arrival, in_use))
                await self._link.drain()
                begun += 1
                if not begun % CROWDED:  # however wide the window is, others have their turn
                    await asyncio.sleep(0)
                del arrival

    async def _serve_beside_others(self, arrival: _Arrival, in_use: set[int | None]) -> None:
        """Serve one request; whatever ends the association with it is no error of the task's.

        `in_use` holds the Message IDs of the requests that are not answered yet.
        """
        message, dataset = arrival
        rest = self._service.rest
        try:
            context = self._answering.context_of(message)
            if context is not None:
                message_id = message.command.number(_MESSAGE_ID)
                if message_id in in_use:
                    self._respond(message, _DUPLICATE)
                else:
                    in_use.add(message_id)
                    try:
                        await self._serve(context, message, dataset)
                    finally:
                        in_use.discard(message_id)
            if rest and message.command.field == _C_STORE:  # its place in the window rests
                await asyncio.sleep(rest)
        except (ProtocolError, AbortAssociation) as error:
            self._give_up(error)
        except AssociationClosed:
            pass  # whoever serves the messages knows
        finally:
            if dataset is not None and not dataset.consumed:
                dataset.discard()
            self._running -= 1
            self._wake()

    def _give_up(self, error: ProtocolError | AbortAssociation) -> None:
        """Abort at once; requests whose datasets are complete are still served to their ends."""
        if self._failure is None:
            self._failure = error
        if isinstance(error, ProtocolError):
            self._upper.abort(2, error.reason)
        else:
            self._upper.abort()
        self._link.flush()
        self.lost(AssociationLost("the association was aborted"))
        self._drop_the_rest()

    # One request -------------------------------------------------------------------------------

    async def _serve(
        self, context: PresentationContext, message: Message, dataset: DatasetStream | None
    ) -> None:
        try:
            answer = await self._answering.answer(context, message.command, dataset)
        except AssociationClosed as error:
            if self._end is not None:
                raise
            if error is self._early:
                key, text = (self.info.address, "early"), "%s has %s: it is not stored"
                seldom = self._service.seldom
                seldom.log(logger, logging.WARNING, key, text, self.info.address, error)
            else:  # perhaps of another association, that the handler has
                log_failure(logger, "The handler failed", error, self._service.seldom)
            answer = FAILED
        self._respond(message, answer)

    def _respond(self, message: Message, answer: Answer) -> None:
        status, comment, can_send = answer.status, answer.comment, self._upper.can_send
        if can_send:
            response = encode_response(message.command, status, comment, answer.offending)
            if logger.isEnabledFor(logging.DEBUG):
                sent = CommandSet.decode(response)
                log_lines(
                    logger, logging.DEBUG, message_lines, message.context_id, sent, "OUTGOING"
                )
            self._upper.send(message.context_id, response)
            self._link.flush()
        if self._telling is not None:
            self._telling.answered(message, status, comment, can_send)
