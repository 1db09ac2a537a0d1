"""The folder that objects go to, and those below it: made where they are missing, and durable."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

__all__ = ["FolderTree", "folders_above", "missing_folders"]

MAXIMUM_KNOWN = 64
"""Folders that are remembered as durable, each by a descriptor; with more of them, those above
some are synced once more."""

Identity = tuple[int, int]
"""Device and inode: whose they are as long as a descriptor is open."""


class FolderTree:
    """A folder and those below it; writer threads share it.

    An object is durable only when the entries of all the folders on its way are. Whoever makes a
    folder is not always the first one to finish an object in it: so everybody syncs the folders
    above, until they are known to have been synced. What is known is known of one folder, not of
    its name: another process may have removed it, and made it again.

    Parameters
    ----------
    root : str
        An absolute path. What is above it is taken as durable, unless it is made here.
    """

    __slots__ = ("_known", "_lock", "_top", "root")

    def __init__(self, root: str) -> None:
        self.root = root
        self._top = root
        self._known: dict[str, tuple[int, Identity]] = {}
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
        if folder == self._top or self._is_known(folder):
            return holders
        while folder != self._top and folder.strip("/"):  # of the root "/" there is "//folder"
            folder = os.path.dirname(folder)
            holders.append(folder)
        return holders

    def _is_known(self, folder: str) -> bool:
        known = self._known.get(folder)
        try:
            return known is not None and known[1] == _identity(os.stat(folder))
        except OSError:  # it is gone
            return False

    def synced(self, folder: str, descriptor: int) -> None:
        """Remember that the `holders` of a folder have been synced.

        Parameters
        ----------
        folder : str
            Which one.
        descriptor : int
            Of it, opened before that. It is the tree's now: an inode's number may become
            another's when nobody has it open.
        """
        with self._lock:
            gone = self._known.pop(folder, None)
            if gone is None and len(self._known) >= MAXIMUM_KNOWN:
                gone = self._known.pop(next(iter(self._known)))
            self._known[folder] = descriptor, _identity(os.fstat(descriptor))
        if gone is not None:
            os.close(gone[0])

    def close(self) -> None:
        """Forget what was synced."""
        with self._lock:
            for descriptor, _ in self._known.values():
                os.close(descriptor)
            self._known.clear()


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino


def folders_above(folder: str) -> list[str]:
    """Return the folders above one, up to where its file system is mounted."""
    above = []
    while not os.path.ismount(folder):
        folder = os.path.dirname(folder)
        above.append(folder)
    return above


def missing_folders(folder: str) -> list[str]:
    """Return those of a folder and the ones above it that are not there, the lowest one first."""
    missing = []
    path = os.path.abspath(folder)
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    return missing
