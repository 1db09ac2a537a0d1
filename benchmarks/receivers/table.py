"""The receivers that are measured."""

from __future__ import annotations

import functools
import sys

from benchmarks.receivers import configuration
from benchmarks.receivers.packages import DCMJS_SCRIPT, NODE_MODULES, PIXELMED_JAR
from benchmarks.receivers.receiver import Receiver

__all__ = ["FORK", "OURS", "RECEIVERS", "named"]

_LOCAL = ("-q", "-ba", "127.0.0.1", "-od", "{folder}")
_LARGE_PDU = ("-pdu", "131072")
_NO_DELAY = {"TCP_NODELAY": "1"}
"""Without it DCMTK leaves Nagle's algorithm on, and answers any sender once per 44 ms."""

_PROCESSES = "it forks a process of some 6 MB for each association"
_REFUSES = "it refuses the eleventh association"


def _python(module: str, *options: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *module.split(), "{port}", *options)


def _ours(key: str, name: str, *options: str) -> Receiver:
    command = _python("aiodicom.storescp", *_LOCAL, *_LARGE_PDU, *options)
    return Receiver(key, name, "aiodicom", command)


def _dcmtk(*options: str) -> tuple[str, ...]:
    return ("storescp", "-q", "-od", "{folder}", *options, "{port}")


def _dcmrecv(*options: str) -> tuple[str, ...]:
    profile = ("-xf", "{folder}/.dcmrecv.cfg", "Default")
    return ("dcmrecv", "-q", "-od", "{folder}", "-uca", *profile, *options, "{port}")


def _module(module: str, *options: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"benchmarks.{module}", *options)


def _orthanc(key: str, name: str, *, synced: bool, shipped: bool = False) -> Receiver:
    prepare = functools.partial(configuration.orthanc, synced=synced, shipped=shipped)
    return Receiver(
        key, name, "Orthanc", ("Orthanc", "{folder}/.orthanc.json"), {} if shipped else _NO_DELAY,
        prepare, file_name="", preserves_bytes=False, as_shipped=shipped,
    )  # fmt: skip


OURS = "ours"
FORK = "dcmtk-fork"

RECEIVERS = (
    _ours(OURS, "aiodicom storescp"),
    _ours("ours-none", "aiodicom storescp --durability none", "--durability", "none"),
    _ours("ours-2", "aiodicom storescp --workers 2", "--workers", "2"),
    _ours("ours-2-none", "aiodicom storescp --workers 2 --durability none",
          "--workers", "2", "--durability", "none"),
    Receiver("ours-shipped", "aiodicom storescp, as shipped", "aiodicom",
             _python("aiodicom.storescp", *_LOCAL), as_shipped=True),
    Receiver("dcmtk", "DCMTK storescp", "DCMTK", _dcmtk(*_LARGE_PDU), _NO_DELAY,
             preserves_bytes=False, one_at_a_time=True),
    Receiver(FORK, "DCMTK storescp --fork +B", "DCMTK", _dcmtk("--fork", "+B", *_LARGE_PDU),
             _NO_DELAY, most_idle=1000, why=_PROCESSES),
    Receiver("dcmrecv", "DCMTK dcmrecv +B", "DCMTK", _dcmrecv("+B", *_LARGE_PDU), _NO_DELAY,
             configuration.dcmrecv, one_at_a_time=True),
    Receiver("dcmtk-shipped", "DCMTK storescp, as shipped", "DCMTK", _dcmtk(),
             preserves_bytes=False, one_at_a_time=True, as_shipped=True),
    Receiver("dcmtk-fork-shipped", "DCMTK storescp --fork, as shipped", "DCMTK",
             _dcmtk("--fork"), preserves_bytes=False, as_shipped=True),
    Receiver("dcmrecv-shipped", "DCMTK dcmrecv, as shipped", "DCMTK", _dcmrecv(),
             prepare=configuration.dcmrecv, preserves_bytes=False, one_at_a_time=True,
             as_shipped=True),
    Receiver("pynetdicom", "pynetdicom storescp", "pynetdicom",
             _python("pynetdicom storescp", *_LOCAL, *_LARGE_PDU),
             preserves_bytes=False, most_associations=8, why=_REFUSES),
    _orthanc("orthanc", "Orthanc", synced=True),
    _orthanc("orthanc-unsynced", "Orthanc, SyncStorageArea off", synced=False),
    _orthanc("orthanc-shipped", "Orthanc, as shipped", synced=True, shipped=True),
    Receiver("dcmjs", "dcmjs-dimse", "dcmjs-dimse",
             ("node", str(DCMJS_SCRIPT), "{port}", "{folder}"), {"NODE_PATH": str(NODE_MODULES)},
             file_name="{uid}.dcm", preserves_bytes=False),
    Receiver("pixelmed", "PixelMed StorageSOPClassSCPDispatcher", "PixelMed",
             ("java", "-cp", str(PIXELMED_JAR),
              "com.pixelmed.network.StorageSOPClassSCPDispatcher", "{port}", "ANY-SCP",
              "{folder}", "0"),
             file_name="{uid}", preserves_bytes=False),
    Receiver("dicom-rs", "dicom-rs storescp -n", "dicom-rs",
             ("dicom-storescp", "-n", "-p", "{port}", "-o", "{folder}", "-m", "131072"),
             file_name="{uid}.dcm", preserves_bytes=False),
    Receiver("null", "null receiver", "aiodicom",
             _module("null_receiver", "{port}"), stores=False),
    Receiver("null-2", "null receiver, 2 processes", "aiodicom",
             _module("null_receiver", "{port}", "--processes", "2"), stores=False),
    Receiver("files", "plain file writing", "aiodicom",
             _module("plain_files", "{folder}", "{size}", "{seconds}", "{objects}"),
             writes_only=True),
    Receiver("files-2", "plain file writing, 2 processes", "aiodicom",
             _module("plain_files", "{folder}", "{size}", "{seconds}", "{objects}",
                     "--processes", "2"),
             writes_only=True),
    Receiver("files-synced", "plain file writing, each synced", "aiodicom",
             _module("plain_files", "{folder}", "{size}", "{seconds}", "{objects}", "--sync"),
             writes_only=True),
)  # fmt: skip


def named(key: str) -> Receiver:
    """Return the receiver of that name."""
    return next(receiver for receiver in RECEIVERS if receiver.key == key)
