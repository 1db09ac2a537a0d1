"""DIMSE command sets of every message, from one table (PS3.7 section 9, 10 and annex E).

A command set is Implicit VR Little Endian and small. `CommandSet` keeps its elements as the
bytes that came, so that decode and encode round-trip exactly and a mistyped element costs
nobody anything until it is asked for: then it is as if it were absent.
"""

from __future__ import annotations

import enum
import functools
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from aiodicom.wire.forms import elements_of

__all__ = [
    "COMMANDS",
    "ELEMENTS",
    "CommandField",
    "CommandSet",
    "Element",
    "Priority",
    "Status",
    "Tag",
    "clean_uid",
    "encode_response",
    "encode_store_request",
]

_ELEMENT = struct.Struct("<HHI")
_NUMBERS = struct.Struct("<" + "HHIH" * 4)
_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")

NO_DATASET = 0x0101
"""The value of Command Data Set Type that says that none follows (PS3.7 E.1)."""

LONGEST_CLASS = 66
"""Bytes of an SOP class UID that is remembered: what one has, and what some pad it with."""

RESPONSE = 0x8000
"""The bit of Command Field that makes a request its response."""


class Status(enum.IntEnum):
    """Statuses (0000,0900) of C-STORE and C-ECHO (PS3.7 annex C, PS3.4 B.2.3).

    Any other number may be returned by a handler as well: `Status` names the common ones. Success
    and warnings mean that the object is stored, anything else that it is not.
    """

    SUCCESS = 0x0000
    """0x0000: the object is stored; to a C-ECHO, that we are here."""
    DUPLICATE_SOP_INSTANCE = 0x0111
    """0x0111: the object is there already."""
    INVALID_SOP_INSTANCE = 0x0117
    """0x0117: its SOP Instance UID is no UID."""
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    """0x0122: no objects of this kind."""
    NOT_AUTHORIZED = 0x0124
    """0x0124: not from this peer."""
    DUPLICATE_INVOCATION = 0x0210
    """0x0210: a request of the same Message ID is not answered yet."""
    UNRECOGNIZED_OPERATION = 0x0211
    """0x0211: neither C-STORE nor C-ECHO."""
    MISTYPED_ARGUMENT = 0x0212
    """0x0212: an element of the command is not what it has to be."""
    RESOURCE_LIMITATION = 0x0213
    """0x0213: there is too little of something; for C-STORE there is 0xA700."""
    OUT_OF_RESOURCES = 0xA700
    """0xA700: there is too little of something just now; senders try again."""
    DATASET_DOES_NOT_MATCH = 0xA900
    """0xA900: the dataset is of another SOP class, or another object."""
    CANNOT_UNDERSTAND = 0xC000
    """0xC000: the dataset cannot be understood."""
    UNABLE_TO_PROCESS = 0xC211
    """0xC211: a handler has failed."""
    COERCION = 0xB000
    """0xB000, a warning: stored, and something in it was changed."""
    ELEMENTS_DISCARDED = 0xB006
    """0xB006, a warning: stored, but not all of its elements."""
    DATASET_DOES_NOT_MATCH_WARNING = 0xB007
    """0xB007, a warning: stored, though it is of another SOP class."""

    @staticmethod
    def is_success(code: int) -> bool:
        """Tell whether a status means that the object is stored: success or a warning.

        Parameters
        ----------
        code : int
            The status.
        """
        return not code or code & 0xF000 == 0xB000 or code in (0x0001, 0x0107, 0x0116)


class Priority(enum.IntEnum):
    """Priority (0000,0700) of a C-STORE (PS3.7 9.1.1.1); hardly any receiver minds it."""

    MEDIUM = 0
    HIGH = 1
    LOW = 2


class CommandField(enum.IntEnum):
    """Command Field (0000,0100) of the requests (PS3.7 E.1)."""

    C_STORE = 0x0001
    C_GET = 0x0010
    C_FIND = 0x0020
    C_MOVE = 0x0021
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    N_GET = 0x0110
    N_SET = 0x0120
    N_ACTION = 0x0130
    N_CREATE = 0x0140
    N_DELETE = 0x0150
    C_CANCEL = 0x0FFF


class Tag(enum.IntEnum):
    """The elements of group 0000 (PS3.7 E.1), by their element number."""

    COMMAND_GROUP_LENGTH = 0x0000
    AFFECTED_SOP_CLASS_UID = 0x0002
    REQUESTED_SOP_CLASS_UID = 0x0003
    COMMAND_FIELD = 0x0100
    MESSAGE_ID = 0x0110
    MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
    MOVE_DESTINATION = 0x0600
    PRIORITY = 0x0700
    COMMAND_DATA_SET_TYPE = 0x0800
    STATUS = 0x0900
    OFFENDING_ELEMENT = 0x0901
    ERROR_COMMENT = 0x0902
    ERROR_ID = 0x0903
    AFFECTED_SOP_INSTANCE_UID = 0x1000
    REQUESTED_SOP_INSTANCE_UID = 0x1001
    EVENT_TYPE_ID = 0x1002
    ATTRIBUTE_IDENTIFIER_LIST = 0x1005
    ACTION_TYPE_ID = 0x1008
    NUMBER_OF_REMAINING_SUB_OPERATIONS = 0x1020
    NUMBER_OF_COMPLETED_SUB_OPERATIONS = 0x1021
    NUMBER_OF_FAILED_SUB_OPERATIONS = 0x1022
    NUMBER_OF_WARNING_SUB_OPERATIONS = 0x1023
    MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE = 0x1030
    MOVE_ORIGINATOR_MESSAGE_ID = 0x1031


@dataclass(frozen=True, slots=True)
class Element:
    """One row of the table of command elements."""

    name: str
    vr: str


_VRS = {
    "UL": (Tag.COMMAND_GROUP_LENGTH,),
    "UI": (
        Tag.AFFECTED_SOP_CLASS_UID,
        Tag.REQUESTED_SOP_CLASS_UID,
        Tag.AFFECTED_SOP_INSTANCE_UID,
        Tag.REQUESTED_SOP_INSTANCE_UID,
    ),
    "AE": (Tag.MOVE_DESTINATION, Tag.MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE),
    "AT": (Tag.OFFENDING_ELEMENT, Tag.ATTRIBUTE_IDENTIFIER_LIST),
    "LO": (Tag.ERROR_COMMENT,),
}
_VR_OF = {tag: vr for vr, tags in _VRS.items() for tag in tags}

ELEMENTS: Mapping[int, Element] = {
    tag.value: Element(tag.name.lower(), _VR_OF.get(tag, "US")) for tag in Tag
}
"""Every element of a command set, by its element number."""


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table of messages: what a command set must hold, and may.

    The Command Field, the Command Data Set Type and the group length are everybody's and
    not listed.
    """

    name: str
    mandatory: tuple[Tag, ...]
    optional: tuple[Tag, ...] = ()


def _table() -> dict[int, Command]:
    """Build the table of PS3.7 sections 9.3 and 10.3 from the fields of its requests."""
    t, c = Tag, CommandField
    affected = (t.AFFECTED_SOP_CLASS_UID, t.AFFECTED_SOP_INSTANCE_UID)
    requested = (t.REQUESTED_SOP_CLASS_UID, t.REQUESTED_SOP_INSTANCE_UID)
    counts = (
        t.NUMBER_OF_REMAINING_SUB_OPERATIONS,
        t.NUMBER_OF_COMPLETED_SUB_OPERATIONS,
        t.NUMBER_OF_FAILED_SUB_OPERATIONS,
        t.NUMBER_OF_WARNING_SUB_OPERATIONS,
    )
    origin = (t.MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE, t.MOVE_ORIGINATOR_MESSAGE_ID)
    sop_class, attributes = affected[:1], (t.ATTRIBUTE_IDENTIFIER_LIST,)
    # Request's own mandatory and optional elements; the response's optional ones.
    rows: dict[CommandField, tuple[tuple[Tag, ...], tuple[Tag, ...], tuple[Tag, ...]]] = {
        c.C_STORE: ((*affected, t.PRIORITY), origin, affected),
        c.C_FIND: ((*sop_class, t.PRIORITY), (), sop_class),
        c.C_GET: ((*sop_class, t.PRIORITY), (), (*sop_class, *counts)),
        c.C_MOVE: ((*sop_class, t.PRIORITY, t.MOVE_DESTINATION), (), (*sop_class, *counts)),
        c.C_ECHO: (sop_class, (), sop_class),
        c.N_EVENT_REPORT: ((*affected, t.EVENT_TYPE_ID), (), (*affected, t.EVENT_TYPE_ID)),
        c.N_GET: (requested, attributes, (*affected, *attributes)),
        c.N_SET: (requested, (), (*affected, *attributes)),
        c.N_ACTION: ((*requested, t.ACTION_TYPE_ID), (), (*affected, t.ACTION_TYPE_ID)),
        c.N_CREATE: (sop_class, affected[1:], affected),
        c.N_DELETE: (requested, (), affected),
    }
    errors = (t.OFFENDING_ELEMENT, t.ERROR_COMMENT, t.ERROR_ID)
    answered = (t.MESSAGE_ID_BEING_RESPONDED_TO, t.STATUS)
    table = {}
    for field, (mandatory, optional, response) in rows.items():
        name = field.name.replace("_", "-", 1).replace("_", "-")
        table[field.value] = Command(f"{name}-RQ", (t.MESSAGE_ID, *mandatory), optional)
        table[field | RESPONSE] = Command(f"{name}-RSP", answered, (*response, *errors))
    table[c.C_CANCEL.value] = Command("C-CANCEL-RQ", (t.MESSAGE_ID_BEING_RESPONDED_TO,))
    return table


COMMANDS: Mapping[int, Command] = _table()
"""Every message, by its Command Field."""


def clean_uid(value: bytes) -> str:
    """Return a UID as text, without the NULs or spaces that pad it (PS3.5 9.1)."""
    return value.rstrip(b"\0 ").decode("latin-1")


_COMMAND_FIELD = Tag.COMMAND_FIELD.value
_COMMAND_DATA_SET_TYPE = Tag.COMMAND_DATA_SET_TYPE.value
_NO_DATASET = _U16.pack(NO_DATASET)


class CommandSet:
    """The command set of one message: what is asked, or answered (PS3.7 6.3.1 and annex E).

    Elements are asked for by their element number: ``command.number(0x0110)`` is the Message ID
    (0000,0110).

    Parameters
    ----------
    elements : dict of int to bytes
        The encoded values by element number; a tag outside group 0000 is a 32-bit number.

    Attributes
    ----------
    field : int
        The Command Field; 0 where there is none.
    has_dataset : bool
        Whether a dataset follows: anything but 0x0101 says so (PS3.7 E.1).
    """

    __slots__ = ("elements", "field", "has_dataset")

    def __init__(self, elements: dict[int, bytes]) -> None:
        self.elements = elements
        field = elements.get(_COMMAND_FIELD, b"")
        self.field = field[0] | field[1] << 8 if len(field) > 1 else 0
        self.has_dataset = elements.get(_COMMAND_DATA_SET_TYPE, b"")[:2] != _NO_DATASET

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CommandSet) and self.elements == other.elements

    def __repr__(self) -> str:
        return f"CommandSet({self.elements!r})"

    @classmethod
    def build(cls, field: int, *, dataset: bool = False, **values: object) -> CommandSet:
        """Make a command set from Python values.

        Parameters
        ----------
        field : int
            Command Field (0000,0100).
        dataset : bool
            Whether a dataset follows.
        **values : int, str or tuple of int
            The other elements by their names in PS3.7 E.1, as ``message_id``.

        Raises
        ------
        ValueError
            Where a name is not an element's, or a value does not fit.
        """
        elements = {
            Tag.COMMAND_FIELD.value: _U16.pack(field),
            Tag.COMMAND_DATA_SET_TYPE.value: _U16.pack(1 if dataset else NO_DATASET),
        }
        for name, value in values.items():
            try:
                tag = Tag[name.upper()].value
            except KeyError:
                raise ValueError(f"{name} is no element of a command set") from None
            elements[tag] = _encode_value(ELEMENTS[tag].vr, value)
        return cls(elements)

    @classmethod
    def decode(cls, data: bytes | bytearray) -> CommandSet:
        """Decode a command set (PS3.7 6.3.1).

        Of an element that comes twice the last one stands.

        Parameters
        ----------
        data : bytes
            All of it, in Implicit VR Little Endian.

        Raises
        ------
        ProtocolError
            Where the lengths do not fit, or there is no Command Field or no Command Data Set
            Type, without which nothing that follows can be understood.
        """
        return cls(elements_of(bytes(data)))

    def encode(self) -> bytes:
        """Return the bytes, elements in order, with a Command Group Length that is right."""
        pack = _ELEMENT.pack
        body = b"".join(
            [
                pack(tag >> 16, tag & 0xFFFF, len(value)) + value
                for tag, value in sorted(self.elements.items())
                if tag
            ]
        )
        return pack(0, 0, 4) + _U32.pack(len(body)) + body

    def number(self, tag: int) -> int | None:
        """Return a US value; None where it is absent or too short to be one.

        Parameters
        ----------
        tag : int
            The element number. Of several values the first one stands.
        """
        value = self.elements.get(tag)
        if value is None or len(value) < 2:
            return None
        return value[0] | value[1] << 8

    def uid(self, tag: int) -> str:
        """Return a UI value without padding; an empty string where it is absent.

        Parameters
        ----------
        tag : int
            The element number.
        """
        return clean_uid(self.elements.get(tag, b""))

    def text(self, tag: int) -> str:
        """Return an AE or LO value without padding; an empty string where it is absent.

        Parameters
        ----------
        tag : int
            The element number.
        """
        return self.elements.get(tag, b"").decode("latin-1").strip("\0 ")

    def tags(self, tag: int) -> tuple[int, ...]:
        """Return the values of an AT element, whole ones only: tags, as 32-bit numbers.

        Parameters
        ----------
        tag : int
            The element number.
        """
        value = self.elements.get(tag, b"")
        pairs = struct.iter_unpack("<HH", value[: len(value) & ~3])
        return tuple(group << 16 | element for group, element in pairs)

    @property
    def is_response(self) -> bool:
        """Whether this is a response."""
        return bool(self.field & RESPONSE)

    @property
    def name(self) -> str:
        """The message's name as the standard writes it, such as C-STORE-RQ."""
        command = COMMANDS.get(self.field)
        return command.name if command else f"0x{self.field:04X}"

    def missing(self) -> tuple[int, ...]:
        """Return the tags of the mandatory elements that are absent, or no values of their VR."""
        command = COMMANDS.get(self.field)
        if command is None:
            return ()
        return tuple(tag.value for tag in command.mandatory if not self._usable(tag))

    def _usable(self, tag: Tag) -> bool:
        if ELEMENTS[tag].vr == "US":
            return self.number(tag) is not None
        return bool(self.elements.get(tag, b"").strip(b"\0 "))


def encode_response(
    request: CommandSet, status: int, comment: str = "", offending: tuple[int, ...] = ()
) -> bytes:
    """Return the response, without a dataset, to a request.

    Parameters
    ----------
    request : CommandSet
        A request; its UIDs and its Message ID are echoed byte for byte.
    status : int
        Status (0000,0900).
    comment : str
        Error Comment (0000,0902); cut to 64 characters, and to one line of ASCII.
    offending : tuple of int
        Offending Element (0000,0901).
    """
    asked = request.elements
    sop_instance = asked.get(0x1000, asked.get(0x1001))
    message_id = asked.get(0x0110, b"")[:2]
    rest = _element(0x1000, sop_instance) if sop_instance is not None else b""
    if offending or comment:
        rest = _encode_error(comment, offending) + rest
    for tag in (0x1002, 0x1008):  # Event Type ID, Action Type ID
        if tag in asked:
            rest += _element(tag, asked[tag])
    sop_class = asked.get(0x0002, asked.get(0x0003))
    is_usual = sop_class is None or len(sop_class) <= LONGEST_CLASS
    head = _known_response_head if is_usual else _response_head
    return b"".join(
        (
            head(request.field, sop_class, len(rest)),
            message_id if len(message_id) == 2 else b"\0\0",
            _BEFORE_STATUS,
            _U16.pack(status),
            rest,
        )
    )


_BEFORE_STATUS = struct.pack("<HHIHHHI", 0, 0x0800, 2, NO_DATASET, 0, 0x0900, 2)


def _response_head(field: int, sop_class: bytes | None, rest: int) -> bytes:
    """Return what stands before the Message ID's value; `rest` is the length behind the Status."""
    body = _element(0x0002, sop_class) if sop_class is not None else b""
    body += _element(0x0100, _U16.pack(field | RESPONSE)) + _ELEMENT.pack(0, 0x0120, 2)
    length = len(body) + 2 + len(_BEFORE_STATUS) + 2 + rest
    return _ELEMENT.pack(0, 0, 4) + _U32.pack(length) + body


# The same for all objects of a series, and more.
_known_response_head = functools.lru_cache(maxsize=64)(_response_head)


def _encode_error(comment: str, offending: tuple[int, ...]) -> bytes:
    body = _element(0x0901, _encode_value("AT", offending)) if offending else b""
    if comment:
        printable = "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in comment)
        body += _element(0x0902, _encode_value("LO", printable[:64]))
    return body


def encode_store_request(
    message_id: int, sop_class_uid: str, sop_instance_uid: str, priority: int = 0
) -> bytes:
    """Return the command set of a C-STORE-RQ (PS3.7 9.3.1.1).

    Parameters
    ----------
    message_id : int
        Message ID (0000,0110).
    sop_class_uid, sop_instance_uid : str
        Affected SOP Class UID (0000,0002) and Affected SOP Instance UID (0000,1000).
    priority : int
        Priority (0000,0700).
    """
    body = (
        _element(0x0002, _encode_value("UI", sop_class_uid))
        + _NUMBERS.pack(
            *(0, 0x0100, 2, 0x0001),
            *(0, 0x0110, 2, message_id),
            *(0, 0x0700, 2, priority),
            *(0, 0x0800, 2, 1),
        )
        + _element(0x1000, _encode_value("UI", sop_instance_uid))
    )
    return _ELEMENT.pack(0, 0, 4) + _U32.pack(len(body)) + body


def _element(tag: int, value: bytes) -> bytes:
    return _ELEMENT.pack(0, tag, len(value)) + value


def _encode_value(vr: str, value: object) -> bytes:
    if vr == "US" or vr == "UL":
        if not isinstance(value, int):
            raise ValueError(f"{value!r} is no number")
        try:
            return (_U16 if vr == "US" else _U32).pack(value)
        except struct.error:
            raise ValueError(f"{value} does not fit {vr}") from None
    if vr == "AT":
        if not isinstance(value, (tuple, list)):
            raise ValueError(f"{value!r} is no list of tags")
        return b"".join([struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in value])
    data = str(value).encode("latin-1", "replace")
    return data + (b"\0" if vr == "UI" else b" ") if len(data) % 2 else data
