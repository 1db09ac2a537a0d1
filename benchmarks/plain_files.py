"""``python -m benchmarks.plain_files``: what the filesystem does without any network.

Creates, writes and renames files in a loop, as a receiver does; writes what that came to as JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from dataclasses import asdict, dataclass, field

__all__ = ["Written", "write"]

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Written:
    """What was written.

    Attributes
    ----------
    seconds, processor : float
        How long it took, and the user and system time of it.
    latencies : list of float
        Seconds of each file.
    """

    seconds: float = 0.0
    processor: float = 0.0
    latencies: list[float] = field(default_factory=list)


def write(folder: str, size: int, seconds: float, most: int, *, sync: bool, mark: str) -> Written:
    """Write files of a size until the time is over, or so many of them.

    Parameters
    ----------
    folder : str
        Where.
    size : int
        Bytes of each.
    seconds : float
        After so long no other one is begun.
    most : int
        Files, at most.
    sync : bool
        Whether file and folder are synced, each time.
    mark : str
        What tells its names from those of another process.
    """
    chunk = memoryview(bytes(min(size, CHUNK)))
    directory = os.open(folder, os.O_RDONLY)
    latencies: list[float] = []
    begun = before = time.perf_counter()
    processor = time.process_time()
    for number in range(most):
        _write_one(f"{folder}/.{mark}.part", f"{folder}/{mark}.{number}", chunk, size, sync=sync)
        if sync:
            os.fsync(directory)
        now = time.perf_counter()
        latencies.append(now - before)
        before = now
        if now - begun > seconds:
            break
    os.close(directory)
    return Written(before - begun, time.process_time() - processor, latencies)


def _write_one(temporary: str, name: str, chunk: memoryview, size: int, *, sync: bool) -> None:
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    left = size
    while left:
        left -= os.write(descriptor, chunk[:left])
    if sync:
        os.fdatasync(descriptor)
    os.close(descriptor)
    os.rename(temporary, name)


def _star(arguments: tuple[str, int, float, int, bool, str]) -> Written:
    folder, size, seconds, most, sync, mark = arguments
    return write(folder, size, seconds, most, sync=sync, mark=mark)


def main() -> None:
    """Write, by several processes where that is asked for, and tell."""
    parser = argparse.ArgumentParser("python -m benchmarks.plain_files", description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("size", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("objects", type=int, help="at most, of all processes")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--sync", action="store_true")
    asked = parser.parse_args()
    most = max(asked.objects // asked.processes, 1)
    jobs = [
        (asked.folder, asked.size, asked.seconds, most, asked.sync, str(number))
        for number in range(asked.processes)
    ]
    if asked.processes == 1:
        written = [_star(jobs[0])]
    else:
        with multiprocessing.get_context("fork").Pool(asked.processes) as pool:
            written = pool.map(_star, jobs, chunksize=1)
    together = Written(
        max(each.seconds for each in written),
        sum(each.processor for each in written),
        [latency for each in written for latency in each.latencies],
    )
    json.dump(asdict(together), sys.stdout)


if __name__ == "__main__":
    main()
