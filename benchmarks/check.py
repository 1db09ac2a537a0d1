"""Whether what was acknowledged is there."""

from __future__ import annotations

import os
from pathlib import Path

import pydicom

from aiodicom.wire.part10 import FileMeta
from benchmarks.messages import LoadError, instance_uid
from benchmarks.receivers import Receiver

__all__ = ["check_stored"]

SAMPLE = 20


def check_stored(receiver: Receiver, folder: str, numbers: set[int], dataset: bytes) -> None:
    """Compare a folder with the objects that were acknowledged.

    Parameters
    ----------
    receiver : Receiver
        Who has stored them.
    folder : str
        Where they are.
    numbers : set of int
        The numbers of those that were acknowledged.
    dataset : bytes
        The dataset of object number 0.

    Raises
    ------
    LoadError
        Where one is missing, too many or, in a sample, not what was sent.
    """
    expected = {_name(number): number for number in numbers}
    files = {entry.name: entry for entry in os.scandir(folder) if not entry.name.startswith(".")}
    missing, unexpected = expected.keys() - files.keys(), files.keys() - expected.keys()
    if missing:
        raise LoadError(f"{len(missing)} of {len(expected)} acknowledged objects are not there")
    if unexpected:
        raise LoadError(f"{len(unexpected)} files are there that were not acknowledged")
    sizes = {entry.stat().st_size for entry in files.values()}
    if len(sizes) != 1:
        raise LoadError(f"files of {len(sizes)} different sizes; all objects have the same")
    ordered = sorted(expected)
    for name in ordered[:: max(len(ordered) // SAMPLE, 1)]:
        sent = dataset.replace(instance_uid(0), instance_uid(expected[name]))
        compare = _compare_bytes if receiver.preserves_bytes else _compare_image
        compare(Path(folder, name), sent)


def _name(number: int) -> str:
    return f"CT.{instance_uid(number).decode()}"


def _compare_bytes(path: Path, sent: bytes) -> None:
    stored = path.read_bytes()
    try:
        _, start = FileMeta.decode(stored)
    except ValueError:
        raise LoadError("a stored file is no DICOM file") from None
    if stored[start:] != sent:
        raise LoadError("a stored dataset is not what was sent")


def _compare_image(path: Path, sent: bytes) -> None:
    try:
        image = pydicom.dcmread(path)
        uid, pixels = image.SOPInstanceUID.encode(), image.PixelData
    except Exception as error:  # whatever the reader's trouble is, it is the file's
        raise LoadError(f"a stored file cannot be read: {type(error).__name__}") from None
    if sent.count(uid) != 1 or not sent.endswith(pixels):
        raise LoadError("a stored image is not what was sent")
