"""Table 9-10 of PS3.8, cell by cell, against the standard and against pynetdicom's copy."""

from __future__ import annotations

import pytest
from pynetdicom.fsm import TRANSITION_TABLE

from aiodicom.wire.states import NEXT, TABLE, Action, Event, State

ESTABLISHED = {6, 7, 8, 9, 10, 11, 12}

# Typed from the standard, by event and action: in which states.
STANDARD: dict[int, dict[str, set[int]]] = {
    1: {"AE-1": {1}},
    2: {"AE-2": {4}},
    3: {"AA-1": {2}, "AE-3": {5}, "AA-8": {3} | ESTABLISHED, "AA-6": {13}},
    4: {"AA-1": {2}, "AE-4": {5}, "AA-8": {3} | ESTABLISHED, "AA-6": {13}},
    5: {"AE-5": {1}},
    6: {"AE-6": {2}, "AA-8": {3, 5} | ESTABLISHED, "AA-7": {13}},
    7: {"AE-7": {3}},
    8: {"AE-8": {3}},
    9: {"DT-1": {6}, "AR-7": {8}},
    10: {
        "AA-1": {2},
        "DT-2": {6},
        "AR-6": {7},
        "AA-8": {3, 5, 8, 9, 10, 11, 12},
        "AA-6": {13},
    },
    11: {"AR-1": {6}},
    12: {
        "AA-1": {2},
        "AR-2": {6},
        "AR-8": {7},
        "AA-8": {3, 5, 8, 9, 10, 11, 12},
        "AA-6": {13},
    },
    13: {
        "AA-1": {2},
        "AR-3": {7, 11},
        "AR-10": {10},
        "AA-8": {3, 5, 6, 8, 9, 12},
        "AA-6": {13},
    },
    14: {"AR-4": {8, 12}, "AR-9": {9}},
    15: {"AA-1": {3, 5} | ESTABLISHED, "AA-2": {4}},
    16: {"AA-2": {2, 13}, "AA-3": {3, 5} | ESTABLISHED},
    17: {"AA-5": {2}, "AA-4": {3, 4, 5} | ESTABLISHED, "AR-5": {13}},
    18: {"AA-2": {2, 13}},
    19: {"AA-1": {2}, "AA-8": {3, 5} | ESTABLISHED, "AA-7": {13}},
}

# Tables 9-6 to 9-9, last column. AE-6 and AR-8 choose: `test_upper_layer` tests the other one.
NEXT_STATES = {
    "AE-1": 4, "AE-2": 5, "AE-3": 6, "AE-4": 1, "AE-5": 2, "AE-6": 3, "AE-7": 6, "AE-8": 13,
    "DT-1": 6, "DT-2": 6,
    "AR-1": 7, "AR-2": 8, "AR-3": 1, "AR-4": 13, "AR-5": 1, "AR-6": 7, "AR-7": 8, "AR-8": 9,
    "AR-9": 11, "AR-10": 12,
    "AA-1": 13, "AA-2": 1, "AA-3": 1, "AA-4": 1, "AA-5": 1, "AA-6": 13, "AA-7": 13, "AA-8": 13,
}  # fmt: skip


def test_there_are_thirteen_states_and_nineteen_events() -> None:
    assert [state.value for state in State] == list(range(1, 14))
    assert [event.value for event in Event] == list(range(1, 20))


@pytest.mark.parametrize("event", Event, ids=lambda event: event.name)
@pytest.mark.parametrize("state", State, ids=lambda state: state.name)
def test_every_cell_is_the_standards(state: State, event: Event) -> None:
    named = [name for name, states in STANDARD[event].items() if state in states]
    action = TABLE.get((event, state))
    assert ([action.value] if action else []) == named


def test_every_cell_is_pynetdicoms() -> None:
    ours = {(f"Evt{e.value}", f"Sta{s.value}"): action.value for (e, s), action in TABLE.items()}
    assert ours == TRANSITION_TABLE


def test_every_action_leads_where_the_standard_says() -> None:
    assert {action.value: int(state) for action, state in NEXT.items()} == NEXT_STATES


def test_every_action_is_used() -> None:
    assert set(TABLE.values()) == set(Action)
