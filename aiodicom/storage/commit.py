"""What a writer thread does: data, names, folders, in this order, always.

A `Job` is one hop to a thread and back: an ordinary object is one (open, write, sync, rename), a
large one is one for each slab. A batch of jobs goes through the same steps together.
"""

from __future__ import annotations

import asyncio
import enum
import os
from collections.abc import Sequence

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
    for job in jobs:
        try:
            _write(job, is_durable)
        except Exception as error:
            _fail(job, error)
    finished = [job for job in jobs if job.is_last and job.error is None]
    for job in finished:
        try:
            job.file.publish()
        except Exception as error:
            _fail(job, error)
    if is_durable and finished:
        _sync_folders([job for job in finished if job.error is None])


def _write(job: Job, is_durable: bool) -> None:
    file = job.file
    if job.is_removal:
        file.remove()
        return
    file.write(job.buffers)
    if job.is_last:
        if is_durable:
            file.sync()
        file.close()


def _fail(job: Job, error: Exception) -> None:
    job.error = error
    job.file.remove()


def _sync_folders(jobs: Sequence[Job]) -> None:
    """Sync each folder once; where that fails, no object in it counts as stored."""
    errors: dict[str, OSError | None] = {}
    trees = {job.file.tree: job.file.tree.made for job in jobs}  # before anything is synced
    for job in jobs:
        tree, folder = job.file.tree, job.file.folder
        holders = tree.holders(folder)
        for path in (*holders, folder):
            if path not in errors:
                errors[path] = _error_of_sync(path)
            job.error = job.error or errors[path]
        if holders and job.error is None:
            tree.synced(folder, trees[tree])


def _error_of_sync(folder: str) -> OSError | None:
    try:
        sync_folder(folder)
    except OSError as error:
        return error
    return None


def sync_folder(folder: str) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
