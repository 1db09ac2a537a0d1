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
    there, under one name or the other. A name is taken by a symbolic link, which the file system
    has to have.

    Returns
    -------
    int
        How many files have got a new name.
    """
    number = renamed = 0
    for name in names:
        try:
            number = _rename(folder, name, number)
            renamed += 1
        except FileNotFoundError:
            continue
        except OSError as error:
            logger.warning("Cannot rename %s: %s", escape(name), error.strerror)
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return renamed


def _rename(folder: str, name: str, number: int) -> int:
    """Rename one file to the first free number above `number`; return that."""
    while True:
        number += 1
        free = f"{folder}/{name[:2]}{number:06}"
        try:
            # Not an empty file: whoever looks before the next step, or after a crash, finds an
            # object under this name that is whole.
            os.symlink(name, free)
        except FileExistsError:
            continue
        try:
            # In one step: the object may just now be replaced by a newer one of its name, and
            # whichever it is moves whole.
            os.rename(f"{folder}/{name}", free)
        except BaseException:
            os.unlink(free)
            raise
        return number
