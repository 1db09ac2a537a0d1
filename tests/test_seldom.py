"""Log lines that peers can cause as often as they like."""

from __future__ import annotations

import logging

import pytest

from aiodicom.seldom import Seldom

logger = logging.getLogger("aiodicom.tests")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_same_line_comes_once_a_period_with_the_number_of_others(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    seldom = Seldom(60, clock=clock)
    for now in (0, 1, 59.9, 60, 61, 200):
        clock.now = now
        seldom.log(logger, logging.WARNING, "a", "at %s", now)
    assert caplog.messages == [
        "at 0",
        "at 60 (and 2 more like it)",
        "at 200 (and 1 more like it)",
    ]


def test_at_level_debug_all_of_them_are_there(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger.name)
    seldom = Seldom(60, clock=clock)
    for number in range(2):
        seldom.log(logger, logging.WARNING, "a", "number %s", number)
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("WARNING", "number 0"),
        ("DEBUG", "number 1"),
    ]


def test_another_key_is_another_line(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    seldom = Seldom(60, clock=clock)
    for key in "abab":
        seldom.log(logger, logging.WARNING, key, "of %s", key)
    assert caplog.messages == ["of a", "of b"]


def test_who_has_gone_is_told_of_with_the_next_line(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    seldom = Seldom(60, clock=clock)
    for _ in range(5):
        seldom.log(logger, logging.ERROR, "a", "of a")
    clock.now = 100
    seldom.log(logger, logging.WARNING, "b", "of b")
    assert caplog.messages == ["of a", "of a (and 4 more like it)", "of b"]
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR", "WARNING"]


def test_many_keys_share_one_line_and_little_memory(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    seldom = Seldom(60, room=10, clock=clock)
    for number in range(10_000):
        seldom.log(logger, logging.WARNING, number, "of %d", number)
    assert caplog.messages == [f"of {number}" for number in range(11)]
    assert len(seldom._known) == 11
    clock.now = 60
    seldom.log(logger, logging.WARNING, 10_000, "of 10000")
    assert caplog.messages[11:] == ["of 10 (and 9989 more like it)", "of 10000"]
    assert len(seldom._known) == 1


def test_what_stands_in_a_line_is_not_a_place(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    Seldom(clock=clock).log(logger, logging.WARNING, "a", "%s", "100 %s")
    Seldom(clock=clock).log(logger, logging.WARNING, "a", "100 %")
    assert caplog.messages == ["100 %s", "100 %"]
