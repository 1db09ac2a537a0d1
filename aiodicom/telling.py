"""Telling what happens in one association: each thing once, whatever happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiodicom.dataset import DatasetStream
from aiodicom.events import (
    AssociationAccepted,
    AssociationEnded,
    Event,
    How,
    RequestBegun,
    RequestEnded,
)
from aiodicom.requests import AssociationInfo
from aiodicom.wire.dimse import CommandField, Tag
from aiodicom.wire.negotiation import PresentationContext
from aiodicom.wire.upper_layer import Message

__all__ = ["Telling"]

_C_CANCEL = CommandField.C_CANCEL.value
_MESSAGE_ID = Tag.MESSAGE_ID.value


@dataclass(slots=True, eq=False)
class _Open:
    """A request that was begun, and when on the clock that never jumps."""

    message: Message  # as long as it is here no other one has its id
    request: RequestBegun
    since: float
    completed: float | None = None


class Telling:
    """Tells of one association that was accepted, and of its requests.

    Parameters
    ----------
    tell : callable
        Is told of each event.
    info : AssociationInfo
        Whose association.
    contexts : mapping of int to PresentationContext
        Every proposed context.
    """

    __slots__ = ("_contexts", "_info", "_open", "_receiving", "_since", "_tell")

    def __init__(
        self,
        tell: Callable[[Event], None],
        info: AssociationInfo,
        contexts: Mapping[int, PresentationContext],
    ) -> None:
        self._tell = tell
        self._info = info
        self._contexts = contexts
        self._open: dict[int, _Open] = {}
        self._receiving: _Open | None = None
        self._since = time.monotonic()
        tell(AssociationAccepted(info, time.time()))

    def begun(self, message: Message, dataset: DatasetStream | None) -> None:
        """Hear of a message. Of what is no request that can be answered nothing is told."""
        self._receiving = None
        command = message.command
        context = self._contexts.get(message.context_id)
        if context is None or command.is_response or command.field == _C_CANCEL:
            return
        if command.number(_MESSAGE_ID) is None:
            return
        request = RequestBegun(self._info, context, command, dataset, time.time())
        record = self._open[id(message)] = _Open(message, request, time.monotonic())
        if dataset is not None:
            self._receiving = record
        self._tell(request)

    def completed(self) -> None:
        """Hear that the last fragment of the dataset has come that is being received."""
        if self._receiving is not None:
            self._receiving.completed = time.monotonic()
            self._receiving = None

    def answered(self, message: Message, status: int, comment: str, *, is_sent: bool) -> None:
        """Hear what has become of a request, and whether its peer was told."""
        record = self._open.pop(id(message), None)
        if record is None:
            return
        now, completed = time.monotonic(), record.completed
        settled = None if completed is None else now - completed
        request, seconds = record.request, now - record.since
        self._tell(RequestEnded(request, status, comment, seconds, settled, is_sent))

    def ended(self, how: How, text: str) -> None:
        """Hear that the association has ended: what was not answered never will be."""
        now = time.monotonic()
        while self._open:
            record = self._open.pop(next(iter(self._open)))
            self._tell(RequestEnded(record.request, None, text, now - record.since, None, False))
        self._tell(AssociationEnded(self._info, how, text, now - self._since))
