"""aiodicom: DICOM over the network, inside an asyncio program.

What is named here is imported when it is first used: a receiver does not pay for the sender.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from aiodicom.wire.identity import __version__

if TYPE_CHECKING:
    from aiodicom.access.file import AccessFile, AccessFileError
    from aiodicom.access.passwords import Passwords
    from aiodicom.access.rules import Access, Binding, not_authenticated
    from aiodicom.certificate import PeerCertificate
    from aiodicom.client import Requestor, StoreResult, connect
    from aiodicom.dataset import DatasetStream
    from aiodicom.errors import (
        AbortAssociation,
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
    from aiodicom.wire.dimse import Priority, Status
    from aiodicom.wire.items import UserIdentity

__all__ = [
    "AbortAssociation",
    "Access",
    "AccessFile",
    "AccessFileError",
    "Alterations",
    "AssociationAborted",
    "AssociationClosed",
    "AssociationInfo",
    "AssociationLost",
    "AssociationRejected",
    "Authorize",
    "Binding",
    "DatasetStream",
    "DicomError",
    "EchoHandler",
    "EchoRequest",
    "FileStorage",
    "Limits",
    "Listener",
    "NotSent",
    "ObjectHeader",
    "Passwords",
    "PeerCertificate",
    "Priority",
    "ProtocolError",
    "Refused",
    "Requestor",
    "Server",
    "Status",
    "StoreHandler",
    "StoreRequest",
    "StoreResult",
    "StoredObject",
    "Timeouts",
    "UserIdentity",
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

_HOMES = {
    name: f"aiodicom.{module}"
    for module, names in {
        "access.file": "AccessFile AccessFileError",
        "access.passwords": "Passwords",
        "access.rules": "Access Binding not_authenticated",
        "certificate": "PeerCertificate",
        "client": "Requestor StoreResult connect",
        "dataset": "DatasetStream",
        "errors": "AbortAssociation AssociationAborted AssociationClosed AssociationLost "
        "AssociationRejected DicomError NotSent ProtocolError Refused",
        "handling.choosing": "when",
        "handling.limiting": "at_most",
        "handling.teeing": "tee",
        "limits": "Limits Timeouts",
        "listening": "Listener",
        "objects.altered": "Alterations",
        "objects.header": "ObjectHeader read_header",
        "requests": "AssociationInfo Authorize EchoHandler EchoRequest StoreHandler StoreRequest",
        "server.server": "Server",
        "server.serving": "run serve",
        "storage.files": "FileStorage",
        "storage.stored": "StoredObject",
        "wire.dimse": "Priority Status",
        "wire.items": "UserIdentity",
    }.items()
    for name in names.split()
}


if not TYPE_CHECKING:  # a checker would believe that there is whatever anybody writes

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module(home), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
