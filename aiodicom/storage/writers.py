"""Writer threads: they do jobs, in batches, without blocking the event loop.

A job owns its memory and its file until it has come back: cancelling whoever waits for it changes
nothing about that. Completions come back to the loop together.

The parts of large objects wait in a line of their own, and one thread at least is not at them: an
ordinary object never waits until all of somebody's gigabyte is written, or synced.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque

from aiodicom.storage.commit import Durability, Job, perform
from aiodicom.storage.object_file import ObjectFile

__all__ = ["Writers"]

MAXIMUM_BATCH = 16

LARGE = 1 << 16
"""Bytes of a job that are worth a second thread."""

PATIENCE = 0.005
"""Seconds that a job waits for a busy thread before another one is woken for it."""


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
        self._jobs: deque[Job] = deque()  # each of them all of an object
        self._parts: deque[Job] = deque()
        self._turns = deque([None] * max(threads - 1, 1))  # one is taken to write a part
        self._parked: list[threading.Lock] = []  # what idle threads wait for, the last one first
        self._stopping = False
        self._is_looking = False
        self._finished: deque[Job] = deque()
        self._woken = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads: list[threading.Thread] = []
        self._outstanding = 0
        self._is_awaited = False
        self._idle = asyncio.Event()

    def start(self) -> None:
        """Start the threads; they report to the running loop."""
        self._loop = asyncio.get_running_loop()
        self._stopping = self._woken = self._is_awaited = self._is_looking = False
        self._idle = asyncio.Event()  # a new one: it belongs to the loop that first waits for it
        for number in range(self._count):
            thread = threading.Thread(
                target=self._work, name=f"aiodicom-writer-{number}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    async def stop(self) -> None:
        """Wait for the jobs that are under way, and end the threads."""
        self._is_awaited = True
        while self._outstanding:
            self._idle.clear()
            await self._idle.wait()
        self._stopping = True
        for _ in self._threads:  # one that parks from now on sees it by itself
            self._wake_one()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        self._threads.clear()
        self._loop = None

    def do(self, job: Job) -> asyncio.Future[None]:
        """Do one job; one at a time for each file.

        Returns
        -------
        asyncio.Future
            Done when the job has come back. Its exception is an `OSError`, what the operating
            system said, or what `ObjectFile.publish` raises; the file is removed then.

        Raises
        ------
        RuntimeError
            Where the writers are not running.
        """
        if self._loop is None or self._stopping:
            if job.block is not None:
                job.block.release()
            raise RuntimeError("the writers are not running")
        job.done = done = self._loop.create_future()
        self._submit(job)
        return done

    def abandon(self, file: ObjectFile) -> None:
        """Have an object removed that will not be complete, once no job works on it."""
        file.abandoned = True
        if self._stopping or not self._threads:
            asyncio.get_running_loop().run_in_executor(None, file.remove)
        elif not file.busy:
            self._submit(Job(file, is_removal=True))

    def _submit(self, job: Job) -> None:
        is_part = not job.is_last or job.file.has_begun
        job.file.busy = True
        self._outstanding += 1
        (self._parts if is_part else self._jobs).append(job)
        # For small objects on a fast disk a second thread is in the way: the two take the
        # interpreter from each other, and from the event loop, at every system call.
        if not self._awake_for(is_part) or self._is_worth_another(job):
            self._wake_one()
        elif not self._is_looking and self._loop is not None:
            self._is_looking = True
            self._loop.call_later(PATIENCE, self._look)

    def _awake_for(self, is_part: bool) -> int:
        """Return how many threads are awake, those at parts not counted where that matters."""
        awake = self._count - len(self._parked)
        return awake if is_part else awake - max(self._count - 1, 1) + len(self._turns)

    def _is_worth_another(self, job: Job) -> bool:
        """Tell whether another thread should be woken while one is awake."""
        if len(self._jobs) > MAXIMUM_BATCH:
            return True
        return job.block is not None and job.block.size >= LARGE

    def _look(self) -> None:
        """Wake another thread for what the first one has not come to."""
        self._is_looking = False
        if self._jobs or self._parts:
            self._wake_one()

    def _wake_one(self) -> None:
        """Wake one idle thread, the one that worked last; a queue would wake them all."""
        try:  # noqa: SIM105  # contextlib.suppress costs more than what it is for
            self._parked.pop().release()
        except IndexError:  # all are busy, and look for more before they park
            pass

    # In the threads ------------------------------------------------------------------------------

    def _work(self) -> None:
        woken = threading.Lock()
        woken.acquire()
        was_part = False
        while True:
            # In turns: neither kind waits until nothing is left of the other.
            if not was_part and (part := self._take_part()):
                was_part = True
                perform([part], self._durability)
                self._turns.append(None)
                self._report([part])
                continue
            was_part = False
            if batch := self._take():
                perform(batch, self._durability)
                self._report(batch)
                continue
            self._parked.append(woken)
            if self._jobs or (self._parts and self._turns) or self._stopping:
                self._wake_one()  # they came before we were seen to be idle
            woken.acquire()
            if self._stopping and not self._jobs and not self._parts:
                return

    def _take_part(self) -> Job | None:
        """Take a part of a large object, unless enough threads are at parts."""
        try:
            self._turns.popleft()
        except IndexError:
            return None
        try:
            return self._parts.popleft()
        except IndexError:
            self._turns.append(None)
            return None

    def _take(self) -> list[Job]:
        """Take what is there, and leave a share of it for the others."""
        jobs = self._jobs
        awake = self._count - len(self._parked)
        share = min(len(jobs) // max(awake, 1) + 1, MAXIMUM_BATCH)
        batch: list[Job] = []
        try:
            while len(batch) < share:
                batch.append(jobs.popleft())
        except IndexError:  # another thread was faster
            pass
        return batch

    def _report(self, batch: list[Job]) -> None:
        self._finished.extend(batch)
        if not self._woken:
            self._woken = True
            assert self._loop is not None  # it stays until all jobs have come back
            try:  # noqa: SIM105  # as above
                self._loop.call_soon_threadsafe(self._collect)
            except RuntimeError:  # the loop was closed before we were stopped
                pass

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
        if self._is_awaited and not self._outstanding:
            self._idle.set()
