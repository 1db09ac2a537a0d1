"""aiodicom: DICOM over the network, inside an asyncio program."""

from aiodicom.access import Limits, Timeouts
from aiodicom.dataset import DatasetStream
from aiodicom.errors import (
    AssociationAborted,
    AssociationClosed,
    AssociationLost,
    AssociationRejected,
    DicomError,
    ProtocolError,
    Refused,
)
from aiodicom.requests import AssociationInfo, EchoRequest, StoreRequest
from aiodicom.server import Server, run, serve
from aiodicom.storage.files import FileStorage
from aiodicom.wire.dimse import Priority, Status
from aiodicom.wire.identity import __version__

__all__ = [
    "AssociationAborted",
    "AssociationClosed",
    "AssociationInfo",
    "AssociationLost",
    "AssociationRejected",
    "DatasetStream",
    "DicomError",
    "EchoRequest",
    "FileStorage",
    "Limits",
    "Priority",
    "ProtocolError",
    "Refused",
    "Server",
    "Status",
    "StoreRequest",
    "Timeouts",
    "__version__",
    "run",
    "serve",
]
