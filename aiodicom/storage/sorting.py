"""Subfolders: by date, by study, by patient. No value of a peer's leaves the folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from aiodicom.storage.layout import safe_uid
from aiodicom.storage.patient_names import safe_patient_name
from aiodicom.wire.dimse import clean_uid

__all__ = [
    "SERIES_INSTANCE_UID",
    "STUDY_INSTANCE_UID",
    "Sorting",
    "by_patient_name",
    "by_series_date",
    "by_study_time",
    "by_study_uid",
    "stamped",
]

SPECIFIC_CHARACTER_SET = 0x00080005
SERIES_DATE = 0x00080021
PATIENT_NAME = 0x00100010
STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E

MAXIMUM_PREFIX = 32
"""Bytes of a prefix, so that a UID has room behind it."""

Attributes = Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class Sorting:
    """How the subfolder of an object is found.

    Parameters
    ----------
    tags : frozenset of int
        The attributes of the dataset that it takes, of those at the top level.
    folder : callable
        Given what was found of them, as encoded, returns the subfolder's name, which may have
        slashes; or its beginning, where every run of a study gets a folder of its own.
    is_by_study : bool
        Whether the Study Instance UID is among them, and an object without one is refused.
    is_by_run : bool
        Whether every run of a study gets a new folder, called by the time of its making.
    is_private : bool
        Whether the subfolder's name tells of the patient: a log has it at level DEBUG only.
    """

    tags: frozenset[int]
    folder: Callable[[Attributes], str]
    is_by_study: bool = True
    is_by_run: bool = False
    is_private: bool = False


def by_series_date() -> Sorting:
    """Sort into ``data/YYYY/MM/DD`` by Series Date, or into ``undef/YYYYMMDD`` by today's."""
    return Sorting(frozenset({SERIES_DATE}), _series_date, is_by_study=False, is_private=True)


def by_study_uid(prefix: str = "") -> Sorting:
    """Sort into ``[PREFIX_]<Study Instance UID>``.

    Parameters
    ----------
    prefix : str
        What the names of the folders begin with, at most 32 bytes.

    Raises
    ------
    ValueError
        Where the prefix cannot begin a folder's name.
    """
    head = _head(prefix)

    def folder(found: Attributes) -> str:
        name = safe_uid(study_uid(found))
        # A peer's name must be no . nor .. and hide no folder.
        return f"{head}{name}" if head or name[:1] != "." else f"%2E{name[1:]}"

    return Sorting(frozenset({STUDY_INSTANCE_UID}), folder)


def by_study_time(prefix: str = "") -> Sorting:
    """Sort into ``[PREFIX_]YYYYMMDD_HHMMSSmmm``, a new folder for every run of a study.

    Parameters
    ----------
    prefix : str
        What the names of the folders begin with, at most 32 bytes.

    Raises
    ------
    ValueError
        Where the prefix cannot begin a folder's name.
    """
    head = _head(prefix)
    return Sorting(frozenset({STUDY_INSTANCE_UID}), lambda found: head, is_by_run=True)


def by_patient_name() -> Sorting:
    """Sort into ``<Patient's Name>_YYYYMMDD_HHMMSSmmm``, a new folder for every run of a study."""
    tags = frozenset({STUDY_INSTANCE_UID, PATIENT_NAME, SPECIFIC_CHARACTER_SET})
    return Sorting(tags, _patient_name, is_by_run=True, is_private=True)


def study_uid(found: Attributes) -> str:
    """Return the Study Instance UID (0020,000D), without padding, or an empty string."""
    return clean_uid(found.get(STUDY_INSTANCE_UID, b""))


def stamped(head: str) -> Callable[[int], str]:
    """Return a function that makes names of 0, 1, ...: `head` and the time so many ms from now."""
    now = datetime.now().astimezone()

    def name(number: int) -> str:
        return head + f"{now + timedelta(milliseconds=number):%Y%m%d_%H%M%S%f}"[:-3]

    return name


def _head(prefix: str) -> str:
    if "/" in prefix or "\0" in prefix:
        raise ValueError(f"{prefix!r} is no prefix of a folder: give one without / and NUL")
    if len(os.fsencode(prefix)) > MAXIMUM_PREFIX:
        raise ValueError(f"{prefix!r} is too long a prefix: give at most {MAXIMUM_PREFIX} bytes")
    return f"{prefix}_" if prefix else ""


def _series_date(found: Attributes) -> str:
    day = _date(found.get(SERIES_DATE, b""))
    if day is None:
        return f"undef/{datetime.now().astimezone():%Y%m%d}"
    return f"data/{day.year:04}/{day.month:02}/{day.day:02}"


def _date(value: bytes) -> date | None:
    """Return the first date of a DA (PS3.5 6.2), also as ACR-NEMA wrote it; None for no date."""
    text = value.split(b"\\")[0].strip(b" \0").decode("latin-1")
    if len(text) == 10 and text[4] == text[7] == ".":
        text = text.replace(".", "")
    if len(text) != 8 or not (text.isascii() and text.isdigit()):
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def _patient_name(found: Attributes) -> str:
    name = found.get(PATIENT_NAME, b"")
    return safe_patient_name(name, found.get(SPECIFIC_CHARACTER_SET, b"")) + "_"
