"""Whose a temporary file is, and whether its owner is still there.

Every running `FileStorage` holds a lock on a file of its own in its folder, and its temporary
files carry its name. Whose lock is free is gone, and what it left unfinished can go: workers
and an overlapping restart leave each other alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import logging
import os
import re
import secrets
from collections.abc import Collection

__all__ = ["Owner", "is_own_file", "remove_leftovers"]

logger = logging.getLogger("aiodicom.storage")

_LOCK = re.compile(r"\.aiodicom-([0-9a-f]{8})\.lock")
_PART = re.compile(r"\.aiodicom-([0-9a-f]{8})-\d+\.part")


class Owner:
    """A name for temporary files, held as long as this is open.

    Parameters
    ----------
    folder : str
        Where the lock file is made.

    Raises
    ------
    OSError
        Where the folder cannot be written to.
    """

    def __init__(self, folder: str) -> None:
        self._numbers = itertools.count(1)
        while True:
            self._name = secrets.token_hex(4)
            self._path = _lock_path(folder, self._name)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                if _lock(self._descriptor) and os.fstat(self._descriptor).st_nlink:
                    return
            except OSError:  # a file system without locks
                self.close()
                raise
            os.close(self._descriptor)  # a cleaner was faster: it takes us for gone

    def temporary_name(self) -> str:
        """Return a name that no other file has."""
        return f".aiodicom-{self._name}-{next(self._numbers)}.part"

    def close(self) -> None:
        """Give the lock up; nothing of this owner's is left."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        os.close(self._descriptor)


def is_own_file(name: str) -> bool:
    """Tell whether a file has a name that only storages give: no object, or none yet."""
    return bool(_LOCK.fullmatch(name) or _PART.fullmatch(name))


def remove_leftovers(folder: str) -> int:
    """Remove the temporary files of owners that are gone.

    They all stand in the folder itself. Those below it may be many, and are not looked through:
    a worker that was killed is replaced at once, however much has been stored. An owner makes its
    lock file before its first temporary file and removes it after the last one. Who has none is
    gone: a power cut may lose what was done to the one and not what was done to the others.

    Returns
    -------
    int
        How many were removed.
    """
    gone = {}
    for entry in os.listdir(folder):
        match = _LOCK.fullmatch(entry)
        if match:
            path = os.path.join(folder, entry)
            descriptor = _lock_of_one_gone(path)
            if descriptor is not None:
                gone[match[1]] = path, descriptor
    stuck: set[str] = set()
    removed = _remove_parts(folder, os.listdir(folder), gone, stuck)
    for name, (path, descriptor) in gone.items():  # last: a crash now leaves them to be found
        if name not in stuck:
            with contextlib.suppress(OSError):
                os.unlink(path)
        os.close(descriptor)
    return removed


def _lock_path(folder: str, owner: str) -> str:
    return os.path.join(folder, f".aiodicom-{owner}.lock")


def _remove_parts(folder: str, files: list[str], gone: Collection[str], stuck: set[str]) -> int:
    """Remove what owners that are gone have in a folder; note whose could not be removed."""
    removed = 0
    for name in files:
        match = _PART.fullmatch(name)
        if match and (match[1] in gone or not os.path.exists(_lock_path(folder, match[1]))):
            try:
                os.unlink(os.path.join(folder, name))
                removed += 1
            except OSError as error:
                logger.warning("Cannot remove the leftover %s: %s", name, error)
                stuck.add(match[1])
    return removed


def _lock_of_one_gone(path: str) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    if _lock(descriptor):
        return descriptor
    os.close(descriptor)
    return None


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
