"""The commands: run, list, report and goals."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.cells import CELLS, QUICK, named
from benchmarks.ext4 import fresh_ext4
from benchmarks.messages import LoadError
from benchmarks.receivers.packages import HOW_TO_GET, packages
from benchmarks.receivers.table import RECEIVERS
from benchmarks.receivers.table import named as receiver_named
from benchmarks.results import Results, load, save
from benchmarks.run import available, run, say
from benchmarks.surroundings import filesystem_of, surroundings

__all__ = ["main"]

SHARED_MEMORY = "/dev/shm"
DEFAULT_FILE = Path("build", "benchmarks", "results.json")
QUICK_RECEIVERS = ("ours", "ours-2", "dcmtk", "dcmtk-fork", "pynetdicom", "null")


def main() -> int:
    """Do what the command line says; return the exit code."""
    if sys.platform != "linux":
        say("the benchmark needs Linux: epoll, and /proc for what receivers use")
        return 1
    parser = _parser()
    asked = parser.parse_args()
    # Ended by a signal, it stops its receivers and removes its files all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        return int(asked.do(asked))
    except LoadError as error:
        say(str(error))
    except KeyboardInterrupt:
        say("interrupted: --resume goes on")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add = commands.add_parser("run", help="measure").add_argument
    add("--rounds", type=int, help="how often each measurement is made (default: 5)")
    add("--seconds", type=float, help="how long one lasts, about (default: 1)")
    add("--quick", action="store_true", help="the main cells and receivers, one short round")
    add("--cells", nargs="+", choices=[each.key for each in CELLS], metavar="CELL")
    add("--receivers", nargs="+", choices=[each.key for each in RECEIVERS], metavar="RECEIVER")
    add("--folder", help=f"where receivers store (default: {SHARED_MEMORY})")
    add("--ext4", action="store_true", help="store to a fresh ext4 in a file: needs root")
    add("--json", type=Path, default=DEFAULT_FILE, metavar="FILE",
        help="where results are put after each round of a cell (default: %(default)s); what was "
        "measured on other filesystems stays in it")  # fmt: skip
    add("--resume", action="store_true", help="measure only what the file does not hold yet")
    parser_of = commands.add_parser("list", help="the cells and receivers there are")
    parser_of.set_defaults(do=_list)
    commands.choices["run"].set_defaults(do=_run)
    return parser


def _run(asked: argparse.Namespace) -> int:
    rounds = asked.rounds or (1 if asked.quick else 5)
    seconds = asked.seconds or (0.5 if asked.quick else 1.0)
    cells = [
        named(key) for key in asked.cells or (QUICK if asked.quick else [c.key for c in CELLS])
    ]
    keys = asked.receivers or (QUICK_RECEIVERS if asked.quick else [r.key for r in RECEIVERS])
    receivers = available([receiver_named(key) for key in keys])
    if not receivers:
        raise LoadError("no receiver is left to measure")
    with _folder(asked) as folder:
        filesystem = filesystem_of(folder)
        others = [each for each in load(asked.json) if each.filesystem != filesystem]
        results = Results(surroundings(folder, rounds, seconds))
        if asked.resume:
            kept = [each for each in load(asked.json) if each.filesystem == filesystem]
            results = kept[0] if kept else results
        with Bench(folder, _memory(), seconds) as bench:
            run(
                bench,
                cells,
                receivers,
                rounds,
                results,
                lambda: save(asked.json, [*others, results]),
            )
    say(f"results are in {asked.json}")
    return 0


def _list(_asked: argparse.Namespace) -> int:
    print("Cells:")
    for cell in CELLS:
        print(f"  {cell.key:12} {cell.title}")
    print("Receivers:")
    for receiver in RECEIVERS:
        missing = receiver.package not in packages()
        note = f"   (missing: {HOW_TO_GET[receiver.package]})" if missing else ""
        print(f"  {receiver.key:20} {receiver.name}{note}")
    return 0


@contextlib.contextmanager
def _folder(asked: argparse.Namespace) -> Iterator[str]:
    if asked.ext4:
        with fresh_ext4(asked.folder) as folder:
            yield folder
    else:
        yield asked.folder or _memory()


def _memory() -> str:
    return SHARED_MEMORY if os.path.isdir(SHARED_MEMORY) else tempfile.gettempdir()
