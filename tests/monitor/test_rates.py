"""Rates: seconds that are remembered, and those of several processes together."""

from __future__ import annotations

from aiodicom.monitor.present import Presence
from aiodicom.monitor.rates import PUT_BACK, SECONDS, Rates, together
from tests.monitor.happening import who


def ring(second: int, objects: int) -> Rates:
    rates = Rates()
    rates.turn(second)
    rates.objects[second % SECONDS] = objects
    return rates


def test_a_second_is_forgotten_when_it_is_too_old() -> None:
    rates = ring(1000, 5)
    rates.turn(1000 + SECONDS - 1)
    assert rates.values()["objects"][0] == 5
    rates.turn(1000 + SECONDS)
    assert sum(rates.values()["objects"]) == 0


def test_the_same_seconds_of_several_are_added() -> None:
    rings = [ring(1000, 1), ring(998, 2), ring(1001, 4), ring(400, 8)]
    objects = together((each.values() for each in rings), 1000)["objects"]
    assert len(objects) == SECONDS
    assert objects[-3:] == [2, 0, 1]
    assert sum(objects) == 3


def test_bytes_are_spread_over_their_seconds_and_none_is_lost() -> None:
    rates = ring(1000, 0)
    rates.spread(10, 997.9)
    assert rates.values()["bytes"][-5:] == [0, 2, 2, 2, 4]
    rates.spread(SECONDS * 7 + 1, 0.0)
    assert sum(rates.values()["bytes"]) == 10 + SECONDS * 7 + 1


def test_a_clock_that_is_put_back_begins_anew() -> None:
    rates = ring(1000, 5)
    rates.turn(1000 - PUT_BACK)
    assert (rates.second, sum(rates.values()["objects"])) == (1000, 5)
    rates.turn(500)
    assert (rates.second, sum(rates.values()["objects"])) == (500, 0)


def test_what_was_kept_is_gone_on_from() -> None:
    rates = ring(1000, 5)
    again = Rates(rates.values())
    again.turn(1002)
    assert again.values()["objects"][-3:] == [5, 0, 0]


def test_a_rate_is_measured_anew_where_the_clock_was_put_back() -> None:
    presence = Presence(who(), 10_000.0)
    presence.bytes = 50_000_000
    presence.mark(10_004.0, 1)
    assert presence.rate(5_000.0) == 0
    presence.bytes += 4000
    assert presence.rate(5_002.0) == 2000
