"""Tracing: associations and their objects as spans of OpenTelemetry."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Self

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider

from aiodicom.events import (
    AssociationAccepted,
    AssociationEnded,
    Event,
    ProposalRejected,
    RequestBegun,
    RequestEnded,
)
from aiodicom.requests import AssociationInfo, StoreRequest
from aiodicom.wire.dimse import CommandField, Status
from aiodicom.wire.identity import __version__

__all__ = ["Tracing"]

logger = logging.getLogger("aiodicom.monitor")

_C_STORE: Final = CommandField.C_STORE.value

LONGEST: Final = 128
"""Characters of a text that a span gets: UIDs have 64, AE titles 16."""

PATIENCE = 5.0
"""Seconds that spans have to be sent at the end."""


@dataclass(slots=True)
class _Trace:
    """The span of an association, and those of its objects that run."""

    span: Span
    context: Context
    objects: dict[int, Span] = field(default_factory=dict)  # by the id of their commands


class Tracing:
    """A watcher that makes a span of each association, and in it one of each C-STORE.

    Their attributes are in ``docs/events.md``. There is no patient data in them. Where only the API
    of OpenTelemetry is installed nothing comes of it.

    Parameters
    ----------
    tracer_provider : opentelemetry.trace.TracerProvider, optional
        Whose tracer to use; by default the global one's.
    make_provider : callable, optional
        Makes one instead, in each worker, when the server starts; it is shut down when the server
        has stopped. It is called in a thread.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        *,
        make_provider: Callable[[], Any] | None = None,
    ) -> None:
        self._tracer = trace.get_tracer("aiodicom", __version__, tracer_provider)
        self._make_provider = make_provider
        self._made: Any = None
        self._traces: dict[int, _Trace] = {}
        self._tellers: dict[type, Callable[[Any], None]] = {
            AssociationAccepted: self._accepted,
            AssociationEnded: self._ended,
            RequestBegun: self._request_begun,
            RequestEnded: self._request_ended,
            ProposalRejected: self._rejected,
        }

    async def __aenter__(self) -> Self:
        if self._make_provider is not None:
            self._made = await asyncio.to_thread(self._make_provider)
            self._tracer = trace.get_tracer("aiodicom", __version__, self._made)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        made, self._made = self._made, None
        if made is not None:
            await _in_thread(made.shutdown)

    def span(self, request: StoreRequest) -> Span:
        """Return the span of an object that is being received.

        For handlers that have spans of their own: ``with trace.use_span(tracing.span(request))``.

        Parameters
        ----------
        request : StoreRequest
            What the handler was given.
        """
        found = self._traces.get(request.association.number)
        span = None if found is None else found.objects.get(id(request.command))
        return trace.INVALID_SPAN if span is None else span

    def __call__(self, event: Event) -> None:
        """Begin or end the span of an event, where it has one."""
        teller = self._tellers.get(type(event))
        if teller is not None:
            teller(event)

    # Associations --------------------------------------------------------------------------------

    def _start(self, association: AssociationInfo, at: float) -> Span:
        return self._tracer.start_span(
            "DICOM association",
            context=Context(),  # whatever is current has nothing to do with it
            kind=SpanKind.SERVER,
            start_time=_nanoseconds(at),
            attributes={
                "network.transport": "tcp",
                "network.peer.address": _clipped(association.address),
                "network.peer.port": association.port,
                "dicom.calling_ae_title": _clipped(association.calling_ae_title),
                "dicom.called_ae_title": _clipped(association.called_ae_title),
            },
        )

    def _accepted(self, event: AssociationAccepted) -> None:
        span = self._start(event.association, event.at)
        context = trace.set_span_in_context(span, Context())
        self._traces[event.association.number] = _Trace(span, context)

    def _ended(self, event: AssociationEnded) -> None:
        found = self._traces.pop(event.association.number, None)
        if found is None:
            return
        span = found.span
        span.set_attribute("dicom.association.end", event.how)
        if event.how not in ("released", "stopped"):
            span.set_status(StatusCode.ERROR, _clipped(event.text))
        span.end()

    def _rejected(self, event: ProposalRejected) -> None:
        span = self._start(event.association, time.time())
        span.set_attribute("dicom.association.end", "rejected")
        span.set_attribute("dicom.reject.result", event.result)
        span.set_attribute("dicom.reject.source", event.source)
        span.set_attribute("dicom.reject.reason", event.reason)
        span.set_status(StatusCode.ERROR, _clipped(event.text))
        span.end()

    # Objects -------------------------------------------------------------------------------------

    def _request_begun(self, event: RequestBegun) -> None:
        found = self._traces.get(event.association.number)
        if found is None or event.command.field != _C_STORE:
            return
        found.objects[id(event.command)] = self._tracer.start_span(
            "C-STORE",
            context=found.context,
            kind=SpanKind.SERVER,
            start_time=_nanoseconds(event.at),
            attributes={
                "dicom.message_id": event.message_id,
                "dicom.sop_class_uid": _clipped(event.sop_class_uid),
                "dicom.sop_instance_uid": _clipped(event.sop_instance_uid),
                "dicom.transfer_syntax_uid": _clipped(event.transfer_syntax_uid),
            },
        )

    def _request_ended(self, event: RequestEnded) -> None:
        request = event.request
        found = self._traces.get(request.association.number)
        span = None if found is None else found.objects.pop(id(request.command), None)
        if span is None:
            return
        span.set_attribute("dicom.dataset.size", request.size)
        span.set_attribute("dicom.answered", event.answered)
        if event.settled is not None:
            span.set_attribute("dicom.settled_seconds", event.settled)
        if event.status is not None:
            span.set_attribute("dicom.status", int(event.status))
        if event.status is None or not Status.is_success(event.status):
            span.set_status(StatusCode.ERROR, _clipped(event.comment))
        span.end()


def _nanoseconds(moment: float) -> int:
    return int(moment * 1e9)


def _clipped(text: str) -> str:
    """Return the beginning of a text that can be written in UTF-8."""
    if len(text) > LONGEST:
        text = text[:LONGEST] + "..."
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


async def _in_thread(act: Callable[[], object]) -> None:
    """Do something that may wait for the network, and give up where that takes too long."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def work() -> None:
        try:
            act()
        except Exception:
            logger.exception("Spans are not sent in the end")
        with contextlib.suppress(RuntimeError):  # a loop that is closed has given up on us
            loop.call_soon_threadsafe(ended.set)

    # Not the loop's threads, for which the program's end would wait.
    threading.Thread(target=work, name="aiodicom spans", daemon=True).start()
    try:
        async with asyncio.timeout(PATIENCE):
            await ended.wait()
    except TimeoutError:
        logger.error("Spans are not sent in the end: that takes longer than %g s", PATIENCE)
