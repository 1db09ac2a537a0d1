"""Telling what happens in one association: each thing once, whatever happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

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

_COMPLETED = 3
_Open = list[Any]
"""A request that was begun: its message, itself, when, and when its dataset was complete.

A plain list, which is made in half the time: there is one for each object. As long as it has the
message no other one has its id.
"""


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
        field, context = command.field, self._contexts.get(message.context_id)
        if context is None or field & _RESPONSE or field == _C_CANCEL:
            return
        if len(command.elements.get(_MESSAGE_ID, b"")) < 2:
            return
        request = RequestBegun(self._info, context, command, dataset, time.time())
        record = self._open[id(message)] = [message, request, time.monotonic(), None]
        if dataset is not None:
            self._receiving = record
        self._tell(request)

    def completed(self) -> None:
        """Hear that the last fragment of the dataset has come that is being received."""
        if self._receiving is not None:
            self._receiving[_COMPLETED] = time.monotonic()
            self._receiving = None

    def answered(self, message: Message, status: int, comment: str, *, is_sent: bool) -> None:
        """Hear what has become of a request, and whether its peer was told."""
        record = self._open.pop(id(message), None)
        if record is None:
            return
        _, request, since, completed = record
        now = time.monotonic()
        settled = None if completed is None else now - completed
        self._tell(RequestEnded(request, status, comment, now - since, settled, is_sent))

    def ended(self, how: How, text: str) -> None:
        """Hear that the association has ended: what was not answered never will be."""
        now = time.monotonic()
        while self._open:
            _, request, since, _ = self._open.pop(next(iter(self._open)))
            self._tell(RequestEnded(request, None, text, now - since, None, False))
        self._tell(AssociationEnded(self._info, how, text, now - self._since))
