"""pydicom's test files, as objects that can be sent."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import pydicom

from aiodicom.storage.layout import default_name
from aiodicom.wire.negotiation import is_storage
from aiodicom.wire.part10 import FileMeta

ROOT = Path(pydicom.__file__).parent / "data"

WITHOUT_META = {
    "ExplVR_BigEndNoMeta.dcm": pydicom.uid.ExplicitVRBigEndian,
    "ExplVR_LitEndNoMeta.dcm": pydicom.uid.ExplicitVRLittleEndian,
    "rtstruct.dcm": pydicom.uid.ImplicitVRLittleEndian,
}
"""Datasets without a File Meta, and how they are encoded."""


@dataclass(frozen=True)
class Sample:
    """An object that can be sent: its UIDs, its transfer syntax and its bytes as they are."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str

    @property
    def stored_as(self) -> str:
        """What its file is called when it is stored."""
        return default_name(self.sop_class_uid, self.sop_instance_uid)

    @property
    def data(self) -> bytes:
        data = self.path.read_bytes()
        if self.path.name in WITHOUT_META:
            return data
        return data[FileMeta.decode(data)[1] :]


def read(path: Path) -> pydicom.FileDataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(io.BytesIO(path.read_bytes()), force=True)


def sample(path: Path) -> Sample | None:
    """Return what a file holds, or None where it is no object of a storage SOP class."""
    dataset = read(path)
    sop_class, instance = str(dataset.get("SOPClassUID", "")), dataset.get("SOPInstanceUID")
    if not is_storage(sop_class) or not instance:
        return None
    syntax = WITHOUT_META.get(path.name) or dataset.file_meta.TransferSyntaxUID
    return Sample(path, sop_class, str(instance), str(syntax))


FILES = sorted(path for path in ROOT.rglob("*") if path.is_file() and path.suffix != ".py")
SAMPLES = [found for path in FILES if (found := sample(path))]
CUT_OFF = [one for one in SAMPLES if one.path.stem.endswith("_truncated")]
"""What is not sent, because it ends in the middle of an element."""


def named(name: str) -> Sample:
    """The sample in the file of that name."""
    return next(one for one in SAMPLES if one.path.name == name)
