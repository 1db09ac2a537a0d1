"""Command sets whose form has come before mean what they mean when they come first."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiodicom.errors import ProtocolError
from aiodicom.wire import forms
from aiodicom.wire.dimse import CommandSet, encode_response
from aiodicom.wire.forms import elements_of
from tests.fuzzing.mutation import damage
from tests.peer import CT, echo_command, store_command

FIELD, ID, TYPE, INSTANCE, ORIGINATOR = 0x0100, 0x0110, 0x0800, 0x1000, 0x1030

Value = tuple[int, bytes]

ELSEWHERE = ((FIELD, b"\1\0"), (ID, b"\1\0"), (INSTANCE, b"1."), (TYPE, b"\1\0"))


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    forms._FORMS.clear()
    yield
    forms._FORMS.clear()


def command(*values: Value) -> bytes:
    """A command set of whatever is given, after its group length and SOP class."""
    everything = ((0, bytes(4)), (2, CT.encode() + b"\0"), *values)
    return b"".join(struct.pack("<HHI", 0, tag, len(v)) + v for tag, v in everything)


def store(message_id: bytes, uid: bytes, *more: Value) -> bytes:
    priority, kind = (0x0700, b"\0\0"), (TYPE, b"\1\0")
    return command((FIELD, b"\1\0"), (ID, message_id), priority, kind, (INSTANCE, uid), *more)


def first(data: bytes) -> dict[int, bytes] | str:
    """What a command set is taken for that nothing like it has come before."""
    known = forms._FORMS.copy()
    forms._FORMS.clear()
    try:
        return elements_of(data)
    except ProtocolError as error:
        return str(error)
    finally:
        forms._FORMS.clear()
        forms._FORMS.update(known)


def next_one(data: bytes) -> dict[int, bytes] | str:
    try:
        return elements_of(data)
    except ProtocolError as error:
        return str(error)


def test_the_next_request_of_a_sender_is_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    elements_of(store(b"\1\0", b"1.23"))
    monkeypatch.setattr(forms, "_walk", None)
    elements = elements_of(store(b"\2\0", b"1.45"))
    assert (elements[ID], elements[INSTANCE]) == (b"\2\0", b"1.45")


@pytest.mark.parametrize("make", [echo_command, lambda n: store_command("1.2.3", n)])
def test_echo_and_store_have_a_form(
    make: Callable[[int], CommandSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    elements_of(make(1).encode())
    monkeypatch.setattr(forms, "_walk", None)
    assert CommandSet.decode(make(513).encode()).number(ID) == 513


def test_what_is_done_with_one_command_set_changes_no_other() -> None:
    elements_of(store(b"\1\0", b"1.23")).clear()
    elements_of(store(b"\1\0", b"1.23")).clear()
    assert elements_of(store(b"\1\0", b"1.23")) == first(store(b"\1\0", b"1.23"))


@pytest.mark.parametrize(
    "pair",
    [
        (store(b"\1\0", b"1.23"), store(b"\1\0", b"1.2345")),
        (store(b"\1\0", b"1.23"), store(b"\1\0", b"1.23")[:-1]),
        (store(b"\1\0", b"1.23"), store(b"\1\0", b"1.23") + b"\0"),
        (store(b"\1\0", b"1.23", (ORIGINATOR, b"ME")),
         store(b"\1\0", b"1.23", (ORIGINATOR, b"IT"))),
        (command(*ELSEWHERE, (ORIGINATOR, b"ME")), command(*ELSEWHERE, (ORIGINATOR, b"IT"))),
        (encode_response(store_command("1.2", 1), 0), encode_response(store_command("1.3", 2), 0)),
        (store(b"\1\0", b"1.23", (ID, b"\7\0")), store(b"\2\0", b"1.23", (ID, b"\7\0"))),
        (store(b"\1\0", b""), store(b"\2\0", b"")),
        (command((FIELD, b"\1\0"), (ORIGINATOR, b"\1\0"), (TYPE, b"\1\1")),
         command((FIELD, b"\1\0"), (ORIGINATOR, b"\2\0"), (TYPE, b"\1\1"))),
        (command((FIELD, b"\1\0"), (ID, b"\1"), (TYPE, b"\1\0\0")),
         command((FIELD, b"\1\0"), (ID, b"\2"), (TYPE, b"\3\0\0"))),
    ],
    ids=["longer", "cut", "a byte more", "behind", "elsewhere", "response", "twice", "empty",
         "no ID", "short"],
)  # fmt: skip
def test_what_is_nearly_the_same_is_told_apart(pair: tuple[bytes, bytes]) -> None:
    for data in (*pair, *pair):
        assert next_one(data) == first(data)


@given(st.integers(0, 1 << 32))
@settings(max_examples=200, deadline=None, database=None)
def test_whatever_came_before_any_bytes_mean_the_same(seed: int) -> None:
    rng = random.Random(seed)
    usual = store(b"\1\0", b"1.23", *[(ORIGINATOR, b"ME")] * rng.randrange(2))
    for _ in range(10):
        data = damage(rng, usual, 1 << 16)
        assert next_one(data) == first(data)


def test_forms_are_bounded() -> None:
    for length in range(3 * forms.MAXIMUM_FORMS):
        elements_of(store(b"\1\0", bytes(length)))
        assert len(forms._FORMS) <= forms.MAXIMUM_FORMS
    assert not any(len(form.elements[INSTANCE]) for form in forms._FORMS.values())
