"""Writer threads: they put objects on disk, in batches, without blocking the event loop.

A `Job` is one hop: an ordinary object is one (open, write, sync, rename), a large one is one for
each slab. A batch of jobs goes through the same four steps together (data, names, folders, in
this order, always) and its completions come back to the loop together. A job owns its memory and
its file until it has come back: cancelling whoever waits for it changes nothing about that.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from aiodicom.wire.buffers import Block

__all__ = [
    "Durability",
    "Duplicates",
    "Job",
    "ObjectExists",
    "ObjectFile",
    "Writers",
    "make_folders",
    "sync_folder",
]

logger = logging.getLogger("aiodicom.storage")

MAXIMUM_SLICES = 512
"""Buffers for one `writev`; the kernel takes at most 1024."""

MAXIMUM_BATCH = 16

LARGE = 1 << 16
"""Bytes of a job that are worth a second thread."""

SLOW = 0.001
"""Seconds for a job that say that the disk is waited for, and not the processor."""


class Durability(enum.Enum):
    """What must have happened before an object counts as stored."""

    NONE = "none"
    DURABLE = "durable"


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
    folder, name : str
        Where it will stand.
    temporary : str
        Its name until then, in the same folder.
    duplicates : Duplicates
        What to do where the name is taken.

    Attributes
    ----------
    existed : bool
        Whether an object of that name was there before.
    name : str
        The name that it has got.
    """

    __slots__ = (
        "_descriptor",
        "_duplicates",
        "_temporary",
        "abandoned",
        "busy",
        "existed",
        "folder",
        "name",
        "new_folders",
    )

    def __init__(self, folder: str, name: str, temporary: str, duplicates: Duplicates) -> None:
        self.folder = folder
        self.name = name
        self.existed = False
        self.busy = False
        self.abandoned = False
        self.new_folders: list[str] = []
        self._temporary = f"{folder}/{temporary}"  # os.path.join takes longer than a system call
        self._duplicates = duplicates
        self._descriptor = -1

    def write(self, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
        """Append `buffers`; the first call makes the file."""
        if self._descriptor < 0:
            self._descriptor = self._open()
        for start in range(0, len(buffers), MAXIMUM_SLICES):
            _write_all(self._descriptor, buffers[start : start + MAXIMUM_SLICES])

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return os.open(self._temporary, flags, 0o666)
        except FileNotFoundError:
            self.new_folders = make_folders(self.folder)
            return os.open(self._temporary, flags, 0o666)

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
        """
        target = f"{self.folder}/{self.name}"
        if self._duplicates is Duplicates.REPLACE:
            self.existed = os.path.lexists(target)
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
        """Give the object its name with a suffix that no UID can have."""
        number = 1
        while True:
            name = f"{self.name}~{number}"
            try:
                os.link(self._temporary, os.path.join(self.folder, name), follow_symlinks=False)
            except FileExistsError:
                number += 1
            else:
                return name

    def remove(self) -> None:
        """Remove what was written, unless it has got its name."""
        with contextlib.suppress(OSError):
            self.close()
        with contextlib.suppress(OSError):
            os.unlink(self._temporary)


def _write_all(descriptor: int, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
    written = os.writev(descriptor, buffers)
    left = sum(map(len, buffers)) - written
    if not left:
        return
    # A signal or a disk that is nearly full: go on where the kernel stopped.
    rest = memoryview(b"".join(buffers))[written:]
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def make_folders(folder: str) -> list[str]:
    """Make a folder and those above it; return the folders whose entries are new."""
    missing = []
    path = folder = os.path.abspath(folder)
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    return [os.path.dirname(made) for made in missing]


def sync_folder(folder: str) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
        _attempt(job, _write, is_durable)
    for job in jobs:
        if job.is_last and job.error is None:
            _attempt(job, _publish)
    if is_durable:
        _sync_folders([job for job in jobs if job.is_last and job.error is None])


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


def _publish(job: Job) -> None:
    job.file.publish()


def _sync_folders(jobs: Sequence[Job]) -> None:
    """Sync each folder once; where that fails, no object in it counts as stored."""
    errors: dict[str, OSError | None] = {}
    for job in jobs:
        for folder in (*job.file.new_folders, job.file.folder):
            if folder not in errors:
                errors[folder] = _error_of_sync(folder)
            job.error = job.error or errors[folder]


def _error_of_sync(folder: str) -> OSError | None:
    try:
        sync_folder(folder)
    except OSError as error:
        return error
    return None


def _attempt(job: Job, step: Callable[..., None], *arguments: object) -> None:
    try:
        step(job, *arguments)
    except Exception as error:
        job.error = error
        job.file.remove()


class Writers:
    """A few threads that do jobs, for one event loop.

    Parameters
    ----------
    durability : Durability
        What must have happened before a job that completes an object comes back.
    threads : int
        How many; more than two are no faster on a page cache.
    """

    def __init__(self, durability: Durability, threads: int = 2) -> None:
        self._durability = durability
        self._count = threads
        self._jobs: deque[Job] = deque()
        self._parked: list[threading.Lock] = []  # what idle threads wait for, the last one first
        self._stopping = False
        self._is_slow = False
        self._finished: deque[Job] = deque()
        self._woken = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads: list[threading.Thread] = []
        self._outstanding = 0
        self._idle = asyncio.Event()

    def start(self) -> None:
        """Start the threads; they report to the running loop."""
        self._loop = asyncio.get_running_loop()
        self._stopping = False
        self._idle = asyncio.Event()  # a new one: it belongs to the loop that first waits for it
        for number in range(self._count):
            thread = threading.Thread(
                target=self._work, name=f"aiodicom-writer-{number}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    async def stop(self) -> None:
        """Wait for the jobs that are under way, and end the threads."""
        while self._outstanding:
            self._idle.clear()
            await self._idle.wait()
        self._stopping = True
        for _ in self._threads:  # one that parks from now on sees it by itself
            self._wake_one()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        self._threads.clear()

    @property
    def is_idle(self) -> bool:
        """Whether no job is under way."""
        return not self._outstanding

    async def do(self, job: Job) -> None:
        """Do one job; one at a time for each file.

        Raises
        ------
        OSError
            What the operating system said; the file is removed then.
        ObjectExists
            See `ObjectFile.publish`.
        """
        if self._loop is None:
            raise RuntimeError("the writers have not been started")
        job.done = self._loop.create_future()
        self._submit(job)
        await job.done

    def abandon(self, file: ObjectFile) -> None:
        """Have an object removed that will not be complete, once no job works on it."""
        file.abandoned = True
        if not file.busy:
            self._submit(Job(file, is_removal=True))

    def _submit(self, job: Job) -> None:
        job.file.busy = True
        self._outstanding += 1
        self._jobs.append(job)
        if len(self._parked) == self._count or self._is_much(job):
            self._wake_one()

    def _is_much(self, job: Job) -> bool:
        """Tell whether a second thread helps the one that is at work.

        With small objects on a fast disk it does not: the two take the interpreter from each
        other and from the event loop at every system call.
        """
        size = 0 if job.block is None else job.block.size
        return size >= LARGE or len(self._jobs) > MAXIMUM_BATCH or self._is_slow

    def _wake_one(self) -> None:
        """Wake one idle thread, the one that worked last; a queue would wake them all."""
        with contextlib.suppress(IndexError):  # all are busy, and look for more before they park
            self._parked.pop().release()

    # In the threads ------------------------------------------------------------------------------

    def _work(self) -> None:
        woken = threading.Lock()
        woken.acquire()
        while True:
            if batch := self._take():
                began = time.perf_counter()
                perform(batch, self._durability)
                self._is_slow = time.perf_counter() - began > SLOW * len(batch)
                self._report(batch)
                continue
            self._parked.append(woken)
            if self._jobs or self._stopping:  # they came before we were seen to be idle
                self._wake_one()
            woken.acquire()
            if self._stopping and not self._jobs:
                return

    def _take(self) -> list[Job]:
        """Take what is there, and leave a share of it for the others."""
        jobs = self._jobs
        batch: list[Job] = []
        awake = self._count - len(self._parked)
        share = min(len(jobs) // max(awake, 1) + 1, MAXIMUM_BATCH)
        with contextlib.suppress(IndexError):
            while len(batch) < share:
                batch.append(jobs.popleft())
        return batch

    def _report(self, batch: list[Job]) -> None:
        self._finished.extend(batch)
        if not self._woken:
            self._woken = True
            assert self._loop is not None
            with contextlib.suppress(RuntimeError):  # the loop was closed before we were stopped
                self._loop.call_soon_threadsafe(self._collect)

    # Back in the loop ----------------------------------------------------------------------------

    def _collect(self) -> None:
        self._woken = False  # before looking, so that none is missed
        while self._finished:
            job = self._finished.popleft()
            self._outstanding -= 1
            job.file.busy = False
            if job.block is not None:
                job.block.release()
            if job.file.abandoned and not job.is_removal:
                self._submit(Job(job.file, is_removal=True))
            if job.done is not None and not job.done.done():
                if job.error is None:
                    job.done.set_result(None)
                else:
                    job.done.set_exception(job.error)
        if not self._outstanding:
            self._idle.set()
