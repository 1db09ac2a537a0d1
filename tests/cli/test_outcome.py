"""What becomes of objects that are sent: exit codes, names, and what is said."""

from __future__ import annotations

import logging

import pytest

from aiodicom import (
    AssociationAborted,
    AssociationClosed,
    AssociationLost,
    AssociationRejected,
    DicomError,
    NotSent,
    StoreResult,
)
from aiodicom.cli.outcome import ASSOCIATION_FAILED, FAILED, Outcome

Lines = list[tuple[str, str]]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    caplog.set_level(logging.DEBUG, "aiodicom")
    return Log(caplog)


class Log:
    """What is said, with its level's name."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def lines(self) -> Lines:
        """Return what was said since the last time."""
        lines = [(record.levelname, record.getMessage()) for record in self._caplog.records]
        self._caplog.clear()
        return lines


def answered(status: int, path: str = "a.dcm", comment: str = "", size: int = 0) -> StoreResult:
    return StoreResult(path, status=status, comment=comment, size=size)


def failed(error: DicomError, path: str = "a.dcm") -> StoreResult:
    return StoreResult(path, error=error)


def of(total: int, *results: StoreResult) -> Outcome:
    outcome = Outcome(total)
    for result in results:
        outcome.add(result)
    return outcome


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xB006, 0xB007, 0x0107])
def test_stored_also_with_a_warning_is_no_failure(status: int) -> None:
    outcome = of(1, answered(status, size=10))
    assert (outcome.exit_code, outcome.stored, outcome.size) == (0, 1, 10)


@pytest.mark.parametrize(
    ("status", "code"),
    [(0xA700, 167), (0xA701, 167), (0xA900, 169), (0xC000, 192), (0xCFFF, 207),
     (0x0110, 1), (0x0210, 2), (0xFE00, 254), (0xFF00, 255), (0x0080, 1)],
)  # fmt: skip
def test_a_refusal_makes_the_exit_code(status: int, code: int) -> None:
    outcome = of(1, answered(status, size=10))
    assert (outcome.exit_code, outcome.stored, outcome.size) == (code, 0, 0)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AssociationClosed("over"), 10),
        (AssociationLost("the connection is gone"), 10),
        (AssociationAborted(0, 0), 10),
        (AssociationRejected("no"), 1),
        (NotSent("not a DICOM file"), 1),
    ],
)
def test_no_answer_makes_the_exit_code(error: DicomError, code: int) -> None:
    assert of(1, failed(error)).exit_code == code


def test_the_first_failure_makes_the_exit_code() -> None:
    outcome = of(9, answered(0), answered(0xA900), answered(0xA700), failed(NotSent("no")))
    assert outcome.exit_code == 169
    outcome.failed("it is over", FAILED)
    assert outcome.exit_code == 169
    outcome.add(answered(0))
    assert outcome.exit_code == 169


def test_the_end_of_everything_makes_the_exit_code_where_nothing_else_has() -> None:
    outcome = of(2, answered(0))
    outcome.failed("it is over", ASSOCIATION_FAILED)
    assert outcome.exit_code == 10


def test_what_is_stored_is_counted() -> None:
    results = answered(0, size=5), answered(0xA700, size=7), answered(0xB000, size=11)
    outcome = of(3, *results)
    assert (outcome.stored, outcome.size) == (2, 16)


def test_renames_are_of_what_was_tried() -> None:
    outcome = of(
        4, answered(0, "a"), answered(0xB000, "b"), answered(0xA700, "c"), failed(NotSent("d"), "d")
    )
    outcome.failed("it is over", FAILED)
    assert outcome.renames == {"a": True, "b": True, "c": False, "d": False}


@pytest.mark.parametrize("statuses", [(0xA700, 0), (0, 0xA700), (0, 0xA700, 0)])
def test_a_file_that_was_sent_several_times_is_good_if_it_always_was(
    statuses: tuple[int, ...],
) -> None:
    outcome = of(3, *(answered(status, "a") for status in statuses), answered(0, "b"))
    assert outcome.renames == {"a": False, "b": True}


# What is said -------------------------------------------------------------------------------------


def test_nothing_is_said_of_success(log: Log) -> None:
    of(2, answered(0), answered(0)).conclude()
    assert log.lines() == []


def test_a_warning_is_said_at_once(log: Log) -> None:
    of(1, answered(0xB000, comment="rounded"))
    assert log.lines() == [("WARNING", "Stored with a warning, file: a.dcm: 0xB000: rounded")]


def test_a_failure_is_said_at_once(log: Log) -> None:
    of(2, answered(0xA700, "b.dcm", "disk full"), failed(NotSent("cannot be read"), "c.dcm"))
    assert log.lines() == [
        ("ERROR", "Store Failed, file: b.dcm: 0xA700: disk full"),
        ("ERROR", "Store Failed, file: c.dcm: cannot be read"),
    ]


def test_the_end_of_everything_is_said_at_once(log: Log) -> None:
    Outcome(2).failed("100% over", FAILED)
    assert log.lines() == [("CRITICAL", "100% over")]


def test_what_a_peer_says_stays_on_its_line(log: Log) -> None:
    outcome = of(
        3,
        answered(0xA700, comment="full\nE: all is well"),
        answered(0xB000, comment="rounded\x1b[2J"),
        answered(0xA700, comment="full\nE: all is well"),
    )
    outcome.conclude()
    lines = log.lines()
    assert len(lines) == 5
    assert all(text.isprintable() for _, text in lines)
    assert lines[0][1].endswith(r"0xA700: full\nE: all is well")


@pytest.mark.parametrize("result", [answered(0xA700), failed(AssociationLost("gone"))])
def test_one_line_says_all_of_one_file(log: Log, result: StoreResult) -> None:
    outcome = of(1, result)
    log.lines()
    outcome.conclude()
    assert log.lines() == []


def test_one_line_says_all_where_one_file_was_never_sent(log: Log) -> None:
    outcome = Outcome(1)
    outcome.failed("Association Rejected", FAILED)
    log.lines()
    outcome.conclude()
    assert log.lines() == []


def test_the_summary_says_how_many_and_why_most_frequent_first(log: Log) -> None:
    refused = [answered(0xA700, comment="disk full")] * 2
    outcome = of(6, answered(0), failed(NotSent("no DICOM file")), *refused, answered(0xB000))
    outcome.add(answered(0))
    log.lines()
    outcome.conclude()
    assert log.lines() == [
        ("ERROR", "3 of 6 files are not stored"),
        ("ERROR", "  2: 0xA700: disk full"),
        ("ERROR", "  1: no DICOM file"),
    ]


def test_the_summary_tells_what_was_not_sent(log: Log) -> None:
    outcome = of(5, answered(0), answered(0xA900))
    log.lines()
    outcome.conclude()
    assert log.lines() == [
        ("ERROR", "4 of 5 files are not stored"),
        ("ERROR", "  1: 0xA900"),
        ("ERROR", "  3: not sent after that"),
    ]


def test_the_summary_where_nothing_could_be_sent(log: Log) -> None:
    outcome = Outcome(3)
    outcome.failed("Association Rejected", FAILED)
    log.lines()
    outcome.conclude()
    assert log.lines() == [
        ("ERROR", "3 of 3 files are not stored"),
        ("ERROR", "  3: not sent after that"),
    ]
