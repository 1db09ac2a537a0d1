"""The folder that objects go to, and those below it: made where they are missing, and durable."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

__all__ = ["FolderTree"]

MAXIMUM_KNOWN = 1024
"""Folders that are remembered as durable; with more of them, some are synced once more."""


class FolderTree:
    """A folder and those below it; writer threads share it.

    An object is durable only when the entries of all the folders on its way are. Whoever makes a
    folder is not always the first one to finish an object in it: so everybody syncs the folders
    above, until they are known to have been synced.

    Parameters
    ----------
    root : str
        An absolute path. What is above it is taken as durable, unless it is made here.
    """

    __slots__ = ("_durable", "_lock", "_top", "made", "root")

    def __init__(self, root: str) -> None:
        self.root = root
        self.made = 0
        self._top = root
        self._durable: set[str] = set()
        self._lock = threading.Lock()

    def make(self, folder: str) -> None:
        """Make a folder and those above it, where they are missing.

        Raises
        ------
        OSError
            Where one cannot be made.
        """
        with self._lock:
            missing = missing_folders(folder)
            self.made += 1
            self._durable.difference_update(missing)  # first: a thread that sees one looks here
            if missing:
                above = os.path.dirname(missing[-1])
                if len(above) < len(self._top):
                    self._top = above
            os.makedirs(folder, exist_ok=True)

    def make_new(self, name: Callable[[int], str]) -> str:
        """Make a folder below the root that nobody else has, in any process.

        Parameters
        ----------
        name : callable
            Given 0, 1, ..., returns the names to try.

        Returns
        -------
        str
            Its path.

        Raises
        ------
        OSError
            Where it cannot be made.
        """
        number = 0
        while True:
            folder = f"{self.root}/{name(number)}"
            try:
                os.mkdir(folder)
            except FileExistsError:
                number += 1
            except FileNotFoundError:
                self.make(self.root)
            else:
                return folder

    def holders(self, folder: str) -> list[str]:
        """Return the folders above one that have to be synced for its sake."""
        holders: list[str] = []
        while folder != self._top and folder not in self._durable:
            folder = os.path.dirname(folder)
            holders.append(folder)
        return holders

    def synced(self, folder: str, made: int) -> None:
        """Remember that the `holders` of a folder have been synced.

        Parameters
        ----------
        folder : str
            Which one.
        made : int
            What `made` was before: folders that were removed and made again since do not count.
        """
        with self._lock:
            if made != self.made:
                return
            if len(self._durable) >= MAXIMUM_KNOWN:
                self._durable.clear()
            while folder != self._top and folder not in self._durable:
                self._durable.add(folder)
                folder = os.path.dirname(folder)


def missing_folders(folder: str) -> list[str]:
    """Return those of a folder and the ones above it that are not there, the lowest one first."""
    missing = []
    path = os.path.abspath(folder)
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    return missing
