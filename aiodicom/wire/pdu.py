"""The seven PDUs of PS3.8 9.3: bytes <-> values.

`encode_pdu(decode_pdu(data)) == data` for whatever decodes, but for reserved bytes, which are
not tested when received and sent as zero (PS3.8 9.3.1). Those that the acceptor must echo
(A-ASSOCIATE-RQ, bytes 11 to 74) are kept.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, TypeVar

from aiodicom.errors import AbortReason, ProtocolError
from aiodicom.wire.items import (
    PDU_ITEMS,
    AcceptedContext,
    ApplicationContext,
    ImplementationClassUID,
    ImplementationVersionName,
    Item,
    MaximumLength,
    ProposedContext,
    Remembered,
    SOPClassCommonExtendedNegotiation,
    UserIdentity,
    UserInformation,
    check_number,
    decode_items,
    encode_items,
    trim,
)

__all__ = [
    "APPLICATION_CONTEXT_NAME",
    "PDU",
    "PDV",
    "Abort",
    "AssociateAccept",
    "AssociateReject",
    "AssociateRequest",
    "DataTransfer",
    "ReleaseRequest",
    "ReleaseResponse",
    "ae_title_field",
    "decode_pdu",
    "encode_pdu",
]

APPLICATION_CONTEXT_NAME = "1.2.840.10008.3.1.1.1"
"""The DICOM application context (PS3.7 A.2.1)."""

PROTOCOL_VERSION = 1  # PS3.8 9.3.2: bit 0 set

_RESERVED = bytes(32)
_HEADER = struct.Struct(">BxI")
_FIXED = struct.Struct(">HH16s16s32s")  # A-ASSOCIATE-RQ and -AC, bytes 7-74
_PDV_HEADER = struct.Struct(">IBB")

_ItemT = TypeVar("_ItemT")


class PDU(Protocol):
    """What every PDU can do."""

    TYPE: ClassVar[int]

    def encode_body(self) -> bytes:
        """Return what follows the six bytes of type and length."""
        ...


def ae_title_field(title: str) -> bytes:
    """Return `title` as the 16 bytes of an AE title field, padded with spaces (PS3.8 9.3.2)."""
    field = title.encode("latin-1")
    if len(field) > 16:
        raise ValueError(f"the AE title {title!r} is longer than 16 characters")
    return field.ljust(16)


@dataclass(frozen=True, slots=True)
class _Associate:
    """What A-ASSOCIATE-RQ and -AC share."""

    called_ae_title_field: bytes
    calling_ae_title_field: bytes
    items: tuple[Item, ...]
    protocol_version: int = PROTOCOL_VERSION
    reserved: bytes = _RESERVED

    @property
    def called_ae_title(self) -> str:
        """Who is called, without padding: 16 characters at most."""
        return trim(self.called_ae_title_field.decode("latin-1"))

    @property
    def calling_ae_title(self) -> str:
        """Who calls, without padding: 16 characters at most."""
        return trim(self.calling_ae_title_field.decode("latin-1"))

    @property
    def application_context_name(self) -> str:
        """The application context's name (PS3.7 A.2.1), trimmed; empty where none was given."""
        names = [item.name for item in self.items if isinstance(item, ApplicationContext)]
        return trim(names[0]) if names else ""

    @property
    def user_items(self) -> tuple[Item, ...]:
        """The items of the User Information item."""
        lists = (item.items for item in self.items if isinstance(item, UserInformation))
        return tuple(item for items in lists for item in items)

    def user_item(self, kind: type[_ItemT]) -> _ItemT | None:
        """Return the first user information item of a kind, or None."""
        for item in self.items:
            if isinstance(item, UserInformation):
                for inner in item.items:
                    if isinstance(inner, kind):
                        return inner
        return None

    @property
    def maximum_length(self) -> int:
        """The longest P-DATA-TF, in bytes, that the sender of this takes (PS3.8 D.1); 0: any."""
        item = self.user_item(MaximumLength)
        return item.value if item else 0

    @property
    def implementation_class_uid(self) -> str:
        """Its sender's Implementation Class UID (PS3.7 D.3.3.2.1), or an empty string."""
        item = self.user_item(ImplementationClassUID)
        return trim(item.uid) if item else ""

    @property
    def implementation_version_name(self) -> str:
        """Its sender's Implementation Version Name (PS3.7 D.3.3.2.3), or an empty string."""
        item = self.user_item(ImplementationVersionName)
        return trim(item.name) if item else ""

    def encode_body(self) -> bytes:
        return self._encode_fixed() + encode_items(self.items)

    def _encode_fixed(self) -> bytes:
        return _FIXED.pack(
            self.protocol_version,
            0,
            self.called_ae_title_field,
            self.calling_ae_title_field,
            self.reserved,
        )


@dataclass(frozen=True, slots=True)
class AssociateRequest(_Associate):
    """A-ASSOCIATE-RQ (PS3.8 9.3.2): what a requestor proposes, as it came.

    Attributes
    ----------
    proposal : bytes
        The items as they came, by which equal ones are recognised. Empty where nothing came, and
        where nothing is remembered of them: they hold a secret, or are very many.
    """

    TYPE: ClassVar[int] = 0x01
    proposal: bytes = field(default=b"", init=False, repr=False, compare=False)

    @property
    def presentation_contexts(self) -> tuple[ProposedContext, ...]:
        """The presentation contexts that are proposed, in the requestor's order."""
        return tuple(item for item in self.items if isinstance(item, ProposedContext))

    @classmethod
    def decode_body(cls, body: bytes) -> AssociateRequest:
        proposal = body[_FIXED.size :]
        known = _PROPOSALS.get(proposal)
        if known is None:
            request = cls(*_decode_associate(body))
            if request.user_item(UserIdentity) is not None:
                return request
            size = len(proposal) + _BYTES_OF_AN_ITEM * _number_of(request.items)
            if not _PROPOSALS.add(proposal, (proposal, request.items), size):
                return request
        else:  # its own bytes and items are let go: ten thousand associations share one proposal
            proposal, items = known
            request = cls(*_decode_associate(body, items))
        object.__setattr__(request, "proposal", proposal)
        return request


_PROPOSALS: Remembered[tuple[bytes, tuple[Item, ...]]] = Remembered()

_BYTES_OF_AN_ITEM = 192
"""Bytes that an item takes in memory, on top of those that came."""


def _number_of(items: tuple[Item, ...]) -> int:
    """Return the number of items, those within others among them."""
    number = len(items)
    for item in items:
        if isinstance(item, (ProposedContext, AcceptedContext, UserInformation)):
            number += _number_of(item.items)
        elif isinstance(item, SOPClassCommonExtendedNegotiation):
            number += 1 + len(item.related_general_sop_class_uids)  # its three texts are two items
    return number


@dataclass(frozen=True, slots=True)
class AssociateAccept(_Associate):
    """A-ASSOCIATE-AC (PS3.8 9.3.3): what an acceptor answers, as it came."""

    TYPE: ClassVar[int] = 0x02
    _encoded: bytes = field(default=b"", init=False, repr=False, compare=False)

    @classmethod
    def answer(
        cls, request: AssociateRequest, items: tuple[Item, ...], encoded: bytes
    ) -> AssociateAccept:
        """Return the answer to `request`; `encoded` is what `encode_items` makes of `items`."""
        fields = request.called_ae_title_field, request.calling_ae_title_field
        accept = cls(*fields, items, reserved=request.reserved)
        object.__setattr__(accept, "_encoded", encoded)
        return accept

    def encode_body(self) -> bytes:
        return self._encode_fixed() + (self._encoded or encode_items(self.items))

    @property
    def presentation_contexts(self) -> tuple[AcceptedContext, ...]:
        """The answers to the proposed presentation contexts."""
        return tuple(item for item in self.items if isinstance(item, AcceptedContext))

    @classmethod
    def decode_body(cls, body: bytes) -> AssociateAccept:
        return cls(*_decode_associate(body))


def _decode_associate(
    body: bytes, items: tuple[Item, ...] | None = None
) -> tuple[bytes, bytes, tuple[Item, ...], int, bytes]:
    if len(body) < _FIXED.size:
        raise ProtocolError("an association PDU is shorter than its fixed fields")
    version, _, called, calling, reserved = _FIXED.unpack_from(body)
    if items is None:
        check_number(body, _FIXED.size)
        items = decode_items(body, PDU_ITEMS, _FIXED.size)
    return called, calling, items, version, _RESERVED if reserved == _RESERVED else reserved


@dataclass(frozen=True, slots=True)
class AssociateReject:
    """A-ASSOCIATE-RJ (PS3.8 9.3.4)."""

    TYPE: ClassVar[int] = 0x03
    result: int
    source: int
    reason: int

    def encode_body(self) -> bytes:
        return bytes((0, self.result, self.source, self.reason))

    @classmethod
    def decode_body(cls, body: bytes) -> AssociateReject:
        return cls(*_four(body)[1:])


@dataclass(frozen=True, slots=True)
class PDV:
    """A presentation data value: a fragment of a command or of a dataset (PS3.8 annex E)."""

    context_id: int
    is_command: bool
    is_last: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class DataTransfer:
    """P-DATA-TF (PS3.8 9.3.5)."""

    TYPE: ClassVar[int] = 0x04
    pdvs: tuple[PDV, ...]

    def encode_body(self) -> bytes:
        parts: list[bytes] = []
        for pdv in self.pdvs:
            control = pdv.is_command | pdv.is_last << 1  # PS3.8 E.2
            parts += _PDV_HEADER.pack(len(pdv.data) + 2, pdv.context_id, control), pdv.data
        return b"".join(parts)

    @classmethod
    def decode_body(cls, body: bytes) -> DataTransfer:
        pdvs, position = [], 0
        while position < len(body):
            if len(body) - position < 6:
                raise ProtocolError("a PDV ends inside its header")
            length, context_id, control = _PDV_HEADER.unpack_from(body, position)
            end = position + 4 + length
            if length < 2 or end > len(body):
                raise ProtocolError("a PDV's length does not fit its PDU")
            data = body[position + 6 : end]
            pdvs.append(PDV(context_id, bool(control & 1), bool(control & 2), data))
            position = end
        return cls(tuple(pdvs))


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """A-RELEASE-RQ (PS3.8 9.3.6)."""

    TYPE: ClassVar[int] = 0x05

    def encode_body(self) -> bytes:
        return bytes(4)

    @classmethod
    def decode_body(cls, body: bytes) -> ReleaseRequest:
        _four(body)
        return cls()


@dataclass(frozen=True, slots=True)
class ReleaseResponse:
    """A-RELEASE-RP (PS3.8 9.3.7)."""

    TYPE: ClassVar[int] = 0x06

    def encode_body(self) -> bytes:
        return bytes(4)

    @classmethod
    def decode_body(cls, body: bytes) -> ReleaseResponse:
        _four(body)
        return cls()


@dataclass(frozen=True, slots=True)
class Abort:
    """A-ABORT (PS3.8 9.3.8). `source` is 0 service-user or 2 service-provider."""

    TYPE: ClassVar[int] = 0x07
    source: int
    reason: int

    def encode_body(self) -> bytes:
        return bytes((0, 0, self.source, self.reason))

    @classmethod
    def decode_body(cls, body: bytes) -> Abort:
        return cls(*_four(body)[2:])


def _four(body: bytes) -> bytes:
    if len(body) != 4:
        raise ProtocolError("a PDU of fixed length is not 4 bytes long")
    return body


_DECODERS = {
    cls.TYPE: cls.decode_body
    for cls in (
        AssociateRequest,
        AssociateAccept,
        AssociateReject,
        DataTransfer,
        ReleaseRequest,
        ReleaseResponse,
        Abort,
    )
}


def encode_pdu(pdu: PDU) -> bytes:
    """Return the bytes of a PDU."""
    body = pdu.encode_body()
    return _HEADER.pack(pdu.TYPE, len(body)) + body


def decode_body(pdu_type: int, body: bytes) -> PDU:
    """Decode a PDU from its type and what follows its length.

    Raises
    ------
    ProtocolError
        Where the type is not one of the seven or a length does not fit.
    """
    decoder = _DECODERS.get(pdu_type)
    if decoder is None:
        message = f"unrecognized PDU type 0x{pdu_type:02X}"
        raise ProtocolError(message, AbortReason.UNRECOGNIZED_PDU)
    return decoder(body)


def decode_pdu(data: bytes) -> PDU:
    """Decode one whole PDU.

    Raises
    ------
    ProtocolError
        Where `data` is not exactly one well-formed PDU.
    """
    if len(data) < 6:
        raise ProtocolError("a PDU ends inside its header")
    pdu_type, length = _HEADER.unpack_from(data)
    if length != len(data) - 6:
        raise ProtocolError("a PDU's length is not that of its body")
    return decode_body(pdu_type, data[6:])
