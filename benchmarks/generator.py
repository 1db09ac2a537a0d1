"""The processes that make a load."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.load.order import Order, Outcome
from benchmarks.messages import LoadError

__all__ = ["run_load", "run_loads", "run_plain_files"]

ROOT = Path(__file__).parent.parent
LOAD = (sys.executable, "-m", "benchmarks.load")
IDLE_SECONDS = 60.0
"""For opening idle associations."""


def run_load(order: Order) -> Outcome:
    """Run the load generator.

    Raises
    ------
    LoadError
        Where anything but success came back, or nothing at all.
    """
    return run_loads([order])[0]


def run_loads(orders: Sequence[Order]) -> list[Outcome]:
    """Run several load generators at the same time.

    Raises
    ------
    LoadError
        Where anything but success came back to one of them, or nothing at all.
    """
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(_started(LOAD)) for _ in orders]
        for process, order in zip(processes, orders, strict=True):
            assert process.stdin
            process.stdin.write(json.dumps(asdict(order)).encode())
            process.stdin.close()
            process.stdin = None  # `communicate` would flush it
        return [_outcome(*pair) for pair in zip(processes, orders, strict=True)]


def run_plain_files(command: Sequence[str], limit: float) -> Outcome:
    """Run a process that writes files, without any receiver.

    Raises
    ------
    LoadError
        Where it fails.
    """
    with _started(command) as process:
        written = json.loads(_output(process, limit))
    latencies = sorted(written["latencies"])
    return Outcome(
        [len(latencies)],
        written["seconds"],
        latencies[len(latencies) // 2],
        latencies[int(len(latencies) * 0.99)],
        receiver=written["processor"],
    )


@contextlib.contextmanager
def _started(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    with process:
        try:
            yield process
        finally:
            process.kill()


def _outcome(process: subprocess.Popen[bytes], order: Order) -> Outcome:
    limit = order.seconds + 3 * order.patience + (IDLE_SECONDS if order.idle else 0)
    outcome = Outcome(**json.loads(_output(process, limit)))
    if outcome.error:
        raise LoadError(outcome.error)
    return outcome


def _output(process: subprocess.Popen[bytes], limit: float) -> bytes:
    try:
        output, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        raise LoadError(f"the load was not done within {limit:g} s") from None
    if process.returncode:
        raise LoadError(f"the load generator failed: exit code {process.returncode}")
    return output
