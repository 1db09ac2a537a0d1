"""Slots: what workers report to each other in shared memory."""

from __future__ import annotations

import os
import signal

from aiodicom.monitor.slots import PLACE, Slots


def test_reports_are_read_by_other_processes() -> None:
    slots = Slots(2)
    pid = os.fork()
    if not pid:
        slots.write(1, {"objects": 5})
        os._exit(0)
    os.waitpid(pid, 0)
    assert slots.read(0) is None
    assert slots.read(1) == {"objects": 5}


def test_the_last_report_is_read() -> None:
    slots = Slots(1)
    for number in range(5):
        slots.write(0, {"number": number, "padding": "x" * (100 - number)})
    assert slots.read(0) == {"number": 4, "padding": "x" * 96}


def test_a_report_that_is_too_long_leaves_the_one_before() -> None:
    slots = Slots(2)
    slots.write(0, {"number": 1})
    slots.write(1, {"number": 2})
    assert not slots.write(0, {"padding": "x" * PLACE})
    assert (slots.read(0), slots.read(1)) == ({"number": 1}, {"number": 2})


def test_a_worker_that_dies_while_it_writes_leaves_what_it_had_reported() -> None:
    slots = Slots(1)
    slots.write(0, {"number": 1})
    unfinished = slots._place(0, 2)
    slots._memory[unfinished : unfinished + 100] = b"x" * 100
    assert slots.read(0) == {"number": 1}


def test_a_report_that_is_damaged_is_none() -> None:
    slots = Slots(1)
    slots.write(0, {"number": 1})
    slots._memory[slots._place(0, 1) + 15] ^= 1
    assert slots.read(0) is None


def test_what_is_read_while_it_is_written_is_whole() -> None:
    """Of two bodies of all the same letter no mixture is ever seen."""
    slots = Slots(1)
    slots.write(0, {"body": "a" * 50_000})
    pid = os.fork()
    if not pid:
        while True:
            for letter in "ab":
                slots.write(0, {"body": letter * 50_000})
    try:
        reports = [slots.read(0) for _ in range(500)]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    bodies = [report["body"] for report in reports if report is not None]
    assert len(bodies) > 400
    assert {len(set(body)) for body in bodies} == {1}


def test_restarts_and_looks_are_each_worker_s() -> None:
    slots = Slots(3)
    slots.restarted(1)
    slots.restarted(1)
    slots.restarted(2)
    slots.look(2, 12345)
    assert slots.restarts() == 3
    assert [slots.looked(index) for index in range(3)] == [0, 0, 12345]
