"""The connection: transport, flow control and deadlines around one upper layer."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from aiodicom.acceptor.association import Association, Service
from aiodicom.acceptor.deadlines import Deadline, Deadlines
from aiodicom.acceptor.turns import Turns
from aiodicom.certificate import PeerCertificate
from aiodicom.errors import AbortReason, AssociationLost, ProtocolError
from aiodicom.events import ConnectionRefused, Refusal
from aiodicom.failures import log_failure
from aiodicom.limits import Limits, Timeouts
from aiodicom.requests import AssociationInfo
from aiodicom.wire.buffers import SCRATCH_SIZE, Account, Pool
from aiodicom.wire.pdu import AssociateRequest
from aiodicom.wire.states import State
from aiodicom.wire.upper_layer import Fragment, Incoming, Message, Role, Sizes, UpperLayer

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

# Why there is no association, until there is one.
_SILENT: Final[tuple[Refusal, str]] = "silent", "it was closed without a byte"
_NO_PROPOSAL: Final[tuple[Refusal, str]] = "no proposal", "it was closed before an A-ASSOCIATE-RQ"


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
    turns: Turns = field(init=False)
    sizes: Sizes = field(init=False)
    # Within a message: how long the next bytes may take, when to look, and what must have come
    # by then.
    patience: float = field(init=False)
    look: float = field(init=False)
    least: float | None = field(init=False)

    def __post_init__(self) -> None:
        limits, timeouts = self.limits, self.timeouts
        patience = math.inf if timeouts.message is None else timeouts.message
        look, least = patience, None
        if limits.least_rate is not None:
            look, least = min(patience, timeouts.rate), limits.least_rate * timeouts.rate
        object.__setattr__(self, "sizes", limits.sizes)
        object.__setattr__(self, "patience", patience)
        object.__setattr__(self, "look", look)
        object.__setattr__(self, "least", least)
        object.__setattr__(self, "deadlines", Deadlines(self.loop))
        object.__setattr__(self, "turns", Turns(self.loop))


@dataclass(slots=True)
class _Pace:
    """What a peer must have sent by a moment of the loop's clock, and what it has."""

    until: float
    received: int = 0


class AcceptorConnection(asyncio.BufferedProtocol):
    """One accepted connection.

    Parameters
    ----------
    surroundings : Surroundings
        What it shares with others.
    number : int
        Its number in the server's log.
    peer : tuple of str and int
        The peer's address and port, where they are known before the transport.
    local_port : int
        The port of ours that it came to.
    """

    __slots__ = (
        "_account", "_around", "_crowd", "_drained", "_due", "_local_port", "_loop", "_pace",
        "_reading_paused", "_timer", "_timer_due", "_transport", "_upper", "_waiting",
        "_why_none", "_writing_paused", "association", "number", "peer", "task",
    )  # fmt: skip

    def __init__(
        self,
        surroundings: Surroundings,
        number: int,
        peer: tuple[str, int] = ("", 0),
        local_port: int = 0,
    ) -> None:
        self.number = number
        self.association: Association | None = None
        self.task: asyncio.Task[None] | None = None
        self._around = surroundings
        self._loop = surroundings.loop
        self._account = Account(surroundings.pool, self, surroundings.limits.association_bytes)
        maximum_length = surroundings.service.policy.maximum_length
        self._upper = UpperLayer(Role.ACCEPTOR, self._account, maximum_length, surroundings.sizes)
        self._transport: asyncio.Transport | None = None
        self.peer = peer
        self._why_none = _SILENT
        self._local_port = local_port
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
        self._pace: _Pace | None = None

    @property
    def is_conversing(self) -> bool:
        """Whether there is an association: an ended one may wait for its peer to close."""
        return self.task is not None and not self.task.done()

    # asyncio.BufferedProtocol ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
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
        if nbytes > SCRATCH_SIZE:  # straight into a slab: there is more of it
            self._around.turns.count(self, nbytes)
        if self._pace is not None:
            self._keep_pace(nbytes, events)
        if events:
            self._watch()
        else:
            self._watch_part()
        if self._upper.closing or self.association is None:
            if self._why_none is _SILENT:
                self._why_none = _NO_PROPOSAL
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
        elif (tell := self._around.service.tell) is not None:
            tell(ConnectionRefused(self.peer[0], *self._why_none))
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
            info = AssociationInfo(event, *self.peer, self.number, certificate, self._local_port)
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
        assert self.association is not None
        self.association.tell_end()  # of one that was cancelled before it began
        if self._transport is None:
            self._around.on_gone(self)

    def _violated(self, error: ProtocolError) -> None:
        """Answer a breach of the protocol; the A-ABORT is in the upper layer already."""
        if self.association is not None:
            key, seldom = (self.peer[0], "violated"), self._around.service.seldom
            seldom.log(logger, logging.ERROR, key, "Association Aborted: %s", error)
            self.association.lost(AssociationLost(str(error)), "violated")
        else:
            self._why_none = "protocol", str(error)
            logger.info("Not an association from %s: %s", self.peer[0], error)
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
        self._pace = None  # what we do not take is not the peer's fault
        if should_pause:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    # Reader: called where much has come -----------------------------------------------------------

    def rest(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def go_on(self) -> None:
        if self._transport is not None and not self._reading_paused:
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

    def _watch_part(self) -> None:
        """Set the deadline after what is no event: part of a command, or of what is dropped."""
        association = self.association
        waits_for_us = association is None or not association.is_waiting or self._reading_paused
        if waits_for_us or self._waiting is _CLOSE or self._waiting is _WRITING:
            self._watch()
        else:
            self._wait_for_the_rest()

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
            self._wait_for_the_rest()
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

    def _wait_for_the_rest(self) -> None:
        """Wait for the next bytes of a message, and have a look at the peer's pace meanwhile."""
        around = self._around
        if around.look == math.inf:
            self._waiting = _NOTHING
            return
        self._waiting = _FRAGMENT
        now = self._loop.time()
        self._due = now + around.patience
        if self._timer is None or now + around.look < self._timer_due:
            self._start_timer(now + around.look)

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
        now = self._loop.time()
        if now >= self._due:
            self._expired(f"waited too long for {self._waiting}")
        elif self._waiting is not _FRAGMENT or self._around.least is None:
            self._start_timer(self._due)
        elif self._is_slow(now, self._around.least):
            self._expired("the peer sends too slowly")
        else:
            assert self._pace is not None
            self._start_timer(min(self._due, self._pace.until))

    # The pace is measured from the first look within a message on: most are over before one, and
    # cost nothing.

    def _is_slow(self, now: float, least: float) -> bool:
        """Tell whether the peer sends too slowly; begin to measure it, or begin anew."""
        pace = self._pace
        if pace is None or now >= pace.until:
            self._pace = _Pace(now + self._around.timeouts.rate)
        return pace is not None and now >= pace.until and pace.received < least

    def _keep_pace(self, nbytes: int, events: Sequence[Incoming]) -> None:
        assert self._pace is not None
        self._pace.received += nbytes
        for event in events:
            if isinstance(event, Message) or (isinstance(event, Fragment) and event.is_last):
                self._pace = None  # between messages nobody is in a hurry
                return

    def _expired(self, why: str) -> None:
        waiting, transport = self._waiting, self._transport
        if transport is None:
            return
        self._waiting = _NOTHING
        if waiting is _CLOSE:
            transport.abort()
            return
        error = AssociationLost(why)
        if self.association is None:
            logger.info("No association from %s: %s", self.peer[0], error)
            self._why_none = "no proposal", why
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
            self.association.lost(AssociationLost("the server has stopped"), "stopped")
        if self.task is not None:
            self.task.cancel()
        self.flush()
