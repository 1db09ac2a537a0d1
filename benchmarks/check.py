"""Whether what was acknowledged is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pydicom

from aiodicom.wire.part10 import FileMeta
from benchmarks.messages import LoadError, instance_uid
from benchmarks.objects import PIXEL_DATA
from benchmarks.receivers.receiver import Receiver

__all__ = ["check_stored"]

SAMPLE = 1000
"""Objects of which all bytes are compared, of one size; fewer of them where they are large."""

MOST_BYTES = 1 << 25
CHUNK = 1 << 20
HEAD = 1 << 16
"""Within so many bytes of a file its dataset begins, and the SOP Instance UID stands."""


def check_stored(receiver: Receiver, folder: Path, sent: dict[Path, set[int]]) -> None:
    """Compare a folder with the objects that were acknowledged.

    Parameters
    ----------
    receiver : Receiver
        Who has stored them.
    folder : Path
        Where they are.
    sent : dict of Path to set of int
        The numbers of those that were acknowledged, by the file of their dataset.

    Raises
    ------
    LoadError
        Where one is missing, too many or, in a sample, not what was sent.
    """
    files = dict(_by_name(receiver, folder) if receiver.file_name else _by_content(folder))
    expected = {instance_uid(number).decode() for numbers in sent.values() for number in numbers}
    missing, unexpected = expected - files.keys(), files.keys() - expected
    if missing:
        raise LoadError(f"{len(missing)} of {len(expected)} acknowledged objects are not there")
    if unexpected:
        raise LoadError(f"{len(unexpected)} files are there that were not acknowledged")
    for dataset, numbers in sent.items():
        _check_one_size(receiver, files, dataset, numbers)


def _by_name(receiver: Receiver, folder: Path) -> Iterator[tuple[str, Path]]:
    """Return the files by the SOP Instance UID in their names."""
    before, _, after = receiver.file_name.partition("{uid}")
    for entry in os.scandir(folder):
        if not entry.name.startswith("."):
            yield entry.name.removeprefix(before).removesuffix(after), Path(entry.path)


def _by_content(folder: Path) -> Iterator[tuple[str, Path]]:
    """Return the DICOM files in all folders by the SOP Instance UID in their datasets."""
    for path in folder.rglob("*"):
        if path.is_file() and not any(part.startswith(".") for part in path.parts[-3:]):
            head = _head(path)
            if head[128:132] == b"DICM":
                image = pydicom.dcmread(path, specific_tags=["SOPInstanceUID"])
                yield str(image.SOPInstanceUID), path


def _check_one_size(
    receiver: Receiver, files: dict[str, Path], dataset: Path, numbers: set[int]
) -> None:
    paths = {number: files[instance_uid(number).decode()] for number in numbers}
    sizes = {path.stat().st_size for path in paths.values()}
    if len(sizes) > 1:
        raise LoadError(f"files of {len(sizes)} different sizes; all objects have the same")
    compare = _compare_bytes if receiver.preserves_bytes else _compare_image
    ordered = sorted(paths)
    sample = max(min(SAMPLE, MOST_BYTES // dataset.stat().st_size), 1)
    for number in ordered[:: -max(len(ordered) // sample, 1)]:  # with the one that came last
        compare(paths[number], dataset, number)


def _compare_bytes(stored: Path, sent: Path, number: int) -> None:
    """Compare a stored dataset with what was sent, byte by byte."""
    try:
        _, start = FileMeta.decode(_head(stored))
    except ValueError:
        raise LoadError("a stored file is no DICOM file") from None
    expected = _head(sent).replace(instance_uid(0), instance_uid(number))
    if not _is_same(stored, start, sent, 0, expected):
        raise LoadError("a stored dataset is not what was sent")


def _compare_image(stored: Path, sent: Path, number: int) -> None:
    """Compare the identity and the pixels of a dataset that the receiver has encoded anew."""
    try:
        image = pydicom.dcmread(stored, specific_tags=["SOPInstanceUID"])
        uid = image.SOPInstanceUID.encode()
    except Exception as error:  # whatever the reader's trouble is, it is the file's
        raise LoadError(f"a stored file cannot be read: {type(error).__name__}") from None
    head = _head(sent)
    first = head.index(PIXEL_DATA) + len(PIXEL_DATA) + 4
    start = stored.stat().st_size - (sent.stat().st_size - first)
    if uid != instance_uid(number) or not _is_same(stored, start, sent, first, head[first:]):
        raise LoadError("a stored image is not what was sent")


def _is_same(stored: Path, start: int, sent: Path, first: int, head: bytes) -> bool:
    """Tell whether `stored` from `start` is `head`, then `sent` after `first` and the head."""
    if start < 0 or stored.stat().st_size - start != sent.stat().st_size - first:
        return False
    with stored.open("rb") as one, sent.open("rb") as other:
        one.seek(start)
        other.seek(first + len(head))
        if one.read(len(head)) != head:
            return False
        while data := one.read(CHUNK):
            if data != other.read(CHUNK):
                return False
    return True


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)
