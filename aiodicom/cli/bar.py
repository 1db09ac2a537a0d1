"""A progress bar on a terminal, of the extra ``cli``."""

from __future__ import annotations

from typing import Self, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from aiodicom.cli import progress

__all__ = ["Bar"]


class Bar(progress.Progress):
    """Files, bytes, rate and the time that is left.

    Parameters
    ----------
    files, size : int
        How many objects and bytes there are.
    stream : file
        The terminal.
    """

    def __init__(self, files: int, size: int, stream: TextIO) -> None:
        self._bar = Progress(
            TextColumn("{task.fields[done]}/{task.fields[files]} files"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(file=stream),
        )
        self._task = self._bar.add_task("sending", total=size, files=files, done=0)
        self._done = 0

    def sent(self, count: int) -> None:
        """Move the bar."""
        self._bar.advance(self._task, count)

    def done(self) -> None:
        """Count an object."""
        self._done += 1
        self._bar.update(self._task, done=self._done)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._bar.stop()
