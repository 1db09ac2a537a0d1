"""Command sets: every message of the standard, as pynetdicom writes it, and as nobody should."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom.dimse_messages import _MESSAGE_TYPES, DIMSEMessage
from pynetdicom.dsutils import decode as their_decode
from pynetdicom.dsutils import encode as their_encode
from pynetdicom.pdu_primitives import P_DATA

from aiodicom.errors import AbortReason, ProtocolError
from aiodicom.wire.dimse import (
    COMMANDS,
    ELEMENTS,
    RESPONSE,
    CommandField,
    CommandSet,
    Status,
    Tag,
    clean_uid,
    encode_response,
    encode_store_request,
)
from aiodicom.wire.pdu import DataTransfer, decode_pdu
from tests.peer import command_pdu, echo_command, store_command

MESSAGES = pytest.mark.parametrize("field", COMMANDS, ids=lambda field: COMMANDS[field].name)
EVERYBODYS = (Tag.COMMAND_GROUP_LENGTH, Tag.COMMAND_FIELD, Tag.COMMAND_DATA_SET_TYPE)
VALUES: dict[str, Any] = {
    "US": 7,
    "UI": "1.2.3",
    "AE": "THERE",
    "AT": (0x00080016, 0x7FE00010),
    "LO": "why",
}


def full(field: int) -> CommandSet:
    """A message with all that it may hold."""
    command = COMMANDS[field]
    elements = [ELEMENTS[tag] for tag in (*command.mandatory, *command.optional)]
    return CommandSet.build(field, dataset=True, **{e.name: VALUES[e.vr] for e in elements})


def answer(
    request: CommandSet, status: int, comment: str = "", offending: tuple[int, ...] = ()
) -> CommandSet:
    return CommandSet.decode(encode_response(request, status, comment, offending))


def build(name: str, value: Any) -> CommandSet:
    return CommandSet.build(CommandField.C_ECHO, **{name: value})


def raw(*elements: tuple[int, bytes]) -> bytes:
    """Elements of group 0000, as they come."""
    return b"".join(struct.pack("<HHI", 0, tag, len(value)) + value for tag, value in elements)


FIELD, TYPE = (0x0100, b"\1\0"), (0x0800, b"\1\1")

# Every message of the table --------------------------------------------------------------------


@MESSAGES
def test_every_message_builds_encodes_and_decodes(field: int) -> None:
    command = full(field)
    decoded = CommandSet.decode(command.encode())
    assert decoded.elements.pop(0) == struct.pack("<I", len(command.encode()) - 12)
    assert decoded == command
    assert decoded.encode() == command.encode()
    assert (decoded.field, decoded.has_dataset, decoded.missing()) == (field, True, ())
    assert decoded.is_response is bool(field & 0x8000)


@MESSAGES
def test_every_mandatory_element_is_missed(field: int) -> None:
    for tag in COMMANDS[field].mandatory:
        elements = dict(full(field).elements)
        del elements[tag]
        assert CommandSet(elements).missing() == (tag,)
        assert CommandSet({**elements, tag: b""}).missing() == (tag,)
        assert CommandSet({**elements, tag: b"\0"}).missing() == (tag,)


@MESSAGES
def test_no_optional_element_is_missed(field: int) -> None:
    elements = dict(full(field).elements)
    for tag in COMMANDS[field].optional:
        elements.pop(tag, None)
    assert CommandSet(elements).missing() == ()


def test_the_messages_are_pynetdicoms() -> None:
    assert {f: c.name for f, c in COMMANDS.items()} == {
        f: n for f, (n, _) in _MESSAGE_TYPES.items()
    }


@MESSAGES
def test_the_elements_of_a_message_are_pynetdicoms(field: int) -> None:
    theirs = {e.tag.elem for e in _MESSAGE_TYPES[field][1]().command_set}
    ours = {int(t) for t in (*COMMANDS[field].mandatory, *COMMANDS[field].optional, *EVERYBODYS)}
    # PS3.7 annex C: Offending Element and Error ID come with statuses of more messages.
    status = {0x0901, 0x0903} if field & RESPONSE else set()
    assert theirs <= ours <= theirs | status


# As pynetdicom writes and reads them -----------------------------------------------------------


@MESSAGES
def test_pynetdicom_reads_what_we_write(field: int) -> None:
    pdu = decode_pdu(command_pdu(full(field), 5))
    assert isinstance(pdu, DataTransfer)
    primitive: Any = P_DATA()
    command, data = [5, b"\3" + pdu.pdvs[0].data], [5, b"\2" + b"data"]
    primitive.presentation_data_value_list = [command, data]
    message = DIMSEMessage()
    assert message.decode_msg(primitive)
    assert type(message) is _MESSAGE_TYPES[field][1]
    for tag in (*COMMANDS[field].mandatory, *COMMANDS[field].optional):
        theirs = message.command_set[tag].value
        expected = VALUES[ELEMENTS[tag].vr]
        assert (tuple(theirs) if isinstance(expected, tuple) else theirs) == expected
        assert ELEMENTS[tag].vr == message.command_set[tag].VR


@MESSAGES
def test_we_read_what_pynetdicom_writes(field: int) -> None:
    theirs = _MESSAGE_TYPES[field][1]().command_set
    for element in theirs:
        element.value = list(VALUES["AT"]) if element.VR == "AT" else VALUES.get(element.VR, 7)
    theirs.CommandField, theirs.CommandDataSetType = field, 0x0101
    theirs.CommandGroupLength = 0
    data = their_encode(theirs, True, True)
    assert data is not None
    ours = CommandSet.decode(data)
    assert (ours.field, ours.has_dataset) == (field, False)
    for element in theirs:
        tag = element.tag.elem
        if tag in EVERYBODYS:
            continue
        read = {"US": ours.number, "UI": ours.uid, "AT": ours.tags}.get(element.VR, ours.text)
        assert read(tag) == VALUES[element.VR]
    assert ours.encode()[12:] == data[12:]  # pynetdicom fills the group length in elsewhere


def test_pydicom_reads_our_group_length() -> None:
    data = store_command("1.2.3").encode()
    assert their_decode(BytesIO(data), True, True).CommandGroupLength == len(data) - 12


# What peers do all the same --------------------------------------------------------------------


def test_elements_out_of_order_are_found() -> None:
    command = CommandSet.decode(raw(TYPE, (0x0110, b"\5\0"), FIELD))
    assert (command.field, command.has_dataset, command.number(0x0110)) == (1, False, 5)


def test_the_last_of_two_elements_stands() -> None:
    command = CommandSet.decode(raw(FIELD, TYPE, (0x0110, b"\1\0"), (0x0110, b"\2\0")))
    assert command.number(Tag.MESSAGE_ID) == 2


def test_elements_of_other_groups_are_kept() -> None:
    data = raw(FIELD, TYPE) + struct.pack("<HHI", 9, 0x10, 2) + b"ab"
    command = CommandSet.decode(data)
    assert command.elements[0x00090010] == b"ab"
    assert command.encode()[12:] == data


def test_unknown_elements_are_kept() -> None:
    data = raw((0x0001, b"retired "), FIELD, TYPE, (0x5010, b""))
    assert CommandSet.decode(data).encode()[12:] == data


@pytest.mark.parametrize("length", [0, 5, 0xFFFFFFFF])
def test_the_group_length_is_not_believed(length: int) -> None:
    command = CommandSet.decode(raw((0, struct.pack("<I", length)), FIELD, TYPE))
    assert command.encode() == raw((0, struct.pack("<I", 20)), FIELD, TYPE)


def test_a_command_set_without_a_group_length() -> None:
    assert CommandSet.decode(raw(FIELD, TYPE)).field == 1


@pytest.mark.parametrize("number", [0x0000, 0x0001, 0x0102, 0xFEFE, 0xFFFF])
def test_anything_but_0101_announces_a_dataset(number: int) -> None:
    command = CommandSet.decode(raw(FIELD, (0x0800, number.to_bytes(2, "little"))))
    assert command.has_dataset
    assert not CommandSet.decode(raw(FIELD, TYPE)).has_dataset


@pytest.mark.parametrize("value", [b"", b"\1"])
@pytest.mark.parametrize("tag", [0x0110, 0x0700, 0x0900])
def test_a_number_that_is_too_short_is_none(tag: int, value: bytes) -> None:
    assert CommandSet.decode(raw(FIELD, TYPE, (tag, value))).number(tag) is None


def test_the_first_of_several_numbers_stands() -> None:
    assert CommandSet.decode(raw(FIELD, TYPE, (0x0110, b"\1\0\2\0"))).number(0x0110) == 1
    assert CommandSet.decode(raw(FIELD, TYPE, (0x0110, b"\1\0\2"))).number(0x0110) == 1


@pytest.mark.parametrize("value", [b"1.2.3", b"1.2.3\0", b"1.2.3 ", b"1.2.3\0\0 "])
def test_a_uid_is_read_without_padding(value: bytes) -> None:
    assert CommandSet.decode(raw(FIELD, TYPE, (0x1000, value))).uid(0x1000) == "1.2.3"
    assert clean_uid(value) == "1.2.3"


def test_a_uid_of_any_bytes_is_read() -> None:
    value = b"../\0\xff\n1"
    assert CommandSet.decode(raw(FIELD, TYPE, (0x1000, value))).uid(0x1000) == "../\0\xff\n1"


def test_a_text_is_read_without_padding() -> None:
    assert CommandSet.decode(raw(FIELD, TYPE, (0x1030, b" ME \0"))).text(0x1030) == "ME"


@pytest.mark.parametrize(("length", "count"), [(0, 0), (3, 0), (4, 1), (7, 1), (8, 2)])
def test_whole_tags_are_read(length: int, count: int) -> None:
    value = b"\x08\0\x16\0\x20\0\x0d\0"[:length]
    tags = CommandSet.decode(raw(FIELD, TYPE, (0x0901, value))).tags(0x0901)
    assert tags == (0x00080016, 0x0020000D)[:count]


def test_what_is_absent() -> None:
    command = CommandSet.decode(raw(FIELD, TYPE))
    assert command.number(0x0110) is None
    assert (command.uid(0x0002), command.text(0x0600), command.tags(0x0901)) == ("", "", ())


def test_a_field_that_nobody_knows() -> None:
    command = CommandSet.decode(raw((0x0100, b"\x34\x12"), TYPE))
    assert (command.field, command.name, command.missing()) == (0x1234, "0x1234", ())


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(raw(TYPE), id="no command field"),
        pytest.param(raw((0x0100, b"\1"), TYPE), id="half a command field"),
        pytest.param(raw((0x0100, b""), TYPE), id="an empty command field"),
        pytest.param(raw(FIELD), id="no data set type"),
        pytest.param(raw(FIELD, (0x0800, b"")), id="an empty data set type"),
        pytest.param(raw(FIELD, (0x0800, b"\1")), id="half a data set type"),
        pytest.param(raw(FIELD, TYPE) + b"\0", id="a header cut off"),
        pytest.param(raw(FIELD, TYPE)[:-1], id="a value cut off"),
        pytest.param(raw(FIELD, TYPE) + b"\0\0\x10\1\xff\xff\xff\xff", id="a length of 4 GiB"),
        pytest.param(raw(FIELD, TYPE) + b"\0\0\x10\1\xff\xff\xff\x7f" + b"1", id="2 GiB"),
    ],
)
def test_what_is_no_command_set(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        CommandSet.decode(data)
    assert caught.value.reason is AbortReason.INVALID_PARAMETER_VALUE


# Building --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("message_id", -1),
        ("message_id", 65536),
        ("message_id", "7"),
        ("offending_element", 0x00080016),
        ("no_such_element", 1),
        ("", 1),
    ],
)
def test_values_that_do_not_fit(name: str, value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        build(name, value)


@pytest.mark.parametrize(
    ("name", "value", "data"),
    [
        ("affected_sop_class_uid", "1.2", b"1.2\0"),
        ("affected_sop_class_uid", "1.22", b"1.22"),
        ("move_destination", "ME", b"ME"),
        ("move_destination", "YOU", b"YOU "),
        ("error_comment", "odd", b"odd "),
        ("status", 0xA700, b"\0\xa7"),
        ("offending_element", (0x00080016,), b"\x08\0\x16\0"),
    ],
)
def test_values_have_the_padding_of_their_vr(name: str, value: object, data: bytes) -> None:
    command = build(name, value)
    assert command.elements[Tag[name.upper()]] == data


# Answering -------------------------------------------------------------------------------------


REQUESTS = [field for field in COMMANDS if not field & RESPONSE and field != CommandField.C_CANCEL]


@pytest.mark.parametrize("field", REQUESTS, ids=lambda field: COMMANDS[field].name)
def test_every_request_has_a_response(field: int) -> None:
    response = answer(full(field), 0x0110, "why", (0x00080016,))
    assert response.field == field | 0x8000
    assert response.name == COMMANDS[field].name.replace("RQ", "RSP")
    assert response.missing() == ()
    assert not response.has_dataset
    allowed = {*COMMANDS[response.field].mandatory, *COMMANDS[response.field].optional}
    assert set(response.elements) <= {int(tag) for tag in (*allowed, *EVERYBODYS)}
    assert response.number(Tag.STATUS) == 0x0110
    assert response.number(Tag.MESSAGE_ID_BEING_RESPONDED_TO) == 7


@pytest.mark.parametrize("field", REQUESTS, ids=lambda field: COMMANDS[field].name)
def test_a_response_is_in_order_and_knows_its_length(field: int) -> None:
    data = encode_response(full(field), 0xA700, "odd", (0x00080016, 0x00080018))
    assert data == CommandSet.decode(data).encode()


def test_a_requested_class_is_the_responses_affected_one() -> None:
    request = CommandSet.build(
        CommandField.N_DELETE,
        message_id=1,
        requested_sop_class_uid="1.2",
        requested_sop_instance_uid="1.3",
    )
    response = answer(request, 0)
    assert response.uid(Tag.AFFECTED_SOP_CLASS_UID) == "1.2"
    assert response.uid(Tag.AFFECTED_SOP_INSTANCE_UID) == "1.3"
    assert Tag.REQUESTED_SOP_CLASS_UID not in response.elements


@pytest.mark.parametrize("value", [b"1.2.3", b"1.2.3 ", b"", b"\xff\0"])
def test_uids_are_echoed_byte_for_byte(value: bytes) -> None:
    elements = {**store_command("1.2.3").elements, int(Tag.AFFECTED_SOP_INSTANCE_UID): value}
    request = CommandSet(elements)
    assert answer(request, 0).elements[Tag.AFFECTED_SOP_INSTANCE_UID] == value


def test_what_was_not_said_is_not_echoed() -> None:
    response = answer(CommandSet.build(CommandField.C_ECHO, message_id=3), 0)
    assert Tag.AFFECTED_SOP_CLASS_UID not in response.elements


@pytest.mark.parametrize("length", [1, 63, 64, 65, 1000])
def test_an_error_comment_has_at_most_64_characters(length: int) -> None:
    response = answer(echo_command(), 1, "x" * length)
    assert response.text(Tag.ERROR_COMMENT) == "x" * min(length, 64)
    assert len(response.elements[Tag.ERROR_COMMENT]) <= 64


@pytest.mark.parametrize("comment", ["a\nb", "a\0b", "a\x1b[31mb", "a\\b", "a\u2603b", "a\x7fb"])
def test_an_error_comment_is_one_line_of_ascii(comment: str) -> None:
    value = answer(echo_command(), 1, comment).elements[Tag.ERROR_COMMENT]
    assert value.isascii()
    assert value.decode().isprintable()
    assert b"\\" not in value
    assert value.startswith(b"a?")


def test_no_comment_is_no_element() -> None:
    assert Tag.ERROR_COMMENT not in answer(echo_command(), 0).elements


# Statuses --------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0x0000, 0x0001, 0x0107, 0x0116, 0xB000, 0xB007, 0xBFFF])
def test_success_and_warnings_are_success(code: int) -> None:
    assert Status.is_success(code)


@pytest.mark.parametrize("code", [0x0110, 0x0122, 0xA700, 0xA900, 0xC000, 0xC211, 0xFE00, 0xFF00])
def test_failures_are_none(code: int) -> None:
    assert not Status.is_success(code)


# Properties ------------------------------------------------------------------------------------

ELEMENT_LISTS = st.dictionaries(
    st.one_of(st.sampled_from([int(t) for t in Tag if t]), st.integers(1, 0xFFFFFFFF)),
    st.binary(max_size=20),
    max_size=10,
)


@given(ELEMENT_LISTS)
@settings(max_examples=100, deadline=None, database=None)
def test_all_command_sets_round_trip(elements: dict[int, bytes]) -> None:
    command = CommandSet({**elements, 0x0100: b"\1\0", 0x0800: b"\1\1"})
    decoded = CommandSet.decode(command.encode())
    assert decoded.elements == {0: decoded.elements[0], **command.elements}
    assert decoded.encode() == command.encode()


@given(ELEMENT_LISTS)
@settings(max_examples=100, deadline=None, database=None)
def test_whatever_was_asked_can_be_answered(elements: dict[int, bytes]) -> None:
    request = CommandSet({**elements, 0x0100: b"\1\0", 0x0800: b"\1\1"})
    response = answer(request, 1, "no")
    assert (response.field, response.number(Tag.STATUS)) == (0x8001, 1)
    request.missing()
    for tag in request.elements:
        assert isinstance(request.tags(tag), tuple)
        assert isinstance(request.uid(tag) + request.text(tag), str)


@given(st.binary(max_size=60), st.booleans())
@settings(max_examples=100, deadline=None, database=None)
def test_any_bytes_are_a_command_set_or_a_protocol_error(data: bytes, is_likely: bool) -> None:
    try:
        command = CommandSet.decode(raw(FIELD, TYPE) + data if is_likely else data)
    except ProtocolError:
        return
    assert CommandSet.decode(command.encode()).encode() == command.encode()


@pytest.mark.parametrize("priority", [0, 1, 2])
def test_a_store_request_is_what_the_table_says(priority: int) -> None:
    request = CommandSet.build(
        CommandField.C_STORE,
        dataset=True,
        affected_sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        message_id=0xFFFF,
        priority=priority,
        affected_sop_instance_uid="1.2.34",
    )
    encoded = encode_store_request(0xFFFF, "1.2.840.10008.5.1.4.1.1.2", "1.2.34", priority)
    assert encoded == request.encode()


def test_a_command_field_that_is_too_short_is_none() -> None:
    assert CommandSet({Tag.COMMAND_FIELD.value: b"\1"}).field == 0
