"""Command sets taken apart, the usual ones without looking at each element (PS3.7 6.3.1).

A sender's next C-STORE-RQ is its last one with another Message ID and another instance UID. What
stays the same, the headers of all elements among it, is its *form*. A form that has come before
needs no walk: equal headers stand in equal places.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from aiodicom.errors import ProtocolError

__all__ = ["elements_of"]

MAXIMUM_FORMS = 256
"""Forms that are remembered; each takes about 5 kB at most."""

MAXIMUM_ELEMENTS = 256
"""Elements of a command set that are taken; the standard has 25."""

COMMAND_FIELD = 0x0100
MESSAGE_ID = 0x0110
MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
COMMAND_DATA_SET_TYPE = 0x0800
AFFECTED_SOP_INSTANCE_UID = 0x1000

_ELEMENT = struct.Struct("<HHI")

# In ascending order, as the standard wants them: the group length (12 bytes), the class UID, whose
# length is the byte at 16 and whose value begins at 20, the Command Field (10), and the header of
# the Message ID (8). Then two elements of 10 bytes, and the header of the instance UID.
_CLASS_LENGTH = 16
_BEFORE_ID = 20 + 10 + 8
_BEHIND_ID = 10 + 10 + 8


@dataclass(frozen=True, slots=True)
class _Form:
    """What is known of command sets of one form; the two values that differ are missing."""

    length: int
    id_tag: int
    elements: dict[int, bytes]


_FORMS: dict[bytes, _Form] = {}


def elements_of(data: bytes) -> dict[int, bytes]:
    """Return the encoded values of a command set, by element number.

    Raises
    ------
    ProtocolError
        Where the lengths do not fit, or there is no Command Field or no Command Data Set Type.
    """
    start = _BEFORE_ID + data[_CLASS_LENGTH] if len(data) > _CLASS_LENGTH else 0
    end = start + 2
    rest = end + _BEHIND_ID
    bytes_of_form = data[:start] + data[end:rest]
    form = _FORMS.get(bytes_of_form)
    if form is None or form.length != len(data):
        elements, places = _walk(data)
        _remember(bytes_of_form, data, elements, places, start)
        return elements
    elements = form.elements.copy()
    elements[form.id_tag] = data[start:end]
    if rest < form.length:
        elements[AFFECTED_SOP_INSTANCE_UID] = data[rest:]
    return elements


def _walk(data: bytes) -> tuple[dict[int, bytes], dict[int, int]]:
    """Return the values, and where each begins; of an element that comes twice the last one."""
    elements: dict[int, bytes] = {}
    places: dict[int, int] = {}
    unpack, position, end = _ELEMENT.unpack_from, 0, len(data)
    try:
        while position < end:
            group, element, length = unpack(data, position)
            if len(elements) == MAXIMUM_ELEMENTS:
                raise ProtocolError(f"a command set of more than {MAXIMUM_ELEMENTS} elements")
            start = position + 8
            position = start + length
            tag = group << 16 | element
            elements[tag] = data[start:position]
            places[tag] = start
    except struct.error:
        raise ProtocolError("a command set ends inside an element's header") from None
    if position > end:
        raise ProtocolError("an element is longer than the command set that holds it")
    for tag in (COMMAND_FIELD, COMMAND_DATA_SET_TYPE):
        if len(elements.get(tag, b"")) < 2:
            raise ProtocolError(f"a command set without (0000,{tag:04X})")
    return elements, places


def _remember(
    bytes_of_form: bytes,
    data: bytes,
    elements: dict[int, bytes],
    places: dict[int, int],
    start: int,
) -> None:
    """Remember a form, where what is no part of it are the two values and nothing else."""
    rest = start + 2 + _BEHIND_ID
    for tag in (MESSAGE_ID, MESSAGE_ID_BEING_RESPONDED_TO):
        if places.get(tag) == start and len(elements[tag]) == 2:
            break
    else:
        return
    kept = elements | {tag: b""}
    if rest < len(data):
        instance = elements.get(AFFECTED_SOP_INSTANCE_UID, b"")
        if places.get(AFFECTED_SOP_INSTANCE_UID) != rest or rest + len(instance) < len(data):
            return
        kept[AFFECTED_SOP_INSTANCE_UID] = b""
    if len(_FORMS) >= MAXIMUM_FORMS:
        _FORMS.clear()
    _FORMS[bytes_of_form] = _Form(len(data), tag, kept)
