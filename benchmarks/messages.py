"""What a sender sends: bytes that are built once, and patched in place for each object.

Of a large object only the first fragment is in memory: the others are kept in a file, as the PDUs
that they are sent in.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from aiodicom.wire.dimse import CommandField, CommandSet
from aiodicom.wire.identity import IMPLEMENTATION_CLASS_UID
from aiodicom.wire.items import (
    ApplicationContext,
    ImplementationClassUID,
    MaximumLength,
    ProposedContext,
    UserInformation,
)
from aiodicom.wire.negotiation import EXPLICIT_LITTLE
from aiodicom.wire.pdu import (
    APPLICATION_CONTEXT_NAME,
    PDV,
    AssociateAccept,
    AssociateRequest,
    DataTransfer,
    ReleaseRequest,
    ae_title_field,
    decode_pdu,
    encode_pdu,
)

__all__ = [
    "CT_IMAGE_STORAGE",
    "RELEASE_REQUEST",
    "LoadError",
    "Message",
    "Messages",
    "Tail",
    "agreed_length",
    "associate_request",
    "instance_uid",
    "status_of",
]

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"

LARGEST_PDU = 1 << 17
"""The longest P-DATA-TF that is sent, whatever the receiver would take: as DCMTK's senders."""

LARGE = 8_000_000
"""Bytes of a dataset from which on it is sent from a file."""

VERIFICATION = "1.2.840.10008.1.1"

CONTEXT_ID = 1
PDV_HEADER = 6  # PS3.8 9.3.5.1: its length, the context's ID and the control header

RELEASE_REQUEST = encode_pdu(ReleaseRequest())

_P_DATA_TF = 0x04
_MESSAGE_ID = struct.pack("<HHI", 0, 0x0110, 2)
_ANSWERED_ID = 0x0120 << 16
_STATUS = 0x0900 << 16
_WHOLE_COMMAND = 0x03  # PS3.8 E.2
_ELEMENT = struct.Struct("<II")  # group and element as one number: both are little endian
_U16 = struct.Struct("<H")


class LoadError(Exception):
    """The receiver did something that ends the measurement."""


def instance_uid(number: int) -> bytes:
    """Return the SOP Instance UID of an object: always 36 bytes, so that offsets never move."""
    return b"2.25.1%030d" % number


def associate_request(abstract_syntax: str = CT_IMAGE_STORAGE) -> bytes:
    """Return an A-ASSOCIATE-RQ for one abstract syntax in Explicit VR Little Endian."""
    context = ProposedContext.of(CONTEXT_ID, abstract_syntax, EXPLICIT_LITTLE)
    user = UserInformation(
        (MaximumLength(1 << 14), ImplementationClassUID(IMPLEMENTATION_CLASS_UID))
    )
    items = (ApplicationContext(APPLICATION_CONTEXT_NAME), context, user)
    return encode_pdu(AssociateRequest(ae_title_field("ANY-SCP"), ae_title_field("LOAD"), items))


def agreed_length(answer: bytes) -> int:
    """Return how long a P-DATA-TF may be, from the answer to `associate_request`.

    Raises
    ------
    LoadError
        Where the association or its only context is refused.
    """
    pdu = decode_pdu(answer)
    if not isinstance(pdu, AssociateAccept):
        raise LoadError(f"the association was answered with {type(pdu).__name__}")
    if any(context.result for context in pdu.presentation_contexts):
        raise LoadError("the presentation context was refused")
    return min(pdu.maximum_length or LARGEST_PDU, LARGEST_PDU)


@dataclass(frozen=True, slots=True)
class Tail:
    """What is sent from a file after the rest."""

    descriptor: int = -1
    size: int = 0


_NO_TAIL = Tail()


class Message:
    """A whole request, in one buffer and, where it is large, a tail.

    Parameters
    ----------
    data : bytearray
        The request of object number 0, or its beginning.
    uids : tuple of int
        Where the object's UID stands.
    tail : Tail
        What follows.
    """

    def __init__(self, data: bytearray, uids: tuple[int, ...] = (), tail: Tail = _NO_TAIL) -> None:
        self.view = memoryview(data)
        self.tail = tail
        self._uids = [self.view[start : start + len(instance_uid(0))] for start in uids]
        self._message_id = data.index(_MESSAGE_ID) + len(_MESSAGE_ID)

    def patch(self, number: int) -> None:
        """Make it the message of another object; its Message ID is the number's low half."""
        uid = instance_uid(number)
        for view in self._uids:
            view[:] = uid
        _U16.pack_into(self.view, self._message_id, number & 0xFFFF)


class Messages:
    """Makes the messages of one object, each length of PDU once.

    Parameters
    ----------
    dataset : str
        The file of the dataset of object number 0; empty: C-ECHO-RQs are made.
    """

    def __init__(self, dataset: str) -> None:
        self.associate_request = associate_request(CT_IMAGE_STORAGE if dataset else VERIFICATION)
        self._dataset = dataset
        self._made: dict[int, Message] = {}

    def of_length(self, maximum_length: int) -> Message:
        """Return the message for P-DATA-TFs of at most so many bytes after their header."""
        if maximum_length not in self._made:
            self._made[maximum_length] = self._make(maximum_length)
        return self._made[maximum_length]

    def _make(self, maximum_length: int) -> Message:
        if not self._dataset:
            return _echo()
        path = Path(self._dataset)
        if path.stat().st_size < LARGE:
            dataset, tail = path.read_bytes(), _NO_TAIL
        else:
            dataset, tail = _split(path, maximum_length)
        return _store(dataset, maximum_length, tail)


def _echo() -> Message:
    command = CommandSet.build(
        CommandField.C_ECHO, affected_sop_class_uid=VERIFICATION, message_id=0
    )
    return Message(bytearray(_fragment(command.encode(), is_command=True, is_last=True)))


def _store(dataset: bytes, maximum_length: int, tail: Tail) -> Message:
    command = CommandSet.build(
        CommandField.C_STORE,
        dataset=True,
        affected_sop_class_uid=CT_IMAGE_STORAGE,
        affected_sop_instance_uid=instance_uid(0).decode(),
        message_id=0,
        priority=0,
    )
    data = bytearray(_fragment(command.encode(), is_command=True, is_last=True))
    command_size = len(data)
    data += b"".join(_fragments(dataset, maximum_length, is_all=not tail.size))
    # `index` raises where a UID is cut in two: a maximum length of less than 4096 bytes.
    uids = data.index(instance_uid(0)), data.index(instance_uid(0), command_size)
    return Message(data, uids, tail)


def _split(path: Path, maximum_length: int) -> tuple[bytes, Tail]:
    """Return the first fragment of a dataset, and the others as a tail, a file beside it."""
    tail = path.with_suffix(f".{maximum_length}.tail")
    size, left = _room(maximum_length), path.stat().st_size
    with path.open("rb") as dataset:
        first = dataset.read(size)
        left -= len(first)
        if not tail.exists():
            written = tail.with_suffix(".part")
            with written.open("wb") as file:
                while data := dataset.read(size):
                    left -= len(data)
                    file.write(_fragment(data, is_command=False, is_last=not left))
            written.rename(tail)
    descriptor = os.open(tail, os.O_RDONLY | os.O_CLOEXEC)
    return first, Tail(descriptor, tail.stat().st_size)


def _room(maximum_length: int) -> int:
    return (maximum_length - PDV_HEADER) & ~1  # fragments are even, PS3.5 annex A


def _fragments(dataset: bytes, maximum_length: int, *, is_all: bool) -> list[bytes]:
    size = _room(maximum_length)
    starts = range(0, len(dataset), size)
    return [
        _fragment(
            dataset[start : start + size],
            is_command=False,
            is_last=is_all and start + size >= len(dataset),
        )
        for start in starts
    ]


def _fragment(data: bytes, *, is_command: bool, is_last: bool) -> bytes:
    return encode_pdu(DataTransfer((PDV(CONTEXT_ID, is_command, is_last, data),)))


def status_of(pdu: bytes, number: int) -> int:
    """Return the Status of a C-STORE-RSP or C-ECHO-RSP.

    Raises
    ------
    LoadError
        Where it is something else, or answers another message.
    """
    if pdu[0] != _P_DATA_TF:
        raise LoadError(f"an object was answered with {type(decode_pdu(pdu)).__name__}")
    if pdu[11] != _WHOLE_COMMAND:
        raise LoadError("a response is not one fragment")
    answered = status = None
    unpack, position, end = _ELEMENT.unpack_from, 12, len(pdu)
    while position < end:
        tag, length = unpack(pdu, position)
        position += 8
        if tag == _ANSWERED_ID:
            answered = pdu[position] | pdu[position + 1] << 8
        elif tag == _STATUS:
            status = pdu[position] | pdu[position + 1] << 8
        position += length
    if status is None or answered != number & 0xFFFF:
        raise LoadError("a response answers a message that is not outstanding")
    return status
