"""Measures one receiver in one cell."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from benchmarks.cells import Cell
from benchmarks.check import check_stored
from benchmarks.generator import run_plain_files
from benchmarks.loading import Loading, Sent, measurement_of
from benchmarks.measurement import Measurement
from benchmarks.messages import LoadError
from benchmarks.objects import write_ct
from benchmarks.receivers.process import started
from benchmarks.receivers.receiver import Receiver

__all__ = ["Bench"]

MOST_BYTES = 8 << 30
"""Of one run, however large the folder is."""

WRITING_LIMIT = 60.0


class Bench:
    """Measures cells in a folder of its own; a context manager that removes it.

    Parameters
    ----------
    folder : str
        Where receivers store.
    source : str
        Where datasets are kept that are sent: in memory, if possible.
    seconds : float
        How long a measurement should last.
    """

    def __init__(self, folder: str, source: str, seconds: float) -> None:
        self._seconds = seconds
        self._temporary = tempfile.TemporaryDirectory(prefix="aiodicom-bench-", dir=folder)
        self._source = tempfile.TemporaryDirectory(prefix="aiodicom-bench-", dir=source)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._temporary.cleanup()
        self._source.cleanup()

    def measure(self, receiver: Receiver, cell: Cell) -> Measurement:
        """Start a receiver, load it, stop it and look at what it has stored."""
        folder = Path(self._temporary.name, "received")
        folder.mkdir()
        try:
            if receiver.writes_only:
                return self._write_files(receiver, cell, folder)
            return self._load(receiver, cell, folder)
        except LoadError as error:
            return Measurement(error=str(error))
        finally:
            shutil.rmtree(folder)

    def forget_datasets(self) -> None:
        """Remove what was sent: that of one cell may be several gigabytes."""
        for path in Path(self._source.name).iterdir():
            path.unlink()

    def dataset(self, size: int) -> Path:
        """Return the file of object number 0 of a size in bytes."""
        path = Path(self._source.name, f"{size}.dataset")
        if not path.exists():
            write_ct(path, size)
        return path

    def most(self, size: int) -> int:
        """Return how many objects of a size the folder has room for, and some to spare."""
        free = shutil.disk_usage(self._temporary.name).free
        return min(MOST_BYTES, free // 3) // size

    def _load(self, receiver: Receiver, cell: Cell, folder: Path) -> Measurement:
        sent: Sent = {}
        with started(receiver, str(folder)) as running:
            measured = Loading(self, receiver, running, self._seconds, sent).measure(cell)
        if receiver.stores:
            check_stored(receiver, folder, sent)
        return measured

    def _write_files(self, receiver: Receiver, cell: Cell, folder: Path) -> Measurement:
        values = {
            "folder": folder,
            "size": cell.size,
            "seconds": self._seconds,
            "objects": self.most(cell.size),
        }
        command = [part.format(**values) for part in receiver.command]
        return measurement_of(run_plain_files(command, WRITING_LIMIT), cell.size)
