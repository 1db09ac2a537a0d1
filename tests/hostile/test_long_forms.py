"""`make hostile` in short: no time is asserted here, and memory only of the real process."""

from __future__ import annotations

from pathlib import Path

from tests.hostile.crowd import Crowd, measure, row
from tests.hostile.cycles import growth
from tests.processes import receiving


def test_cycles_leave_memory_and_descriptors_as_they_were(tmp_path: Path) -> None:
    """What 600 of them may leave is less than 1 kB each; the long form finds 50 bytes."""
    with receiving("storescp", "-q", "-od", str(tmp_path), folder=tmp_path) as receiver:
        before, after = growth(receiver, 600, 600)
        assert after.descriptors == before.descriptors
        assert after.memory - before.memory < 600_000


def test_a_newcomer_in_a_crowd_is_served(tmp_path: Path) -> None:
    crowd = Crowd(silent=20, idle=20, half_sent=10, deaf=5, probes=100)
    with receiving("storescp", "-q", "-od", str(tmp_path), folder=tmp_path) as receiver:
        newcomers = measure(receiver.port, crowd, 0.5)
    assert len(newcomers.echo) == len(newcomers.store) == len(list(tmp_path.glob("CT.*")))
    assert newcomers.probes > 0
    assert newcomers.longest == max(newcomers.echo + newcomers.store)


def test_a_row_is_median_p99_and_maximum() -> None:
    seconds = [number / 1000 for number in range(1, 201)]
    assert row("echo", seconds).split() == ["echo", "100.5", "198.0", "200.0"]
