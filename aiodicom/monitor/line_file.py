"""Whole lines at the end of a file that other processes write to as well. It waits for the disk."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import stat
from collections.abc import Iterator, Sequence
from typing import IO, Protocol

__all__ = ["AppendedFile", "Lines", "Stream", "lines_of"]


class Lines(Protocol):
    """Where lines go."""

    name: str

    def open(self) -> None:
        """Open it, or open it anew: who has renamed it wants another one under its name.

        Raises
        ------
        OSError
            Where it cannot be; then everything stays as it was.
        """

    def append(self, lines: Sequence[bytes]) -> int:
        """Write lines, each with its end; return how many were written, from the first one on.

        What is written of another one is taken back, or ended as a line of its own.

        Raises
        ------
        OSError
            Where none could be.
        """

    def close(self) -> None:
        """Let go of it."""


class AppendedFile:
    """A file by its name.

    All lines of a call are one write under a lock (``flock``), behind what others have appended.
    A line that only begins, because the disk is full, is cut off again; what a killed process has
    left of one is ended before the next.

    Parameters
    ----------
    path : str
        Its name. It is made where it is missing.
    """

    def __init__(self, path: str) -> None:
        self.name = path
        self._descriptor: int | None = None
        self._is_regular = True

    def open(self) -> None:
        """Open it, or open it anew; see `Lines.open`."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY
        descriptor = os.open(self.name, flags, 0o666)
        self.close()
        self._descriptor = descriptor
        self._is_regular = stat.S_ISREG(os.fstat(descriptor).st_mode)

    def append(self, lines: Sequence[bytes]) -> int:
        """Write lines; see `Lines.append`."""
        if self._descriptor is None:
            self.open()
        assert self._descriptor is not None
        if not self._is_regular:
            return _write_each(self._descriptor, lines)
        with _locked(self._descriptor):
            return _append(self._descriptor, lines)

    def close(self) -> None:
        """Close it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextlib.contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    with contextlib.suppress(OSError):  # where there are no locks a write is whole nearly always
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)


def _append(descriptor: int, lines: Sequence[bytes]) -> int:
    size = os.fstat(descriptor).st_size
    is_torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
    data = b"\n" * is_torn + b"".join(lines)
    written = 0
    try:
        while written < len(data):
            written += os.write(descriptor, memoryview(data)[written:])
    except OSError:
        whole, count = int(is_torn and written > 0), 0
        while count < len(lines) and whole + len(lines[count]) <= written:
            whole += len(lines[count])
            count += 1
        if os.fstat(descriptor).st_size == size + written:
            os.ftruncate(descriptor, size + whole)
        if not count:
            raise
        return count
    return len(lines)


class Stream:
    """A stream that somebody else has opened, such as standard output.

    Parameters
    ----------
    stream : file object
        Of bytes or of text. Where it has a descriptor, each line is one write to that.
    """

    def __init__(self, stream: IO[bytes] | IO[str]) -> None:
        self.name = str(getattr(stream, "name", type(stream).__name__))
        self._stream = stream
        self._is_torn = False

    def open(self) -> None:
        """Write out what its owner has written."""
        self._stream.flush()

    def append(self, lines: Sequence[bytes]) -> int:
        """Write lines; see `Lines.append`."""
        try:
            descriptor = self._stream.fileno()
        except (io.UnsupportedOperation, AttributeError):
            self._write(b"".join(lines))
            return len(lines)
        first = b"\n" * self._is_torn + lines[0]
        self._is_torn = True
        written = _write_each(descriptor, (first, *lines[1:]))
        self._is_torn = written < len(lines)
        return written

    def _write(self, data: bytes) -> None:
        if isinstance(self._stream, io.TextIOBase):
            self._stream.write(data.decode("ascii"))
        else:
            self._stream.write(data)  # type: ignore[arg-type]
        self._stream.flush()

    def close(self) -> None:
        """Leave it to its owner."""


def _write_each(descriptor: int, lines: Sequence[bytes]) -> int:
    """Write each line by itself: to a pipe that others write to, short ones are whole."""
    for count, line in enumerate(lines):
        written = 0
        try:
            while written < len(line):
                written += os.write(descriptor, memoryview(line)[written:])
        except OSError:
            if not count:
                raise
            return count
    return len(lines)


def lines_of(target: str | os.PathLike[str] | IO[bytes] | IO[str]) -> Lines:
    """Return where lines go that are written to a path, or to a stream."""
    if isinstance(target, (str, os.PathLike)):
        return AppendedFile(os.fspath(target))
    return Stream(target)
