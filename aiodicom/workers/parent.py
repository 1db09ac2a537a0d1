"""Several processes on one port: a parent that forks them, replaces those that die, and drains.

The parent has no event loop and no thread: it waits for signals, and for what its workers say.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from aiodicom.systemd import Notifier
from aiodicom.workers.shares import Share, Shares
from aiodicom.workers.signals import ENDS, NUMBERS, Insistence, die_of, put_back
from aiodicom.workers.worker import GO, HURRY, READY, RELOAD, Worker

__all__ = ["Workers"]

logger = logging.getLogger("aiodicom.workers")

SHORTEST_DELAY = 0.1
LONGEST_DELAY = 5.0
"""Seconds before a worker that has died is replaced: they double while it dies young."""

YOUNG = 10.0
"""Seconds within which a worker dies young."""

MORE_GRACE = 15.0
"""Seconds beyond their grace that workers have to end, for handlers and what follows objects."""
INIT = 1
"""The process that gets the children of those that have ended: in a container perhaps this one."""


@dataclass(slots=True)
class _Child:
    """A worker, as the parent sees it."""

    index: int
    pid: int
    channel: socket.socket
    born: float
    said: bytearray = field(default_factory=bytearray)
    is_killed: bool = False

    @property
    def is_ready(self) -> bool:
        return self.said[:1] == READY

    @property
    def name(self) -> str:
        return f"Worker {self.index + 1} (process {self.pid})"

    def error(self) -> BaseException | None:
        """Return what it has said that it ended with."""
        with contextlib.suppress(Exception):  # it has died in the middle of that
            error = pickle.loads(self.said.removeprefix(READY))
            return error if isinstance(error, BaseException) else None
        return None


class Workers:
    """The parent of several processes that do the same work; see `run`.

    Parameters
    ----------
    count : int
        How many there are to be.
    work : callable
        What each of them does, in a process of its own. It returns when it was told to stop.
    shares : Shares
        A slot for each of them.
    notifier : Notifier
        Told what only the parent knows.
    on_ready : callable
        Called in the parent when all of them are ready.
    on_stopping : callable
        Called in the parent before they are told to stop.
    on_restarted : callable
        Called in the parent with the index of a worker that had served and has died, before it is
        replaced.
    grace : float
        Seconds that they have to end, besides what every one needs.
    is_last : bool
        Whether the process ends afterwards: the signals that end a server are ignored then.
    """

    def __init__(
        self,
        count: int,
        work: Callable[[Worker], None],
        shares: Shares,
        notifier: Notifier,
        *,
        on_ready: Callable[[], None],
        on_stopping: Callable[[], None],
        on_restarted: Callable[[int], None] = lambda _: None,
        grace: float,
        is_last: bool = False,
    ) -> None:
        self._count = count
        self._work = work
        self._shares = shares
        self._notifier = notifier
        self._alive_at = 0.0
        self._on_ready = on_ready
        self._on_stopping = on_stopping
        self._on_restarted = on_restarted
        self._grace = grace
        self._is_last = is_last
        self._children: dict[int, _Child] = {}
        self._missing: dict[int, float] = {}  # when they are due
        self._delays: dict[int, float] = {}  # before they are replaced the next time
        self._were_ready = False
        self._failure: BaseException | None = None
        self._insistence = Insistence()
        self._is_stopping = False
        self._died_of: int | None = None
        self._has_reloaded = False
        self._deadline: float | None = None
        self._selector = selectors.DefaultSelector()
        self._signals, self._wakeup = socket.socketpair()

    def run(self) -> None:
        """Have the workers work until SIGINT or SIGTERM. In the main thread, without others.

        Raises
        ------
        Exception
            What a worker could not start for before all of them were ready, or could not stop for.
        ChildProcessError
            Where one has died before or then, and not said why.
        """
        with self._hearing_signals():
            try:
                for index in range(self._count):
                    self._fork(index)
                while self._children or not self._is_stopping:
                    self._turn()
            finally:
                self._kill()
                for child in list(self._children.values()):
                    os.waitpid(child.pid, 0)
                    self._close(child)
        if self._died_of is not None:
            die_of(self._died_of)
        if self._failure is not None:
            raise self._failure

    # Signals -------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _hearing_signals(self) -> Iterator[None]:
        """Have the signals that matter wake the selector while the body runs."""
        for end in (self._signals, self._wakeup):
            end.setblocking(False)
        self._selector.register(self._signals, selectors.EVENT_READ)
        fd = signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
        self._fd_before = fd
        self._handlers_before = {
            number: signal.signal(number, _heard) for number in (*NUMBERS, signal.SIGCHLD)
        }
        try:
            yield
        finally:
            self._restore_signals(is_last=self._is_last)
            self._selector.close()
            self._signals.close()
            self._wakeup.close()

    def _restore_signals(self, *, is_last: bool = False) -> None:
        put_back(self._handlers_before, is_last=is_last)
        signal.set_wakeup_fd(self._fd_before)

    def _take_signals(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in self._signals.recv(4096):
                if number == signal.SIGHUP:
                    self._reload()
                elif number in ENDS:
                    self._end(signal.Signals(number))

    # Waiting -------------------------------------------------------------------------------------

    def _turn(self) -> None:
        """Wait until something happens or is due, and do what follows from it."""
        for key, _ in self._selector.select(self._patience()):
            if key.data is None:
                self._take_signals()
            else:
                self._listen(key.data)
        self._take_signals()  # first: one for all may have ended a worker before we looked
        for child in list(self._children.values()):
            self._look_after(child)
        if os.getpid() == INIT:
            self._take_in_orphans()
        now = time.monotonic()
        if self._notifier.watchdog is not None and self._alive_at <= now:
            self._alive_at = now + self._notifier.watchdog
            self._notifier.alive()
        for index in [index for index, due in self._missing.items() if due <= now]:
            del self._missing[index]
            self._replace(index)
        if self._deadline is not None and self._deadline <= now:
            self._kill()

    def _patience(self) -> float | None:
        dues = list(self._missing.values())
        if self._notifier.watchdog is not None:
            dues.append(self._alive_at)
        if self._deadline is not None:
            dues.append(self._deadline)
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def _listen(self, child: _Child) -> None:
        was_ready = child.is_ready
        with contextlib.suppress(BlockingIOError, ConnectionResetError):
            while said := child.channel.recv(1 << 16):
                child.said += said
            self._unregister(child)  # the end of it; of the worker's SIGCHLD tells
        if child.is_ready and not was_ready:
            self._hear_ready(child)

    def _hear_ready(self, child: _Child) -> None:
        if self._were_ready:
            _say(child, GO)
            return
        if self._is_stopping:
            return
        if len(self._children) == self._count and all(c.is_ready for c in self._children.values()):
            self._were_ready = True
            for each in self._children.values():
                _say(each, GO)
            self._on_ready()

    # Ends ----------------------------------------------------------------------------------------

    def _look_after(self, child: _Child) -> None:
        """See whether a worker has ended, and replace it."""
        try:
            pid, status = os.waitpid(child.pid, os.WNOHANG)
        except ChildProcessError:  # somebody else has seen its end
            pid, status = child.pid, 0
        if not pid:
            return
        self._close(child)
        self._shares.clear(child.index)
        code = os.waitstatus_to_exitcode(status)
        how = _how(code, child.error())
        if self._is_stopping or not self._were_ready:
            # Between heeding a signal and ignoring it there is a moment when it ends a process.
            is_expected = self._is_stopping and (child.is_killed or -code in (0, *ENDS))
            if not is_expected and self._failure is None:
                self._failure = child.error() or ChildProcessError(f"a worker ended with {how}")
            if not self._is_stopping:
                self._stop()
        else:
            delay = self._delay(child)
            logger.error("%s has ended with %s: replaced in %.1f s", child.name, how, delay)
            logger.debug("What it has ended with", exc_info=child.error())
            if child.is_ready:
                self._on_restarted(child.index)

    def _take_in_orphans(self) -> None:
        """Let go of processes that others have left behind, such as what commands have started."""
        ours = {child.pid for child in self._children.values()}
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        with contextlib.suppress(ChildProcessError):  # there is no process at all
            while (found := os.waitid(os.P_ALL, 0, how)) is not None and found.si_pid not in ours:
                os.waitpid(found.si_pid, 0)

    def _delay(self, child: _Child) -> float:
        """Have a worker replaced; return the seconds until then."""
        now = time.monotonic()
        is_young = now - child.born < YOUNG
        delay = self._delays.get(child.index, SHORTEST_DELAY) if is_young else SHORTEST_DELAY
        self._delays[child.index] = min(2 * delay, LONGEST_DELAY)
        self._missing[child.index] = now + delay
        return delay

    def _close(self, child: _Child) -> None:
        self._listen(child)
        self._unregister(child)
        child.channel.close()
        del self._children[child.index]

    def _unregister(self, child: _Child) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(child.channel)

    def _end(self, number: signal.Signals) -> None:
        """Tell all workers to stop; the second time, to hurry; the third time, end everything."""
        times = self._insistence.again()
        if times == 1:
            logger.info("Stopping: %s", number.name)
            self._stop()
        elif times == 2:
            logger.warning("Hurrying: %s again", number.name)
            self._deadline = time.monotonic() + MORE_GRACE
            for child in self._children.values():
                _say(child, HURRY)
        elif times == 3:
            self._died_of = number
            self._kill()

    def _stop(self) -> None:
        if self._is_stopping:
            return
        self._is_stopping = True
        self._deadline = time.monotonic() + self._grace + MORE_GRACE
        self._missing.clear()
        self._notifier.stopping()
        self._on_stopping()
        for child in self._children.values():
            os.kill(child.pid, signal.SIGTERM)

    def _reload(self) -> None:
        """Have all workers read files again, and those that will replace them as well."""
        if self._is_stopping:
            return
        self._has_reloaded = True
        if self._were_ready:  # else this would be told before `_on_ready`
            self._notifier.reloading()
        for child in self._children.values():
            _say(child, RELOAD)
        if self._were_ready:
            self._notifier.reloaded()

    def _kill(self) -> None:
        self._deadline = None
        for child in self._children.values():
            if not child.is_killed:
                child.is_killed = True
                logger.error("%s is killed: it has not stopped", child.name)
                os.kill(child.pid, signal.SIGKILL)

    # Forking -------------------------------------------------------------------------------------

    def _replace(self, index: int) -> None:
        try:
            self._fork(index)
        except OSError as error:  # too many processes, no memory
            logger.error("Worker %d cannot be replaced now: %s", index + 1, error.strerror)
            self._missing[index] = time.monotonic() + LONGEST_DELAY

    def _fork(self, index: int) -> None:
        """Make a worker.

        Raises
        ------
        OSError
            Where the system does not let us.
        """
        for stream in (sys.stdout, sys.stderr):  # else the worker writes what waits once more
            with contextlib.suppress(AttributeError, OSError, ValueError):
                stream.flush()
        ours, theirs = socket.socketpair()
        with theirs:
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, (*NUMBERS, signal.SIGCHLD))
            try:
                pid = os.fork()
                if not pid:
                    ours.close()
                    share, is_behind = Share(self._shares, index), self._has_reloaded
                    self._become(Worker(share, theirs, mask, is_behind=is_behind))
            except OSError:
                ours.close()
                raise
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        ours.setblocking(False)
        child = self._children[index] = _Child(index, pid, ours, time.monotonic())
        self._selector.register(ours, selectors.EVENT_READ, child)

    def _become(self, worker: Worker) -> NoReturn:
        """Be a worker, in its process: nothing of the parent's is run or held here."""
        code = 1
        try:
            _name_process(f"worker {worker.share.index + 1}")
            self._restore_signals()
            self._selector.close()
            for end in (self._signals, self._wakeup, *(c.channel for c in self._children.values())):
                end.close()  # as long as one of us had it, the others would not see its end
            self._work(worker)
            code = 0
        except BaseException as error:
            worker.failed(error)
        finally:
            with contextlib.suppress(Exception):
                logging.shutdown()
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):
                    stream.flush()
            os._exit(code)


def _heard(number: int, frame: object) -> None:
    """Do nothing: the wake-up descriptor has it."""


def _name_process(name: str) -> None:
    """Have records of `logging` tell whose they are: this is what their processName is."""
    import multiprocessing  # which one process alone has no need of

    multiprocessing.current_process().name = name


def _say(child: _Child, what: bytes) -> None:
    with contextlib.suppress(OSError):  # of one that has just died, SIGCHLD tells
        child.channel.send(what)


def _how(code: int, error: BaseException | None) -> str:
    if code < 0:
        return f"signal {-code}"
    return f"exit code {code}" + (f" ({error})" if error is not None else "")
