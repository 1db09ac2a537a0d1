"""The items of the association PDUs: round trips, odd lengths, lies."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiodicom.errors import AbortReason, ProtocolError
from aiodicom.wire.items import (
    PDU_ITEMS,
    AbstractSyntax,
    AcceptedContext,
    ApplicationContext,
    AsynchronousOperationsWindow,
    ImplementationClassUID,
    ImplementationVersionName,
    Item,
    MaximumLength,
    ProposedContext,
    Remembered,
    RoleSelection,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    TransferSyntax,
    UnknownItem,
    UserIdentity,
    UserIdentityResponse,
    UserInformation,
    decode_items,
    encode_items,
    trim,
)


def user(*items: bytes) -> bytes:
    """A User Information item around encoded items."""
    value = b"".join(items)
    return b"\x50\0" + len(value).to_bytes(2, "big") + value


def raw(item_type: int, value: bytes, second: int = 0) -> bytes:
    return bytes((item_type, second)) + len(value).to_bytes(2, "big") + value


def decode_one(data: bytes) -> Item:
    (item,) = decode_items(data, PDU_ITEMS)
    return item


def decode_user(*items: bytes) -> tuple[Item, ...]:
    item = decode_one(user(*items))
    assert isinstance(item, UserInformation)
    return item.items


# Bytes typed from the tables of PS3.8 9.3.2, 9.3.3, D.1 and PS3.7 D.3.3.
TABLES: list[tuple[Item, bytes]] = [
    (MaximumLength(16384), b"\x51\0\0\4\0\0\x40\0"),
    (MaximumLength(0), b"\x51\0\0\4\0\0\0\0"),
    (ImplementationClassUID("1.2.3"), b"\x52\0\0\5" + b"1.2.3"),
    (AsynchronousOperationsWindow(3, 0), b"\x53\0\0\4\0\3\0\0"),
    (RoleSelection("1.2", 0, 1), b"\x54\0\0\7\0\3" + b"1.2" + b"\0\1"),
    (ImplementationVersionName("ME_1"), b"\x55\0\0\4" + b"ME_1"),
    (SOPClassExtendedNegotiation("1.2", b"\1\0\2"), b"\x56\0\0\x08\0\3" + b"1.2" + b"\1\0\2"),
    (
        SOPClassCommonExtendedNegotiation("1.2", "1.3", ("1.4", "1.55"), 7, b"!"),
        bytes.fromhex("57070018 0003312e32 0003312e33 000b 0003312e34 0004312e3535 21"),
    ),
    (UserIdentity(2, 1, b"me", b"pw!"), b"\x58\0\0\x0b\2\1\0\2" + b"me" + b"\0\3" + b"pw!"),
    (UserIdentityResponse(b"ok"), b"\x59\0\0\4\0\2" + b"ok"),
]


@pytest.mark.parametrize(("item", "data"), TABLES, ids=lambda v: type(v).__name__)
def test_a_user_item_is_written_as_the_standard_says(item: Item, data: bytes) -> None:
    assert item.encode() == data
    assert decode_user(data) == (item,)


def test_contexts_are_written_as_the_standard_says() -> None:
    proposed = raw(0x20, b"\3\0\0\0" + raw(0x30, b"1.2") + raw(0x40, b"1.3") + raw(0x40, b"1.4"))
    accepted = raw(0x21, b"\3\0\4\0" + raw(0x40, b"1.3"))
    assert ProposedContext.of(3, "1.2", "1.3", "1.4").encode() == proposed
    assert decode_one(proposed) == ProposedContext.of(3, "1.2", "1.3", "1.4")
    assert decode_one(accepted) == AcceptedContext(3, 4, (TransferSyntax("1.3"),))
    assert decode_one(accepted).encode() == accepted


def test_the_application_context_is_written_as_the_standard_says() -> None:
    assert decode_one(raw(0x10, b"1.2")) == ApplicationContext("1.2")
    assert ApplicationContext("1.2").encode() == raw(0x10, b"1.2")


# Unknown, odd, empty, padded -------------------------------------------------------------------


@pytest.mark.parametrize("item_type", [0x00, 0x11, 0x40, 0x51, 0xFF])
def test_an_unknown_item_is_kept(item_type: int) -> None:
    data = raw(item_type, b"what?", second=9)
    assert decode_one(data) == UnknownItem(item_type, b"what?", 9)
    assert decode_one(data).encode() == data


@pytest.mark.parametrize("item_type", [0x10, 0x20, 0x30, 0x50, 0x5A])
def test_an_unknown_user_item_is_kept(item_type: int) -> None:
    data = raw(item_type, b"abc", second=1)
    assert decode_user(data) == (UnknownItem(item_type, b"abc", 1),)
    assert decode_one(user(data)).encode() == user(data)


def test_an_unknown_item_in_a_context_is_kept() -> None:
    data = raw(0x20, b"\1\0\0\0" + raw(0x30, b"1.2") + raw(0x99, b"?") + raw(0x40, b"1.3"))
    context = decode_one(data)
    assert isinstance(context, ProposedContext)
    assert context.items[1] == UnknownItem(0x99, b"?")
    assert (context.abstract_syntax, context.transfer_syntaxes) == ("1.2", ("1.3",))
    assert context.encode() == data


@pytest.mark.parametrize("padding", [b"", b"\0", b" ", b"\0\0", b" \0"])
def test_padding_is_kept_and_trimmed_where_it_is_read(padding: bytes) -> None:
    data = raw(0x20, b"\1\0\0\0" + raw(0x30, b"1.2" + padding) + raw(0x40, b"1.3" + padding))
    context = decode_one(data)
    assert isinstance(context, ProposedContext)
    assert (context.abstract_syntax, context.transfer_syntaxes) == ("1.2", ("1.3",))
    assert context.encode() == data


@pytest.mark.parametrize("value", [b"", b"1", b"1.2", b"1.2.33", b"\0", b"\xff\xfe"])
@pytest.mark.parametrize("item_type", [0x52, 0x55])
def test_odd_and_empty_texts(item_type: int, value: bytes) -> None:
    data = user(raw(item_type, value))
    assert decode_one(data).encode() == data


def test_an_accepted_context_without_a_transfer_syntax() -> None:
    context = decode_one(raw(0x21, b"\1\0\3\0"))
    assert context == AcceptedContext(1, 3, ())
    assert isinstance(context, AcceptedContext)
    assert context.transfer_syntax == ""


def test_an_accepted_context_with_an_empty_transfer_syntax() -> None:
    context = decode_one(raw(0x21, b"\1\0\3\0" + raw(0x40, b"")))
    assert isinstance(context, AcceptedContext)
    assert context.transfer_syntax == ""


def test_a_proposed_context_without_syntaxes() -> None:
    context = decode_one(raw(0x20, b"\2\0\0\0"))
    assert isinstance(context, ProposedContext)
    assert (context.context_id, context.abstract_syntax) == (2, "")
    assert context.transfer_syntaxes == ()


def test_the_first_abstract_syntax_stands() -> None:
    context = ProposedContext(1, (AbstractSyntax("1.2"), AbstractSyntax("1.3")))
    assert context.abstract_syntax == "1.2"


def test_an_empty_user_information() -> None:
    assert decode_user() == ()


def test_items_that_come_twice_are_kept() -> None:
    data = user(raw(0x55, b"a"), raw(0x55, b"b"))
    assert decode_one(data).encode() == data


def test_reserved_bytes_are_not_tested() -> None:
    assert decode_user(raw(0x51, b"\0\0\0\1", second=0xFF)) == (MaximumLength(1),)
    assert decode_one(raw(0x20, b"\1\xff\xff\xff", second=0xFF)) == ProposedContext(1, ())


@pytest.mark.parametrize("text", ["1.2", " 1.2", "1.2\0", "\0 1.2 \0 "])
def test_trim(text: str) -> None:
    assert trim(text) == "1.2"


def test_trim_leaves_what_is_inside() -> None:
    assert trim("MY AE\0X ") == "MY AE\0X"


def test_a_passcode_is_not_shown() -> None:
    shown = repr(UserIdentity(2, 1, b"somebody", b"secret"))
    assert "secret" not in shown
    assert "somebody" not in shown


# Lies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x10", id="a header cut off"),
        pytest.param(b"\x10\0\0", id="a length cut off"),
        pytest.param(b"\x10\0\0\1", id="a value cut off"),
        pytest.param(b"\x10\0\xff\xff" + bytes(100), id="a length beyond the PDU"),
        pytest.param(raw(0x20, b"\1\0\0"), id="a short proposed context"),
        pytest.param(raw(0x21, b"\1\0\0"), id="a short accepted context"),
        pytest.param(raw(0x20, b"\1\0\0\0\x30\0\0\x09" + b"1.2"), id="a syntax beyond its context"),
        pytest.param(raw(0x20, b"\1\0\0\0\x30\0"), id="a syntax cut off"),
        pytest.param(user(b"\x51\0\0\5\0\0\0\0"), id="an item beyond the user information"),
        pytest.param(user(raw(0x51, b"\0\0\0")), id="a short maximum length"),
        pytest.param(user(raw(0x51, b"\0\0\0\0\0")), id="a long maximum length"),
        pytest.param(user(raw(0x53, b"\0\1")), id="half a window"),
        pytest.param(user(raw(0x53, b"")), id="no window"),
        pytest.param(user(raw(0x54, b"")), id="an empty role selection"),
        pytest.param(user(raw(0x54, b"\0\4" + b"1.2\1")), id="a role selection without roles"),
        pytest.param(user(raw(0x54, b"\0\3" + b"1.2\1")), id="a role selection of one role"),
        pytest.param(user(raw(0x54, b"\0\3" + b"1.2\1\1\1")), id="a role selection of three"),
        pytest.param(user(raw(0x56, b"\0\x09" + b"1.2")), id="an extended negotiation"),
        pytest.param(user(raw(0x57, b"\0\1" + b"1\0\1" + b"1\0\3\0\2" + b"1")), id="related UIDs"),
        pytest.param(user(raw(0x58, b"\1\0\0\1")), id="an identity without its name"),
        pytest.param(user(raw(0x58, b"\1\0\0\1x\0\0!")), id="an identity and more"),
        pytest.param(user(raw(0x59, b"\0\1")), id="an identity's response"),
        pytest.param(user(raw(0x59, b"\0\1xy")), id="an identity's response and more"),
    ],
)
def test_lengths_that_lie(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_items(data, PDU_ITEMS)
    assert caught.value.reason is AbortReason.INVALID_PARAMETER_VALUE


def test_an_item_that_is_too_long_is_not_written() -> None:
    assert len(UnknownItem(0x99, bytes(65535)).encode()) == 65539
    with pytest.raises(ValueError, match="65535"):
        UnknownItem(0x99, bytes(65536)).encode()


# Properties ------------------------------------------------------------------------------------

TEXT = st.text(st.characters(max_codepoint=255), max_size=20)
SMALL = st.integers(0, 255)
SHORT = st.integers(0, 65535)
BYTES = st.binary(max_size=20)
UNKNOWN = st.builds(UnknownItem, st.integers(0x60, 0xFF), BYTES, SMALL)
USER_ITEMS = st.one_of(
    st.builds(MaximumLength, st.integers(0, 0xFFFFFFFF)),
    st.builds(ImplementationClassUID, TEXT),
    st.builds(AsynchronousOperationsWindow, SHORT, SHORT),
    st.builds(RoleSelection, TEXT, SMALL, SMALL),
    st.builds(ImplementationVersionName, TEXT),
    st.builds(SOPClassExtendedNegotiation, TEXT, BYTES),
    st.builds(
        SOPClassCommonExtendedNegotiation, TEXT, TEXT, st.lists(TEXT).map(tuple), SMALL, BYTES
    ),
    st.builds(UserIdentity, SMALL, SMALL, BYTES, BYTES),
    st.builds(UserIdentityResponse, BYTES),
    UNKNOWN,
)
CONTEXT_ITEMS = st.one_of(st.builds(AbstractSyntax, TEXT), st.builds(TransferSyntax, TEXT), UNKNOWN)
CONTEXT_LISTS = st.lists(CONTEXT_ITEMS, max_size=4).map(tuple)
ITEMS = st.one_of(
    st.builds(ApplicationContext, TEXT),
    st.builds(ProposedContext, SMALL, CONTEXT_LISTS),
    st.builds(AcceptedContext, SMALL, SMALL, CONTEXT_LISTS),
    st.builds(UserInformation, st.lists(USER_ITEMS, max_size=8).map(tuple)),
    UNKNOWN,
)


@given(st.lists(ITEMS, max_size=6).map(tuple))
@settings(max_examples=100, deadline=None, database=None)
def test_all_items_round_trip(items: tuple[Item, ...]) -> None:
    data = encode_items(items)
    decoded = decode_items(data, PDU_ITEMS)
    assert decoded == items
    assert encode_items(decoded) == data


@given(st.lists(ITEMS, min_size=1, max_size=4).map(tuple), st.data())
@settings(max_examples=100, deadline=None, database=None)
def test_items_that_are_cut_off_are_errors_or_fewer(
    items: tuple[Item, ...], data: st.DataObject
) -> None:
    encoded = encode_items(items)
    part = encoded[: data.draw(st.integers(0, len(encoded) - 1))]
    try:
        decoded = decode_items(part, PDU_ITEMS)
    except ProtocolError:
        return
    assert decoded == items[: len(decoded)]
    assert len(decoded) < len(items)


@given(st.binary(max_size=80))
@settings(max_examples=100, deadline=None, database=None)
def test_any_bytes_are_items_or_a_protocol_error(data: bytes) -> None:
    for wrapped in (data, user(data), raw(0x20, b"\1\0\0\0" + data)):
        try:
            items = decode_items(wrapped, PDU_ITEMS)
        except ProtocolError:
            continue
        assert len(encode_items(items)) == len(wrapped)


# What is remembered ----------------------------------------------------------------------------


def test_what_is_remembered_is_bounded() -> None:
    remembered: Remembered[int] = Remembered()
    data = [number.to_bytes(1000, "big") for number in range(2000)]
    for number, key in enumerate(data):
        remembered.add(key, number, 3000)
        assert remembered.get(key) == number
    known = [key for key in data if remembered.get(key) is not None]
    assert 1 <= len(known) <= Remembered.ROOM // (4000 + Remembered.ENTRY)


def test_what_is_very_large_pushes_nothing_out() -> None:
    remembered: Remembered[int] = Remembered()
    assert remembered.add(b"small", 1, 100)
    assert not remembered.add(b"large", 2, Remembered.ROOM // 4)
    assert remembered.get(b"large") is None
    assert remembered.get(b"small") == 1
