"""``python -m benchmarks``: receivers side by side, as a Markdown table."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.cells import Bench, Cell, Measurement
from benchmarks.receivers import RECEIVERS, Receiver, versions
from benchmarks.report import as_json, as_markdown, surroundings

SHARED_MEMORY = "/dev/shm"


def _arguments() -> argparse.Namespace:
    keys = [receiver.key for receiver in RECEIVERS]
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--rounds", type=int, help="how often each measurement is made (default: 5)")
    add("--seconds", type=float, help="how long one lasts, about (default: 1.5)")
    add("--quick", action="store_true", help="one round of half a second")
    add(
        "--receivers",
        nargs="+",
        choices=keys,
        default=keys,
        metavar="NAME",
        help=f"of {', '.join(keys)} (default: all)",
    )
    add("--sizes", nargs="+", type=int, default=[6, 530], metavar="KB", help="of objects, in kB")
    add("--associations", nargs="+", type=int, default=[1, 8, 16], metavar="N")
    add("--folder", help=f"where receivers store (default: {SHARED_MEMORY})")
    add("--json", metavar="FILE", help="write everything to this file too")  # fmt: skip
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 5)
    arguments.seconds = arguments.seconds or (0.5 if arguments.quick else 1.5)
    if arguments.folder is None:
        arguments.folder = SHARED_MEMORY if os.path.isdir(SHARED_MEMORY) else tempfile.gettempdir()
    if min(arguments.rounds, arguments.seconds, *arguments.sizes, *arguments.associations) <= 0:
        parser.error("numbers must be positive")
    return arguments


def _available(keys: Sequence[str]) -> list[Receiver]:
    wanted = [receiver for receiver in RECEIVERS if receiver.key in keys]
    for receiver in wanted:
        if receiver.package not in versions():
            _say(f"{receiver.name} is left out: {receiver.package} is not installed")
    return [receiver for receiver in wanted if receiver.package in versions()]


def _measure_all(
    bench: Bench, cells: Sequence[Cell], receivers: Sequence[Receiver], rounds: int
) -> dict[Cell, dict[str, list[Measurement]]]:
    results: dict[Cell, dict[str, list[Measurement]]] = {}
    for cell in cells:
        taking_part = [each for each in receivers if _can(each, cell)]
        results[cell] = {each.key: [] for each in taking_part}
        for number in range(rounds):
            # Another one begins each time: a machine that slows down hits them all.
            first = number % max(len(taking_part), 1)
            for receiver in taking_part[first:] + taking_part[:first]:
                measurement = bench.measure(receiver, cell)
                results[cell][receiver.key].append(measurement)
                _say(_progress(cell, receiver, number + 1, measurement))
    return results


def _can(receiver: Receiver, cell: Cell) -> bool:
    most = receiver.most_associations
    return most is None or cell.associations <= most


def _progress(cell: Cell, receiver: Receiver, number: int, measurement: Measurement) -> str:
    what = measurement.error or f"{measurement.objects_per_second:,.0f}/s"
    return f"{cell.kilobytes} kB x {cell.associations}, round {number}, {receiver.name}: {what}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Run the benchmark; return its exit code: 1 where a measurement failed."""
    if sys.platform != "linux":
        _say("the benchmark needs Linux: epoll, and /proc for what receivers use")
        return 1
    arguments = _arguments()
    # Ended by a signal, it stops its receivers and removes its files all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    cells = [Cell(size, count) for size in arguments.sizes for count in arguments.associations]
    receivers = _available(arguments.receivers)
    if not receivers:
        _say("no receiver is left to measure")
        return 1
    with Bench(arguments.folder, arguments.seconds) as bench:
        results = _measure_all(bench, cells, receivers, arguments.rounds)
    around = surroundings(arguments.folder, arguments.rounds, arguments.seconds)
    print(as_markdown(results, around))
    if arguments.json:
        text = json.dumps(as_json(results, around), indent=1)
        Path(arguments.json).write_text(text + "\n", encoding="utf-8")
    measured = [each for rows in results.values() for rounds in rows.values() for each in rounds]
    return int(any(each.error for each in measured))


if __name__ == "__main__":
    sys.exit(main())
