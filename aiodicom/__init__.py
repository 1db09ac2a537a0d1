"""aiodicom: DICOM over the network, inside an asyncio program.

What is named here is imported when it is first used: a receiver does not pay for the sender.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiodicom.first_use import imported_at_first_use
from aiodicom.wire.identity import __version__

if TYPE_CHECKING:
    from aiodicom.access.file import AccessFile, AccessFileError
    from aiodicom.access.passwords import PasswordHash, Passwords
    from aiodicom.access.rules import Access, AccessRules, Binding, Verifier, not_authenticated
    from aiodicom.certificate import PeerCertificate
    from aiodicom.client import Requestor, StoreResult, connect
    from aiodicom.dataset import DatasetStream
    from aiodicom.errors import (
        AbortAssociation,
        AbortReason,
        AssociationAborted,
        AssociationClosed,
        AssociationLost,
        AssociationRejected,
        DicomError,
        NotSent,
        ProtocolError,
        Refused,
    )
    from aiodicom.handling.choosing import when
    from aiodicom.handling.lifecycle import ComposedHandler
    from aiodicom.handling.limiting import at_most
    from aiodicom.handling.teeing import tee
    from aiodicom.limits import Limits, Timeouts
    from aiodicom.listening import Listener
    from aiodicom.objects.altered import Alterations
    from aiodicom.objects.header import ObjectHeader, read_header
    from aiodicom.requests import (
        AssociationInfo,
        Authorize,
        EchoHandler,
        EchoRequest,
        StoreHandler,
        StoreRequest,
    )
    from aiodicom.server.server import Server
    from aiodicom.server.serving import run, serve
    from aiodicom.storage.files import FileStorage
    from aiodicom.storage.stored import StoredObject
    from aiodicom.wire.buffers import Block
    from aiodicom.wire.dimse import CommandSet, Priority, Status
    from aiodicom.wire.items import (
        AcceptedContext,
        ProposedContext,
        RoleSelection,
        SOPClassExtendedNegotiation,
        UserIdentity,
    )
    from aiodicom.wire.negotiation import PresentationContext
    from aiodicom.wire.pdu import AssociateAccept, AssociateRequest
    from aiodicom.wire.proposal import Agreed

__all__ = [
    "AbortAssociation",
    "AbortReason",
    "AcceptedContext",
    "Access",
    "AccessFile",
    "AccessFileError",
    "AccessRules",
    "Agreed",
    "Alterations",
    "AssociateAccept",
    "AssociateRequest",
    "AssociationAborted",
    "AssociationClosed",
    "AssociationInfo",
    "AssociationLost",
    "AssociationRejected",
    "Authorize",
    "Binding",
    "Block",
    "CommandSet",
    "ComposedHandler",
    "DatasetStream",
    "DicomError",
    "EchoHandler",
    "EchoRequest",
    "FileStorage",
    "Limits",
    "Listener",
    "NotSent",
    "ObjectHeader",
    "PasswordHash",
    "Passwords",
    "PeerCertificate",
    "PresentationContext",
    "Priority",
    "ProposedContext",
    "ProtocolError",
    "Refused",
    "Requestor",
    "RoleSelection",
    "SOPClassExtendedNegotiation",
    "Server",
    "Status",
    "StoreHandler",
    "StoreRequest",
    "StoreResult",
    "StoredObject",
    "Timeouts",
    "UserIdentity",
    "Verifier",
    "__version__",
    "at_most",
    "connect",
    "not_authenticated",
    "read_header",
    "run",
    "serve",
    "tee",
    "when",
]

if not TYPE_CHECKING:  # a checker would believe that there is whatever anybody writes
    __getattr__, __dir__ = imported_at_first_use(
        __name__,
        {
            "access.file": "AccessFile AccessFileError",
            "access.passwords": "PasswordHash Passwords",
            "access.rules": "Access AccessRules Binding Verifier not_authenticated",
            "certificate": "PeerCertificate",
            "client": "Requestor StoreResult connect",
            "dataset": "DatasetStream",
            "errors": "AbortAssociation AbortReason AssociationAborted AssociationClosed "
            "AssociationLost AssociationRejected DicomError NotSent ProtocolError Refused",
            "handling.choosing": "when",
            "handling.lifecycle": "ComposedHandler",
            "handling.limiting": "at_most",
            "handling.teeing": "tee",
            "limits": "Limits Timeouts",
            "listening": "Listener",
            "objects.altered": "Alterations",
            "objects.header": "ObjectHeader read_header",
            "requests": "AssociationInfo Authorize EchoHandler EchoRequest StoreHandler "
            "StoreRequest",
            "server.server": "Server",
            "server.serving": "run serve",
            "storage.files": "FileStorage",
            "storage.stored": "StoredObject",
            "wire.buffers": "Block",
            "wire.dimse": "CommandSet Priority Status",
            "wire.items": "AcceptedContext ProposedContext RoleSelection "
            "SOPClassExtendedNegotiation UserIdentity",
            "wire.negotiation": "PresentationContext",
            "wire.pdu": "AssociateAccept AssociateRequest",
            "wire.proposal": "Agreed",
        },
    )
