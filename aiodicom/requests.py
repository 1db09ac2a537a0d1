"""What a handler is given, and what a handler is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiodicom.certificate import PeerCertificate
from aiodicom.dataset import DatasetStream
from aiodicom.wire.dimse import CommandSet, Tag
from aiodicom.wire.items import UserIdentity
from aiodicom.wire.negotiation import PresentationContext
from aiodicom.wire.part10 import encode_file_meta
from aiodicom.wire.pdu import AssociateRequest

__all__ = [
    "AssociationInfo",
    "Authorize",
    "EchoHandler",
    "EchoRequest",
    "StoreHandler",
    "StoreRequest",
]


@dataclass(frozen=True, slots=True)
class AssociationInfo:
    """Who is at the other end of an association, and what it proposed.

    Parameters
    ----------
    request : AssociateRequest
        The A-ASSOCIATE-RQ as it came (PS3.8 9.3.2).
    address : str
        The peer's IP address.
    port : int
        The peer's TCP port.
    number : int
        Counts the connections of a server, for its log.
    certificate : PeerCertificate or None
        The peer's certificate, where there is TLS and it was verified.
    local_port : int
        The TCP port of ours that it came to: which one of several listeners it was.

    Attributes
    ----------
    calling_ae_title : str
        Who calls, without padding. The peer says so; nothing has proved it.
    called_ae_title : str
        Who is called, without padding.
    """

    request: AssociateRequest
    address: str = ""
    port: int = 0
    number: int = 0
    certificate: PeerCertificate | None = None
    local_port: int = 0

    calling_ae_title: str = field(init=False)
    called_ae_title: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "calling_ae_title", self.request.calling_ae_title)
        object.__setattr__(self, "called_ae_title", self.request.called_ae_title)

    @property
    def user_identity(self) -> UserIdentity | None:
        """The user identity that was offered (PS3.7 D.3.3.7), unverified."""
        return self.request.user_item(UserIdentity)


_SOP_CLASS_UID = Tag.AFFECTED_SOP_CLASS_UID.value
_SOP_INSTANCE_UID = Tag.AFFECTED_SOP_INSTANCE_UID.value


class _Request:
    """What C-ECHO and C-STORE requests share."""

    def __init__(
        self, association: AssociationInfo, context: PresentationContext, command: CommandSet
    ) -> None:
        self.association = association
        self.context = context
        self.command = command

    @property
    def message_id(self) -> int:
        """Message ID (0000,0110)."""
        return self.command.number(Tag.MESSAGE_ID) or 0


class EchoRequest(_Request):
    """A C-ECHO-RQ (PS3.7 9.3.5).

    Attributes
    ----------
    association : AssociationInfo
        Who asks.
    context : PresentationContext
        The presentation context it came in.
    command : CommandSet
        The command set.
    """


class StoreRequest(_Request):
    """A C-STORE-RQ (PS3.7 9.3.1) and its dataset, which is still arriving.

    Attributes
    ----------
    association : AssociationInfo
        Who sends.
    context : PresentationContext
        The presentation context it came in.
    command : CommandSet
        The command set.
    sop_class_uid, sop_instance_uid : str
        Affected SOP Class UID (0000,0002) and Affected SOP Instance UID (0000,1000), without
        padding.
    dataset : DatasetStream
        The encoded dataset. Read it to its end, or call its `discard`, before returning success.
    """

    def __init__(
        self,
        association: AssociationInfo,
        context: PresentationContext,
        command: CommandSet,
        dataset: DatasetStream,
    ) -> None:
        super().__init__(association, context, command)
        self.dataset = dataset
        self.sop_class_uid = command.uid(_SOP_CLASS_UID)
        self.sop_instance_uid = command.uid(_SOP_INSTANCE_UID)

    @property
    def transfer_syntax_uid(self) -> str:
        """The transfer syntax that the dataset is encoded in."""
        return self.context.transfer_syntax

    @property
    def priority(self) -> int:
        """Priority (0000,0700); see `aiodicom.Priority`."""
        return self.command.number(Tag.PRIORITY) or 0

    @property
    def move_originator_ae_title(self) -> str:
        """Who asked for the C-MOVE that this is part of (0000,1030), or an empty string."""
        return self.command.text(Tag.MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE)

    @property
    def move_originator_message_id(self) -> int | None:
        """The C-MOVE's Message ID (0000,1031), or None."""
        return self.command.number(Tag.MOVE_ORIGINATOR_MESSAGE_ID)

    def file_meta(self) -> bytes:
        """Return what precedes the dataset in a file (PS3.10 section 7.1).

        Preamble, prefix and File Meta Information: the classes and UIDs are the command's, the
        transfer syntax is the context's. Followed by the bytes of `dataset` it is a DICOM file.
        """
        return encode_file_meta(
            self.sop_class_uid,
            self.sop_instance_uid,
            self.transfer_syntax_uid,
            self.association.calling_ae_title,
        )


StoreHandler = Callable[[StoreRequest], Awaitable[int]]
"""Stores an object and returns a `Status`, or raises `Refused`."""

EchoHandler = Callable[[EchoRequest], Awaitable[int]]
"""Answers a C-ECHO with a `Status`."""

Authorize = Callable[[AssociationInfo], Awaitable[None]]
"""Lets an association be, or raises `AssociationRejected`."""
