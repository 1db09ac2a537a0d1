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
from benchmarks.cells import CELLS, ON_DISK, QUICK, named
from benchmarks.ext4 import fresh_ext4
from benchmarks.goals import goals_table
from benchmarks.messages import LoadError
from benchmarks.receivers.packages import HOW_TO_GET, packages
from benchmarks.receivers.table import RECEIVERS
from benchmarks.receivers.table import named as receiver_named
from benchmarks.report import as_markdown
from benchmarks.results import Results, load, merged, save
from benchmarks.run import available, run, say
from benchmarks.surroundings import filesystem_of, surroundings

__all__ = ["main"]

SHARED_MEMORY = "/dev/shm"
DEFAULT_FILE = Path("build", "benchmarks", "results.json")
DISK_RECEIVERS = ("ours", "ours-none", "ours-2", "ours-2-none", "dcmtk-fork", "orthanc",
                  "orthanc-unsynced", "files", "files-synced")  # fmt: skip
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
    add("--quick", action="store_true", help="the main cells and receivers, two short rounds")
    add("--cells", nargs="+", choices=[each.key for each in CELLS], metavar="CELL")
    add("--receivers", nargs="+", choices=[each.key for each in RECEIVERS], metavar="RECEIVER")
    add("--folder", help=f"where receivers store (default: {SHARED_MEMORY})")
    add(
        "--ext4",
        action="store_true",
        help="store to a fresh ext4 in a file, the main cells for that: needs root",
    )
    add("--json", type=Path, default=DEFAULT_FILE, metavar="FILE",
        help="where results are put after each round of a cell (default: %(default)s); other "
        "cells, and what was measured on other filesystems, stay in it")  # fmt: skip
    add(
        "--resume",
        action="store_true",
        help="measure only what the file does not hold yet, or has failed",
    )
    commands.add_parser("list", help="the cells and receivers there are")
    report = commands.add_parser("report", help="make the tables and plots of results again")
    report.add_argument("files", nargs="+", type=Path, metavar="FILE",
                        help="of a cell that is in several the last one counts")  # fmt: skip
    report.add_argument("--to", type=Path, metavar="FOLDER",
                        help="write tables.md, results.json and plots there, rather than print "
                        "the tables")  # fmt: skip
    goals = commands.add_parser("goals", help="compare results with what is wanted of them")
    goals.add_argument("files", nargs="+", type=Path, metavar="FILE")
    for name, do in (("run", _run), ("list", _list), ("report", _report), ("goals", _goals)):
        commands.choices[name].set_defaults(do=do)
    return parser


def _run(asked: argparse.Namespace) -> int:
    rounds = asked.rounds or (2 if asked.quick else 5)
    seconds = asked.seconds or (0.5 if asked.quick else 1.0)
    all_cells = [each.key for each in CELLS]
    all_receivers = [each.key for each in RECEIVERS]
    usual_cells = ON_DISK if asked.ext4 else all_cells
    cells = asked.cells or (QUICK if asked.quick else usual_cells)
    usual = DISK_RECEIVERS if asked.ext4 else all_receivers
    keys = asked.receivers or (QUICK_RECEIVERS if asked.quick else usual)
    receivers = available([receiver_named(key) for key in keys])
    if not receivers:
        raise LoadError("no receiver is left to measure")
    with _folder(asked) as folder:
        filesystem = filesystem_of(folder)
        held = load(asked.json)
        others = [each for each in held if each.filesystem != filesystem]
        kept = [each for each in held if each.filesystem == filesystem]
        results = merged([*kept, Results(surroundings(folder, rounds, seconds))])[0]
        results.surroundings["rounds"] = rounds
        if asked.resume:
            results.forget_failures()
        else:
            for key in cells:
                results.cells.pop(key, None)

        def keep() -> None:
            save(asked.json, [*others, results])

        with Bench(folder, _memory(), seconds) as bench:
            run(bench, [named(key) for key in cells], receivers, rounds, results, keep)
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


def _report(asked: argparse.Namespace) -> int:
    runs = _loaded(asked.files)
    if asked.to is None:
        print(as_markdown(runs))
        return 0
    from benchmarks.plots import draw  # matplotlib is an extra

    save(asked.to / "results.json", runs)
    drawn = [name for each in runs for name in draw(each, asked.to)]
    (asked.to / "tables.md").write_text("# Tables\n\n" + as_markdown(runs) + "\n", encoding="utf-8")
    say(f"written to {asked.to}: results.json, tables.md, {', '.join(drawn)}")
    return 0


def _goals(asked: argparse.Namespace) -> int:
    print(goals_table(_loaded(asked.files)))
    return 0


def _loaded(files: list[Path]) -> list[Results]:
    for path in files:
        if not path.exists():
            raise LoadError(f"there is no {path}")
    return merged(run for path in files for run in load(path))


@contextlib.contextmanager
def _folder(asked: argparse.Namespace) -> Iterator[str]:
    if asked.ext4:
        with fresh_ext4(asked.folder) as folder:
            yield folder
    else:
        yield asked.folder or _memory()


def _memory() -> str:
    return SHARED_MEMORY if os.path.isdir(SHARED_MEMORY) else tempfile.gettempdir()
