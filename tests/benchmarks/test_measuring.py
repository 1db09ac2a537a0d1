"""The suite measures real processes: a receiver, the null receiver and plain files."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.bench import Bench
from benchmarks.cells import Cell, Kind
from benchmarks.measurement import Measurement
from benchmarks.receivers.receiver import Receiver
from benchmarks.receivers.table import OURS, named
from benchmarks.results import Results
from benchmarks.run import run

SECONDS = 0.1
SMALL = Cell(Kind.STORE, 3, 6_000)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(str(tmp_path), str(tmp_path), SECONDS) as bench:
        yield bench


@pytest.mark.parametrize(
    "cell",
    [
        Cell(Kind.ECHO),
        SMALL,
        Cell(Kind.STORE, 1, 9_000_000),
        Cell(Kind.EACH_ALONE, 3, 6_000),
        Cell(Kind.BESIDE_IDLE, 1, 6_000, idle=40),
    ],
    ids=lambda cell: str(cell.key),
)
def test_ours_stores_what_it_acknowledges(bench: Bench, cell: Cell) -> None:
    measured = bench.measure(named(OURS), cell)
    assert not measured.error
    assert measured.objects >= cell.associations
    assert 0 < measured.p50_ms <= measured.p99_ms
    assert measured.processor_us > 0
    assert measured.peak_mb >= measured.idle_mb > 1


@pytest.mark.parametrize("key", [OURS, "null"])
def test_idle_associations_cost_something(bench: Bench, key: str) -> None:
    cell = Cell(Kind.IDLE, 0, idle=200)
    measured = bench.measure(named(key), cell)
    assert not measured.error
    assert 0 <= measured.idle_kb < 100
    assert 0 <= measured.idle_share < 1


def test_the_null_receiver_answers_everything(bench: Bench) -> None:
    for cell in (Cell(Kind.ECHO), SMALL, Cell(Kind.STORE, 2, 300_000)):
        measured = bench.measure(named("null-2"), cell)
        assert (measured.error, measured.objects > 0) == ("", True)


@pytest.mark.parametrize("key", ["files", "files-2", "files-synced"])
def test_plain_files_are_counted(bench: Bench, key: str) -> None:
    measured = bench.measure(named(key), SMALL)
    assert not measured.error
    assert measured.objects_per_second > 0


def test_a_receiver_that_loses_everything_has_failed(bench: Bench) -> None:
    liar = dataclasses.replace(named("null"), stores=True)
    assert "acknowledged objects are not there" in bench.measure(liar, SMALL).error


def test_a_receiver_that_does_not_start_fails_its_cell_and_ends_nothing(bench: Bench) -> None:
    broken = Receiver("broken", "Broken", "aiodicom", (sys.executable, "-c", "raise SystemExit(3)"))
    results, saved = Results({}), []
    run(bench, [Cell(Kind.ECHO)], [broken, named("null")], 2, results, lambda: saved.append(1))
    rounds = results.of(Cell(Kind.ECHO)).rounds
    # It is not tried a second time.
    assert [each.error for each in rounds["broken"]] == ["the receiver did not start: exit code 3"]
    assert [each.error for each in rounds["null"]] == ["", ""]
    assert len(saved) == 2


def test_what_was_measured_before_is_not_measured_again(bench: Bench) -> None:
    results = Results({})
    before = Measurement(objects_per_second=1.0)
    results.of(Cell(Kind.ECHO)).rounds["null"] = [before]
    run(bench, [Cell(Kind.ECHO)], [named("null")], 2, results, lambda: None)
    first, second = results.of(Cell(Kind.ECHO)).rounds["null"]
    assert first is before
    assert second.objects_per_second > 1


def test_who_cannot_take_part_is_told_why() -> None:
    cells = {"16": Cell(Kind.STORE, 16, 6_000), "idle": Cell(Kind.IDLE, 0, idle=10_000)}
    assert named("pynetdicom").cannot(cells["16"]) == "it refuses the eleventh association"
    assert named("dcmtk").cannot(cells["idle"]) == "it serves one association after the other"
    assert "for each association" in str(named("dcmtk-fork").cannot(cells["idle"]))
    assert named("files").cannot(cells["idle"]) == ""
    assert named(OURS).cannot(cells["idle"]) is None
