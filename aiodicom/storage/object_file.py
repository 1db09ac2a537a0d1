"""One object on its way to its name."""

from __future__ import annotations

import contextlib
import enum
import os
from collections.abc import Callable, Sequence

from aiodicom.storage.folder_tree import FolderTree, missing_folders

__all__ = ["Duplicates", "ObjectExists", "ObjectFile", "make_folders"]

MAXIMUM_SLICES = 512
"""Buffers for one `writev`; the kernel takes at most 1024."""


class Duplicates(enum.Enum):
    """What becomes of a complete object whose name is taken."""

    REPLACE = "replace"
    KEEP = "keep"
    BOTH = "both"
    REFUSE = "refuse"


class ObjectExists(Exception):
    """The name is taken, and the policy is to refuse."""


class ObjectFile:
    """One object on its way to its name; used by one writer thread at a time.

    Parameters
    ----------
    tree : FolderTree
        Where it stands until then: in its root.
    name : str
        What it will be called.
    temporary : str
        What it is called until then.
    duplicates : Duplicates
        What to do where the name is taken.
    spare : callable, optional
        Given 1, 2, ..., returns the names to try where both are kept; by default ``NAME~1``.

    Attributes
    ----------
    folder : str
        Where it will stand: the root, unless another one below it is set before `publish`.
    existed : bool
        Whether an object of that name was there before.
    name : str
        The name that it has got.
    """

    __slots__ = (
        "_descriptor",
        "_duplicates",
        "_size",
        "_spare",
        "_started",
        "_temporary",
        "abandoned",
        "busy",
        "existed",
        "folder",
        "name",
        "tree",
    )

    def __init__(
        self,
        tree: FolderTree,
        name: str,
        temporary: str,
        duplicates: Duplicates,
        spare: Callable[[int], str] | None = None,
    ) -> None:
        self.tree = tree
        self.folder = folder = tree.root
        self.name = name
        self.existed = False
        self.busy = False
        self.abandoned = False
        self._temporary = f"{folder}/{temporary}"  # os.path.join takes longer than a system call
        self._duplicates = duplicates
        self._spare = spare
        self._descriptor = -1
        self._size = self._started = 0

    @property
    def has_begun(self) -> bool:
        """Whether something of it was written."""
        return self._descriptor >= 0

    def write(self, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
        """Append `buffers`; the first call makes the file."""
        if self._descriptor < 0:
            self._descriptor = self._open()
        if len(buffers) <= MAXIMUM_SLICES:
            self._size += _write_all(self._descriptor, buffers)
            return
        for start in range(0, len(buffers), MAXIMUM_SLICES):
            self._size += _write_all(self._descriptor, buffers[start : start + MAXIMUM_SLICES])

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return os.open(self._temporary, flags, 0o666)
        except FileNotFoundError:
            self.tree.make(self.tree.root)
            return os.open(self._temporary, flags, 0o666)

    def start_sync(self) -> None:
        """Have the kernel begin to write to the disk what is new, without waiting for it.

        A hint and no more: `sync` is what counts. Of what is new only, because the kernel drops
        pages that are on the disk already, and whoever reads the object next wants them.
        """
        start, self._started = self._started, self._size
        if hasattr(os, "posix_fadvise"):  # not on macOS
            with contextlib.suppress(OSError):
                length = self._size - start
                os.posix_fadvise(self._descriptor, start, length, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        """Make the data durable. After a failure it is not tried again: the kernel may have
        dropped the pages that it could not write."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Close the file; errors that the kernel kept until now are raised."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def publish(self) -> None:
        """Give the object its name. From here on it is there, whole.

        Raises
        ------
        ObjectExists
            Where the name is taken and the policy is to refuse.
        OSError
            What the operating system said.
        """
        try:
            self._publish()
        except FileNotFoundError:  # nothing has been stored in this folder, or it was removed
            self.tree.make(self.folder)
            self._publish()

    def _publish(self) -> None:
        self.close()
        target = f"{self.folder}/{self.name}"
        if self._duplicates is Duplicates.REPLACE:
            # Not os.path.lexists: it raises and catches an exception for every new object.
            self.existed = os.access(target, os.F_OK, follow_symlinks=False)
            os.rename(self._temporary, target)
            return
        try:
            os.link(self._temporary, target, follow_symlinks=False)
        except FileExistsError:
            self.existed = True
            if self._duplicates is Duplicates.REFUSE:
                raise ObjectExists from None
            if self._duplicates is Duplicates.BOTH:
                self.name = self._link_beside()
        os.unlink(self._temporary)

    def _link_beside(self) -> str:
        """Give the object another name, by default with a suffix that no UID can have."""
        number = self._free_number()
        while True:
            name = self._spare_name(number)
            try:
                os.link(self._temporary, f"{self.folder}/{name}", follow_symlinks=False)
            except FileExistsError:
                number += 1
            else:
                return name

    def _spare_name(self, number: int) -> str:
        return f"{self.name}~{number}" if self._spare is None else self._spare(number)

    def _free_number(self) -> int:
        """Return a number whose name is free. Not by trying all: an object may have come thousands
        of times, and others wait for this thread."""
        taken, free = 0, 1
        while self._is_taken(free):
            taken, free = free, 2 * free
        while free - taken > 1:
            middle = (taken + free) // 2
            if self._is_taken(middle):
                taken = middle
            else:
                free = middle
        return free

    def _is_taken(self, number: int) -> bool:
        return os.access(
            f"{self.folder}/{self._spare_name(number)}", os.F_OK, follow_symlinks=False
        )

    def remove(self) -> None:
        """Remove what was written, unless it has got its name."""
        with contextlib.suppress(OSError):
            self.close()
        with contextlib.suppress(OSError):
            os.unlink(self._temporary)


def _write_all(descriptor: int, buffers: Sequence[bytes | bytearray | memoryview]) -> int:
    """Write all of it; return how many bytes that is."""
    written = os.writev(descriptor, buffers)
    size = sum(map(len, buffers))
    if written < size:
        # A signal or a disk that is nearly full: go on where the kernel stopped.
        rest = memoryview(b"".join(buffers))[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    return size


def make_folders(folder: str) -> list[str]:
    """Make a folder and those above it; return the folders whose entries are new."""
    missing = missing_folders(folder)
    os.makedirs(folder, exist_ok=True)
    return [os.path.dirname(made) for made in missing]
