"""What a request is answered with: the checks before a handler, the handler, and its outcome.

It sends nothing, and knows nothing of other requests of the association.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from aiodicom.dataset import DatasetStream
from aiodicom.describe import escape, message_lines
from aiodicom.errors import AbortAssociation, AssociationClosed, ProtocolError, Refused
from aiodicom.failures import cancels_us, log_failure
from aiodicom.requests import (
    AssociationInfo,
    EchoHandler,
    EchoRequest,
    StoreHandler,
    StoreRequest,
)
from aiodicom.seldom import Seldom
from aiodicom.wire.dimse import LONGEST_CLASS, CommandField, CommandSet, Status, Tag
from aiodicom.wire.negotiation import VERIFICATION, PresentationContext
from aiodicom.wire.upper_layer import Message

__all__ = ["FAILED", "Answer", "Answering", "log_lines"]

logger = logging.getLogger("aiodicom.answering")

# As plain numbers: to name an enumeration's member costs as much as a call, for every message.
_C_STORE = CommandField.C_STORE.value
_C_ECHO = CommandField.C_ECHO.value
_C_CANCEL = CommandField.C_CANCEL.value
_AFFECTED_CLASS = Tag.AFFECTED_SOP_CLASS_UID.value
_REQUESTED_CLASS = Tag.REQUESTED_SOP_CLASS_UID.value
_AFFECTED_INSTANCE = Tag.AFFECTED_SOP_INSTANCE_UID.value
_MESSAGE_ID = Tag.MESSAGE_ID.value

MANY_KINDS = 32
"""Kinds of requests of which an association remembers that they are served."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a response says (PS3.7 annex C)."""

    status: int
    comment: str = ""
    offending: tuple[int, ...] = ()


_SUCCEEDED = Answer(Status.SUCCESS.value)

FAILED = Answer(Status.UNABLE_TO_PROCESS, "the handler failed")


class Answering:
    """Answers the requests of one association.

    Parameters
    ----------
    info : AssociationInfo
        Who asks.
    contexts : mapping of int to PresentationContext
        Every proposed context, with its result.
    store, echo : callable or None
        The handlers. Without one for C-ECHO it is answered with success.
    seldom : Seldom
        Logs what is refused, and what fails: a disk may be full for many objects.
    """

    __slots__ = ("_checked", "_contexts", "_echo", "_info", "_seldom", "_store")

    def __init__(
        self,
        info: AssociationInfo,
        contexts: Mapping[int, PresentationContext],
        store: StoreHandler | None,
        echo: EchoHandler | None,
        seldom: Seldom,
    ) -> None:
        self._info = info
        self._contexts = contexts
        self._store = store
        self._echo = echo
        self._seldom = seldom
        self._checked: frozenset[tuple[int, int, bytes]] = frozenset()  # an empty set is 216 bytes

    def context_of(self, message: Message) -> PresentationContext | None:
        """Return the context that a message is to be answered in; None for one that is not.

        Raises
        ------
        ProtocolError
            Where it cannot be answered.
        """
        command = message.command
        if logger.isEnabledFor(logging.INFO):
            _log_arrival(command)
            log_lines(logger, logging.DEBUG, message_lines, message.context_id, command, "INCOMING")
        context = self._contexts.get(message.context_id)
        if context is None:
            raise ProtocolError(f"a message in context {message.context_id}, never proposed")
        if command.is_response or command.field == _C_CANCEL:
            logger.debug("Nothing to do for a %s", command.name)
            return None
        if command.number(_MESSAGE_ID) is None:
            raise ProtocolError("a request without a Message ID")
        return context

    async def answer(
        self, context: PresentationContext, command: CommandSet, dataset: DatasetStream | None
    ) -> Answer:
        """Call the handler for a request, and return what it is answered with.

        Raises
        ------
        AbortAssociation
            Where the handler wants that.
        AssociationClosed
            Where the dataset ended before its last fragment.
        """
        try:
            self._check(context, command, dataset)
        except Refused as refusal:
            return Answer(refusal.status, refusal.comment, refusal.offending)
        try:
            if command.field == _C_STORE:
                assert dataset is not None
                assert self._store is not None
                store = StoreRequest(self._info, context, command, dataset)
                answer = self._answer_of(await self._store(store))
            elif self._echo is None:
                return _SUCCEEDED
            else:
                return self._answer_of(await self._echo(EchoRequest(self._info, context, command)))
        except (AbortAssociation, AssociationClosed):
            raise
        except (Exception, asyncio.CancelledError) as error:
            if cancels_us(error):
                raise
            answer = self._answer_to(error)
        if command.field == _C_STORE and Status.is_success(answer.status):
            assert dataset is not None
            if not dataset.consumed:
                if dataset.refusal is not None:  # whatever the handler makes of that
                    return self._answer_to(dataset.refusal)
                self._complain("The store handler returned success without reading the dataset")
                return Answer(Status.UNABLE_TO_PROCESS, "the object was not read")
            if not dataset.complete:
                await dataset.wait_complete()
        return answer

    def _answer_of(self, status: object) -> Answer:
        """Make an answer of what a handler has returned."""
        if not isinstance(status, int) or isinstance(status, bool) or not 0 <= status <= 0xFFFF:
            said = status if isinstance(status, int) else type(status).__name__  # or a dataset
            self._complain(f"The handler returned {said}, which is no status")
            return FAILED
        return Answer(int(status)) if status else _SUCCEEDED

    def _answer_to(self, error: BaseException) -> Answer:
        """Make an answer of what a handler has raised."""
        if isinstance(error, Refused):
            address = self._info.address
            key, text = (address, "refused", error.status), escape(str(error))
            self._seldom.log(logger, logging.WARNING, key, "Refused: %s (%s)", text, address)
            return Answer(error.status, error.comment, error.offending)
        log_failure(logger, "The handler failed", error, self._seldom)
        if isinstance(error, OSError):  # TimeoutError is one
            # Not error.strerror: whoever raised it may have put a path into it.
            number = error.errno or 0
            reason = os.strerror(number) if number > 0 else type(error).__name__
            return Answer(Status.OUT_OF_RESOURCES, reason)
        return FAILED

    def _complain(self, what: str) -> None:
        """Log a bug of a handler's."""
        self._seldom.log(logger, logging.ERROR, what, "%s", what)

    def _check(
        self, context: PresentationContext, command: CommandSet, dataset: DatasetStream | None
    ) -> None:
        """Check what differs from one request to the next; the rest once for each kind."""
        sop_class = command.elements.get(_AFFECTED_CLASS, b"")
        kind = context.context_id, command.field, sop_class
        is_usual = _REQUESTED_CLASS not in command.elements and len(sop_class) <= LONGEST_CLASS
        if not is_usual or kind not in self._checked:
            _check_kind(context, command)
            if is_usual and len(self._checked) < MANY_KINDS:
                self._checked |= {kind}
        if command.field == _C_STORE:
            if not command.elements.get(_AFFECTED_INSTANCE, b"").strip(b"\0 "):
                comment = "no Affected SOP Instance UID"
                raise Refused(Status.INVALID_SOP_INSTANCE, comment, (_AFFECTED_INSTANCE,))
            if dataset is None:
                raise Refused(Status.CANNOT_UNDERSTAND, "Not a dataset: there is none")


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


def log_lines(
    to: logging.Logger, level: int, describe: Callable[..., Iterator[str]], *args: object
) -> None:
    """Write what `describe` says to a log, if anybody reads that."""
    if to.isEnabledFor(level):
        for line in describe(*args):
            to.log(level, "%s", line)
