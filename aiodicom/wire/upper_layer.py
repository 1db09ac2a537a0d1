"""One association's upper layer: bytes in, events out; both roles, no I/O.

The receive path is a flat loop over offsets: one slice per fragment and nothing else. Bytes
arrive in a scratch buffer that all associations share, for commands, small objects and slow
senders; once a read has filled it in the middle of a dataset, the following ones go straight
into a slab of the association's own. What is legal when is `states.TABLE`.

For any bytes whatsoever `UpperLayer.received` raises `ProtocolError` or nothing.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from aiodicom.errors import AbortReason, ProtocolError
from aiodicom.wire.buffers import Account, Block, Slab
from aiodicom.wire.dimse import CommandSet
from aiodicom.wire.pdu import (
    PDU,
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ReleaseRequest,
    ReleaseResponse,
    decode_body,
    encode_pdu,
)
from aiodicom.wire.states import NEXT, TABLE, Action, Event, State

__all__ = ["Fragment", "Incoming", "Message", "Role", "Sizes", "UpperLayer"]

MAXIMUM_ASSOCIATE_LENGTH = 1 << 18
"""The longest A-ASSOCIATE-RQ or -AC, in bytes, that is read by default: 128 contexts need less."""

MAXIMUM_COMMAND_LENGTH = 1 << 14
"""The longest command set, in bytes, that is read by default: a list of 4,000 tags is one."""

MAXIMUM_PIPELINED = 1024
"""Messages that one read may bring: what waits for its turn is not counted as memory."""

MAXIMUM_READ = 1 << 18
"""Bytes that one read may bring, so that the smallest fragments are taken apart in turns."""

MANY_FRAGMENTS = 64
FEW_BYTES = 256
"""A peer that sends that many fragments in one read, smaller ones on average, is read in steps."""

SMALL_READ = 1 << 10
"""Bytes of such a step: thousands of fragments must not keep the others waiting."""

SHORT_READ = 1 << 14
"""Bytes of a read where memory is short: most small objects fit, and many such reads do no harm."""

EXCESS = 128
"""Bytes by which a P-DATA-TF may exceed what we announced: senders differ in what they count."""

SHORT_FRAGMENT = 4096
"""Fragments below this many bytes are moved together: a slice of its own costs more."""

SLAB_TAIL = 1 << 14
"""A slab with less room than this, in bytes, is full."""

_PDU_HEADER = struct.Struct(">BxI")
_PDV_HEADER = struct.Struct(">IBB")
_RESPONSE_HEADER = struct.Struct(">BxIIBB")

# Looked up once: to name an enumeration's member costs as much as a call.
_ESTABLISHED = State.STA6
_AWAITING_RELEASE_RESPONSE = State.STA8
_AWAITING_CLOSE = State.STA13

_DATA_TF = 0x04
_TLS_HANDSHAKE = 0x16  # the first byte of its first record (RFC 8446 5.1)
_EVENT_OF = {
    0x01: Event.ASSOCIATE_RQ_PDU,
    0x02: Event.ASSOCIATE_AC_PDU,
    0x03: Event.ASSOCIATE_RJ_PDU,
    0x04: Event.DATA_TF_PDU,
    0x05: Event.RELEASE_RQ_PDU,
    0x06: Event.RELEASE_RP_PDU,
    0x07: Event.ABORT_PDU,
}


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of something that must become whole before it means anything is read.

    Parameters
    ----------
    associate : int
        Bytes of an A-ASSOCIATE-RQ or -AC.
    command : int
        Bytes of a command set.
    """

    associate: int = MAXIMUM_ASSOCIATE_LENGTH
    command: int = MAXIMUM_COMMAND_LENGTH


SIZES = Sizes()


class Role(enum.Enum):
    """Which side of the association this is."""

    ACCEPTOR = "acceptor"
    REQUESTOR = "requestor"


@dataclass(slots=True)
class Message:
    """A command of `size` bytes has come; if it says so, its dataset's fragments follow."""

    context_id: int
    command: CommandSet
    size: int = 0


@dataclass(slots=True)
class Fragment:
    """A part of the dataset of the last message; whoever gets it releases the block."""

    block: Block | None
    is_last: bool


Incoming = (
    Message
    | Fragment
    | AssociateRequest
    | AssociateAccept
    | AssociateReject
    | ReleaseRequest
    | ReleaseResponse
    | Abort
)


class UpperLayer:
    """The state of one association and of its byte streams.

    Parameters
    ----------
    role : Role
        Acceptor or requestor.
    account : Account
        Where memory for datasets comes from.
    maximum_length : int
        The longest P-DATA-TF, in bytes, that was or will be announced to the peer; 0: any.
    sizes : Sizes, optional
        How long other things may be.

    Attributes
    ----------
    state : State
        Where PS3.8 table 9-10 is.
    closing : bool
        Whether the connection is to be closed, once `data_to_send` is sent.
    artim : bool
        Whether the ARTIM timer runs.
    """

    __slots__ = (
        "_account", "_body", "_body_left", "_body_type", "_command", "_command_context",
        "_context_id", "_control", "_dataset_context", "_deaf", "_discarding", "_events",
        "_filled", "_fragments", "_head", "_longest", "_most", "_offered", "_outgoing", "_parsed",
        "_pdu_left", "_pdv_left", "_scratch", "_sizes", "_slab", "_unfinished", "_wants_slab",
        "artim", "closing", "peer_maximum_length", "role", "state",
    )  # fmt: skip

    def __init__(
        self, role: Role, account: Account, maximum_length: int, sizes: Sizes | None = None
    ) -> None:
        self.role = role
        self.state = State.STA1
        self.closing = False
        self.artim = False
        self.peer_maximum_length = 0
        self._account = account
        self._scratch = account.pool.scratch
        self._sizes = sizes or SIZES
        self._longest = maximum_length + EXCESS if maximum_length else 1 << 32
        self._fragments = 0  # of this read
        self._most = MAXIMUM_READ
        self._outgoing: list[bytes] = []
        self._events: list[Incoming] = []
        self._deaf = False  # the framing is lost: nothing more is understood
        # Framing: what is left of the PDU, and of the PDV or body, that has begun.
        self._pdu_left = 0
        self._pdv_left = 0
        self._context_id = 0
        self._control = 0
        self._body_left = 0
        self._body_type = 0
        self._body: bytearray | None = None
        # Where the next bytes go.
        self._head = b""  # a header that has begun, when there is no slab
        self._slab: Slab | None = None
        self._wants_slab = False
        self._offered = 0  # where the scratch buffer ends for the next read
        self._parsed = 0
        self._filled = 0
        # The message that has begun.
        self._command = bytearray()
        self._command_context: int | None = None
        self._dataset_context: int | None = None
        self._discarding = False
        self._unfinished = 0  # bytes of bodies and commands that are counted

    # Receiving ---------------------------------------------------------------------------

    def get_buffer(self) -> memoryview:
        """Return where the next bytes go; never empty. It may be called without consequence."""
        slab = self._slab
        if slab is not None:
            return slab.view[self._filled : self._filled + self._most]
        head, most, scratch, pool = self._head, self._most, self._scratch, self._account.pool
        if pool.held > pool.roomy and most > SHORT_READ:
            most = SHORT_READ
        if head or most < MAXIMUM_READ:
            scratch[: len(head)] = head
            scratch = scratch[: len(head) + most]
        self._offered = len(scratch)
        return scratch[len(head) :] if head else scratch

    def received(self, count: int) -> list[Incoming]:
        """Frame the `count` bytes that were put into `get_buffer`.

        Returns
        -------
        list
            What has come, in order.

        Raises
        ------
        ProtocolError
            The A-ABORT is in `data_to_send`, and nothing more is understood.
        """
        if self._deaf or self.closing:
            return []
        slab = self._slab
        if slab is None:
            view, start, end = self._scratch, 0, len(self._head) + count
        else:
            view, start, end = slab.view, self._parsed, self._filled + count
        try:
            position = self._frame(view, start, end)
        except ProtocolError as error:
            self._give_up(error)
            raise
        is_flood = self._fragments > MANY_FRAGMENTS and self._fragments * FEW_BYTES > count
        self._most = SMALL_READ if is_flood else MAXIMUM_READ
        self._fragments = 0
        self._settle(view, position, end)
        self._offered = 0  # a number of its own for each idle association is 32 bytes
        if self._command or self._body or self._unfinished:
            self._count_unfinished()
        events, self._events = self._events, []
        return events

    def _frame(self, view: memoryview, position: int, end: int) -> int:
        """Take everything up to `end` apart; return where a header that is not whole begins."""
        pdu_left, pdv_left, control = self._pdu_left, self._pdv_left, self._control
        runs: list[int] = []  # start and end of each piece of the dataset, alternating
        while True:
            if pdv_left:
                size = end - position
                if size > pdv_left:
                    size = pdv_left
                if not size:
                    break
                if control & 1:
                    self._add_to_command(view[position : position + size])
                elif self._discarding:
                    pass
                elif size < SHORT_FRAGMENT and runs:
                    last = runs[-1]
                    view[last : last + size] = view[position : position + size]
                    runs[-1] = last + size
                else:
                    runs += position, position + size
                position += size
                pdv_left -= size
                if not pdv_left and control & 2:
                    self._end_of_part(view, runs, control)
                    runs = []
            elif pdu_left:
                if end - position < 6:
                    break
                length, self._context_id, control = _PDV_HEADER.unpack_from(view, position)
                if length < 2 or length + 4 > pdu_left:
                    raise ProtocolError(f"a PDV of {length} bytes does not fit its PDU")
                position += 6
                pdu_left -= length + 4
                pdv_left = length - 2
                self._begin_fragment(control)
                if not pdv_left and control & 2:
                    self._end_of_part(view, runs, control)
                    runs = []
            elif self._body_left:
                self._emit_dataset(view, runs, is_last=False)  # before a release or an abort
                runs = []
                position = self._take_body(view, position, end)
                if self._body_left:
                    break
            else:
                if end - position < 6:
                    break
                pdu_type, length = _PDU_HEADER.unpack_from(view, position)
                position += 6
                pdu_left = self._begin_pdu(pdu_type, length)
        self._pdu_left, self._pdv_left, self._control = pdu_left, pdv_left, control
        if runs:
            self._emit_dataset(view, runs, is_last=False)
        return position

    def _begin_pdu(self, pdu_type: int, length: int) -> int:
        """Check a PDU's header; return the length of a P-DATA-TF that is to be taken apart."""
        if pdu_type == _DATA_TF and self.state is _ESTABLISHED and length <= self._longest:
            return length  # DT-2, what happens nearly always
        event = _EVENT_OF.get(pdu_type)
        if event is None:
            message = f"unrecognized PDU type 0x{pdu_type:02X}"
            if pdu_type == _TLS_HANDSHAKE:
                message += ", which is TLS: this port speaks DICOM without it"
            raise ProtocolError(message, AbortReason.UNRECOGNIZED_PDU)
        action = TABLE.get((event, self.state), Action.AA_8)
        if action in _VIOLATIONS:
            message = f"unexpected PDU type 0x{pdu_type:02X} in {self.state.name}"
            raise ProtocolError(message, AbortReason.UNEXPECTED_PDU)
        if pdu_type == _DATA_TF:
            if length > self._longest:
                raise ProtocolError(f"a P-DATA-TF of {length} bytes is longer than agreed")
            if action is not Action.AA_6:
                return length
        elif pdu_type <= 2:
            if length > self._sizes.associate:
                message = f"an association PDU of {length} bytes is too long"
                raise ProtocolError(message, AbortReason.NOT_SPECIFIED)  # a limit of ours
        elif length != 4:
            raise ProtocolError(f"a PDU of type 0x{pdu_type:02X} is {length} bytes long, not 4")
        self._body_type, self._body_left = pdu_type, length
        self._body = None if action is Action.AA_6 else bytearray()
        if not length:
            self._end_of_body()
        return 0

    def _take_body(self, view: memoryview, position: int, end: int) -> int:
        size = min(self._body_left, end - position)
        if self._body is not None:
            self._body += view[position : position + size]
        self._body_left -= size
        if not self._body_left:
            self._end_of_body()
        return end if self.closing else position + size  # what follows the end means nothing

    def _end_of_body(self) -> None:
        if self._body is not None:
            body, self._body = bytes(self._body), None
            pdu = decode_body(self._body_type, body)
            self._fire(_EVENT_OF[self._body_type], pdu)

    def _begin_fragment(self, control: int) -> None:
        """Check that a fragment may come now (PS3.8 annex E: messages do not interleave)."""
        self._fragments += 1
        context = self._context_id
        if control & 1:
            if self._dataset_context is not None:
                raise ProtocolError("a command begins before the last dataset has ended")
            if self._command_context not in (None, context):
                raise ProtocolError("a command's fragments are of different contexts")
            self._command_context = context
        elif self._dataset_context != context:
            raise ProtocolError("a dataset's fragment without a command that announced it")

    def _add_to_command(self, part: memoryview) -> None:
        if len(self._command) + len(part) > self._sizes.command:
            message = f"a command set is longer than {self._sizes.command} bytes"
            raise ProtocolError(message, AbortReason.NOT_SPECIFIED)  # a limit of ours
        self._command += part

    def _end_of_part(self, view: memoryview, runs: list[int], control: int) -> None:
        """Emit what a last fragment has completed."""
        if control & 1:
            command, size = CommandSet.decode(self._command), len(self._command)
            self._command.clear()
            context, self._command_context = self._context_id, None
            if command.has_dataset:
                self._dataset_context = context
            if len(self._events) > MAXIMUM_PIPELINED:
                raise ProtocolError("more messages at once than anybody agreed to")
            if self.state is not _AWAITING_CLOSE:
                self._events.append(Message(context, command, size))
        else:
            self._dataset_context = None
            self._discarding = self.state is _AWAITING_CLOSE
            if not self._discarding:
                self._emit_dataset(view, runs, is_last=True)

    def _emit_dataset(self, view: memoryview, runs: list[int], is_last: bool) -> None:
        block = None
        if not runs and not is_last:
            return
        if runs:
            if len(runs) == 2:
                start, end = runs
                pieces, size = [view[start:end]], end - start
            else:
                starts, ends = runs[::2], runs[1::2]
                pieces = [view[a:b] for a, b in zip(starts, ends, strict=True)]
                size = sum(ends) - sum(starts)
            slab = self._slab
            if slab is None or size < SHORT_FRAGMENT:
                # A bytearray, because a slow sender's next piece may be added to it.
                block = Block(self._account, [bytearray().join(pieces)], size)
            else:
                block = Block(self._account, list(pieces), size, slab.share())
        self._events.append(Fragment(block, is_last))

    # Where bytes go ------------------------------------------------------------------------

    def _settle(self, view: memoryview, position: int, end: int) -> None:
        """Decide where the next bytes go, and take the header that is not whole there."""
        slab, is_open = self._slab, self._dataset_context is not None and not self._discarding
        if slab is None:
            is_full = end == self._offered and self._most > SMALL_READ
            self._head = bytes(view[position:end]) if position < end else b""
            self._wants_slab = is_open and is_full
            if self._wants_slab:
                self._take_slab()
        elif is_open and len(slab.view) - end >= SLAB_TAIL:
            self._parsed, self._filled = position, end
            self._account.is_moving = True
        else:
            self._head = bytes(view[position:end])
            self._drop_slab()
            self._wants_slab = is_open
            if is_open:
                self._take_slab()

    def resume(self) -> None:
        """Go on after a pause, with the slab that there was no room for."""
        account = self._account
        if self._wants_slab and account.has_room and not account.is_near_limit:
            self._take_slab()

    def _take_slab(self) -> None:
        slab = None if self._account.paused else self._account.take_slab()
        if slab is None:
            return
        self._wants_slab = False
        head, self._head = self._head, b""
        slab.view[: len(head)] = head
        self._slab, self._parsed, self._filled = slab, 0, len(head)

    def _drop_slab(self) -> None:
        slab, self._slab = self._slab, None
        self._account.filled()
        if slab is not None:
            slab.release()

    def _count_unfinished(self) -> None:
        """Count what has come of a body or a command that is not whole yet."""
        size = len(self._command) + len(self._body or b"")
        change, self._unfinished = size - self._unfinished, size
        self._account.count_unfinished(change, may_wait=size > SHORT_READ)

    def _drop_unfinished(self) -> None:
        self._command.clear()
        self._body = None
        self._count_unfinished()

    def squeeze(self) -> None:
        """Let go of the slab that is being filled: its sender is paused, slow or gone."""
        self._wants_slab = False
        slab = self._slab
        if slab is not None:
            self._head = bytes(slab.view[self._parsed : self._filled])
            self._drop_slab()

    def discard_dataset(self) -> None:
        """Drop what still comes of the dataset that has begun; its end is still an event."""
        if self._dataset_context is not None:
            self._discarding = True
            self.squeeze()

    # The state machine ---------------------------------------------------------------------

    def _fire(self, event: Event, pdu: PDU | None = None) -> None:
        action = TABLE.get((event, self.state))
        if action is None:
            raise RuntimeError(f"{event.name} cannot happen in {self.state.name}")
        self.state = NEXT[action]
        if pdu is not None and action in _INDICATIONS:
            self._events.append(pdu)  # type: ignore[arg-type]
        if action in _SENDING and pdu is not None:
            self._outgoing.append(encode_pdu(pdu))
        if action in _CLOSING:
            self.closing = True
        if action in _ARTIM:
            self.artim = _ARTIM[action]
        if action is Action.AE_3:
            self._accepted(pdu)
        elif action is Action.AE_6:
            self._requested(pdu)
        elif action is Action.AR_8 and self.role is Role.ACCEPTOR:
            self.state = State.STA10

    def _accepted(self, pdu: PDU | None) -> None:
        assert isinstance(pdu, AssociateAccept)
        self.peer_maximum_length = pdu.maximum_length

    def _requested(self, pdu: PDU | None) -> None:
        """AE-6: a request whose protocol version is not ours is rejected (PS3.8 9.3.1)."""
        assert isinstance(pdu, AssociateRequest)
        self.peer_maximum_length = pdu.maximum_length
        if pdu.protocol_version & 1:
            self._events.append(pdu)
            return
        self._outgoing.append(encode_pdu(AssociateReject(1, 2, 2)))
        self.state, self.artim = State.STA13, True

    def _give_up(self, error: ProtocolError) -> None:
        """Abort because of what the peer sent: AA-1 as the user, AA-7 and AA-8 as provider."""
        self._deaf = True
        for event in self._events:
            if isinstance(event, Fragment) and event.block is not None:
                event.block.release()
        self._events = []
        self.squeeze()
        self._drop_unfinished()
        action = TABLE[Event.INVALID_PDU, self.state]
        by_user = action is Action.AA_1
        self._fire(Event.INVALID_PDU, Abort(0, 0) if by_user else Abort(2, error.reason))

    # The local user ------------------------------------------------------------------------

    def connecting(self) -> None:
        """The requestor's connection is about to be opened (Evt1)."""
        self._fire(Event.ASSOCIATE_REQUEST)

    def connected(self, request: AssociateRequest | None = None) -> None:
        """The connection is open: Evt5, or Evt2 with the requestor's A-ASSOCIATE-RQ."""
        if self.role is Role.ACCEPTOR:
            self._fire(Event.TRANSPORT_INDICATION)
        else:
            self._fire(Event.TRANSPORT_CONFIRMED, request)

    def connection_lost(self) -> None:
        """The connection is closed (Evt17)."""
        self._deaf = True
        self.squeeze()
        self._drop_unfinished()
        if (Event.TRANSPORT_CLOSED, self.state) in TABLE:
            self._fire(Event.TRANSPORT_CLOSED)

    def artim_expired(self) -> None:
        """ARTIM has run out (Evt18)."""
        self._fire(Event.ARTIM_EXPIRED)

    def accept(self, pdu: AssociateAccept) -> None:
        """Accept the association (Evt7)."""
        self._fire(Event.ASSOCIATE_ACCEPT, pdu)

    def reject(self, pdu: AssociateReject) -> None:
        """Reject the association (Evt8)."""
        self._fire(Event.ASSOCIATE_REJECT, pdu)

    def release(self) -> None:
        """Ask for release (Evt11)."""
        self._fire(Event.RELEASE_REQUEST, ReleaseRequest())

    def respond_to_release(self) -> None:
        """Answer the peer's A-RELEASE-RQ (Evt14)."""
        self._fire(Event.RELEASE_RESPONSE, ReleaseResponse())

    def abort(self, source: int = 0, reason: int = 0) -> None:
        """Abort, if there is an association or its beginning (Evt15); else do nothing."""
        self.squeeze()
        self._discarding = True
        if (Event.ABORT_REQUEST, self.state) in TABLE:
            self._fire(Event.ABORT_REQUEST, Abort(source, reason))
        elif self.state is State.STA2:  # nothing was asked for that could be aborted
            self.state, self.closing, self.artim = State.STA1, True, False

    @property
    def can_send(self) -> bool:
        """Whether P-DATA may be sent: in Sta6, and in Sta8 until release is answered."""
        return self.state is _ESTABLISHED or self.state is _AWAITING_RELEASE_RESPONSE

    def send(self, context_id: int, data: bytes, *, is_command: bool = True) -> None:
        """Send a command set, or a whole dataset, in fragments that the peer takes (Evt9)."""
        if self.state is not _ESTABLISHED:  # DT-1 changes nothing
            self._fire(Event.DATA_REQUEST)
        limit, length, kind = self.peer_maximum_length, len(data), 1 if is_command else 0
        # A limit that leaves no room for a fragment is taken as the least that does (PS3.8 D.1).
        room = max((limit - 6) & ~1, 2) if limit else length
        if length <= room:
            head = _RESPONSE_HEADER.pack(_DATA_TF, length + 6, length + 2, context_id, kind | 2)
            self._outgoing.append(head + data)
            return
        for start in range(0, length, room):
            part = data[start : start + room]
            size, control = len(part), kind | (start + room >= length) << 1
            head = _RESPONSE_HEADER.pack(_DATA_TF, size + 6, size + 2, context_id, control)
            self._outgoing.append(head + part)

    def data_to_send(self) -> bytes:
        """Return the bytes that are to be sent now, and forget them."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing[0] if len(outgoing) == 1 else b"".join(outgoing)


# What the actions of PS3.8 tables 9-6 to 9-9 do, as sets. (AE-6 and AR-8 choose; see _fire.)

_SENDING = {
    Action.AE_2,
    Action.AE_7,
    Action.AE_8,
    Action.AR_1,
    Action.AR_4,
    Action.AR_9,
    Action.AA_1,
    Action.AA_7,
    Action.AA_8,
}
_INDICATIONS = {
    Action.AE_3,
    Action.AE_4,
    Action.AR_2,
    Action.AR_3,
    Action.AR_8,
    Action.AR_10,
    Action.AA_3,
}
_VIOLATIONS = {Action.AA_1, Action.AA_7, Action.AA_8}
_CLOSING = {Action.AE_4, Action.AR_3, Action.AA_2, Action.AA_3}
_ARTIM = {  # whether the timer is started or stopped
    Action.AE_5: True,
    Action.AE_6: False,
    Action.AE_8: True,
    Action.AR_4: True,
    Action.AR_5: False,
    Action.AA_1: True,
    Action.AA_2: False,
    Action.AA_5: False,
    Action.AA_8: True,
}
