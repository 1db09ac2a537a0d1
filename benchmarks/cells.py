"""One measurement: one receiver, one size of object, one number of associations."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.check import check_stored
from benchmarks.load import Order, Outcome
from benchmarks.messages import LoadError
from benchmarks.objects import ct_dataset
from benchmarks.receivers import Receiver, Running, started

__all__ = ["Bench", "Cell", "Measurement"]

PILOT_SECONDS = 0.3
"""Enough to warm a receiver up, and to see how many objects it takes."""

MEASURED = 10**8
"""The number of the first object that is measured; the pilot's are below."""

MOST_BYTES = 4 << 30


@dataclass(frozen=True, slots=True)
class Cell:
    """What is measured: objects of so many kB on so many associations."""

    kilobytes: int
    associations: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one receiver did in one round of one cell.

    Attributes
    ----------
    objects : int
        How many were acknowledged.
    objects_per_second, megabytes_per_second : float
        Of acknowledged objects; a megabyte is 1,000,000 bytes of dataset.
    p50_ms, p99_ms : float
        From an object's first byte to its answer.
    processor_us : float
        User and system time of the receiver for each object, children included.
    generator_us : float
        That of the load generator.
    peak_mb : float
        The receiver's largest resident size; with children, the sum of theirs.
    error : str
        Why nothing of this counts, or an empty string.
    """

    objects: int = 0
    objects_per_second: float = 0.0
    megabytes_per_second: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    processor_us: float = 0.0
    generator_us: float = 0.0
    peak_mb: float = 0.0
    error: str = ""


class Bench:
    """Measures cells in a folder of its own; a context manager that removes it.

    Parameters
    ----------
    folder : str
        Where receivers store.
    seconds : float
        How long a measurement should last.
    """

    def __init__(self, folder: str, seconds: float) -> None:
        self._seconds = seconds
        self._temporary = tempfile.TemporaryDirectory(prefix="aiodicom-bench-", dir=folder)
        self._datasets: dict[int, bytes] = {}

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._temporary.cleanup()

    def measure(self, receiver: Receiver, cell: Cell) -> Measurement:
        """Start a receiver, load it, stop it and look at what it has stored."""
        folder = Path(self._temporary.name, "received")
        folder.mkdir()
        try:
            return self._measure(receiver, cell, str(folder))
        except LoadError as error:
            return Measurement(error=str(error))
        finally:
            shutil.rmtree(folder)

    def _measure(self, receiver: Receiver, cell: Cell, folder: str) -> Measurement:
        with started(receiver, folder) as running:
            pilot = self._order(receiver, cell, running, PILOT_SECONDS)
            piloted = _run_load(pilot)
            order = self._order(receiver, cell, running, self._seconds, piloted)
            outcome = _run_load(order)
        numbers = _numbers(pilot, piloted) | _numbers(order, outcome)
        dataset = self._dataset(cell)
        check_stored(receiver, folder, numbers, dataset)
        return _measurement(outcome, len(dataset))

    def _order(
        self,
        receiver: Receiver,
        cell: Cell,
        running: Running,
        seconds: float,
        piloted: Outcome | None = None,
    ) -> Order:
        """Return an order of `seconds`: by the clock, or by the pace of the pilot."""
        wanted = most = self._room(cell)
        if piloted is not None:
            wanted = round(piloted.objects / piloted.seconds * seconds / cell.associations)
        return Order(
            receiver=running.pid,
            port=running.port,
            dataset=self._dataset_file(cell),
            associations=cell.associations,
            objects=max(1, min(wanted, most)),
            seconds=seconds if piloted is None else 4 * seconds,
            first=0 if piloted is None else MEASURED,
            together=not receiver.one_at_a_time,
        )

    def _room(self, cell: Cell) -> int:
        """Return how many objects each association may send without filling the folder."""
        free = shutil.disk_usage(self._temporary.name).free
        room = min(MOST_BYTES, free // 4) // len(self._dataset(cell)) // cell.associations
        if not room:
            raise LoadError("the folder has no room for so many objects")
        return room

    def _dataset(self, cell: Cell) -> bytes:
        if cell.kilobytes not in self._datasets:
            self._datasets[cell.kilobytes] = ct_dataset(cell.kilobytes * 1000)
        return self._datasets[cell.kilobytes]

    def _dataset_file(self, cell: Cell) -> str:
        path = Path(self._temporary.name, f"{cell.kilobytes}.dataset")
        if not path.exists():
            path.write_bytes(self._dataset(cell))
        return str(path)


def _run_load(order: Order) -> Outcome:
    """Run the load generator.

    Raises
    ------
    LoadError
        Where anything but success came back, or nothing at all.
    """
    limit = order.seconds + 3 * order.patience
    try:
        process = subprocess.run(
            [sys.executable, "-m", "benchmarks.load"],
            input=json.dumps(asdict(order)).encode(),
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LoadError(f"the load was not done within {limit:g} s") from None
    if process.returncode:
        raise LoadError(f"the load generator failed: exit code {process.returncode}")
    outcome = Outcome(**json.loads(process.stdout))
    if outcome.error:
        raise LoadError(outcome.error)
    return outcome


def _numbers(order: Order, outcome: Outcome) -> set[int]:
    """Return the numbers of the objects that were acknowledged."""
    step = order.associations
    return {
        number
        for index, count in enumerate(outcome.acknowledged)
        for number in range(order.first + index, order.first + index + count * step, step)
    }


def _measurement(outcome: Outcome, size: int) -> Measurement:
    objects = outcome.objects
    return Measurement(
        objects=objects,
        objects_per_second=objects / outcome.seconds,
        megabytes_per_second=objects * size / outcome.seconds / 1e6,
        p50_ms=outcome.p50 * 1e3,
        p99_ms=outcome.p99 * 1e3,
        processor_us=outcome.receiver / objects * 1e6,
        generator_us=outcome.generator / objects * 1e6,
        peak_mb=outcome.peak / 1e6,
    )
