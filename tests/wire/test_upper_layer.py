"""The upper layer: every cell of PS3.8 table 9-10, and framing that no cut can change."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import islice

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aiodicom.errors import AbortReason, ProtocolError
from aiodicom.wire.buffers import SCRATCH_SIZE, SLAB_SIZE, Pool
from aiodicom.wire.dimse import CommandSet
from aiodicom.wire.pdu import (
    PDU,
    PDV,
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    DataTransfer,
    ReleaseRequest,
    ReleaseResponse,
    encode_pdu,
)
from aiodicom.wire.states import TABLE, Action, Event, State
from aiodicom.wire.upper_layer import (
    EXCESS,
    MAXIMUM_ASSOCIATE_LENGTH,
    MAXIMUM_COMMAND_LENGTH,
    SHORT_READ,
    SMALL_READ,
    Fragment,
    Message,
    Role,
    UpperLayer,
)
from tests.peer import (
    CT_CONTEXT,
    ECHO_CONTEXT,
    association_request,
    command_pdu,
    dataset_pdus,
    echo_command,
    store_command,
)
from tests.wire.feeding import (
    Heard,
    Line,
    blocks_of,
    bytewise,
    cut,
    data_pdu,
    pattern,
    pdus_in,
    release,
    transcript,
)

REQUEST = association_request()
ACCEPT = AssociateAccept(
    REQUEST.called_ae_title_field, REQUEST.calling_ae_title_field, REQUEST.items[:1]
)
REJECT = AssociateReject(1, 1, 7)
ECHO = command_pdu(echo_command(), ECHO_CONTEXT)
STORE = command_pdu(store_command("1.2.3"))
HEARD_ECHO = (ECHO_CONTEXT, echo_command().encode())
HEARD_STORE = (CT_CONTEXT, store_command("1.2.3").encode())

# Every cell ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Effect:
    """What an action does, and to which state it leads (PS3.8 tables 9-6 to 9-9)."""

    state: State
    sends: type[PDU] | None = None
    indicates: type[object] | None = None
    closes: bool = False
    artim: bool | None = None  # started or stopped; None: left alone


STARTED, STOPPED = True, False

# Typed from the standard.
EFFECTS = {
    "AE-1": Effect(State.STA4),
    "AE-2": Effect(State.STA5, sends=AssociateRequest),
    "AE-3": Effect(State.STA6, indicates=AssociateAccept),
    "AE-4": Effect(State.STA1, indicates=AssociateReject, closes=True),
    "AE-5": Effect(State.STA2, artim=STARTED),
    "AE-6": Effect(State.STA3, indicates=AssociateRequest, artim=STOPPED),
    "AE-7": Effect(State.STA6, sends=AssociateAccept),
    "AE-8": Effect(State.STA13, sends=AssociateReject, artim=STARTED),
    "DT-1": Effect(State.STA6, sends=DataTransfer),
    "DT-2": Effect(State.STA6, indicates=Message),
    "AR-1": Effect(State.STA7, sends=ReleaseRequest),
    "AR-2": Effect(State.STA8, indicates=ReleaseRequest),
    "AR-3": Effect(State.STA1, indicates=ReleaseResponse, closes=True),
    "AR-4": Effect(State.STA13, sends=ReleaseResponse, artim=STARTED),
    "AR-5": Effect(State.STA1, artim=STOPPED),
    "AR-6": Effect(State.STA7, indicates=Message),
    "AR-7": Effect(State.STA8, sends=DataTransfer),
    "AR-8": Effect(State.STA9, indicates=ReleaseRequest),  # Sta10 where we are the acceptor
    "AR-9": Effect(State.STA11, sends=ReleaseResponse),
    "AR-10": Effect(State.STA12, indicates=ReleaseResponse),
    "AA-1": Effect(State.STA13, sends=Abort, artim=STARTED),
    "AA-2": Effect(State.STA1, closes=True, artim=STOPPED),
    "AA-3": Effect(State.STA1, indicates=Abort, closes=True),
    "AA-4": Effect(State.STA1),
    "AA-5": Effect(State.STA1, artim=STOPPED),
    "AA-6": Effect(State.STA13),
    "AA-7": Effect(State.STA13, sends=Abort),
    "AA-8": Effect(State.STA13, sends=Abort, artim=STARTED),
}

PDUS: dict[Event, bytes] = {
    Event.ASSOCIATE_AC_PDU: encode_pdu(ACCEPT),
    Event.ASSOCIATE_RJ_PDU: encode_pdu(REJECT),
    Event.ASSOCIATE_RQ_PDU: encode_pdu(REQUEST),
    Event.DATA_TF_PDU: ECHO,
    Event.RELEASE_RQ_PDU: encode_pdu(ReleaseRequest()),
    Event.RELEASE_RP_PDU: encode_pdu(ReleaseResponse()),
    Event.ABORT_PDU: encode_pdu(Abort(0, 0)),
    Event.INVALID_PDU: b"\x08\0\0\0\0\0",
}

LOCAL: dict[Event, Callable[[UpperLayer], None]] = {
    Event.ASSOCIATE_REQUEST: lambda upper: upper.connecting(),
    Event.TRANSPORT_CONFIRMED: lambda upper: upper.connected(REQUEST),
    Event.TRANSPORT_INDICATION: lambda upper: upper.connected(),
    Event.ASSOCIATE_ACCEPT: lambda upper: upper.accept(ACCEPT),
    Event.ASSOCIATE_REJECT: lambda upper: upper.reject(REJECT),
    Event.DATA_REQUEST: lambda upper: upper.send(ECHO_CONTEXT, b"\0\0"),
    Event.RELEASE_REQUEST: lambda upper: upper.release(),
    Event.RELEASE_RESPONSE: lambda upper: upper.respond_to_release(),
    Event.ABORT_REQUEST: lambda upper: upper.abort(),
    Event.TRANSPORT_CLOSED: lambda upper: upper.connection_lost(),
    Event.ARTIM_EXPIRED: lambda upper: upper.artim_expired(),
}

# `connected` is Evt5 for the side that was called and Evt2 for the one that calls.
ONLY = {Event.TRANSPORT_INDICATION: Role.ACCEPTOR, Event.TRANSPORT_CONFIRMED: Role.REQUESTOR}


def is_caused_by(event: Event, role: Role) -> bool:
    return ONLY.get(event, role) is role


def cells(events: Iterable[Event], sends: type[PDU] | None = None) -> list[object]:
    return [
        pytest.param(role, event, state, id=f"{role.value}-{event.name}-{state.name}")
        for role in Role
        for event in events
        if is_caused_by(event, role)
        for state in State
        if (event, state) in TABLE
        if sends is None or EFFECTS[TABLE[event, state].value].sends is sends
    ]


def expected(action: Action, role: Role) -> Effect:
    effect = EFFECTS[action.value]
    if action.value == "AR-8" and role is Role.ACCEPTOR:
        return replace(effect, state=State.STA10)
    return effect


def assert_effect(line: Line, effect: Effect, artim_before: bool) -> None:
    sent = line.sent_one()
    assert line.upper.state is effect.state
    assert (None if sent is None else type(sent)) is effect.sends
    assert line.upper.closing is effect.closes
    assert line.upper.artim is (artim_before if effect.artim is None else effect.artim)


@pytest.mark.parametrize(("role", "event", "state"), cells(LOCAL))
def test_every_cell_of_a_local_event(role: Role, event: Event, state: State) -> None:
    for artim in (False, True):
        line = Line(role, state)
        line.upper.artim = artim
        LOCAL[event](line.upper)
        assert_effect(line, expected(TABLE[event, state], role), artim)


@pytest.mark.parametrize(("role", "event", "state"), cells(PDUS))
def test_every_cell_of_a_pdu(role: Role, event: Event, state: State) -> None:
    for artim in (False, True):
        line = Line(role, state)
        line.upper.artim = artim
        action = TABLE[event, state]
        effect = expected(action, role)
        if effect.sends is Abort:
            with pytest.raises(ProtocolError) as caught:
                line.feed(PDUS[event])
            invalid = event is Event.INVALID_PDU
            reason = AbortReason.UNRECOGNIZED_PDU if invalid else AbortReason.UNEXPECTED_PDU
            assert caught.value.reason is reason
            events = []
        else:
            events = line.feed(PDUS[event])
        assert [type(e) for e in events] == ([effect.indicates] if effect.indicates else [])
        assert_effect(line, effect, artim)


@pytest.mark.parametrize(("role", "event", "state"), cells(PDUS, sends=Abort))
def test_an_abort_for_a_violation_has_the_source_of_its_action(
    role: Role, event: Event, state: State
) -> None:
    # AA-1 is the service-user's (source 0, reason not significant); AA-7, AA-8 the provider's.
    line = Line(role, state)
    action = TABLE[event, state].value
    with pytest.raises(ProtocolError):
        line.feed(PDUS[event])
    reason = 1 if event is Event.INVALID_PDU else 2  # unrecognized, unexpected: table 9-26
    assert line.sent_one() == (Abort(0, 0) if action == "AA-1" else Abort(2, reason))


TOLERATED = (Event.ABORT_REQUEST, Event.TRANSPORT_CLOSED)  # see the next two tests
STRICT = [event for event in LOCAL if event not in TOLERATED]


@pytest.mark.parametrize("event", STRICT, ids=lambda event: event.name)
@pytest.mark.parametrize("role", Role, ids=lambda role: role.value)
def test_a_local_event_that_cannot_happen_is_a_bug(event: Event, role: Role) -> None:
    if not is_caused_by(event, role):
        event = Event.TRANSPORT_CONFIRMED if role is Role.REQUESTOR else Event.TRANSPORT_INDICATION
    for state in [state for state in State if (event, state) not in TABLE]:
        line = Line(role, state)
        with pytest.raises(RuntimeError, match=event.name):
            LOCAL[event](line.upper)
        assert (line.upper.state, line.sent()) == (state, [])


@pytest.mark.parametrize("state", [State.STA1, State.STA13])
def test_abort_without_an_association_does_nothing(state: State) -> None:
    line = Line(state=state)
    line.upper.abort()
    assert (line.upper.state, line.sent(), line.upper.closing) == (state, [], False)


def test_abort_before_anything_was_asked_for_closes() -> None:
    line = Line(state=State.STA2)
    line.upper.artim = True
    line.upper.abort()
    assert (line.upper.state, line.sent()) == (State.STA1, [])
    assert (line.upper.closing, line.upper.artim) == (True, False)


def test_losing_a_connection_twice_does_nothing() -> None:
    line = Line()
    line.upper.connection_lost()
    line.upper.connection_lost()
    assert line.upper.state is State.STA1


# Associating and releasing ---------------------------------------------------------------------


def test_a_new_upper_layer_is_idle() -> None:
    line = Line(state=State.STA1)
    fresh = UpperLayer(Role.ACCEPTOR, line.account, 0)
    assert (fresh.state, fresh.closing, fresh.artim) == (State.STA1, False, False)
    assert fresh.data_to_send() == b""


def test_a_request_of_another_protocol_version_is_rejected() -> None:
    line = Line(state=State.STA2)
    assert line.feed(encode_pdu(replace(REQUEST, protocol_version=2))) == []
    assert line.sent_one() == AssociateReject(1, 2, 2)
    assert (line.upper.state, line.upper.artim) == (State.STA13, True)


@pytest.mark.parametrize("version", [1, 3, 0xFFFF])
def test_only_bit_0_of_the_protocol_version_counts(version: int) -> None:
    line = Line(state=State.STA2)
    request = replace(REQUEST, protocol_version=version)
    assert line.feed(encode_pdu(request)) == [request]
    assert line.upper.state is State.STA3


def test_an_association_from_connection_to_release() -> None:
    line = Line(state=State.STA1)
    line.upper.connected()
    assert line.feed(encode_pdu(REQUEST)) == [REQUEST]
    line.upper.accept(ACCEPT)
    assert transcript(line.feed(ECHO)) == [HEARD_ECHO]
    line.upper.send(ECHO_CONTEXT, b"\0\0")
    assert line.feed(encode_pdu(ReleaseRequest())) == [ReleaseRequest()]
    line.upper.respond_to_release()
    assert [type(pdu) for pdu in line.sent()] == [AssociateAccept, DataTransfer, ReleaseResponse]
    line.upper.connection_lost()
    assert (line.upper.state, line.upper.artim) == (State.STA1, False)


def test_two_upper_layers_understand_each_other() -> None:
    requestor, acceptor = Line(Role.REQUESTOR, State.STA1), Line(state=State.STA1)
    requestor.upper.connecting()
    requestor.upper.connected(REQUEST)
    acceptor.upper.connected()
    assert acceptor.feed(requestor.upper.data_to_send()) == [REQUEST]
    acceptor.upper.accept(ACCEPT)
    assert requestor.feed(acceptor.upper.data_to_send()) == [ACCEPT]
    requestor.upper.send(CT_CONTEXT, store_command("1.2.3").encode())
    requestor.upper.send(CT_CONTEXT, pattern(9000), is_command=False)
    requestor.upper.release()
    heard = transcript(acceptor.feed(requestor.upper.data_to_send()))
    assert heard == [HEARD_STORE, (pattern(9000), True), ReleaseRequest()]
    acceptor.upper.respond_to_release()
    assert requestor.feed(acceptor.upper.data_to_send()) == [ReleaseResponse()]
    assert requestor.upper.closing


def test_release_collision_of_both_roles() -> None:
    # PS3.8 7.2.2.1 and table 9-9: the requestor answers first.
    requestor, acceptor = Line(Role.REQUESTOR), Line(Role.ACCEPTOR)
    requestor.upper.release()
    acceptor.upper.release()
    ours, theirs = requestor.upper.data_to_send(), acceptor.upper.data_to_send()
    assert requestor.feed(theirs) == acceptor.feed(ours) == [ReleaseRequest()]
    assert (requestor.upper.state, acceptor.upper.state) == (State.STA9, State.STA10)
    requestor.upper.respond_to_release()
    assert acceptor.feed(requestor.upper.data_to_send()) == [ReleaseResponse()]
    acceptor.upper.respond_to_release()
    assert requestor.feed(acceptor.upper.data_to_send()) == [ReleaseResponse()]
    assert (requestor.upper.state, acceptor.upper.state) == (State.STA1, State.STA13)


def test_responses_leave_after_the_peer_asked_for_release() -> None:
    line = Line()
    line.feed(ECHO + encode_pdu(ReleaseRequest()))
    assert line.upper.can_send
    line.upper.send(ECHO_CONTEXT, b"\0\0")
    line.upper.respond_to_release()
    assert not line.upper.can_send
    assert [type(pdu) for pdu in line.sent()] == [DataTransfer, ReleaseResponse]


def test_data_still_comes_after_we_asked_for_release() -> None:
    line = Line(Role.REQUESTOR)
    line.upper.release()
    assert transcript(line.feed(ECHO)) == [HEARD_ECHO]
    assert line.upper.state is State.STA7


def test_data_after_the_peers_release_request_is_a_violation() -> None:
    line = Line()
    line.feed(encode_pdu(ReleaseRequest()))
    with pytest.raises(ProtocolError) as caught:
        line.feed(ECHO)
    assert caught.value.reason is AbortReason.UNEXPECTED_PDU


@pytest.mark.parametrize("last", [ReleaseRequest(), Abort(0, 0)])
def test_release_or_abort_with_data_in_flight_comes_after_the_data(last: PDU) -> None:
    line = Line()
    data = data_pdu(PDV(CT_CONTEXT, False, False, b"abcd"))
    heard = transcript(line.feed(STORE + data + encode_pdu(last)))
    assert heard == [HEARD_STORE, (b"abcd", False), last]


@pytest.mark.parametrize("state", [State.STA5, State.STA6, State.STA13])
def test_what_follows_an_abort_is_not_looked_at(state: State) -> None:
    line = Line(state=state)
    events = line.feed(encode_pdu(Abort(0, 0)) + b"\xff" * 100)
    assert events == ([] if state is State.STA13 else [Abort(0, 0)])
    assert (line.upper.closing, line.sent()) == (True, [])
    assert line.feed(ECHO * 2000) == []


def test_what_follows_the_answer_to_our_release_is_not_looked_at() -> None:
    line = Line(Role.REQUESTOR, State.STA7)
    assert line.feed(encode_pdu(ReleaseResponse()) + ECHO) == [ReleaseResponse()]
    assert (line.upper.state, line.upper.closing) == (State.STA1, True)


def test_what_follows_a_rejection_is_not_looked_at() -> None:
    line = Line(Role.REQUESTOR, State.STA5)
    assert line.feed(encode_pdu(REJECT) + encode_pdu(REJECT)) == [REJECT]
    assert line.upper.closing


def test_a_message_that_ends_after_our_abort_is_no_event() -> None:
    line = Line()
    pdus = STORE + dataset_pdus(b"abcdef")
    release(line.feed(pdus[:-3]))
    line.upper.abort()
    assert line.feed(pdus[-3:]) == []


def test_messages_in_the_pdu_that_our_abort_interrupts_are_no_events() -> None:
    line = Line()
    command = PDV(CT_CONTEXT, True, True, store_command("1.2.4").encode())
    data = PDV(CT_CONTEXT, False, True, b"abcd")
    pdu = data_pdu(command, data, command, data)
    release(line.feed(pdu[:20]))
    line.upper.abort()
    assert line.feed(pdu[20:]) == []
    assert line.sent() == [Abort(0, 0)]


def test_a_release_request_that_our_abort_interrupts_is_ignored() -> None:
    line = Line()
    pdu = encode_pdu(ReleaseRequest())
    assert line.feed(pdu[:8]) == []
    line.upper.abort()
    assert line.feed(pdu[8:]) == []
    assert line.upper.state is State.STA13


def test_data_after_our_abort_is_skipped_and_the_peers_abort_is_heard() -> None:
    line = Line()
    line.upper.abort(2, AbortReason.NOT_SPECIFIED)
    assert line.sent() == [Abort(2, 0)]
    assert line.feed(STORE + dataset_pdus(pattern(100_000))) == []
    assert line.feed(encode_pdu(Abort(0, 0))) == []
    assert line.upper.closing


# Violations ------------------------------------------------------------------------------------


def head(pdu_type: int, length: int) -> bytes:
    return bytes((pdu_type, 0)) + length.to_bytes(4, "big")


def pdv_head(length: int, context_id: int, control: int) -> bytes:
    return length.to_bytes(4, "big") + bytes((context_id, control))


@pytest.mark.parametrize(
    ("state", "data"),
    [
        pytest.param(State.STA2, head(1, MAXIMUM_ASSOCIATE_LENGTH + 1), id="a huge request"),
        pytest.param(State.STA2, head(1, 0), id="an empty request"),
        pytest.param(State.STA2, head(1, 67) + bytes(67), id="a short request"),
        pytest.param(State.STA2, head(1, 0xFFFFFFFF), id="a request of 4 GiB"),
        pytest.param(State.STA6, head(5, 0), id="an empty release request"),
        pytest.param(State.STA6, head(5, 5), id="a long release request"),
        pytest.param(State.STA6, head(7, 0xFFFFFFFF), id="an abort of 4 GiB"),
        pytest.param(State.STA6, head(4, 10) + pdv_head(7, 1, 3), id="a PDV beyond its PDU"),
        pytest.param(State.STA6, head(4, 10) + pdv_head(0xFFFFFFFE, 1, 3), id="a PDV of 4 GiB"),
        pytest.param(State.STA6, head(4, 10) + pdv_head(1, 1, 3), id="a PDV without its control"),
        pytest.param(State.STA6, head(4, 10) + pdv_head(0, 1, 3), id="a PDV of nothing"),
        pytest.param(State.STA6, head(4, 3) + b"\0\0\0\2\1\3", id="a PDU too short for a PDV"),
        pytest.param(State.STA6, head(4, 16384 + EXCESS + 1), id="a P-DATA-TF beyond the limit"),
    ],
)
def test_lengths_that_lie(state: State, data: bytes) -> None:
    line = Line(state=state, maximum_length=16384)
    with pytest.raises(ProtocolError) as caught:
        line.feed(data)
    is_limit = str(caught.value).endswith("too long")  # of ours
    wanted = AbortReason.NOT_SPECIFIED if is_limit else AbortReason.INVALID_PARAMETER_VALUE
    assert caught.value.reason is wanted
    assert line.sent_one() == (Abort(0, 0) if state is State.STA2 else Abort(2, 6))
    assert line.pool.held == 0


def test_the_longest_pdu_that_was_announced_is_taken() -> None:
    line = Line(maximum_length=16384)
    size = 16384 + EXCESS - 6
    release(line.feed(STORE + data_pdu(PDV(CT_CONTEXT, False, True, bytes(size)))))


def test_no_maximum_length_takes_a_pdu_of_4_gib() -> None:
    line = Line(maximum_length=0)
    events = line.feed(STORE + head(4, 0xFFFFFFFF) + pdv_head(0xFFFFFFFB, CT_CONTEXT, 2) + b"ab")
    assert transcript(events)[1] == (b"ab", False)


def test_an_empty_p_data_tf_is_nothing() -> None:
    line = Line()
    assert transcript(line.feed(head(4, 0) + ECHO)) == [HEARD_ECHO]


COMMAND = store_command("1.2.3").encode()
VIOLATIONS = {
    "a dataset without a command": [PDV(3, False, True, b"ab")],
    "a dataset after a command that has none": [
        PDV(1, True, True, echo_command().encode()),
        PDV(1, False, True, b"ab"),
    ],
    "a dataset of another context than its command": [
        PDV(3, True, True, COMMAND),
        PDV(5, False, True, b"ab"),
    ],
    "a command inside a dataset": [
        PDV(3, True, True, COMMAND),
        PDV(3, False, False, b"ab"),
        PDV(3, True, True, COMMAND),
    ],
    "a command instead of a dataset": [PDV(3, True, True, COMMAND), PDV(3, True, True, COMMAND)],
    "a dataset inside a command": [PDV(3, True, False, COMMAND[:9]), PDV(3, False, True, b"ab")],
    "a command of two contexts": [
        PDV(3, True, False, COMMAND[:9]),
        PDV(5, True, True, COMMAND[9:]),
    ],
    "a second dataset": [
        PDV(3, True, True, COMMAND),
        PDV(3, False, True, b"ab"),
        PDV(3, False, True, b"ab"),
    ],
    "an empty command": [PDV(3, True, True, b"")],
    "a command that is cut off": [PDV(3, True, True, COMMAND[:-1])],
}


@pytest.mark.parametrize("control", [0, 1, 2, 3])
@pytest.mark.parametrize("length", [0, 1])
def test_a_pdv_that_is_shorter_than_its_own_header(length: int, control: int) -> None:
    line = Line()
    line.feed(STORE)
    rest = pdv_head(length, CT_CONTEXT, control) + pdv_head(2, CT_CONTEXT, 2) + b"ab"
    with pytest.raises(ProtocolError, match="does not fit"):
        line.feed(head(4, len(rest)) + rest)


@pytest.mark.parametrize("pdvs", VIOLATIONS.values(), ids=VIOLATIONS.keys())
@pytest.mark.parametrize("is_together", [True, False])
def test_messages_that_break_the_rules(pdvs: list[PDV], is_together: bool) -> None:
    line = Line()
    pdus = [data_pdu(*pdvs)] if is_together else [data_pdu(pdv) for pdv in pdvs]
    *fine, wrong = pdus
    events = line.feed_all(fine)
    with pytest.raises(ProtocolError):
        line.feed(wrong)
    assert line.sent_one() == Abort(2, 6)
    release(events)
    assert line.pool.held == 0


def test_a_command_that_is_too_long() -> None:
    line = Line()
    with pytest.raises(ProtocolError, match=f"longer than {MAXIMUM_COMMAND_LENGTH} bytes"):
        line.feed(data_pdu(PDV(3, True, False, bytes(MAXIMUM_COMMAND_LENGTH + 1))))
    assert line.sent_one() == Abort(2, 0)


def test_the_longest_command_is_taken() -> None:
    padding = MAXIMUM_COMMAND_LENGTH - len(store_command("1.2.3").encode()) - 8
    command = CommandSet({**store_command("1.2.3").elements, 0x00090010: bytes(padding)})
    assert len(command.encode()) == MAXIMUM_COMMAND_LENGTH
    assert transcript(Line().feed(command_pdu(command))) == [(CT_CONTEXT, command.encode())]


def test_nothing_is_understood_after_a_violation() -> None:
    line = Line()
    with pytest.raises(ProtocolError):
        line.feed(b"\x08\0\0\0\0\0")
    assert line.feed(ECHO + encode_pdu(Abort(0, 0)) + bytes(SCRATCH_SIZE * 2)) == []
    assert line.sent() == [Abort(2, 1)]
    line.upper.connection_lost()
    assert line.upper.state is State.STA1


def test_a_violation_gives_back_the_memory_of_what_came_with_it() -> None:
    line = Line()
    events = line.feed(STORE + dataset_pdus(pattern(SLAB_SIZE), size=1 << 21)[:-9])
    release(events)
    assert line.pool.held == SLAB_SIZE  # the slab that is being filled
    rest = pattern(SLAB_SIZE)[-9:]
    with pytest.raises(ProtocolError):
        line.feed(rest + STORE + dataset_pdus(b"abcd") + b"\xff" * 6)
    assert line.pool.held == 0


# Framing ---------------------------------------------------------------------------------------


def test_get_buffer_may_be_called_without_consequence() -> None:
    line = Line()
    first, rest = ECHO[:9], ECHO[9:]
    line.feed(first)
    for _ in range(3):
        line.upper.get_buffer()[:4] = b"\xff\xff\xff\xff"
    assert line.upper.received(0) == []
    assert transcript(line.feed(rest)) == [HEARD_ECHO]


def test_two_associations_share_the_scratch_buffer() -> None:
    pool = Pool()
    one, two = Line(pool=pool), Line(pool=pool)
    assert one.feed(ECHO[:3]) == two.feed(ECHO[:5]) == []
    assert transcript(one.feed(ECHO[3:])) == [HEARD_ECHO]
    assert transcript(two.feed(ECHO[5:])) == [HEARD_ECHO]


def test_several_pdvs_in_one_pdu() -> None:
    data = [PDV(CT_CONTEXT, False, n == 3, bytes((n,)) * n) for n in range(4)]
    heard = transcript(Line().feed(STORE + data_pdu(*data)))
    assert heard[1] == (b"\1\2\2\3\3\3", True)


def test_a_command_shares_its_pdu_with_the_data() -> None:
    pdu = data_pdu(PDV(3, True, True, COMMAND), PDV(3, False, True, b"abcd"))
    assert transcript(Line().feed(pdu)) == [HEARD_STORE, (b"abcd", True)]


def test_two_messages_in_one_pdu() -> None:
    echo = PDV(ECHO_CONTEXT, True, True, echo_command().encode())
    store = PDV(3, True, True, COMMAND), PDV(3, False, True, b"abcd")
    heard = transcript(Line().feed(data_pdu(echo, *store, echo)))
    assert heard == [HEARD_ECHO, HEARD_STORE, (b"abcd", True), HEARD_ECHO]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_a_command_in_fragments(size: int) -> None:
    starts = range(0, len(COMMAND), size)
    parts = [PDV(3, True, s + size >= len(COMMAND), COMMAND[s : s + size]) for s in starts]
    heard = transcript(Line().feed(b"".join(data_pdu(part) for part in parts)))
    assert heard == [HEARD_STORE]


def test_a_command_that_ends_with_an_empty_fragment() -> None:
    pdus = data_pdu(PDV(3, True, False, COMMAND)) + data_pdu(PDV(3, True, True, b""))
    assert transcript(Line().feed(pdus)) == [HEARD_STORE]


def test_empty_last_fragment_ends_the_dataset() -> None:
    data = data_pdu(PDV(3, False, False, b"abcd")), data_pdu(PDV(3, False, True, b""))
    assert transcript(Line().feed(STORE + b"".join(data)))[1] == (b"abcd", True)


def test_empty_last_fragment_that_comes_alone_ends_the_dataset() -> None:
    line = Line()
    release(line.feed(STORE + data_pdu(PDV(3, False, False, b"abcd"))))
    assert line.feed(data_pdu(PDV(3, False, True, b""))) == [Fragment(None, True)]


def test_an_empty_dataset_is_one_event() -> None:
    events = Line().feed(STORE + data_pdu(PDV(3, False, True, b"")))
    assert events[1:] == [Fragment(None, True)]


def test_empty_fragments_in_between_are_nothing() -> None:
    empty = PDV(3, False, False, b"")
    data = data_pdu(empty, PDV(3, False, False, b"ab"), empty), data_pdu(PDV(3, False, True, b"c"))
    assert transcript(Line().feed(STORE + b"".join(data)))[1] == (b"abc", True)


def test_fragments_of_one_byte() -> None:
    data = pattern(5000)
    line = Line()
    heard = transcript(line.feed(STORE + dataset_pdus(data, size=1)))
    assert heard[1] == (data, True)


@pytest.mark.parametrize("size", [1, 3, 999, 16377])
def test_fragments_of_odd_length(size: int) -> None:
    data = pattern(50_001)
    assert transcript(Line().feed(STORE + dataset_pdus(data, size=size)))[1] == (data, True)


@pytest.mark.parametrize("context_id", [0, 2, 4, 254])
def test_a_message_in_an_even_context(context_id: int) -> None:
    # Against PS3.8 9.3.2.2, but whether the context is known is the conversation's business.
    pdus = command_pdu(store_command("1.2.3"), context_id) + dataset_pdus(b"ab", context_id)
    assert transcript(Line().feed(pdus)) == [(context_id, COMMAND), (b"ab", True)]


def test_only_two_bits_of_the_message_control_header_count() -> None:
    pdu = bytearray(ECHO)
    pdu[11] |= 0xFC  # PS3.8 E.2: not tested
    assert transcript(Line().feed(bytes(pdu))) == [HEARD_ECHO]


def test_reserved_bytes_of_a_pdu_header_are_not_tested() -> None:
    pdu = bytearray(ECHO)
    pdu[1] = 0xFF  # PS3.8 9.3.1
    assert transcript(Line().feed(bytes(pdu))) == [HEARD_ECHO]


def test_pipelined_requests_come_in_order() -> None:
    pdus, heard = b"", list[Heard]()
    for number in range(50):
        command, data = store_command(f"1.{number}", number), pattern(number * 10)
        pdus += command_pdu(command) + dataset_pdus(data)
        heard += [(CT_CONTEXT, command.encode()), (data, True)]
    assert transcript(Line().feed(pdus + ECHO)) == [*heard, HEARD_ECHO]


def test_discarding_a_dataset_keeps_its_end() -> None:
    line = Line()
    pdus = dataset_pdus(pattern(300_000))
    release(line.feed(STORE + pdus[:200_000]))
    line.upper.discard_dataset()
    assert line.pool.held == 0
    assert line.feed(pdus[200_000:]) == [Fragment(None, True)]
    assert transcript(line.feed(STORE + dataset_pdus(b"next")))[1] == (b"next", True)


def test_discarding_before_the_first_fragment() -> None:
    line = Line()
    line.feed(STORE)
    line.upper.discard_dataset()
    assert line.feed(dataset_pdus(pattern(300_000))) == [Fragment(None, True)]


def test_discarding_without_a_dataset_does_not_touch_the_next() -> None:
    line = Line()
    line.upper.discard_dataset()
    assert transcript(line.feed(STORE + dataset_pdus(b"next")))[1] == (b"next", True)


# Sending ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("maximum_length", [0, 1, 2, 5, 6, 7, 8, 9, 100, 101, 16384])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 94, 95, 1000])
def test_fragments_are_what_the_peer_takes(maximum_length: int, size: int) -> None:
    # 1 to 7 leave no room for a fragment of even length: the least that is one is sent.
    line = Line()
    line.upper.peer_maximum_length = maximum_length
    line.upper.send(3, pattern(size), is_command=False)
    pdvs = [pdv for pdu in line.sent() if isinstance(pdu, DataTransfer) for pdv in pdu.pdvs]
    assert b"".join(pdv.data for pdv in pdvs) == pattern(size)
    assert [pdv.is_last for pdv in pdvs] == [False] * (len(pdvs) - 1) + [True]
    assert all(len(pdv.data) % 2 == 0 for pdv in pdvs[:-1])
    if maximum_length:
        assert all(len(pdv.data) + 6 <= max(maximum_length, 8) for pdv in pdvs)
    else:
        assert len(pdvs) == 1


@pytest.mark.parametrize("is_command", [True, False])
def test_what_is_sent_says_whether_it_is_a_command(is_command: bool) -> None:
    line = Line()
    line.upper.send(5, b"abcd", is_command=is_command)
    assert line.upper.data_to_send() == data_pdu(PDV(5, is_command, True, b"abcd"))


@pytest.mark.parametrize(
    ("role", "state", "pdu"),
    [
        (Role.ACCEPTOR, State.STA2, association_request(maximum_length=100)),
        (Role.REQUESTOR, State.STA5, replace(ACCEPT, items=REQUEST.items)),
    ],
)
def test_the_peers_maximum_length_is_remembered(role: Role, state: State, pdu: PDU) -> None:
    line = Line(role, state)
    line.feed(encode_pdu(pdu))
    assert line.upper.peer_maximum_length == (100 if role is Role.ACCEPTOR else 16384)


def test_what_was_taken_to_be_sent_is_forgotten() -> None:
    line = Line()
    line.upper.send(1, b"ab")
    line.upper.send(1, b"cd")
    assert len(list(pdus_in(line.upper.data_to_send()))) == 2
    assert line.upper.data_to_send() == b""


# Whole input = byte by byte = random cuts ------------------------------------------------------


@dataclass(frozen=True)
class Store:
    """One C-STORE and how its sender cuts it."""

    size: int
    fragment: int
    pdvs_per_pdu: int = 1
    command_fragment: int = 1 << 16
    has_empty_end: bool = False
    shares_pdu: bool = False

    def pdvs(self, command: bytes) -> tuple[list[PDV], list[PDV]]:
        step, data = self.command_fragment, pattern(self.size)
        head = [
            PDV(3, True, s + step >= len(command), command[s : s + step])
            for s in range(0, len(command), step)
        ]
        starts = range(0, self.size, self.fragment)
        body = [PDV(3, False, False, data[s : s + self.fragment]) for s in starts]
        if self.has_empty_end or not body:
            body.append(PDV(3, False, True, b""))
        body[-1] = replace(body[-1], is_last=True)
        return head, body

    def encode(self, command: bytes) -> bytes:
        head, body = self.pdvs(command)
        if self.shares_pdu:
            body, head = [*head, *body], []
        rest = iter(body)
        groups = iter(lambda: list(islice(rest, self.pdvs_per_pdu)), [])
        return b"".join(map(data_pdu, head)) + b"".join(data_pdu(*group) for group in groups)


def conversation(stores: list[Store]) -> tuple[bytes, list[Heard]]:
    """An association from its request to its release: its bytes, and what they say."""
    data, said = encode_pdu(REQUEST), list[Heard]([REQUEST])
    for number, store in enumerate(stores):
        command = store_command(f"1.2.{number}", number).encode()
        data += store.encode(command) + ECHO
        said += [(3, command), (pattern(store.size), True), HEARD_ECHO]
    return data + encode_pdu(ReleaseRequest()), [*said, ReleaseRequest()]


def listen(line: Line, pieces: list[bytes], *, is_hoarding: bool) -> list[Heard]:
    """Feed a conversation; a hoarder looks at the datasets only after the last of them."""
    heard: list[Heard] = []
    hoard = []
    for piece in pieces:
        events = line.feed(piece)
        if any(isinstance(event, AssociateRequest) for event in events):
            line.upper.accept(ACCEPT)
        hoard += events
        if not is_hoarding:
            for event in events:
                if isinstance(event, Fragment) and event.block is not None:
                    copy = bytes(event.block)
                    event.block.release()
                    event.block.views = [copy]
    heard = transcript(hoard)
    release(hoard)
    return heard


def listened(
    data: bytes, pieces: list[bytes], *, is_hoarding: bool = False, line: Line | None = None
) -> list[Heard]:
    """Listen to a whole conversation, and see that all memory has come back."""
    assert b"".join(pieces) == data
    line = line or Line(state=State.STA2)
    # The acceptor's answer comes between the request and the rest.
    end = len(encode_pdu(REQUEST))
    first, rest = _split(pieces, end)
    heard = listen(line, first, is_hoarding=is_hoarding)
    heard += listen(line, rest, is_hoarding=is_hoarding)
    line.upper.respond_to_release()
    line.upper.connection_lost()
    assert line.pool.held == line.account.held == 0
    assert not line.pool.filling
    return heard


def _split(pieces: list[bytes], at: int) -> tuple[list[bytes], list[bytes]]:
    """Split a list of pieces where their sum is `at`, through a piece if need be."""
    first: list[bytes] = []
    rest = list(pieces)
    while at:
        piece = rest.pop(0)
        first.append(piece[:at])
        if len(piece) > at:
            rest.insert(0, piece[at:])
        at -= len(first[-1])
    return first, rest


def small_line() -> Line:
    """A line whose scratch buffer and slabs are small, so that boundaries are everywhere."""
    pool = Pool(budget=1 << 26, slab_size=60_000)
    return Line(state=State.STA2, pool=pool, scratch_size=512, limit=1 << 26)


SIZES = st.one_of(
    st.integers(0, 40),
    st.integers(4090, 4100),  # around what counts as short
    st.integers(0, 30_000),
)
STORES = st.builds(
    Store,
    size=SIZES,
    fragment=st.one_of(st.sampled_from([64, 4095, 4096, 16378, 1 << 20]), st.integers(50, 9000)),
    pdvs_per_pdu=st.integers(1, 4),
    command_fragment=st.sampled_from([1, 7, 64, 1 << 16]),
    has_empty_end=st.booleans(),
    shares_pdu=st.booleans(),
)
TINY_STORES = st.builds(Store, size=st.integers(0, 400), fragment=st.integers(1, 3))
CONVERSATIONS = st.lists(st.one_of(STORES, TINY_STORES), min_size=1, max_size=4)


LONGEST = st.sampled_from([30, 600, 3000, 30_000])


@given(CONVERSATIONS, st.integers(0, 1 << 32), LONGEST, st.booleans())
@settings(max_examples=100, deadline=None, database=None)
def test_random_cuts_change_nothing(
    stores: list[Store], seed: int, longest: int, is_hoarding: bool
) -> None:
    data, said = conversation(stores)
    pieces = cut(data, seed, longest)
    assert listened(data, pieces, line=small_line(), is_hoarding=is_hoarding) == said


@given(CONVERSATIONS)
@settings(max_examples=50, deadline=None, database=None)
def test_the_whole_input_at_once(stores: list[Store]) -> None:
    data, said = conversation(stores)
    assert listened(data, [data], line=small_line(), is_hoarding=True) == said


@given(st.lists(TINY_STORES, min_size=1, max_size=3))
@example([Store(5000, 16378)])
@example([Store(5000, 1700, pdvs_per_pdu=3, has_empty_end=True, shares_pdu=True)])
@settings(max_examples=50, deadline=None, database=None)
def test_byte_by_byte(stores: list[Store]) -> None:
    data, said = conversation(stores)
    assert listened(data, bytewise(data)) == said


@pytest.mark.parametrize("around", [SCRATCH_SIZE, SLAB_SIZE], ids=["scratch", "slab"])
@pytest.mark.parametrize("fragment", [16378, 1 << 17, 1 << 32])
@pytest.mark.parametrize("longest", [70_000, 3_000_000])
def test_sizes_around_the_buffers(around: int, fragment: int, longest: int) -> None:
    sizes = [around + d for d in (-200, -13, -12, -1, 0, 1, 12, 13)]
    data, said = conversation([Store(size, fragment) for size in sizes])
    line = Line(state=State.STA2, limit=1 << 26)
    assert listened(data, cut(data, around, longest), line=line) == said


def test_a_large_dataset_byte_by_byte_from_the_middle_of_a_slab() -> None:
    data, said = conversation([Store(200_000, 1 << 20)])
    pieces = [data[:150_000], *bytewise(data[150_000:151_000]), data[151_000:]]
    line = Line(state=State.STA2)
    assert listened(data, pieces, line=line, is_hoarding=True) == said


CHOPPED = st.builds(Store, size=st.integers(2000, 20_000), fragment=st.sampled_from([5, 20, 300]))


@given(st.one_of(CHOPPED, STORES), LONGEST, st.integers(0, 20), st.integers(0, 1 << 32))
@settings(max_examples=50, deadline=None, database=None)
def test_squeezing_at_any_time_changes_nothing(
    store: Store, longest: int, every: int, seed: int
) -> None:
    data, said = conversation([store])
    line = small_line()
    pieces = cut(data, seed, longest)
    first, rest = _split(pieces, len(encode_pdu(REQUEST)))
    heard = listen(line, first, is_hoarding=True)
    for number, piece in enumerate(rest):
        heard += [] if number % (every + 1) else [*_squeezed(line)]
        heard += listen(line, [piece], is_hoarding=True)
    line.upper.connection_lost()
    assert line.pool.held == 0
    assert _joined(heard) == said


def _squeezed(line: Line) -> list[Heard]:
    line.upper.squeeze()
    assert not line.pool.filling
    return []


def _joined(heard: list[Heard]) -> list[Heard]:
    """Join the parts of datasets that were listened to one by one."""
    whole: list[Heard] = []
    data = b""
    for entry in heard:
        if isinstance(entry, tuple) and isinstance(entry[0], bytes):
            data += entry[0]
            if entry[1]:
                whole.append((data, True))
                data = b""
        else:
            whole.append(entry)
    return whole


@given(st.binary(max_size=300), st.sampled_from([s for s in State if s not in (1, 4)]))
@settings(max_examples=100, deadline=None, database=None)
def test_any_bytes_raise_a_protocol_error_or_nothing(data: bytes, state: State) -> None:
    line = Line(state=state)
    try:
        events = line.feed(data)
    except ProtocolError:
        return
    release(events)
    line.upper.connection_lost()
    assert line.pool.held == 0


# Memory ----------------------------------------------------------------------------------------


def test_a_small_dataset_takes_no_slab() -> None:
    line = Line()
    events = line.feed(STORE + dataset_pdus(pattern(30_000)))
    assert line.pool.held == line.account.held == 30_000
    release(events)
    assert line.pool.held == 0


def test_a_large_dataset_takes_a_slab_and_gives_it_back() -> None:
    line = Line()
    pdus = STORE + dataset_pdus(pattern(500_000))
    events = line.feed(pdus[:-10])
    release(events)
    assert line.pool.held == SLAB_SIZE
    release(line.feed(pdus[-10:]))
    assert line.pool.held == 0


def test_a_read_into_a_slab_is_not_copied() -> None:
    line = Line()
    events = line.feed(STORE + dataset_pdus(pattern(500_000), size=100_000))
    views = [view for block in blocks_of(events)[1:] for view in block.views]
    assert views
    assert all(isinstance(view, memoryview) for view in views)
    release(events)


@pytest.mark.parametrize("burst", [0, 100_000], ids=["scratch", "slab"])
def test_fragments_of_one_byte_do_not_multiply_memory(burst: int) -> None:
    # Whatever a consumer that does not read keeps is counted, within a small factor.
    line = Line(limit=1 << 26)
    kept = line.feed(STORE + data_pdu(PDV(3, False, False, bytes(burst))))
    fragments = [data_pdu(PDV(3, False, False, b"x"))] * 20_000
    hoard: list[Fragment] = []
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for fragment in fragments:
        for event in line.feed(fragment):
            _keep(hoard, event)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 20 * 20_000
    assert sum(f.block.size for f in hoard if f.block) == 20_000
    release([*kept, *hoard])
    line.upper.connection_lost()
    assert line.pool.held == 0


def _keep(hoard: list[Fragment], event: object) -> None:
    """Keep a fragment as a dataset's stream does: small copies are added to one another."""
    assert isinstance(event, Fragment)
    assert event.block is not None
    last = hoard[-1].block if hoard else None
    if last is not None and last.is_small_copy and event.block.is_small_copy:
        last.absorb(event.block)
    else:
        hoard.append(event)


@pytest.mark.parametrize("burst", [0, 100_000], ids=["scratch", "slab"])
def test_a_read_of_one_byte_fragments_is_one_piece(burst: int) -> None:
    line = Line()
    release(line.feed(STORE + data_pdu(PDV(3, False, False, bytes(burst)))))
    read = dataset_pdus(pattern(5000), size=1)
    (block,) = blocks_of(line.feed(read[:-1]))
    assert len(block.views) == 1
    assert bytes(block) == pattern(5000)[:-1]
    block.release()


def test_a_slab_that_is_squeezed_within_a_header_loses_nothing() -> None:
    pdus = STORE + dataset_pdus(pattern(300_000), size=10_000)
    header = len(STORE) + 20 * 10_012
    for at in range(header, header + 13):
        line = Line()
        events = line.feed(pdus[:at])
        assert line.pool.filling
        line.upper.squeeze()
        assert not line.pool.filling
        assert transcript([*events, *line.feed(pdus[at:])])[1] == (pattern(300_000), True)
        release(events)


def test_no_slab_is_taken_while_the_association_is_paused() -> None:
    line = Line(limit=10_000)
    kept = line.feed(STORE + dataset_pdus(pattern(200_000))[:-1])
    assert line.holder.paused
    assert not line.pool.filling
    assert line.pool.held == 200_000 - 1
    release(kept)
    assert not line.holder.paused


def test_a_paused_association_gets_no_slab_after_the_one_it_fills() -> None:
    line = Line(limit=SLAB_SIZE + SLAB_SIZE // 2)
    kept = line.feed(STORE + data_pdu(PDV(3, False, False, bytes(2 * SLAB_SIZE + 200_000))))
    assert line.holder.paused
    assert not line.pool.filling
    assert line.pool.held < 3 * SLAB_SIZE
    release(kept)


def test_an_idle_association_has_no_memory_of_ours() -> None:
    line = Line()
    release(line.feed(STORE + dataset_pdus(pattern(3_000_000)) + ECHO))
    assert (line.pool.held, line.pool.filling) == (0, {})


def test_losing_the_connection_gives_the_slab_back() -> None:
    line = Line()
    release(line.feed(STORE + dataset_pdus(pattern(500_000))[:-10]))
    line.upper.connection_lost()
    assert (line.pool.held, line.pool.filling) == (0, {})


def test_aborting_gives_the_slab_back() -> None:
    line = Line()
    release(line.feed(STORE + dataset_pdus(pattern(500_000))[:-10]))
    line.upper.abort()
    assert (line.pool.held, line.pool.filling) == (0, {})


def test_more_messages_in_one_read_than_anybody_agreed_to() -> None:
    line = Line()
    flood = command_pdu(echo_command(), ECHO_CONTEXT) * 4000
    with pytest.raises(ProtocolError, match="at once"):
        line.feed(STORE + dataset_pdus(pattern(SCRATCH_SIZE + 4096)) + flood)
    assert line.pool.held == 0


def test_a_dataset_that_comes_while_memory_is_short_is_whole() -> None:
    pool = Pool(budget=2 * SLAB_SIZE)
    other, line = Line(pool=pool), Line(pool=pool, limit=1 << 26)
    other.account.hold(SLAB_SIZE + SLAB_SIZE // 2)
    data = pattern(500_000)
    events = line.feed(STORE + dataset_pdus(data))
    assert transcript(events)[1] == (data, True)
    assert line.holder.paused
    assert not pool.filling


def test_reads_are_short_while_memory_is_short() -> None:
    pool = Pool(budget=2 * SLAB_SIZE)
    other, line = Line(pool=pool), Line(pool=pool)
    assert len(line.upper.get_buffer()) == SCRATCH_SIZE
    other.account.hold(SLAB_SIZE)
    assert len(line.upper.get_buffer()) == SHORT_READ
    other.account.give(SLAB_SIZE)
    assert len(line.upper.get_buffer()) == SCRATCH_SIZE


def test_who_waits_for_a_slab_goes_on_with_it() -> None:
    pool = Pool(budget=2 * SLAB_SIZE)
    other, line = Line(pool=pool), Line(pool=pool)
    other.account.hold(SLAB_SIZE)
    pdus = STORE + dataset_pdus(pattern(300_000))
    events = line.feed(pdus[:SHORT_READ])
    assert line.holder.paused
    other.account.give(SLAB_SIZE)
    assert not line.holder.paused
    line.upper.resume()
    assert line.account in pool.filling
    assert transcript([*events, *line.feed(pdus[SHORT_READ:])])[1] == (pattern(300_000), True)
    release(events)


def test_a_slab_that_is_read_into_is_moving() -> None:
    line = Line()
    pdus = STORE + dataset_pdus(pattern(500_000))
    release(line.feed(pdus[:200_000]))
    line.account.is_moving = False
    release(line.feed(pdus[200_000:200_010]))
    assert line.account.is_moving


def test_who_goes_on_without_room_takes_no_slab() -> None:
    pool = Pool(budget=2 * SLAB_SIZE)
    other, line = Line(pool=pool), Line(pool=pool)
    other.account.hold(SLAB_SIZE)
    release(line.feed((STORE + dataset_pdus(pattern(300_000)))[:SHORT_READ]))
    line.upper.resume()
    assert (line.holder.pauses, line.account in pool.filling) == (1, False)


def test_who_goes_on_near_its_own_limit_takes_no_slab() -> None:
    """It would be paused at once, with a slab that nobody fills and nobody asks for."""
    pool = Pool(budget=2 * SLAB_SIZE)
    other, line = Line(pool=pool), Line(pool=pool, limit=SLAB_SIZE)
    other.account.hold(SLAB_SIZE)
    data = pattern(300_000)
    pdus = STORE + dataset_pdus(data)
    events = line.feed(pdus[:SHORT_READ])
    other.account.give(SLAB_SIZE)
    line.upper.resume()
    assert (line.holder.paused, line.account in pool.filling) == (False, False)
    assert transcript([*events, *line.feed(pdus[SHORT_READ:])])[1] == (data, True)


def test_half_a_proposal_is_counted() -> None:
    line = Line(state=State.STA2)
    request = encode_pdu(association_request())
    line.feed(request[:-1])
    assert line.pool.held == len(request) - 6 - 1
    line.feed(request[-1:])
    assert line.pool.held == 0


def test_half_a_command_is_counted() -> None:
    line = Line()
    command = store_command("1.2.3").encode()
    line.feed(data_pdu(PDV(3, True, False, command[:-10])))
    assert line.pool.held == len(command) - 10
    line.feed(data_pdu(PDV(3, True, True, command[-10:])))
    assert line.pool.held == 0


@pytest.mark.parametrize("end", ["lost", "abort", "garbage"])
def test_what_is_unfinished_goes_with_its_association(end: str) -> None:
    line = Line()
    line.feed(data_pdu(PDV(3, True, False, bytes(1000))))
    if end == "garbage":
        with pytest.raises(ProtocolError):
            line.feed(bytes(6))
    elif end == "abort":
        line.feed(encode_pdu(Abort(0, 0)))
    line.upper.connection_lost()
    assert line.pool.held == 0


def test_a_long_proposal_waits_where_memory_is_short_and_a_short_one_does_not() -> None:
    pool = Pool(budget=2 * SLAB_SIZE)
    other, line = Line(pool=pool), Line(pool=pool, state=State.STA2)
    other.account.hold(2 * SLAB_SIZE)
    line.feed(b"\x01\0" + (100_000).to_bytes(4, "big") + bytes(SHORT_READ - 6))
    assert not line.holder.paused
    line.feed(bytes(SHORT_READ))
    assert line.holder.paused


def test_a_flood_of_small_fragments_is_read_in_small_steps() -> None:
    """Whoever sends it may not keep the others waiting for what a large read would take."""
    line = Line()
    release(line.feed(STORE))
    whole = len(line.upper.get_buffer())
    flood = dataset_pdus(pattern(1000), size=2)
    release(line.feed(flood[: len(flood) // 2]))
    assert len(line.upper.get_buffer()) == SMALL_READ < whole
    release(line.feed(flood[len(flood) // 2 :] + STORE + dataset_pdus(pattern(20_000))))
    assert len(line.upper.get_buffer()) > SMALL_READ


def test_commands_are_no_flood() -> None:
    line = Line()
    whole = len(line.upper.get_buffer())
    for _ in range(3):
        release(line.feed(STORE + dataset_pdus(pattern(100))))
    assert len(line.upper.get_buffer()) == whole
