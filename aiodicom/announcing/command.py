"""A sink that runs a command for each announcement, which finds it on its standard input."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence

from aiodicom.announcing.announcements import Announcement, ObjectStored
from aiodicom.announcing.cloud_events import encode, type_of
from aiodicom.announcing.retries import TryAgain, Undeliverable
from aiodicom.announcing.templates import reception_command, study_command
from aiodicom.announcing.words import command_line

__all__ = ["Command"]

DATA_ERROR = os.EX_DATAERR
"""The exit code of a command that does not want an announcement, now or later (65)."""

SIGKILL = 9
"""Its number in POSIX: modules that import `signal` are those that handle signals."""


class Command:
    """Runs a command for each announcement.

    On its standard input it finds the CloudEvent as JSON, in ``AIODICOM_EVENT`` its type and in
    ``AIODICOM_EVENT_ID`` its id. In the command ``#p #f #a #c #r`` stand for the folder, the file,
    the calling and the called AE title and the peer's address; for a study for those of the
    object that was stored last, and ``#f`` stays ``#f``. What a peer has chosen is a word of the
    command's, never a part of what a shell reads.

    An exit code of 0 means that it has taken the announcement, 65 (``EX_DATAERR``) that it never
    will. After any other one it is run again.

    Parameters
    ----------
    text : str
        The command. To check it may take a shell some milliseconds: make it before the loop runs.
    timeout : float
        Seconds after which a command that has not ended is killed, and run again later.
    paths : bool
        Whether the event says where the files are: a folder may be called by a patient's name.

    Raises
    ------
    ValueError
        Where the command cannot be run as it is; says why, and what would be right.
    """

    def __init__(self, text: str, *, timeout: float = 60, paths: bool = False) -> None:
        if not timeout > 0:
            raise ValueError(f"{timeout} s are no timeout: more than 0")
        self._for_objects = reception_command(text)
        self._for_studies = study_command(text)
        self._timeout = timeout
        self._paths = paths
        self.name = f"command {self._for_objects.name}"

    async def __call__(self, announcement: Announcement) -> None:
        """Run the command, to its end.

        Raises
        ------
        TryAgain, OSError
            Where it has failed, or does not end.
        Undeliverable
            Where it does not want this announcement.
        """
        if isinstance(announcement, ObjectStored):
            template, last = self._for_objects, announcement.stored
        else:
            template, last = self._for_studies, announcement.study.last
        arguments, variables = command_line(template, last, last.address)
        variables["AIODICOM_EVENT"] = type_of(announcement)
        variables["AIODICOM_EVENT_ID"] = announcement.id
        data = encode(announcement, paths=self._paths)
        code = await _run(_Process(arguments, variables, data, self._timeout))
        if code == DATA_ERROR:
            raise Undeliverable(f"exit code {code}")
        if code:
            raise TryAgain(f"exit code {code}" if code > 0 else f"signal {-code}")


class _Process:
    """One run of a command."""

    def __init__(
        self, arguments: Sequence[str], variables: Mapping[str, str], data: bytes, timeout: float
    ) -> None:
        self._arguments = arguments
        self._variables = variables
        self._data = data
        self._timeout = timeout
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_unwanted = False

    def run(self) -> int:
        """Run it and return its exit code.

        Raises
        ------
        OSError
            Where it cannot be started.
        TryAgain
            Where it did not end.
        """
        with self._lock:
            if self._is_unwanted:
                return -SIGKILL
            process = self._process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.PIPE,
                env={**os.environ, **self._variables},
                start_new_session=True,  # Ctrl-C is for the receiver, which waits for the command
            )
        try:
            process.communicate(self._data, self._timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            process.communicate()
            raise TryAgain(f"no end within {self._timeout:g} s") from None
        return process.returncode

    def kill(self) -> None:
        """End it, and whatever it has started in its session."""
        with self._lock:
            self._is_unwanted = True
            if self._process is not None and self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, SIGKILL)


async def _run(process: _Process) -> int:
    """Run a process in a thread that nobody has to wait for; kill it when cancelled."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def tell(code: int, error: BaseException | None) -> None:
        if ended.done():
            return
        if error is None:
            ended.set_result(code)
        else:
            ended.set_exception(error)

    def work() -> None:
        code, failure = 0, None
        try:
            code = process.run()
        except Exception as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended before the command
            loop.call_soon_threadsafe(tell, code, failure)

    try:
        threading.Thread(target=work, daemon=True).start()
    except RuntimeError:
        raise TryAgain("the system has no more threads") from None
    try:
        return await ended
    except asyncio.CancelledError:
        # Beside the loop: it may wait for the start of the process.
        threading.Thread(target=process.kill, daemon=True).start()
        raise
