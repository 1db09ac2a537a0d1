"""The connection: transport, flow control and deadlines around one upper layer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

from aiodicom.association import Association, Service
from aiodicom.certificate import PeerCertificate
from aiodicom.deadlines import Deadline, Deadlines
from aiodicom.errors import AbortReason, AssociationLost, ProtocolError
from aiodicom.failures import log_failure
from aiodicom.limits import Limits, Timeouts
from aiodicom.requests import AssociationInfo
from aiodicom.wire.buffers import Account, Pool
from aiodicom.wire.pdu import AssociateRequest
from aiodicom.wire.states import State
from aiodicom.wire.upper_layer import Incoming, Role, UpperLayer

__all__ = ["AcceptorConnection", "Surroundings"]

logger = logging.getLogger("aiodicom.protocol")

WRITE_HIGH_WATER = 4096
"""Bytes that wait to be sent before the conversation waits: a few dozen responses."""


# What a deadline is for, in words. Not an enumeration: these are compared for every read.
_NOTHING: Final = "nothing"
_REQUEST: Final = "an A-ASSOCIATE-RQ"
_PEER: Final = "anything"
_FRAGMENT: Final = "the rest of a message"
_WRITING: Final = "our bytes to be taken"
_CLOSE: Final = "the connection to be closed"

_AWAITING_CLOSE: Final = State.STA13


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a connection shares with the others of its server."""

    loop: asyncio.AbstractEventLoop
    pool: Pool
    service: Service
    limits: Limits
    timeouts: Timeouts
    on_made: Callable[[AcceptorConnection], None]
    on_gone: Callable[[AcceptorConnection], None]
    deadlines: Deadlines = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "deadlines", Deadlines(self.loop))


class AcceptorConnection(asyncio.BufferedProtocol):
    """One accepted connection.

    Parameters
    ----------
    surroundings : Surroundings
        What it shares with others.
    number : int
        Its number in the server's log.
    """

    __slots__ = (
        "_account", "_around", "_crowd", "_drained", "_due", "_loop", "_peer",
        "_reading_paused", "_timer", "_timer_due", "_transport", "_upper", "_waiting",
        "_writing_paused", "association", "number", "task",
    )  # fmt: skip

    def __init__(self, surroundings: Surroundings, number: int) -> None:
        self.number = number
        self.association: Association | None = None
        self.task: asyncio.Task[None] | None = None
        self._around = surroundings
        self._loop = surroundings.loop
        self._account = Account(surroundings.pool, self, surroundings.limits.association_bytes)
        maximum_length = surroundings.service.policy.maximum_length
        self._upper = UpperLayer(Role.ACCEPTOR, self._account, maximum_length)
        self._transport: asyncio.Transport | None = None
        self._peer = ("", 0)
        # Flow control.
        self._crowd = 0  # bytes of messages that wait, where they are many
        self._reading_paused = False
        self._drained: asyncio.Future[None] | None = None
        self._writing_paused = False
        # Deadlines: one timer, moved lazily, so that being busy costs nothing.
        self._waiting: str = _NOTHING
        self._due = 0.0
        self._timer: Deadline | None = None
        self._timer_due = 0.0

    @property
    def is_conversing(self) -> bool:
        """Whether there is an association: an ended one may wait for its peer to close."""
        return self.task is not None and not self.task.done()

    # asyncio.BufferedProtocol ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self._peer = (str(peer[0]).removeprefix("::ffff:"), int(peer[1]))
        self._upper.connected()
        self._around.on_made(self)
        self._wait(_REQUEST, self._around.timeouts.association)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._upper.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        try:
            events = self._upper.received(nbytes)
        except ProtocolError as error:
            self._violated(error)
            return
        for event in events:
            if self.association is not None:
                self.association.feed(event)
            else:
                self._begin(event)
        if self._account.paused and self._account.must_let_go:
            self.squeeze()
        self._watch()
        if self._upper.closing or self.association is None:
            self.flush()  # what the upper layer has answered by itself

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait(_NOTHING, None)
        self._stop_timer()
        self._upper.connection_lost()
        self._account.close()
        if self.association is not None:
            self.association.lost(AssociationLost("the connection is lost"))
        self._transport = None
        self.resume_writing()
        if self.task is None or self.task.done():
            self._around.on_gone(self)

    def pause_writing(self) -> None:
        self._writing_paused = True
        if self._waiting is not _CLOSE:
            self._wait(_WRITING, self._around.timeouts.network)

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self._waiting is _WRITING:
            self._wait(_NOTHING, None)
            self._watch()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # What has come -----------------------------------------------------------------------------

    def _begin(self, event: Incoming) -> None:
        if isinstance(event, AssociateRequest):
            certificate = PeerCertificate.of(self._transport_info("peercert"))
            info = AssociationInfo(event, *self._peer, self.number, certificate)
            service = self._around.service
            self.association = Association(self._upper, self, service, info)
            self.task = self._loop.create_task(self.association.converse())
            self.task.add_done_callback(self._conversed)

    def _transport_info(self, name: str) -> Any:
        return None if self._transport is None else self._transport.get_extra_info(name)

    def _conversed(self, task: asyncio.Task[None]) -> None:
        """The conversation, with its handler, has ended; a connection may outlive it."""
        self.crowded(0)  # what still waited has gone with it
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log_failure(logger, "An association failed; this is a bug of aiodicom's", error)
            self._upper.abort(2, AbortReason.NOT_SPECIFIED)
            self.flush()
        if self._transport is None:
            self._around.on_gone(self)

    def _violated(self, error: ProtocolError) -> None:
        """Answer a breach of the protocol; the A-ABORT is in the upper layer already."""
        if self.association is not None:
            logger.error("Association Aborted: %s", error)
            self.association.lost(AssociationLost(str(error)))
        else:
            logger.info("Not an association from %s: %s", self._peer[0], error)
        self.flush()

    # Holder: called by the account ---------------------------------------------------------------

    def pause_reading(self) -> None:
        self._set_reading()

    def resume_reading(self) -> None:
        self._upper.resume()
        self._set_reading()
        self._watch()

    def squeeze(self) -> None:
        self._upper.squeeze()
        if self.association is not None and self.association.receiving is not None:
            self.association.receiving.hurry()

    def _set_reading(self) -> None:
        is_closing = self._waiting is _CLOSE  # then all is dropped, and EOF is wanted
        should_pause = (self._account.paused or self._crowd > 0) and not is_closing
        if should_pause == self._reading_paused or self._transport is None:
            return
        self._reading_paused = should_pause
        if should_pause:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # Link: called by the conversation ------------------------------------------------------------

    def crowded(self, waiting: int) -> None:
        change, self._crowd = waiting - self._crowd, waiting
        if change:
            self._account.count_unfinished(change, may_wait=False)
            self._set_reading()
            self._watch()

    def idle(self) -> None:
        self._watch()

    def flush(self) -> None:
        transport = self._transport
        if transport is None:
            return
        data = self._upper.data_to_send()
        if data:
            transport.write(data)
        if self._upper.closing:
            if not transport.is_closing():
                self._wait(_CLOSE, self._around.timeouts.closing)
                transport.close()
        elif self._waiting is not _CLOSE and self._upper.state is _AWAITING_CLOSE:
            # Closing now, with bytes unread, would reset the connection and could destroy our
            # last PDU on its way: the peer closes (PS3.8 9.2.1, Sta13).
            self._wait(_CLOSE, self._around.timeouts.closing)
            self._set_reading()

    async def drain(self) -> None:
        while self._writing_paused and self._transport is not None:
            self._drained = self._loop.create_future()
            try:
                await self._drained
            finally:
                self._drained = None

    # Deadlines -----------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Set the deadline that fits what we wait for now."""
        waiting = self._waiting
        if waiting is _CLOSE or waiting is _WRITING:
            return
        association = self.association
        if association is None:
            return  # the deadline for the request is absolute
        if self._reading_paused:
            self._waiting = _NOTHING
        elif association.receiving is not None:
            self._wait(_FRAGMENT, self._around.timeouts.message)
        elif association.is_waiting:
            self._wait(_PEER, self._around.timeouts.network)
        else:
            self._waiting = _NOTHING

    def _wait(self, waiting: str, seconds: float | None) -> None:
        if seconds is None:
            self._waiting = _NOTHING if waiting is not _CLOSE else waiting
            return
        self._waiting = waiting
        due = self._due = self._loop.time() + seconds
        if self._timer is None or due < self._timer_due:
            self._start_timer(due)

    def _start_timer(self, due: float) -> None:
        self._stop_timer()
        self._timer_due = due
        self._timer = self._around.deadlines.add(due, self)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._around.deadlines.remove(self._timer, self)
            self._timer = None

    def on_deadline(self) -> None:
        """Look whether the deadline is still the same."""
        self._timer = None
        if self._waiting is _NOTHING:
            return
        if self._loop.time() < self._due:
            self._start_timer(self._due)
        else:
            self._expired()

    def _expired(self) -> None:
        waiting, transport = self._waiting, self._transport
        if transport is None:
            return
        self._waiting = _NOTHING
        if waiting is _CLOSE:
            transport.abort()
            return
        error = AssociationLost(f"waited too long for {waiting}")
        if self.association is None:
            logger.info("No association from %s: %s", self._peer[0], error)
            self._upper.artim_expired()
        else:
            self.association.lost(error)
            self._upper.abort(2, AbortReason.NOT_SPECIFIED)
        if waiting is _WRITING:
            transport.abort()
        else:
            self.flush()

    # The server ----------------------------------------------------------------------------------

    def stop(self) -> None:
        """Finish what runs, then abort; without an association, close."""
        if self.association is not None:
            self.association.stop()
        else:
            self.abort()

    def kill(self) -> None:
        """Close the connection whatever the peer has not taken yet."""
        if self._transport is not None:
            self._transport.abort()

    def abort(self) -> None:
        """End now: A-ABORT, and whatever handler still runs is cancelled."""
        self._upper.abort()
        if self.association is not None:
            self.association.lost(AssociationLost("the server has stopped"))
        if self.task is not None:
            self.task.cancel()
        self.flush()
