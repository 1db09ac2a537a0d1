"""Telling what happens in one association: each thing once, whatever happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

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
_RESPONSE = 0x8000
"""The bit of a Command Field that responses have (PS3.7 E.1)."""


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
        # In the order in which they came. Nearly always the first one is answered next: to look
        # for it costs less than a dictionary.
        self._open: list[RequestBegun] = []
        self._receiving: RequestBegun | None = None
        self._since = time.monotonic()
        tell(AssociationAccepted(info, time.time()))

    def begun(self, message: Message, dataset: DatasetStream | None) -> None:
        """Hear of a message. Of what is no request that can be answered nothing is told."""
        self._receiving = None
        command = message.command
        field, context = command.field, self._contexts.get(message.context_id)
        if context is None or field & _RESPONSE or field == _C_CANCEL:
            return
        if len(command.elements.get(_MESSAGE_ID, b"")) < 2:
            return
        request = RequestBegun(self._info, context, command, dataset, time.time())
        request.since, request.completed = time.monotonic(), None
        self._open.append(request)
        if dataset is not None:
            self._receiving = request
        self._tell(request)

    def completed(self) -> None:
        """Hear that the last fragment of the dataset has come that is being received."""
        if self._receiving is not None:
            self._receiving.completed = time.monotonic()
            self._receiving = None

    def answered(self, message: Message, status: int, comment: str, is_sent: bool) -> None:
        """Hear what has become of a request, and whether its peer was told."""
        for index, request in enumerate(self._open):
            if request.command is message.command:
                del self._open[index]
                break
        else:
            return
        now, completed = time.monotonic(), request.completed
        settled = None if completed is None else now - completed
        self._tell(RequestEnded(request, status, comment, now - request.since, settled, is_sent))

    def ended(self, how: How, text: str) -> None:
        """Hear that the association has ended: what was not answered never will be."""
        now = time.monotonic()
        while self._open:
            request = self._open.pop(0)
            self._tell(RequestEnded(request, None, text, now - request.since, None, False))
        self._tell(AssociationEnded(self._info, how, text, now - self._since))
