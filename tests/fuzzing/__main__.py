"""Fuzzes all targets, repeats inputs, or keeps them.

    python -m tests.fuzzing run [--seconds 300] [--jobs 2] [--rounds 1] [--keep-going]
                                [--folder build/fuzzing] [TARGET ...]
    python -m tests.fuzzing repeat TARGET FILE...
    python -m tests.fuzzing keep [--folder build/fuzzing] [TARGET ...]

Each target has its share of the seconds, in a process of its own, as many of them at a time as
there are jobs. An input that fails is left in FOLDER/findings; what was fuzzed before goes on from
FOLDER/inputs. To keep is to copy to the corpus what of these reaches code that nothing in it
reaches.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzzing.statistics import Statistics, statistics_of
from tests.fuzzing.targets import TARGETS, Target

GUIDED = (sys.executable, "-m", "tests.fuzzing.guided")

LEAST = 10
"""Seconds for a target: to begin takes some of them."""


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    if options.what == "repeat":
        return _repeat(TARGETS[options.target], options.files)
    targets = [TARGETS[name] for name in options.targets or TARGETS]
    if options.what == "keep":
        return max(_keep(target, options.folder / "inputs" / target.name) for target in targets)
    jobs = min(options.jobs, len(targets))
    seconds = options.seconds * jobs / options.rounds / sum(target.share for target in targets)
    total, begin = Statistics(), time.monotonic()
    for number in range(options.rounds):
        with ThreadPoolExecutor(jobs) as threads:
            runs = [
                threads.submit(_run, target, max(round(seconds * target.share), LEAST), options)
                for target in targets
            ]
            ended = [run.result() for run in runs]
        total = sum(ended, total)
        hours = (time.monotonic() - begin) * jobs / 3600
        _write(f"round {number + 1}: {total.inputs} inputs, {hours:.2f} core-hours in all")
        if not all(run.is_good for run in ended) and not options.keep_going:
            return 1
    return int(not total.is_good)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing")
    commands = parser.add_subparsers(dest="what", required=True)
    run = commands.add_parser("run")
    keep = commands.add_parser("keep")
    for command in (run, keep):
        command.add_argument("targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET")
        command.add_argument("--folder", type=Path, default=Path("build/fuzzing"))
    run.add_argument("--seconds", type=float, default=300)
    run.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    run.add_argument("--rounds", type=int, default=1)
    run.add_argument("--keep-going", action="store_true")
    repeat = commands.add_parser("repeat")
    repeat.add_argument("target", choices=TARGETS)
    repeat.add_argument("files", nargs="+", type=Path)
    return parser.parse_args(arguments)


def _run(target: Target, seconds: int, options: argparse.Namespace) -> Statistics:
    """Fuzz one target, and say what has come of it."""
    folder: Path = options.folder
    inputs, findings = folder / "inputs" / target.name, folder / "findings"
    for made in (inputs, findings):
        made.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    log = folder / f"{target.name}.log"
    with log.open("wb") as file:
        code = subprocess.run(
            [
                *GUIDED, target.name, f"-max_total_time={seconds}", "-print_final_stats=1",
                f"-artifact_prefix={findings}/{target.name}-", str(inputs), str(target.folder),
            ],
            stdout=file, stderr=file, check=False,
        ).returncode  # fmt: skip
    run = statistics_of(log.read_text(errors="replace"), is_good=code == 0)
    _write(f"{target.name}: {run}")
    for finding in sorted(set(findings.iterdir()) - before):
        _write(f"  python -m tests.fuzzing repeat {target.name} {finding}")
    if code:
        _write(f"  see {log}")
    return run


def _repeat(target: Target, files: list[Path]) -> int:
    with target.make() as run:
        for path in files:
            run(path.read_bytes())
    return 0


def _keep(target: Target, inputs: Path) -> int:
    """Copy to the corpus what reaches something new; how often something is done does not count."""
    merge = (*GUIDED, target.name, "-merge=1", "-use_counters=0", str(target.folder), str(inputs))
    before = len(target.inputs())
    done = subprocess.run(merge, check=False, capture_output=True)
    _write(f"{target.name}: {len(target.inputs()) - before} inputs more")
    return done.returncode


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
