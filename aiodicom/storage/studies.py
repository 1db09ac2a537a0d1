"""When a study has ended: for each study by itself, however its objects are interleaved.

Nobody says in DICOM that a study is complete. What is known is who sends what, and when. A *run*
of a study begins with an object of it, and ends

- with a timeout: when no object of it has come, or is coming, for so long;
- without one: when an object of another study has come after its last one, and no association is
  still at it. An association is at the study of its last object, until it has ended.

That is what DCMTK does for one sender at a time. Two that send at once do not end each other's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol, Self

from aiodicom.describe import escape
from aiodicom.failures import log_failure
from aiodicom.storage.renaming import rename_files
from aiodicom.storage.stored import MOST_SENDERS, MOST_SERIES, EndedStudy, StoredObject

__all__ = ["Audience", "Run", "Studies"]

logger = logging.getLogger("aiodicom.storage")

Reason = Literal["quiet", "overtaken", "stopped", "crowded"]


class Run:
    """A study that is under way, from its first object to its end.

    Attributes
    ----------
    study_instance_uid : str
        Which study.
    """

    __slots__ = ("_first_at", "_folder", "_making", "_names", "_senders", "_series", "_size",
                 "associations", "heard", "last", "objects", "pending", "study_instance_uid",
                 "timer")  # fmt: skip

    def __init__(self, study_instance_uid: str) -> None:
        self.study_instance_uid = study_instance_uid
        self.associations: set[int] = set()
        self.objects = self.pending = 0
        self.last: StoredObject | None = None
        self.heard = 0.0
        self.timer: asyncio.TimerHandle | None = None
        self._size, self._first_at = 0, 0.0
        self._series: dict[str, None] = {}
        self._senders: dict[tuple[str, str], None] = {}
        self._names: dict[tuple[str, str], None] = {}
        self._folder = ""
        self._making = asyncio.Lock()

    async def folder(self, make: Callable[[], str]) -> str:
        """Return the run's own folder; the first who asks has it made, in a thread.

        Raises
        ------
        OSError
            Where it cannot be made; the next one who asks tries again.
        """
        async with self._making:
            if not self._folder:
                making = asyncio.ensure_future(asyncio.to_thread(make))
                try:
                    self._folder = await asyncio.shield(making)
                except asyncio.CancelledError:  # of this object, not of the others'
                    with contextlib.suppress(OSError):
                        self._folder = await making
                    raise
        return self._folder

    def add(self, stored: StoredObject, keeps_name: bool) -> None:
        """Count an object, and keep its name where the files are to be renamed."""
        if not self.objects:
            self._first_at = stored.at
        self.objects += 1
        self.last = stored
        self._size += stored.size
        if stored.series_instance_uid and len(self._series) < MOST_SERIES:
            self._series[stored.series_instance_uid] = None
        if len(self._senders) < MOST_SENDERS:
            self._senders[stored.calling_ae_title, stored.called_ae_title] = None
        if keeps_name:
            self._names[stored.folder, stored.name] = None

    def ended(self, reason: Reason) -> EndedStudy | None:
        """Return what is told of its end; None where nothing was stored."""
        if self.last is None:
            return None
        return EndedStudy(
            self.study_instance_uid,
            self.last.folder,
            self.objects,
            self.last,
            reason,
            self._size,
            tuple(self._series),
            tuple(self._senders),
            self._first_at,
        )

    def rename(self) -> None:
        """Give the files their short names; not to be called in the event loop."""
        folders: dict[str, list[str]] = {}
        for folder, name in self._names:
            folders.setdefault(folder, []).append(name)
        for folder, names in folders.items():
            rename_files(folder, names)

    def remove_empty_folder(self) -> None:
        """Remove the folder that was made for objects that did not come."""
        if self._folder:
            with contextlib.suppress(OSError):
                os.rmdir(self._folder)

    @property
    def has_folder(self) -> bool:
        """Whether a folder was made for this run alone."""
        return bool(self._folder)


class Studies:
    """Keeps the studies that are under way apart, and says when one has ended.

    Everything but `close` is called in one event loop and returns at once.

    Parameters
    ----------
    timeout : float or None
        Seconds without an object after which a study has ended; None for the other rule, which
        needs `association_ended` to be called.
    renames : bool
        Whether the files get short names at the end: two letters and a number.
    on_end : callable, optional
        Told of a study that has ended, after its files were renamed.
    most : int, optional
        How many may be under way. Where there are more, the one that has been quiet for longest
        ends. By default as many as come.

    Raises
    ------
    ValueError
        Where the timeout is negative.
    """

    def __init__(
        self,
        *,
        timeout: float | None = None,
        renames: bool = False,
        on_end: Callable[[EndedStudy], None] | None = None,
        most: int | None = None,
    ) -> None:
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"{timeout} s are no timeout: 0 or more")
        self._timeout = timeout
        self._renames = renames
        self._on_end = on_end
        self._most = most
        self._runs: dict[str, Run] = {}  # where there is a limit: the longest quiet one first
        self._at: dict[int, Run] = {}
        self._latest: Run | None = None
        self._ending: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Return how many studies are under way."""
        return len(self._runs)

    def enter(self, study_instance_uid: str, association: int) -> Run:
        """Hear that an object of a study is coming; `leave` follows.

        Parameters
        ----------
        study_instance_uid : str
            Which study.
        association : int
            The number of the association; it is at this study from now on.
        """
        run = self._runs.get(study_instance_uid)
        if run is None:
            run = self._runs[study_instance_uid] = Run(study_instance_uid)
        run.pending += 1
        if self._timeout is None:
            self._move(run, association)
        return run

    def _move(self, run: Run, association: int) -> None:
        """Have an association be at a run, which is the latest one now."""
        overtaken, self._latest = self._latest, run
        left = self._at.get(association)
        if left is not run:
            self._at[association] = run
            run.associations.add(association)
            if left is not None:
                left.associations.discard(association)
        for other in (overtaken, left):
            if other is not None:
                self._look_at(other)

    def leave(self, run: Run, stored: StoredObject | None) -> None:
        """Hear what became of an object whose `enter` gave this run; None if it is not stored."""
        run.pending -= 1
        if stored is not None:
            run.add(stored, self._renames)
        if self._most is not None:
            self._make_room(run, self._most)
        if self._timeout is None:
            self._look_at(run)
            return
        loop = asyncio.get_running_loop()
        run.heard = loop.time()
        if run.timer is None:
            run.timer = loop.call_later(self._timeout, self._listen, run, self._timeout)

    def _make_room(self, run: Run, most: int) -> None:
        """Have a run be the last one that ends for want of room; end one where there is none."""
        uid = run.study_instance_uid
        if self._runs.get(uid) is run:
            self._runs[uid] = self._runs.pop(uid)
        if len(self._runs) > most:
            quiet = next((r for r in self._runs.values() if not r.pending), None)
            if quiet is not None:
                self._end(quiet, "crowded")

    def association_ended(self, association: int) -> None:
        """Hear that an association has ended, and that no object of it is being stored.

        Parameters
        ----------
        association : int
            Its number: `AssociationInfo.number`.
        """
        run = self._at.pop(association, None)
        if run is not None:
            run.associations.discard(association)
            self._look_at(run)

    async def close(self, patience: float = 10) -> None:
        """End all studies, because nothing more will come.

        Parameters
        ----------
        patience : float
            Seconds within which files are renamed.
        """
        for run in list(self._runs.values()):
            self._end(run, "stopped")
        if self._ending:
            _, late = await asyncio.wait(set(self._ending), timeout=patience)
            if late:
                logger.error("The ends of %d studies were not waited for", len(late))

    def _look_at(self, run: Run) -> None:
        """End a run that nobody is at, where another study has come since."""
        if not run.pending and not run.associations and run is not self._latest:
            self._end(run, "overtaken")

    def _listen(self, run: Run, timeout: float) -> None:
        """End a run that has been quiet, or listen on for what is left of the time."""
        run.timer = None
        if run.pending:  # its end begins another wait
            return
        loop = asyncio.get_running_loop()
        left = run.heard + timeout - loop.time()
        if left > 0:
            run.timer = loop.call_later(left, self._listen, run, timeout)
        else:
            self._end(run, "quiet")

    def _end(self, run: Run, reason: Reason) -> None:
        if self._runs.get(run.study_instance_uid) is not run:
            return
        del self._runs[run.study_instance_uid]
        for association in run.associations:
            self._at.pop(association, None)
        if run.timer is not None:
            run.timer.cancel()
            run.timer = None
        if self._latest is run:
            self._latest = None
        ended = run.ended(reason)
        if ended is None:
            if run.has_folder:
                self._begin(asyncio.to_thread(run.remove_empty_folder))
        elif self._renames:
            self._begin(self._rename(run, ended))
        else:
            self._tell(ended)

    def _begin(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        assert isinstance(task, asyncio.Task)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _rename(self, run: Run, ended: EndedStudy) -> None:
        try:
            await asyncio.to_thread(run.rename)
        finally:
            self._tell(ended)

    def _tell(self, ended: EndedStudy) -> None:
        logger.info("Study ended: %s", escape(ended.study_instance_uid))
        if self._on_end is None:
            return
        try:
            self._on_end(ended)
        except Exception as error:
            log_failure(logger, "What follows the end of a study failed", error)


class Audience(Protocol):
    """Who hears of stored objects besides, and may keep studies of its own: an announcer."""

    @property
    def studies(self) -> Studies | None:
        """Who hears of objects that come, whatever they are sorted by; it closes them itself."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc_info: object) -> None: ...

    def stored(self, stored: StoredObject) -> None:
        """Hear of an object that stands under its name; returns at once.

        Parameters
        ----------
        stored : StoredObject
            The object.
        """
