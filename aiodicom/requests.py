"""What a handler is given, and what a handler is."""

from __future__ import annotations

import os
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Protocol

from aiodicom.certificate import PeerCertificate
from aiodicom.dataset import DatasetStream
from aiodicom.reading.decoding import decode
from aiodicom.reading.peeking import PEEKED, peek
from aiodicom.reading.spooling import IN_MEMORY, spooled
from aiodicom.wire.dimse import CommandSet, Tag
from aiodicom.wire.items import UserIdentity
from aiodicom.wire.negotiation import PresentationContext
from aiodicom.wire.part10 import encode_file_meta
from aiodicom.wire.pdu import AssociateRequest

if TYPE_CHECKING:
    from pydicom import Dataset, FileDataset

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
        The A-ASSOCIATE-RQ as it came (PS3.8 9.3.2): presentation contexts, and what the peer says
        of its implementation.
    address : str
        The peer's IP address.
    port : int
        The peer's TCP port.
    number : int
        Which connection of the server it is, as in its log; each of several workers counts its own.
    certificate : PeerCertificate or None
        The peer's certificate, where there is TLS and it was verified.
    local_port : int
        The TCP port of ours that it came to: which one of several listeners it was.

    Attributes
    ----------
    calling_ae_title : str
        The AE title of who calls, without padding: at most 16 characters. The peer says so;
        nothing has proved it.
    called_ae_title : str
        The AE title that it has called, without padding: it need not be the server's own.
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
    """A C-ECHO-RQ (PS3.7 9.3.5): somebody asks whether we are there.

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
    sop_class_uid : str
        What kind of object it is: Affected SOP Class UID (0000,0002), without padding. It is the
        presentation context's.
    sop_instance_uid : str
        Which object it is: Affected SOP Instance UID (0000,1000), without padding. A peer's text:
        anything may stand there, a path or a line break too.
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
        """The UID of the transfer syntax that the dataset is encoded in (PS3.5 section 10)."""
        return self.context.transfer_syntax

    @property
    def priority(self) -> int:
        """Priority (0000,0700); see `aiodicom.Priority`."""
        return self.command.number(Tag.PRIORITY) or 0

    @property
    def move_originator_ae_title(self) -> str:
        """The AE title of who asked for the C-MOVE that this is part of (0000,1030), or empty."""
        return self.command.text(Tag.MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE)

    @property
    def move_originator_message_id(self) -> int | None:
        """The C-MOVE's Message ID (0000,1031), or None."""
        return self.command.number(Tag.MOVE_ORIGINATOR_MESSAGE_ID)

    async def peek(self, *attributes: str | int, limit: int = PEEKED) -> Dataset:
        """Return some attributes as soon as they have come, and take nothing from `dataset`.

        It is read from its first byte afterwards, whichever way. Nothing but the beginning of it
        is waited for: until the last one wanted has come, or one that stands behind it, or `limit`
        bytes. What is not found by then is not there, and so is what cannot be read: values of 16
        KiB and more, and everything in a private transfer syntax. Where memory is short the peer
        is not read from before somebody takes what has come, and what that has is the answer.

        Parameters
        ----------
        *attributes : str or int
            Keywords (PS3.6) or tags of the top level, no sequences: ``"StudyInstanceUID"``, or
            ``0x0020000D``.
        limit : int
            Bytes of the encoded dataset that are looked at, by default 256 KiB. What comes
            meanwhile is held, and counts against the association as all that is not read does.

        Returns
        -------
        pydicom.Dataset
            Those that are there, in the dataset's character sets. pydicom decodes each one when it
            is looked at.

        Raises
        ------
        ValueError
            Where an attribute is none of these.
        RuntimeError
            Where something of the dataset was read.
        AssociationClosed
            Where the association has ended, or the dataset was discarded.
        Refused
            Where the dataset is longer than it may be.
        """
        return await peek(self.dataset, self.transfer_syntax_uid, attributes, limit)

    async def decode(self, *, pixels: bool = True) -> FileDataset:
        """Read the dataset to its end, and return it as pydicom's, with File Meta Information.

        It is taken apart in a thread. Twice its size is needed in memory meanwhile, outside the
        server's budget, and its size afterwards; about 1 kB more for each element.

        Parameters
        ----------
        pixels : bool
            Whether pixel data (PS3.3 C.7.6.3), and what follows it, is wanted. If not it is
            dropped as it comes, and the dataset is here as soon as the rest is.

        Returns
        -------
        pydicom.FileDataset
            As ``pydicom.dcmread`` would return it. Values are decoded when they are looked at.

        Raises
        ------
        Refused
            With 0xC000 where it is no dataset, ends in the middle, or its transfer syntax is
            private; with 0xA700 where it is longer than it may be, or a deflated one becomes more
            than 256 MiB.
        AssociationClosed
            Where the association ended before the last fragment.
        RuntimeError
            Where something of the dataset was read.
        """
        syntax = self.transfer_syntax_uid
        return await decode(self.dataset, self.file_meta(), syntax, pixels=pixels)

    def as_file(
        self, *, memory: int = IN_MEMORY, folder: str | os.PathLike[str] | None = None
    ) -> AbstractAsyncContextManager[IO[bytes]]:
        """Read the dataset to its end, and return it as a DICOM file, to be used in ``async with``.

        The file begins with `file_meta`, stands at its first byte, and can be sought in. It has no
        name, and is gone afterwards. To read a large one blocks: let a thread do that.

        Parameters
        ----------
        memory : int
            Bytes up to which it is kept in memory, outside the server's budget, by default 1 MiB.
            A longer one is written to the disk, by a thread.
        folder : str or os.PathLike, optional
            Where on the disk; by default where temporary files are (``TMPDIR``).

        Returns
        -------
        asynchronous context manager of a binary file
            ``async with request.as_file() as file: ...``

        Raises
        ------
        AssociationClosed
            Where the association ended before the last fragment.
        Refused
            Where the dataset is longer than it may be.
        OSError
            Where there is no room for it.
        RuntimeError
            Where something of the dataset was read.
        """
        return spooled(self.dataset, self.file_meta(), memory, folder)

    def file_meta(self) -> bytes:
        """Return what precedes the dataset in a file (PS3.10 section 7.1).

        Preamble, prefix and File Meta Information: the classes and UIDs are the command's, the
        transfer syntax is the context's. Followed by the bytes of `dataset` it is a DICOM file.

        Returns
        -------
        bytes
            Some hundred of them.
        """
        return encode_file_meta(
            self.sop_class_uid,
            self.sop_instance_uid,
            self.transfer_syntax_uid,
            self.association.calling_ae_title,
        )


class StoreHandler(Protocol):
    """What stores objects (PS3.4 annex B): an asynchronous function, a closure, or an object with
    an asynchronous ``__call__``.

    It is given a `StoreRequest` as soon as the command has come, and returns a `Status`, or any
    other number from 0 to 0xFFFF. It raises `Refused` to say no at once, and why, and
    `AbortAssociation` to end the association. Of other exceptions an `OSError` is answered 0xA700,
    out of resources, and the rest 0xC211, unable to process.
    """

    def __call__(self, request: StoreRequest, /) -> Awaitable[int]:
        """Store one object."""


class EchoHandler(Protocol):
    """What answers a C-ECHO (PS3.4 annex A): like a `StoreHandler`, with an `EchoRequest`."""

    def __call__(self, request: EchoRequest, /) -> Awaitable[int]:
        """Answer one C-ECHO."""


class Authorize(Protocol):
    """What decides whether an association may be (PS3.8 7.1): an asynchronous callable.

    It is given an `AssociationInfo`, and awaited before the association is accepted. It returns
    nothing, and raises `AssociationRejected` to say no, and why.
    """

    def __call__(self, association: AssociationInfo, /) -> Awaitable[None]:
        """Decide on one association."""
