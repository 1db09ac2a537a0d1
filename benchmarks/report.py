"""The results as Markdown, and as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.receivers import OURS, RECEIVERS, Receiver, versions
from benchmarks.results import Results, median, ratio

__all__ = ["as_json", "as_markdown", "surroundings"]

_COLUMNS = (
    "object",
    "associations",
    "receiver",
    "objects/s",
    "MB/s",
    "p50 ms",
    "p99 ms",
    "CPU µs/object",
    "peak MB",
    "generator µs/object",
)

_NOTES = """\
- Only objects that were answered 0x0000 count, and after each round they are looked for in the
  folder. A row is the median of its rounds; receivers take turns within a round.
- CPU: user and system time of the receiver, of its children too, without accepting and releasing
  associations. Generator: that of the load generator, which shares the cores; the system's
  part of it delivers the bytes.
- Peak: the largest resident size (VmHWM). With `--fork` it is the sum over its processes,
  in which pages that they share count once for each of them.
- DCMTK runs with `TCP_NODELAY=1`, but for the rows "as shipped". Without `--fork` it serves one
  association after the other, and the others wait: their waiting is not in its latencies.\
"""


def surroundings(folder: str, rounds: int, seconds: float) -> dict[str, object]:
    """Return what the results depend on; nothing that tells whose machine it is."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "versions": versions(),
        "filesystem": _filesystem(folder),
        "rounds": rounds,
        "seconds": seconds,
    }


def as_markdown(results: Results, around: dict[str, object]) -> str:
    """Return the table of results, the table of ratios and what is to be known about them."""
    parts = [
        _line(around),
        _table(_COLUMNS, _rows(results), left=3),
        "Objects/s of aiodicom, in multiples of the other's: the median of the rounds (range).",
        _ratios(results),
        _NOTES,
    ]
    return "\n\n".join(parts)


def as_json(results: Results, around: dict[str, object]) -> dict[str, object]:
    """Return everything, each round included, for `json.dump`."""
    cells = []
    for cell, by_receiver in results.items():
        receivers = {
            key: {
                "median": asdict(median(rounds)),
                "rounds": [asdict(each) for each in rounds],
                "ours_over_it": asdict(compared)
                if (compared := ratio(by_receiver.get(OURS, ()), rounds))
                else None,
            }
            for key, rounds in by_receiver.items()
        }
        cells.append({**asdict(cell), "receivers": receivers})
    return {"surroundings": around, "cells": cells}


def _line(around: dict[str, object]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    return (
        f"{around['cores']} cores, Python {around['python']}, {packages}; storing to "
        f"{around['filesystem']}; rounds: {around['rounds']} of about {around['seconds']:g} s."
    )


def _rows(results: Results) -> Iterator[list[str]]:
    for cell, by_receiver in results.items():
        for receiver in _present(results):
            rounds = by_receiver.get(receiver.key)
            if not rounds:
                continue
            start = [f"{cell.kilobytes} kB", str(cell.associations), receiver.name]
            m = median(rounds)
            if m.error:
                yield [*start, f"ERROR: {m.error}", *[""] * (len(_COLUMNS) - 4)]
                continue
            numbers = (m.processor_us, m.peak_mb, m.generator_us)
            yield [
                *start,
                f"{m.objects_per_second:,.0f}",
                f"{m.megabytes_per_second:,.1f}",
                f"{m.p50_ms:.2f}",
                f"{m.p99_ms:.2f}",
                *(f"{number:,.0f}" for number in numbers),
            ]


def _ratios(results: Results) -> str:
    others = [receiver for receiver in _present(results) if receiver.key != OURS]
    rows = []
    for cell, by_receiver in results.items():
        ours = by_receiver.get(OURS, ())
        compared = [ratio(ours, by_receiver.get(other.key, ())) for other in others]
        cells = [str(each) if each else "-" for each in compared]
        rows.append([f"{cell.kilobytes} kB", str(cell.associations), *cells])
    columns = ["object", "associations", *(f"ours / {other.name}" for other in others)]
    return _table(columns, rows, left=2)


def _present(results: Results) -> list[Receiver]:
    keys = {key for by_receiver in results.values() for key in by_receiver}
    return [receiver for receiver in RECEIVERS if receiver.key in keys]


def _table(columns: Sequence[str], rows: Iterator[list[str]] | list[list[str]], left: int) -> str:
    rule = [":--" if index < left else "--:" for index in range(len(columns))]
    return "\n".join(f"| {' | '.join(row)} |" for row in [columns, rule, *rows])


def _filesystem(folder: str) -> str:
    """Return the type of the filesystem that `folder` is on."""
    path = Path(folder).resolve()
    mounts = [line.split() for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
    around = [mount for mount in mounts if path.is_relative_to(mount[1])]
    # Of several mounts in one place, the last one is seen.
    return max(reversed(around), key=lambda mount: len(mount[1]))[2] if around else "unknown"
