"""Medians, ratios, and what becomes of results on their way through a file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import commands
from benchmarks.cells import CELLS, Cell, Kind, named
from benchmarks.goals import goals_table
from benchmarks.measurement import Measurement
from benchmarks.report import as_markdown
from benchmarks.results import Results, load, median, merged, ratio, save
from benchmarks.surroundings import filesystem_of

AROUND: dict[str, object] = {
    "cpu": "Some", "cores": 2, "memory_gb": 8, "kernel": "6.1", "python": "3.11.7",
    "python_build": "a PGO build", "versions": {"aiodicom": "1"}, "filesystem": "tmpfs",
    "rounds": 3, "seconds": 1.0,
}  # fmt: skip


def rounds(*speeds: float) -> list[Measurement]:
    return [Measurement(objects=9, objects_per_second=speed) for speed in speeds]


def results(cell: str = "echo-1", **speeds: list[Measurement]) -> Results:
    made = Results(AROUND, {key.replace("_", "-"): key for key in speeds})
    for key, measured in speeds.items():
        made.of(named(cell)).rounds[key.replace("_", "-")] = measured
    return made


def test_a_ratio_compares_within_rounds() -> None:
    assert str(ratio(rounds(10, 40, 90), rounds(10, 20, 30))) == "2.00 (1.00-3.00)"


def test_a_failed_round_is_no_ratio_and_no_median() -> None:
    failed = [*rounds(10), Measurement(error="lost one")]
    assert ratio(rounds(10, 10), failed) is None
    assert median(failed) == Measurement(error="lost one")


def test_the_median_is_each_number_s_own() -> None:
    assert median(rounds(1, 100, 3)).objects_per_second == 3


def test_results_survive_their_file(tmp_path: Path) -> None:
    made = results(ours=rounds(1, 2.5), dcmtk=[Measurement(error="hung")])
    made.of(named("echo-1")).left_out["null"] = "it cannot"
    save(tmp_path / "new" / "results.json", [made])
    assert load(tmp_path / "new" / "results.json") == [made]


def test_every_cell_survives_the_file(tmp_path: Path) -> None:
    made = Results(AROUND)
    for cell in CELLS:
        made.of(cell)
    save(tmp_path / "results.json", [made])
    (again,) = load(tmp_path / "results.json")
    assert [each.cell.key for each in again.cells.values()] == [cell.key for cell in CELLS]


def test_of_a_cell_measured_twice_the_later_one_counts() -> None:
    first, second = results(ours=rounds(1)), results(ours=rounds(2))
    (one,) = merged([first, second])
    measured = one.median("echo-1", "ours")
    assert measured
    assert measured.objects_per_second == 2


def test_failures_are_forgotten_and_the_rest_is_kept() -> None:
    made = results(ours=rounds(1), dcmtk=[Measurement(error="hung")])
    made.forget_failures()
    assert list(made.of(named("echo-1")).rounds) == ["ours"]


def test_filesystems_are_kept_apart() -> None:
    disk = Results(AROUND | {"filesystem": "ext4"})
    assert [each.filesystem for each in merged([results(), disk])] == ["tmpfs", "ext4"]


def test_a_goal_is_met_short_or_not_measured() -> None:
    table = goals_table([results(ours=rounds(15), dcmtk_fork=rounds(10), pynetdicom=rounds(1))])
    lines = [line for line in table.splitlines() if line.startswith("| echo-1")]
    assert lines[0].endswith("| 1.50 | met |")
    assert lines[1].endswith("| 15.00 | **short** |")
    assert "not measured" in table


def test_a_goal_is_short_where_we_have_failed() -> None:
    made = results(ours=[*rounds(99), Measurement(error="lost one")], dcmtk_fork=rounds(1, 1))
    lines = [line for line in goals_table([made]).splitlines() if "dcmtk-fork" in line]
    assert lines[0].endswith("| ours has failed | **short** |")


def test_a_goal_is_not_met_where_the_other_one_has_failed() -> None:
    made = results(ours=rounds(99), dcmtk_fork=[Measurement(error="hung")])
    lines = [line for line in goals_table([made]).splitlines() if "dcmtk-fork" in line]
    assert lines[0].endswith("| dcmtk-fork has failed |  |")


def test_a_ceiling_is_short_where_we_have_failed() -> None:
    made = results("idle-10000", ours=[Measurement(error="ended")])
    assert goals_table([made]).count("| ours has failed | **short** |") == 2


def test_a_ceiling_is_compared_with_our_own_number() -> None:
    made = results("idle-10000", ours=[Measurement(idle_kb=5.5, idle_share=0.03)])
    lines = [line for line in goals_table([made]).splitlines() if "idle-10000" in line]
    assert [line.endswith("| met |") for line in lines] == [True, False]


def test_a_failure_and_an_absence_are_told_with_their_reasons() -> None:
    made = results(ours=rounds(1), dcmtk=[Measurement(error="2 of 9 objects are not there")])
    made.receivers["pynetdicom"] = "pynetdicom"
    made.of(named("echo-1")).left_out["pynetdicom"] = "it refuses"
    page = as_markdown([made])
    assert "- dcmtk: failed, 2 of 9 objects are not there" in page
    assert "- pynetdicom: left out, it refuses" in page


def test_keys_tell_cells_apart() -> None:
    assert len({cell.key for cell in CELLS}) == len(CELLS)
    assert Cell(Kind.STORE, 16, 530_000).key == "530kB-16"


def test_a_run_leaves_the_results_of_other_cells_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, around = tmp_path / "results.json", AROUND | {"filesystem": filesystem_of(str(tmp_path))}
    before = results("echo-1", ours=rounds(1))
    before.cells |= results("6kB-1", ours=rounds(2)).cells
    before.surroundings = around
    save(file, [before, results("530kB-1", ours=rounds(3))])
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(commands, "run", lambda _, cells, *args: args[-1]())
    words = ("run", "--cells", "6kB-1", "--receivers", "ours", "--folder", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["benchmarks", *words, "--json", str(file)])
    assert commands.main() == 0
    assert sorted(cell for run in load(file) for cell in run.cells) == ["530kB-1", "echo-1"]
