"""Configuration files of the receivers that want one."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["dcmrecv", "orthanc"]

_DCMRECV = """\
[[TransferSyntaxes]]
[Any]
TransferSyntax1 = LittleEndianExplicit
TransferSyntax2 = LittleEndianImplicit
[[PresentationContexts]]
[Any]
PresentationContext1 = VerificationSOPClass\\Any
PresentationContext2 = CTImageStorage\\Any
[[Profiles]]
[Default]
PresentationContexts = Any
"""


def dcmrecv(folder: Path, _port: int) -> None:
    """Let dcmrecv accept what is sent: without a profile it accepts no storage."""
    (folder / ".dcmrecv.cfg").write_text(_DCMRECV, encoding="ascii")


def orthanc(folder: Path, port: int, *, synced: bool, shipped: bool) -> None:
    """Let Orthanc store into a folder, its index included; it serves no HTTP."""
    settings: dict[str, object] = {
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder / ".index"),
        "DicomPort": port,
        "HttpServerEnabled": False,
        "SyncStorageArea": synced,
        "Plugins": [],
    }
    if not shipped:
        settings |= {"MaximumPduLength": 131072, "DicomThreadsCount": 16}
    (folder / ".orthanc.json").write_text(json.dumps(settings), encoding="utf-8")
