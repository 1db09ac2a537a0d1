"""The results as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from benchmarks.cells import Kind
from benchmarks.measurement import Measurement
from benchmarks.results import CellResults, Results
from benchmarks.surroundings import machine_line

__all__ = ["as_markdown", "table"]

_NOTES = """\
- Only what was answered 0x0000 counts, and after each measurement it is looked for in the folder:
  a receiver that has lost an object, or stored one of another size, has failed, and so has one of
  whose objects a sample, up to 1,000 of them or 32 MB, is not what was sent. A row is the median of
  its rounds; receivers take turns within a round, and ratios are made within rounds.
- CPU: user and system time of the receiver for each object, children included. Generator: that of
  the load generator, which shares the cores; the system's part of it delivers the bytes.
- Idle and peak: resident size before the first association, and the largest one while objects
  come. Of several processes it is the sum, in which pages that they share count once for each.
- DCMTK and Orthanc run with `TCP_NODELAY=1` and long PDUs, but for the rows "as shipped". A
  receiver that serves one association after the other lets the others wait; that waiting is not in
  its p99.
- aiodicom syncs data, name and folder before it answers, but for `--durability none`. Of the others
  only Orthanc syncs anything, its data."""

_STORE_COLUMNS = ("receiver", "objects/s", "MB/s", "p50 ms", "p99 ms", "CPU µs/object", "idle MB",
                  "peak MB", "generator µs/object", "ours / it",
                  "ours, 2 workers / it")  # fmt: skip
_MIXED_COLUMNS = ("receiver", "small objects/s", "their p50 ms", "their p99 ms", "large MB/s",
                  "peak MB")  # fmt: skip
_BESIDE_COLUMNS = ("receiver", "objects/s", "alone", "part of that", "p99 ms", "peak MB")
_IDLE_COLUMNS = ("receiver", "kB each", "% of a core")


def as_markdown(runs: Sequence[Results]) -> str:
    """Return the tables of all runs and what is to be known about them."""
    return "\n\n".join([*(part for run in runs for part in _run(run)), "## Notes", _NOTES])


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Return a Markdown table whose first columns are text."""
    rule = [":--" if index < left else "--:" for index in range(len(columns))]
    return "\n".join(f"| {' | '.join(row)} |" for row in [columns, rule, *rows])


def _run(run: Results) -> Iterator[str]:
    yield f"## Storing to {run.filesystem}"
    yield machine_line(run.surroundings)
    bounds = list(_bounds(run))
    if bounds:
        yield "### The bounds of the machine"
        yield (
            "Objects/s: what the null receiver takes from the network, what plain file writing "
            "puts on the filesystem, and what one after the other would come to."
        )
        columns = ("cell", "null receiver", "plain files", "one after the other", "ours",
                   "part of it", "ours, 2 workers")  # fmt: skip
        yield table(columns, bounds)
    for cell in run.cells.values():
        yield f"### {cell.cell.title}"
        yield _cell(run, cell)
        reasons = [f"- {run.receivers[key]}: left out, {why}" for key, why in cell.left_out.items()]
        reasons += [f"- {run.receivers[key]}: failed, {why}" for key, why in _failed(cell)]
        if reasons:
            yield "\n".join(reasons)


def _failed(cell: CellResults) -> Iterator[tuple[str, str]]:
    for key in cell.rounds:
        measured = cell.median(key)
        if measured and measured.error:
            yield key, measured.error


def _cell(run: Results, cell: CellResults) -> str:
    """Return the table of a cell, the fastest receiver first."""
    found = [(key, measured) for key in cell.rounds if (measured := cell.median(key))]
    good = [(key, measured) for key, measured in found if not measured.error]
    kind = cell.cell.kind
    columns: Sequence[str]
    rows: list[tuple[str, ...]]
    if kind is Kind.IDLE:
        good.sort(key=lambda pair: pair[1].idle_kb)
        rows = [(f"{m.idle_kb:.1f}", f"{m.idle_share:.2%}".rstrip("%")) for _, m in good]
        columns = _IDLE_COLUMNS
    else:
        good.sort(key=lambda pair: -pair[1].objects_per_second)
        if kind is Kind.MIXED:
            columns, rows = _MIXED_COLUMNS, [_mixed_row(m) for _, m in good]
        elif kind is Kind.BESIDE_IDLE:
            columns, rows = _BESIDE_COLUMNS, [_beside_row(m) for _, m in good]
        else:
            columns, rows = _STORE_COLUMNS, [_store_row(cell, *pair) for pair in good]
    named = [(run.receivers[key], *row) for (key, _), row in zip(good, rows, strict=True)]
    return table(columns, named) if named else "Nobody."


def _store_row(cell: CellResults, key: str, m: Measurement) -> tuple[str, ...]:
    compared = [
        str(ratio) if name != key and (ratio := cell.ratio(name, key)) else "-"
        for name in ("ours", "ours-2")
    ]
    return (
        _rate(m.objects_per_second),
        f"{m.megabytes_per_second:,.1f}" if m.megabytes_per_second else "-",
        f"{m.p50_ms:,.2f}",
        f"{m.p99_ms:,.2f}",
        f"{m.processor_us:,.0f}",
        f"{m.idle_mb:,.0f}" if m.idle_mb else "-",
        f"{m.peak_mb:,.0f}" if m.peak_mb else "-",
        f"{m.generator_us:,.0f}" if m.generator_us else "-",
        *compared,
    )


def _mixed_row(m: Measurement) -> tuple[str, ...]:
    return (
        _rate(m.objects_per_second),
        f"{m.p50_ms:,.2f}",
        f"{m.p99_ms:,.2f}",
        f"{m.large_megabytes_per_second:,.0f}",
        f"{m.peak_mb:,.0f}",
    )


def _beside_row(m: Measurement) -> tuple[str, ...]:
    return (
        _rate(m.objects_per_second),
        _rate(m.alone_per_second),
        f"{m.beside_idle:.2f}",
        f"{m.p99_ms:,.2f}",
        f"{m.peak_mb:,.0f}",
    )


def _bounds(run: Results) -> Iterator[tuple[str, ...]]:
    for key, cell in run.cells.items():
        if cell.cell.kind is not Kind.STORE:
            continue
        null, files = run.median(key, "null"), run.median(key, "files")
        ours, two = run.median(key, "ours"), run.median(key, "ours-2")
        if not null or not files or not ours:
            continue
        both = 1 / (1 / null.objects_per_second + 1 / files.objects_per_second)
        yield (
            cell.cell.title,
            _rate(null.objects_per_second),
            _rate(files.objects_per_second),
            _rate(both),
            _rate(ours.objects_per_second),
            f"{ours.objects_per_second / both:.2f}",
            _rate(two.objects_per_second) if two else "-",
        )


def _rate(number: float) -> str:
    """Return a number of objects per second: of few of them two decimals."""
    return f"{number:,.0f}" if number >= 100 else f"{number:,.2f}"
