"""How many of something each of many has, over several workers."""

from __future__ import annotations

import os

from aiodicom.workers.shares import Share, Shares
from aiodicom.workers.tallies import PLACES, Tally, clear_rows, make_rows

NAMES = [f"10.0.{n >> 8}.{n & 255}" for n in range(1000)]


def tallies(workers: int) -> list[Tally]:
    rows = make_rows(workers)
    return [Tally(rows, index) for index in range(workers)]


def test_one_worker_counts_each_name_for_itself() -> None:
    (one,) = tallies(1)
    assert [one.add(name) for name in NAMES] == [1] * len(NAMES)
    assert one.add(NAMES[0]) == 2
    assert one.add(NAMES[0], -1) == 1


def test_who_has_none_is_forgotten() -> None:
    one, other = tallies(2)
    for name in NAMES:
        one.add(name)
        one.add(name, -1)
    assert not len(one)
    assert {other.add(name) for name in NAMES} == {1}


def test_counts_are_everybody_s() -> None:
    one, other, third = tallies(3)
    assert one.add("a") == 1
    assert other.add("a", 5) == 6
    assert third.add("a", 0) == 6
    assert one.add("a", -1) == 5


def test_a_name_counts_with_no_fewer_than_it_has_and_seldom_with_others() -> None:
    one, other = tallies(2)
    for name in NAMES:
        other.add(name, 3)
    counts = [one.add(name, 0) for name in NAMES]
    assert min(counts) == 3
    assert sum(count > 3 for count in counts) <= 5  # some 0.3 are to be expected


def test_who_shares_one_of_two_places_is_not_counted_with_the_other() -> None:
    rows = make_rows(2)
    one = Tally(rows, 0)
    rows[1][hash("a") % PLACES] = 7
    assert one.add("a") == 1


def test_a_process_that_is_forked_counts_with_the_others() -> None:
    one, other = tallies(2)
    pid = os.fork()
    if not pid:
        other.add("a", 7)
        os._exit(0)
    os.waitpid(pid, 0)
    assert one.add("a") == 8


def test_a_worker_that_is_gone_has_nothing() -> None:
    shares = Shares(2)
    one, other = (Share(shares, index) for index in range(2))
    one.tally.add("a", 3)
    other.tally.add("a", 4)
    shares.clear(1)
    assert one.tally.add("a", 0) == 3


def test_to_clear_rows_leaves_the_others_alone() -> None:
    rows = make_rows(2)
    for row in rows:
        row[-1] = 1
    clear_rows(rows[0])
    assert (rows[0][-1], rows[1][-1]) == (0, 1)
