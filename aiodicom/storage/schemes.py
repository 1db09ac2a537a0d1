"""What files are called, and how a folder is arranged."""

from __future__ import annotations

import enum
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from aiodicom.storage.layout import PREFIXES, safe_uid
from aiodicom.storage.sorting import Sorting

__all__ = ["Layout", "Names"]

MAXIMUM_EXTENSION = 32
"""Bytes of an extension, so that name and suffixes have room beside it."""


class Names(enum.Enum):
    """How objects are called. All but the first give every object a name of its own."""

    INSTANCE = "instance"
    """``<PREFIX>.<SOP Instance UID>``"""
    UNIQUE = "unique"
    """``<PREFIX>.X.<new UID>``"""
    SHORT = "short"
    """``<PREFIX>_<16 hexadecimal digits>``"""
    MICROSECONDS = "microseconds"
    """``<YYYYMMDDHHMMSS>.<ffffff>.<PREFIX>``, local time"""
    MILLISECONDS = "milliseconds"
    """``<YYYYMMDDHHMMSSmmm>.<PREFIX>``, local time"""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where in its folder an object goes.

    Parameters
    ----------
    names : Names
        What it is called.
    sorting : Sorting or None
        How subfolders are made; None for all in one folder.
    extension : str
        What is appended to every name, as it is.

    Raises
    ------
    ValueError
        Where the extension cannot be a part of a file name.
    """

    names: Names = Names.INSTANCE
    sorting: Sorting | None = None
    extension: str = ""

    def __post_init__(self) -> None:
        if "/" in self.extension or "\0" in self.extension:
            raise ValueError(f"{self.extension!r} is no extension: give one without / and NUL")
        if len(os.fsencode(self.extension)) > MAXIMUM_EXTENSION:
            limit = f"give at most {MAXIMUM_EXTENSION} bytes"
            raise ValueError(f"{self.extension!r} is too long an extension: {limit}")

    @property
    def is_fresh(self) -> bool:
        """Whether every object gets a name of its own, even the same object sent again."""
        return self.names is not Names.INSTANCE

    def candidates(self, sop_class_uid: str, sop_instance_uid: str) -> Callable[[int], str]:
        """Return a function that makes an object's name of 0, and of 1, 2, ... further ones."""
        prefix = PREFIXES.get(sop_class_uid)
        return _MAKERS[self.names](prefix, sop_instance_uid, self.extension)


def _instance(prefix: str | None, instance: str, extension: str) -> Callable[[int], str]:
    stem = f"{prefix or 'UNKNOWN'}.{safe_uid(instance)}"
    return lambda number: f"{stem}~{number}{extension}" if number else stem + extension


def _unique(prefix: str | None, instance: str, extension: str) -> Callable[[int], str]:
    import uuid  # takes some milliseconds that hardly anybody needs

    stem = f"{prefix or 'UNKNOWN'}.X"
    return lambda _: f"{stem}.2.25.{uuid.uuid4().int}{extension}"  # PS3.5 B.2


def _short(prefix: str | None, instance: str, extension: str) -> Callable[[int], str]:
    # XX and not UNKNOWN, in these names only: as dcmrecv's users know it.
    return lambda _: f"{prefix or 'XX'}_{secrets.token_hex(8)}{extension}"


def _microseconds(prefix: str | None, instance: str, extension: str) -> Callable[[int], str]:
    return _timed(f"{datetime.now().astimezone():%Y%m%d%H%M%S.%f}", prefix, extension)


def _milliseconds(prefix: str | None, instance: str, extension: str) -> Callable[[int], str]:
    stamp = f"{datetime.now().astimezone():%Y%m%d%H%M%S%f}"[:-3]
    return _timed(stamp, prefix, extension)


def _timed(stamp: str, prefix: str | None, extension: str) -> Callable[[int], str]:
    tail = f".{prefix or 'UNKNOWN'}{extension}"
    return lambda number: f"{stamp}_{number:04}{tail}" if number else stamp + tail


_MAKERS = {
    Names.INSTANCE: _instance,
    Names.UNIQUE: _unique,
    Names.SHORT: _short,
    Names.MICROSECONDS: _microseconds,
    Names.MILLISECONDS: _milliseconds,
}
