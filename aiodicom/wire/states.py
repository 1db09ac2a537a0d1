"""Table 9-10 of PS3.8: the upper layer's state machine, as data.

`TABLE[event, state]` names the action; a pair that is not there cannot happen (the local user
or the transport would have to break its own contract). `NEXT` says where an action leads; three
actions choose between two states and have a rule of their own. What the actions do is in
`upper_layer`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping

__all__ = ["NEXT", "TABLE", "Action", "Event", "State"]


class State(enum.IntEnum):
    """PS3.8 9.2.1, tables 9-1 to 9-5."""

    STA1 = 1  # idle
    STA2 = 2  # transport connection open, awaiting A-ASSOCIATE-RQ
    STA3 = 3  # awaiting the local A-ASSOCIATE response
    STA4 = 4  # awaiting the transport connection to open
    STA5 = 5  # awaiting A-ASSOCIATE-AC or -RJ
    STA6 = 6  # association established
    STA7 = 7  # awaiting A-RELEASE-RP
    STA8 = 8  # awaiting the local A-RELEASE response
    STA9 = 9  # release collision, requestor: awaiting the local A-RELEASE response
    STA10 = 10  # release collision, acceptor: awaiting A-RELEASE-RP
    STA11 = 11  # release collision, requestor: awaiting A-RELEASE-RP
    STA12 = 12  # release collision, acceptor: awaiting the local A-RELEASE response
    STA13 = 13  # awaiting the transport connection to close


class Event(enum.IntEnum):
    """PS3.8 table 9-10, first column."""

    ASSOCIATE_REQUEST = 1  # local user
    TRANSPORT_CONFIRMED = 2
    ASSOCIATE_AC_PDU = 3
    ASSOCIATE_RJ_PDU = 4
    TRANSPORT_INDICATION = 5
    ASSOCIATE_RQ_PDU = 6
    ASSOCIATE_ACCEPT = 7  # local user
    ASSOCIATE_REJECT = 8  # local user
    DATA_REQUEST = 9  # local user
    DATA_TF_PDU = 10
    RELEASE_REQUEST = 11  # local user
    RELEASE_RQ_PDU = 12
    RELEASE_RP_PDU = 13
    RELEASE_RESPONSE = 14  # local user
    ABORT_REQUEST = 15  # local user
    ABORT_PDU = 16
    TRANSPORT_CLOSED = 17
    ARTIM_EXPIRED = 18
    INVALID_PDU = 19


class Action(enum.Enum):
    """PS3.8 tables 9-6 to 9-9."""

    __hash__ = object.__hash__  # by identity, without a call

    AE_1 = "AE-1"
    AE_2 = "AE-2"
    AE_3 = "AE-3"
    AE_4 = "AE-4"
    AE_5 = "AE-5"
    AE_6 = "AE-6"
    AE_7 = "AE-7"
    AE_8 = "AE-8"
    DT_1 = "DT-1"
    DT_2 = "DT-2"
    AR_1 = "AR-1"
    AR_2 = "AR-2"
    AR_3 = "AR-3"
    AR_4 = "AR-4"
    AR_5 = "AR-5"
    AR_6 = "AR-6"
    AR_7 = "AR-7"
    AR_8 = "AR-8"
    AR_9 = "AR-9"
    AR_10 = "AR-10"
    AA_1 = "AA-1"
    AA_2 = "AA-2"
    AA_3 = "AA-3"
    AA_4 = "AA-4"
    AA_5 = "AA-5"
    AA_6 = "AA-6"
    AA_7 = "AA-7"
    AA_8 = "AA-8"


NEXT: Mapping[Action, State] = {
    Action.AE_1: State.STA4,
    Action.AE_2: State.STA5,
    Action.AE_3: State.STA6,
    Action.AE_4: State.STA1,
    Action.AE_5: State.STA2,
    Action.AE_6: State.STA3,  # or STA13 with A-ASSOCIATE-RJ, where the request is unacceptable
    Action.AE_7: State.STA6,
    Action.AE_8: State.STA13,
    Action.DT_1: State.STA6,
    Action.DT_2: State.STA6,
    Action.AR_1: State.STA7,
    Action.AR_2: State.STA8,
    Action.AR_3: State.STA1,
    Action.AR_4: State.STA13,
    Action.AR_5: State.STA1,
    Action.AR_6: State.STA7,
    Action.AR_7: State.STA8,
    Action.AR_8: State.STA9,  # or STA10, where we are the acceptor
    Action.AR_9: State.STA11,
    Action.AR_10: State.STA12,
    Action.AA_1: State.STA13,
    Action.AA_2: State.STA1,
    Action.AA_3: State.STA1,
    Action.AA_4: State.STA1,
    Action.AA_5: State.STA1,
    Action.AA_6: State.STA13,
    Action.AA_7: State.STA13,
    Action.AA_8: State.STA13,
}


def _row(event: Event, cells: str) -> Iterable[tuple[tuple[Event, State], Action]]:
    """Read one row: thirteen cells, a dot for an empty one."""
    for state, cell in zip(State, cells.split(), strict=True):
        if cell != ".":
            yield (event, state), Action(cell)


_ROWS = {
    #                            1    2    3    4    5    6    7    8    9    10    11   12   13
    Event.ASSOCIATE_REQUEST: "   AE-1 .    .    .    .    .    .    .    .    .     .    .    .",
    Event.TRANSPORT_CONFIRMED: " .    .    .    AE-2 .    .    .    .    .    .     .    .    .",
    Event.ASSOCIATE_AC_PDU: "    .    AA-1 AA-8 .    AE-3 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6",
    Event.ASSOCIATE_RJ_PDU: "    .    AA-1 AA-8 .    AE-4 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6",
    Event.TRANSPORT_INDICATION: "AE-5 .    .    .    .    .    .    .    .    .     .    .    .",
    Event.ASSOCIATE_RQ_PDU: "    .    AE-6 AA-8 .    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-7",
    Event.ASSOCIATE_ACCEPT: "    .    .    AE-7 .    .    .    .    .    .    .     .    .    .",
    Event.ASSOCIATE_REJECT: "    .    .    AE-8 .    .    .    .    .    .    .     .    .    .",
    Event.DATA_REQUEST: "        .    .    .    .    .    DT-1 .    AR-7 .    .     .    .    .",
    Event.DATA_TF_PDU: "         .    AA-1 AA-8 .    AA-8 DT-2 AR-6 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6",
    Event.RELEASE_REQUEST: "     .    .    .    .    .    AR-1 .    .    .    .     .    .    .",
    Event.RELEASE_RQ_PDU: "      .    AA-1 AA-8 .    AA-8 AR-2 AR-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6",
    Event.RELEASE_RP_PDU: "      .    AA-1 AA-8 .    AA-8 AA-8 AR-3 AA-8 AA-8 AR-10 AR-3 AA-8 AA-6",
    Event.RELEASE_RESPONSE: "    .    .    .    .    .    .    .    AR-4 AR-9 .     .    AR-4 .",
    Event.ABORT_REQUEST: "       .    .    AA-1 AA-2 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1  AA-1 AA-1 .",
    Event.ABORT_PDU: "           .    AA-2 AA-3 .    AA-3 AA-3 AA-3 AA-3 AA-3 AA-3  AA-3 AA-3 AA-2",
    Event.TRANSPORT_CLOSED: "    .    AA-5 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4  AA-4 AA-4 AR-5",
    Event.ARTIM_EXPIRED: "       .    AA-2 .    .    .    .    .    .    .    .     .    .    AA-2",
    Event.INVALID_PDU: "         .    AA-1 AA-8 .    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-7",
}

TABLE: Mapping[tuple[Event, State], Action] = {
    cell: action for event, cells in _ROWS.items() for cell, action in _row(event, cells)
}
