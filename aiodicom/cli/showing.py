"""What shows how far sending has come: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from collections.abc import Callable
from typing import TextIO

from aiodicom.cli.progress import Lines, Progress

__all__ = ["make_progress"]


def make_progress(files: int, size: int, stream: TextIO | None = None) -> Progress:
    """Return what shows the progress: a bar on a terminal where rich is installed, else lines.

    One file makes no progress that anybody could watch, unless it is large: then its lines come.
    Where standard error is closed, nothing does.
    """
    stream = sys.stderr if stream is None else stream
    if stream is None:
        return Progress()
    if files > 1 and stream.isatty():
        try:
            from aiodicom.cli.bar import Bar  # what it needs is an extra
        except ImportError:
            pass
        else:
            return Bar(files, size, stream)
    return Lines(files, size, _writer(stream))


def _writer(stream: TextIO) -> Callable[[str], None]:
    """Return what writes a line, but never waits for whoever reads it, nor fails without one."""

    def write(line: str) -> None:
        with contextlib.suppress(OSError):
            descriptor = stream.fileno()
            if select.select((), (descriptor,), (), 0)[1]:
                os.write(descriptor, f"{line}\n".encode())

    def say(line: str) -> None:
        threading.Thread(target=write, args=(line,), name="aiodicom-progress", daemon=True).start()

    return say
