"""Which files are sent: those that are named, and those in folders."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator

from aiodicom.storage.leftovers import is_own_file

__all__ = ["find_files"]


def find_files(paths: Iterable[str], *, pattern: str = "*", recurse: bool = False) -> Iterator[str]:
    """Yield files, those of a folder in the order of their names.

    In the folder of a running receiver what it has there for itself is passed over.

    Parameters
    ----------
    paths : iterable of str
        Files and folders. What is not there is yielded as it is, so that it is missed, and so is
        a folder that cannot be read.
    pattern : str
        Wildcards that a file in a folder must match.
    recurse : bool
        Whether the folders in folders are looked into as well; links to folders are not.
    """
    for path in paths:
        if os.path.isdir(path):
            yield from _in_folder(path, pattern, recurse)
        else:
            yield path


def _in_folder(folder: str, pattern: str, recurse: bool) -> Iterator[str]:
    unreadable: list[str] = []
    for parent, folders, names in os.walk(
        folder, onerror=lambda error: unreadable.append(error.filename)
    ):
        folders.sort()
        if not recurse:
            folders.clear()
        for name in sorted(names):
            if fnmatch.fnmatchcase(name, pattern) and not is_own_file(name):
                yield os.path.join(parent, name)
    yield from unreadable
