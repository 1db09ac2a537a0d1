"""Objects and jobs to test the writers with."""

from __future__ import annotations

import os
from pathlib import Path

from aiodicom.storage.commit import Job
from aiodicom.storage.object_file import Duplicates, ObjectFile


def file_in(
    folder: Path, name: str = "CT.1", duplicates: Duplicates = Duplicates.REPLACE
) -> ObjectFile:
    return ObjectFile(os.fspath(folder), name, f".{name}.part", duplicates)


def job(file: ObjectFile, *buffers: bytes, is_last: bool = True) -> Job:
    return Job(file, buffers or (b"data",), None, is_last)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
