"""Objects and jobs to test the writers with."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from aiodicom.storage.commit import Job
from aiodicom.storage.folder_tree import FolderTree
from aiodicom.storage.object_file import Duplicates, ObjectFile
from tests.peer import CT, element, uid_value

SPECIFIC_CHARACTER_SET, SERIES_DATE = 0x00080005, 0x00080021
PATIENT_NAME, STUDY_INSTANCE_UID = 0x00100010, 0x0020000D


def sorted_dataset(
    uid: str,
    study: str | None = "1.2.9",
    *,
    name: bytes | None = None,
    charset: bytes | None = None,
    date: bytes | None = None,
    pixels: bytes = b"\1\2" * 50,
) -> bytes:
    """A small CT in Explicit VR Little Endian with what it may be sorted by."""
    values = [
        (SPECIFIC_CHARACTER_SET, b"CS", charset),
        (0x00080016, b"UI", uid_value(CT)),
        (0x00080018, b"UI", uid_value(uid)),
        (SERIES_DATE, b"DA", date),
        (PATIENT_NAME, b"PN", name),
        (STUDY_INSTANCE_UID, b"UI", None if study is None else study.encode("latin-1")),
    ]
    elements = [element(tag, vr, value) for tag, vr, value in values if value is not None]
    head = b"\xe0\x7f\x10\x00OW\0\0" + len(pixels).to_bytes(4, "little")
    return b"".join(elements) + head + pixels


def tree(folder: Path) -> list[str]:
    """The files below a folder that are not hidden, by their paths in it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(str(p.relative_to(folder)) for p in files if not p.name.startswith("."))


def file_in(
    folder: Path, name: str = "CT.1", duplicates: Duplicates = Duplicates.REPLACE
) -> ObjectFile:
    return ObjectFile(FolderTree(os.fspath(folder)), name, f".{name}.part", duplicates)


def job(file: ObjectFile, *buffers: bytes, is_last: bool = True) -> Job:
    return Job(file, buffers or (b"data",), None, is_last)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What we warn of; asyncio's debug mode warns of a slow machine."""
    ours = (record for record in caplog.records if record.name.startswith("aiodicom"))
    return [record.getMessage() for record in ours if record.levelno >= logging.WARNING]


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
