"""The items of the association PDUs: bytes <-> values.

PS3.8 9.3.2 and 9.3.3, and the user information items of PS3.7 annex D.3.3. Every item is a
frozen value that encodes to the bytes it came from; what is not known is kept as
`UnknownItem`. Text is decoded as Latin-1, byte for byte, padding included: trimming is the
business of whoever compares (`trim`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar

from aiodicom.errors import ProtocolError

__all__ = [
    "AbstractSyntax",
    "AcceptedContext",
    "ApplicationContext",
    "AsynchronousOperationsWindow",
    "ImplementationClassUID",
    "ImplementationVersionName",
    "Item",
    "MaximumLength",
    "ProposedContext",
    "Remembered",
    "RoleSelection",
    "SOPClassCommonExtendedNegotiation",
    "SOPClassExtendedNegotiation",
    "TransferSyntax",
    "UnknownItem",
    "UserIdentity",
    "UserIdentityResponse",
    "UserInformation",
    "check_number",
    "decode_items",
    "encode_items",
    "trim",
]

MAXIMUM_ITEMS = 8192
"""Items of one PDU, those within others among them: 128 contexts with 60 transfer syntaxes each,
and what user information there is, are fewer."""

_BYTES_OF_AN_ITEM = 8
"""An item that holds a list counts as another one for each so many bytes."""

_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_HEAD = struct.Struct(">BBH")

_T = TypeVar("_T")


class Item(Protocol):
    """What every item can do."""

    TYPE: ClassVar[int]

    def encode(self) -> bytes: ...


def trim(text: str) -> str:
    """Return `text` without the NULs and spaces that real peers pad it with."""
    return text.strip("\0 ")


def _item(item_type: int, value: bytes, second: int = 0) -> bytes:
    if len(value) > 0xFFFF:
        raise ValueError(f"item 0x{item_type:02X} is longer than 65535 bytes")
    return _HEAD.pack(item_type, second, len(value)) + value


def _text(value: bytes) -> str:
    return value.decode("latin-1")


def _prefixed(value: bytes) -> bytes:
    """Return `value` behind its two-byte length."""
    return _U16.pack(len(value)) + value


def _check_context(value: bytes) -> None:
    if len(value) < 4:
        raise ProtocolError("an item ends inside one of its fields")


class _Fields:
    """Reads an item's fields in order; a field that is not there is the peer's error."""

    def __init__(self, value: bytes) -> None:
        self._value = value
        self._position = 0

    def take(self, count: int) -> bytes:
        start, self._position = self._position, self._position + count
        if self._position > len(self._value):
            raise ProtocolError("an item ends inside one of its fields")
        return self._value[start : self._position]

    def take_prefixed(self) -> bytes:
        return self.take(_U16.unpack(self.take(2))[0])

    @property
    def left(self) -> int:
        return len(self._value) - self._position

    def end(self) -> None:
        if self.left:
            raise ProtocolError("an item is longer than its fields")


@dataclass(frozen=True, slots=True)
class UnknownItem:
    """An item of a type that this package has no use for, kept as it came."""

    TYPE: ClassVar[int] = -1
    item_type: int
    value: bytes
    second: int = 0

    def encode(self) -> bytes:
        return _item(self.item_type, self.value, self.second)


@dataclass(frozen=True, slots=True)
class ApplicationContext:
    """PS3.8 9.3.2.1."""

    TYPE: ClassVar[int] = 0x10
    name: str

    def encode(self) -> bytes:
        return _item(self.TYPE, self.name.encode("latin-1"))

    @classmethod
    def decode(cls, value: bytes, second: int) -> ApplicationContext:
        return cls(_text(value))


@dataclass(frozen=True, slots=True)
class AbstractSyntax:
    """PS3.8 9.3.2.2.1."""

    TYPE: ClassVar[int] = 0x30
    uid: str

    def encode(self) -> bytes:
        return _item(self.TYPE, self.uid.encode("latin-1"))

    @classmethod
    def decode(cls, value: bytes, second: int) -> AbstractSyntax:
        return cls(_text(value))


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """PS3.8 9.3.2.2.2 and 9.3.3.2.1."""

    TYPE: ClassVar[int] = 0x40
    uid: str

    def encode(self) -> bytes:
        return _item(self.TYPE, self.uid.encode("latin-1"))

    @classmethod
    def decode(cls, value: bytes, second: int) -> TransferSyntax:
        return cls(_text(value))


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """A presentation context of an A-ASSOCIATE-RQ (PS3.8 9.3.2.2).

    Attributes
    ----------
    context_id : int
        Its Presentation-context-ID, an odd number up to 255.
    """

    TYPE: ClassVar[int] = 0x20
    context_id: int
    items: tuple[Item, ...]

    @classmethod
    def of(cls, context_id: int, abstract: str, *transfer: str) -> ProposedContext:
        return cls(context_id, (AbstractSyntax(abstract), *map(TransferSyntax, transfer)))

    @property
    def abstract_syntax(self) -> str:
        """The UID of the abstract syntax (a SOP class), trimmed; empty where none was given."""
        uids = [trim(item.uid) for item in self.items if isinstance(item, AbstractSyntax)]
        return uids[0] if uids else ""

    @property
    def transfer_syntaxes(self) -> tuple[str, ...]:
        """The transfer syntaxes' UIDs in the requestor's order, trimmed."""
        return tuple(trim(i.uid) for i in self.items if isinstance(i, TransferSyntax))

    def encode(self) -> bytes:
        head = bytes((self.context_id, 0, 0, 0))
        return _item(self.TYPE, head + encode_items(self.items))

    @classmethod
    def decode(cls, value: bytes, second: int) -> ProposedContext:
        _check_context(value)
        return cls(value[0], decode_items(value, _CONTEXT_ITEMS, 4))


@dataclass(frozen=True, slots=True)
class AcceptedContext:
    """The answer to a presentation context, of an A-ASSOCIATE-AC (PS3.8 9.3.3.2).

    Attributes
    ----------
    context_id : int
        The Presentation-context-ID of the one that was proposed.
    result : int
        0 acceptance, 1 user-rejection, 2 no-reason, 3 abstract-syntax-not-supported,
        4 transfer-syntaxes-not-supported (PS3.8 table 9-18). The transfer syntax means nothing
        unless it is 0.
    """

    TYPE: ClassVar[int] = 0x21
    context_id: int
    result: int
    items: tuple[Item, ...]

    @property
    def transfer_syntax(self) -> str:
        """The UID of the transfer syntax, trimmed; empty where none was given."""
        uids = [trim(item.uid) for item in self.items if isinstance(item, TransferSyntax)]
        return uids[0] if uids else ""

    def encode(self) -> bytes:
        head = bytes((self.context_id, 0, self.result, 0))
        return _item(self.TYPE, head + encode_items(self.items))

    @classmethod
    def decode(cls, value: bytes, second: int) -> AcceptedContext:
        _check_context(value)
        return cls(value[0], value[2], decode_items(value, _CONTEXT_ITEMS, 4))


@dataclass(frozen=True, slots=True)
class UserInformation:
    """PS3.8 9.3.2.3."""

    TYPE: ClassVar[int] = 0x50
    items: tuple[Item, ...]

    def encode(self) -> bytes:
        return _item(self.TYPE, encode_items(self.items))

    @classmethod
    def decode(cls, value: bytes, second: int) -> UserInformation:
        return cls(decode_items(value, _USER_ITEMS))


@dataclass(frozen=True, slots=True)
class MaximumLength:
    """PS3.8 D.1: the longest P-DATA-TF that its sender wants to receive; 0 is no limit."""

    TYPE: ClassVar[int] = 0x51
    value: int

    def encode(self) -> bytes:
        return _item(self.TYPE, _U32.pack(self.value))

    @classmethod
    def decode(cls, value: bytes, second: int) -> MaximumLength:
        if len(value) != 4:
            raise ProtocolError("the Maximum Length item is not 4 bytes long")
        return cls(_U32.unpack(value)[0])


@dataclass(frozen=True, slots=True)
class ImplementationClassUID:
    """PS3.7 D.3.3.2.1."""

    TYPE: ClassVar[int] = 0x52
    uid: str

    def encode(self) -> bytes:
        return _item(self.TYPE, self.uid.encode("latin-1"))

    @classmethod
    def decode(cls, value: bytes, second: int) -> ImplementationClassUID:
        return cls(_text(value))


@dataclass(frozen=True, slots=True)
class AsynchronousOperationsWindow:
    """PS3.7 D.3.3.3: how many operations may be outstanding; 0 is no limit."""

    TYPE: ClassVar[int] = 0x53
    invoked: int
    performed: int

    def encode(self) -> bytes:
        return _item(self.TYPE, _U16.pack(self.invoked) + _U16.pack(self.performed))

    @classmethod
    def decode(cls, value: bytes, second: int) -> AsynchronousOperationsWindow:
        if len(value) != 4:
            raise ProtocolError("the Asynchronous Operations Window item is not 4 bytes long")
        return cls(_U16.unpack(value[:2])[0], _U16.unpack(value[2:])[0])


@dataclass(frozen=True, slots=True)
class RoleSelection:
    """Who may be what for a SOP class: role selection (PS3.7 D.3.3.4).

    Parameters
    ----------
    sop_class_uid : str
        The SOP class; it is proposed in a presentation context as well.
    scu_role, scp_role : int
        1 where the requestor would be its user, and its provider; else 0.
    """

    TYPE: ClassVar[int] = 0x54
    sop_class_uid: str
    scu_role: int
    scp_role: int

    def encode(self) -> bytes:
        uid = _prefixed(self.sop_class_uid.encode("latin-1"))
        return _item(self.TYPE, uid + bytes((self.scu_role, self.scp_role)))

    @classmethod
    def decode(cls, value: bytes, second: int) -> RoleSelection:
        fields = _Fields(value)
        uid = _text(fields.take_prefixed())
        scu_role, scp_role = fields.take(2)
        fields.end()
        return cls(uid, scu_role, scp_role)


@dataclass(frozen=True, slots=True)
class ImplementationVersionName:
    """PS3.7 D.3.3.2.3."""

    TYPE: ClassVar[int] = 0x55
    name: str

    def encode(self) -> bytes:
        return _item(self.TYPE, self.name.encode("latin-1"))

    @classmethod
    def decode(cls, value: bytes, second: int) -> ImplementationVersionName:
        return cls(_text(value))


@dataclass(frozen=True, slots=True)
class SOPClassExtendedNegotiation:
    """What is agreed on about a SOP class besides: extended negotiation (PS3.7 D.3.3.5).

    Parameters
    ----------
    sop_class_uid : str
        The SOP class; it is proposed in a presentation context as well.
    information : bytes
        Service-class-application-information: PS3.4 B.3.1 says what it is for Storage.
    """

    TYPE: ClassVar[int] = 0x56
    sop_class_uid: str
    information: bytes

    def encode(self) -> bytes:
        return _item(self.TYPE, _prefixed(self.sop_class_uid.encode("latin-1")) + self.information)

    @classmethod
    def decode(cls, value: bytes, second: int) -> SOPClassExtendedNegotiation:
        fields = _Fields(value)
        uid = _text(fields.take_prefixed())
        return cls(uid, fields.take(fields.left))


@dataclass(frozen=True, slots=True)
class SOPClassCommonExtendedNegotiation:
    """PS3.7 D.3.3.6. The item's second byte is its version, not reserved."""

    TYPE: ClassVar[int] = 0x57
    sop_class_uid: str
    service_class_uid: str
    related_general_sop_class_uids: tuple[str, ...] = ()
    version: int = 0
    reserved: bytes = b""

    def encode(self) -> bytes:
        related = b"".join(
            _prefixed(uid.encode("latin-1")) for uid in self.related_general_sop_class_uids
        )
        value = (
            _prefixed(self.sop_class_uid.encode("latin-1"))
            + _prefixed(self.service_class_uid.encode("latin-1"))
            + _prefixed(related)
            + self.reserved
        )
        return _item(self.TYPE, value, self.version)

    @classmethod
    def decode(cls, value: bytes, second: int) -> SOPClassCommonExtendedNegotiation:
        fields = _Fields(value)
        sop_class, service_class = fields.take_prefixed(), fields.take_prefixed()
        related, uids = _Fields(fields.take_prefixed()), []
        while related.left:
            uids.append(_text(related.take_prefixed()))
        reserved = fields.take(fields.left)
        return cls(_text(sop_class), _text(service_class), tuple(uids), second, reserved)


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """Who a requestor's user is (PS3.7 D.3.3.7.1).

    Parameters
    ----------
    identity_type : int
        1 username, 2 username and passcode, 3 Kerberos, 4 SAML, 5 JSON Web Token.
    positive_response_requested : int
        1 where the acceptor is to say that it knows the user, else 0.
    primary : bytes
        The username, ticket, assertion or token.
    secondary : bytes
        The passcode; empty but for type 2.
    """

    TYPE: ClassVar[int] = 0x58
    identity_type: int
    positive_response_requested: int
    primary: bytes
    secondary: bytes = b""

    def __repr__(self) -> str:  # a passcode has no business in a log
        return f"UserIdentity(identity_type={self.identity_type}, ...)"

    @classmethod
    def user(
        cls, name: str, passcode: str | None = None, *, response: bool = False
    ) -> UserIdentity:
        """Return a username, with a passcode where there is one (types 1 and 2).

        `response` asks the acceptor to say that it knows the user.
        """
        secret = b"" if passcode is None else passcode.encode()
        return cls(1 if passcode is None else 2, int(response), name.encode(), secret)

    @classmethod
    def kerberos(cls, ticket: bytes, *, response: bool = False) -> UserIdentity:
        """Return a Kerberos service ticket (type 3)."""
        return cls(3, int(response), ticket)

    @classmethod
    def saml(cls, assertion: bytes, *, response: bool = False) -> UserIdentity:
        """Return a SAML assertion (type 4)."""
        return cls(4, int(response), assertion)

    @classmethod
    def jwt(cls, token: bytes, *, response: bool = False) -> UserIdentity:
        """Return a JSON Web Token (type 5)."""
        return cls(5, int(response), token)

    def encode(self) -> bytes:
        head = bytes((self.identity_type, self.positive_response_requested))
        return _item(self.TYPE, head + _prefixed(self.primary) + _prefixed(self.secondary))

    @classmethod
    def decode(cls, value: bytes, second: int) -> UserIdentity:
        fields = _Fields(value)
        identity_type, response = fields.take(2)
        primary, secondary = fields.take_prefixed(), fields.take_prefixed()
        fields.end()
        return cls(identity_type, response, primary, secondary)


@dataclass(frozen=True, slots=True)
class UserIdentityResponse:
    """PS3.7 D.3.3.7.2."""

    TYPE: ClassVar[int] = 0x59
    response: bytes

    def encode(self) -> bytes:
        return _item(self.TYPE, _prefixed(self.response))

    @classmethod
    def decode(cls, value: bytes, second: int) -> UserIdentityResponse:
        fields = _Fields(value)
        response = fields.take_prefixed()
        fields.end()
        return cls(response)


class _Decodable(Item, Protocol):
    @classmethod
    def decode(cls, value: bytes, second: int) -> Item: ...


def _by_type(*classes: type[_Decodable]) -> dict[int, type[_Decodable]]:
    return {cls.TYPE: cls for cls in classes}


_CONTEXT_ITEMS = _by_type(AbstractSyntax, TransferSyntax)
_USER_ITEMS = _by_type(
    MaximumLength,
    ImplementationClassUID,
    AsynchronousOperationsWindow,
    RoleSelection,
    ImplementationVersionName,
    SOPClassExtendedNegotiation,
    SOPClassCommonExtendedNegotiation,
    UserIdentity,
    UserIdentityResponse,
)
PDU_ITEMS = _by_type(ApplicationContext, ProposedContext, AcceptedContext, UserInformation)


def decode_items(
    data: bytes, known: dict[int, type[_Decodable]], position: int = 0
) -> tuple[Item, ...]:
    """Decode the items that stand one behind the other in `data`, from `position` on.

    Raises
    ------
    ProtocolError
        Where an item, or a field of a known item, does not fit its length.
    """
    items: list[Item] = []
    end = len(data)
    while position < end:
        if end - position < 4:
            raise ProtocolError("an item ends inside its header")
        item_type, second, length = _HEAD.unpack_from(data, position)
        start = position + 4
        position = start + length
        if position > end:
            raise ProtocolError(f"item 0x{item_type:02X} is longer than what holds it")
        value, cls = data[start:position], known.get(item_type)
        items.append(cls.decode(value, second) if cls else UnknownItem(item_type, value, second))
    return tuple(items)


_HOLDERS = {ProposedContext.TYPE: 4, AcceptedContext.TYPE: 4, UserInformation.TYPE: 0}
"""Where the items begin that an item holds."""


def check_number(data: bytes, position: int = 0) -> None:
    """Count the items from `position` on, before an object is made of any.

    Raises
    ------
    ProtocolError
        Where there are more than anybody needs.
    """
    _count(data, position, len(data), 0, _HOLDERS)


def _count(data: bytes, position: int, end: int, number: int, holders: dict[int, int]) -> int:
    """Return `number` and the items that stand up to `end`; a length that lies ends the count."""
    while end - position >= 4:
        item_type, _, length = _HEAD.unpack_from(data, position)
        start = position + 4
        position = start + length
        number += 1
        if item_type in holders:
            number = _count(data, start + holders[item_type], min(position, end), number, {})
        elif item_type == SOPClassCommonExtendedNegotiation.TYPE:
            number += length // _BYTES_OF_AN_ITEM
        if number > MAXIMUM_ITEMS:
            raise ProtocolError(f"more than {MAXIMUM_ITEMS} items in an association PDU")
    return number


def encode_items(items: tuple[Item, ...]) -> bytes:
    """Encode `items` one behind the other."""
    return b"".join([item.encode() for item in items])


class Remembered(Generic[_T]):
    """What some bytes have been found to mean: a sender proposes the same again and again.

    Bounded: `ROOM` bytes are kept, with what they mean, however peers choose them.
    """

    ROOM: ClassVar[int] = 1 << 20
    ENTRY: ClassVar[int] = 512
    """Bytes that an entry takes at least, its places in tables among them."""

    __slots__ = ("_meanings", "_size")

    def __init__(self) -> None:
        self._meanings: dict[bytes, _T] = {}
        self._size = 0

    def get(self, data: bytes) -> _T | None:
        """Return what `data` means, if that is known."""
        return self._meanings.get(data)

    def add(self, data: bytes, meaning: _T, size: int) -> bool:
        """Remember what `data` means. Where there is no room, all else is forgotten.

        Parameters
        ----------
        data : bytes
            What has come.
        meaning : object
            What it means.
        size : int
            Bytes that `meaning` takes, or more.

        Returns
        -------
        bool
            Whether it is remembered: what is very large would push out more than it is worth.
        """
        size += self.ENTRY + len(data)
        if size > self.ROOM // 4:
            return False
        if self._size + size > self.ROOM:
            self._meanings.clear()
            self._size = 0
        self._meanings[data] = meaning
        self._size += size
        return True
