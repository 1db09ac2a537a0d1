"""Short names for the files of a study that has ended."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable

from aiodicom.describe import escape

__all__ = ["rename_files"]

logger = logging.getLogger("aiodicom.storage")


def rename_files(folder: str, names: Iterable[str]) -> int:
    """Call files by the first two characters of their names and a number from 000001 on.

    No other file is ever replaced: a name that is taken is passed over. A file that is gone is
    somebody's who has moved it. The new names are synced; where that fails, the objects are still
    there, under one name or the other. A name is taken by a symbolic link; where the file system
    has none, all keep their names.

    Returns
    -------
    int
        How many files have got a new name.
    """
    number = renamed = 0
    for name in names:
        try:
            taken = _take(folder, name, number)
        except OSError as error:  # no right, no room, no symbolic links: as for the other names
            logger.warning("Files of a study keep their names: %s", error.strerror)
            break
        if _rename(f"{folder}/{name}", _numbered(folder, name, taken)):
            number = taken
            renamed += 1
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return renamed


def _numbered(folder: str, name: str, number: int) -> str:
    return f"{folder}/{name[:2]}{number:06}"


def _take(folder: str, name: str, number: int) -> int:
    """Take the first free number above `number` for a file; return that."""
    while True:
        number += 1
        # Not an empty file: whoever looks before the next step, or after a crash, finds an
        # object under this name that is whole.
        with contextlib.suppress(FileExistsError):
            os.symlink(name, _numbered(folder, name, number))
            return number


def _rename(path: str, taken: str) -> bool:
    """Give a file the name that is taken for it; tell whether it has got it."""
    try:
        # In one step: the object may just now be replaced by a newer one of its name, and
        # whichever it is moves whole.
        os.rename(path, taken)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(taken)
        if not isinstance(error, FileNotFoundError):
            name = escape(os.path.basename(path))
            logger.warning("Cannot rename %s: %s", name, error.strerror)
        return False
    return True
