"""What a writer thread does: data, names, folders, in this order, always.

A `Job` is one hop to a thread and back: an ordinary object is one (open, write, sync, rename), a
large one is one for each slab. A batch of jobs goes through the same steps together.
"""

from __future__ import annotations

import asyncio
import enum
import os
from collections.abc import Callable, Sequence

from aiodicom.storage.folder_tree import FolderTree
from aiodicom.storage.object_file import ObjectFile
from aiodicom.wire.buffers import Block

__all__ = ["Durability", "Job", "perform", "sync_folder"]


class Durability(enum.Enum):
    """What must have happened before an object counts as stored."""

    NONE = "none"
    DURABLE = "durable"


class Job:
    """One hop to a writer thread and back.

    Parameters
    ----------
    file : ObjectFile
        What is written to.
    buffers : sequence of buffers
        What is appended.
    block : Block or None
        What is released when the job has come back.
    is_last : bool
        Whether the object is complete with it.
    """

    __slots__ = ("block", "buffers", "done", "error", "file", "is_last", "is_removal")

    def __init__(
        self,
        file: ObjectFile,
        buffers: Sequence[bytes | bytearray | memoryview] = (),
        block: Block | None = None,
        is_last: bool = False,
        is_removal: bool = False,
    ) -> None:
        self.file = file
        self.buffers = buffers
        self.block = block
        self.is_last = is_last
        self.is_removal = is_removal
        self.error: Exception | None = None
        self.done: asyncio.Future[None] | None = None


def perform(jobs: Sequence[Job], durability: Durability) -> None:
    """Do the work of a batch: data, then names, then folders; each job fails for itself."""
    is_durable = durability is Durability.DURABLE
    written = [job for job in jobs if _write(job)]
    finished = [job for job in written if job.is_last]
    if is_durable:
        if len(written) > 1 or not finished:
            # The disk works on all of them while the first one is waited for, and on a large
            # object while the rest of it comes.
            for job in written:
                job.file.start_sync()
        finished = _each(finished, ObjectFile.sync)
    finished = _each(finished, ObjectFile.publish)
    if is_durable and finished:
        _sync_folders(finished)


def _write(job: Job) -> bool:
    """Write what a job brings, if anything; tell whether that was done."""
    if job.is_removal:
        job.file.remove()
        return False
    try:
        job.file.write(job.buffers)
    except Exception as error:
        _fail(job, error)
        return False
    return True


def _each(jobs: Sequence[Job], step: Callable[[ObjectFile], None]) -> list[Job]:
    """Do one step for each job; return those for which it has not failed."""
    done = []
    for job in jobs:
        try:
            step(job.file)
        except Exception as error:
            _fail(job, error)
        else:
            done.append(job)
    return done


def _fail(job: Job, error: Exception) -> None:
    job.error = error
    job.file.remove()


def _sync_folders(jobs: Sequence[Job]) -> None:
    """Sync each folder once; where that fails, no object in it counts as stored."""
    above: dict[str, list[str]] = {}
    new: list[tuple[FolderTree, str, int]] = []
    for job in jobs:  # before anything is synced: what takes a folder's place later is not known
        file = job.file
        if file.folder not in above:
            above[file.folder] = holders = file.tree.holders(file.folder)
            if holders:
                new.append((file.tree, file.folder, _opened(file.folder)))
    errors: dict[str, OSError | None] = {}
    for job in jobs:
        folder = job.file.folder
        for path in (*above[folder], folder):
            if path not in errors:
                errors[path] = _error_of_sync(path)
            job.error = job.error or errors[path]
    for tree, folder, descriptor in new:
        if descriptor < 0:
            continue
        if any(errors[path] for path in above[folder]):
            os.close(descriptor)
        else:
            tree.synced(folder, descriptor)


def _opened(folder: str) -> int:
    """Open a folder; -1 where that fails: it is not remembered then, and synced all the same."""
    try:
        return _open_folder(folder)
    except OSError:
        return -1


def _error_of_sync(folder: str) -> OSError | None:
    try:
        sync_folder(folder)
    except OSError as error:
        return error
    return None


def sync_folder(folder: str) -> None:
    """Make the names in a folder durable."""
    descriptor = _open_folder(folder)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_folder(folder: str) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
