"""Problems: which of them are remembered when there are too many."""

from __future__ import annotations

import pytest

from aiodicom.monitor.problems import MOST_PROBLEMS, Problems, latest

REAL = ("failed", "CT1", "192.0.2.1", "C-STORE was answered 0xA700")


def texts(problems: Problems) -> list[str]:
    return [each["text"] for each in problems.values()]


def flooded(kind: str, address: str, who: str = "EVIL{}") -> Problems:
    """The real one first, then many others that all differ."""
    problems = Problems()
    problems.add(0, *REAL)
    for number in range(1000):
        problems.add(1 + number, kind, who.format(number), address.format(number), str(number))
    return problems


@pytest.mark.parametrize(
    ("kind", "address", "who"),
    [
        ("rejected", "203.0.113.9", "EVIL{}"),
        ("rejected", "203.0.113.{}", "EVIL{}"),
        ("failed", "203.0.113.9", "EVIL{}"),
        ("failed", "192.0.2.1", "EVIL"),
    ],
)
def test_a_flood_leaves_the_problems_of_other_kinds_and_peers(
    kind: str, address: str, who: str
) -> None:
    problems = flooded(kind, address, who)
    assert REAL[3] in texts(problems)
    assert texts(problems)[-MOST_PROBLEMS + 1 :] == [str(n) for n in range(951, 1000)]


def test_a_flood_of_one_worker_leaves_the_problems_of_another() -> None:
    quiet, loud = Problems(), flooded("rejected", "203.0.113.9")
    quiet.add(0, "failed", "MR1", "192.0.2.2", "quiet")
    for number in range(10):
        quiet.add(number, "rejected", "MR1", "192.0.2.3", f"other {number}")
    told = latest([quiet.values(), loud.values()])
    assert {"quiet", REAL[3], *(f"other {n}" for n in range(10))} <= {e["text"] for e in told}
    assert len(told) == MOST_PROBLEMS
    assert [each["last"] for each in told] == sorted((each["last"] for each in told), reverse=True)


def test_what_is_remembered_is_bounded_at_any_time() -> None:
    problems = Problems()
    for number in range(1000):
        problems.add(number, "rejected", "", "192.0.2.1", str(number))
        assert len(problems._known) <= 2 * MOST_PROBLEMS


def test_of_problems_alike_the_last_ones_are_remembered() -> None:
    problems = flooded("rejected", "203.0.113.9", "EVIL")
    problems.add(2000, *REAL)
    assert texts(problems)[-2:] == ["999", REAL[3]]
    assert problems.values()[-1]["count"] == 2
