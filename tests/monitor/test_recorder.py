"""Recorder: what one process has counted."""

from __future__ import annotations

from typing import Any

import pytest

from aiodicom.events import ConnectionRefused, ProposalRejected, ServerListening, ServerStopping
from aiodicom.monitor import recorder
from aiodicom.monitor.present import MOST_LISTED
from aiodicom.monitor.problems import MOST_PROBLEMS
from aiodicom.monitor.recorder import Recorder, without_present
from aiodicom.monitor.totals import MOST_KINDS
from tests.monitor import happening
from tests.monitor.happening import Happening, who


class Clock:
    """A clock that is set by hand, in the place of the module ``time``."""

    def __init__(self) -> None:
        self.now = 1000.5

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(recorder, "time", clock)
    monkeypatch.setattr(happening, "time", clock)
    return clock


def totals(record: Recorder) -> dict[str, Any]:
    values: dict[str, Any] = record.report()["totals"]
    return values


def test_objects_echoes_and_failures_are_told_apart() -> None:
    record = Recorder()
    peer = Happening(record.take)
    peer.store(1000)
    peer.store(500, status=0xB007)
    peer.store(200, status=0xA700)
    peer.store(100, status=None)
    peer.echo()
    told = totals(record)
    assert (told["objects"], told["bytes"]) == (2, 1800)
    assert told["requests"] == {
        "C-ECHO 0x0000": 1,
        "C-STORE 0x0000": 1,
        "C-STORE 0xB007": 1,
        "C-STORE 0xA700": 1,
    }
    assert told["interrupted"] == {"C-STORE": 1}


def test_sizes_and_times_of_stored_objects_are_in_their_buckets() -> None:
    record = Recorder()
    peer = Happening(record.take)
    peer.store(1024)
    peer.store(1025)
    peer.store(1, status=0xC000)
    told = totals(record)
    assert told["sizes"]["counts"][:3] == [1, 1, 0]
    assert told["sizes"]["sum"] == 2049
    assert told["settled"]["counts"][2] == 2  # up to 5 ms


def test_what_is_there_now_is_counted_until_it_ends() -> None:
    record = Recorder()
    peer = Happening(record.take)
    request = peer.begin()
    assert (record.report()["associations"], record.report()["running"]) == (1, 1)
    peer.end(request)
    peer.leave()
    report = record.report()
    assert (report["associations"], report["running"], report["listed"]) == (0, 0, [])
    assert (report["totals"]["accepted"], report["totals"]["ended"]["released"]) == (1, 1)


def test_a_dataset_counts_while_it_comes_and_only_once(clock: Clock) -> None:
    record = Recorder()
    peer = Happening(record.take)
    request = peer.begin(size=700)
    clock.now += 1
    assert totals(record)["bytes"] == 700
    assert record.report()["listed"][0]["bytes"] == 700
    assert request.dataset is not None
    request.dataset.size = 1000
    peer.end(request)
    assert totals(record)["bytes"] == 1000
    assert sum(record.report()["rates"]["bytes"]) == 1000


def test_a_long_object_came_over_all_of_its_seconds(clock: Clock) -> None:
    record = Recorder()
    peer = Happening(record.take)
    clock.now += 60  # silence: nothing came in it
    request = peer.begin(size=4000)
    clock.now += 3
    peer.end(request)
    assert record.report()["rates"]["bytes"][-5:] == [0, 1000, 1000, 1000, 1000]
    assert record.report()["rates"]["objects"][-5:] == [0, 0, 0, 0, 1]


def test_what_was_counted_while_it_came_is_not_spread_again(clock: Clock) -> None:
    record = Recorder()
    peer = Happening(record.take)
    request = peer.begin(size=200)
    clock.now += 1
    record.report()
    clock.now += 1
    assert request.dataset is not None
    request.dataset.size = 1200
    peer.end(request)
    assert record.report()["rates"]["bytes"][-3:] == [100, 600, 500]


def test_seconds_in_which_nothing_came_are_empty(clock: Clock) -> None:
    record = Recorder()
    peer = Happening(record.take)
    peer.store()
    clock.now += 2
    peer.store()
    peer.store(status=0xA700)
    clock.now += 1
    rates = record.report()["rates"]
    assert rates["objects"][-4:] == [1, 0, 1, 0]
    assert rates["failures"][-4:] == [0, 0, 1, 0]
    clock.now += 300
    assert sum(record.report()["rates"]["objects"]) == 0


def test_the_rate_of_a_sender_is_that_of_its_last_seconds(clock: Clock) -> None:
    record = Recorder()
    peer = Happening(record.take)
    for _ in range(40):
        clock.now += 0.5
        peer.store(500)
    assert record.report()["listed"][0]["bytes_per_second"] == pytest.approx(1000, rel=0.1)
    clock.now += 100
    record.report()
    assert record.report()["listed"][0]["bytes_per_second"] == 0
    peer.store(4000)
    assert record.report()["listed"][0]["bytes_per_second"] > 1000


def test_the_busiest_are_listed_and_all_are_counted(clock: Clock) -> None:
    record = Recorder()
    peers = [Happening(record.take, who(f"PEER_{number}")) for number in range(MOST_LISTED + 5)]
    clock.now += 60
    peers[-1].store(10_000)
    report = record.report()
    assert report["associations"] == MOST_LISTED + 5
    assert len(report["listed"]) == MOST_LISTED
    assert report["listed"][0]["calling_ae_title"] == f"PEER_{MOST_LISTED + 4}"


def test_the_same_problem_again_is_counted_and_is_the_last_one(clock: Clock) -> None:
    record = Recorder()
    peer = Happening(record.take)
    peer.store(status=0xA700, comment="too little room")
    peer.store(status=0xC000)
    clock.now += 5
    peer.store(status=0xA700, comment="too little room")
    other, last = record.report()["problems"]
    assert other["text"] == "C-STORE was answered 0xC000"
    assert last["text"] == "C-STORE was answered 0xA700: too little room"
    assert (last["count"], last["last"] - last["first"]) == (2, 5)


def test_however_many_problems_and_kinds_there_are_a_bounded_number_is_kept() -> None:
    record = Recorder()
    for number in range(1000):
        info = who(f"P{number}", f"10.0.0.{number % 256}")
        record.take(ProposalRejected(info, 1, number, 1, "no" * number))
        Happening(record.take, info).store(status=0xC000 + number)
    report = record.report()
    assert len(report["problems"]) == MOST_PROBLEMS
    assert len(report["totals"]["rejected"]) <= MOST_KINDS + 1
    assert len(report["totals"]["requests"]) <= MOST_KINDS + 1
    assert sum(report["totals"]["rejected"].values()) == 1000


def test_what_peers_say_is_one_short_line() -> None:
    record = Recorder()
    peer = Happening(record.take, who("\x1b[31m\n<b>"))
    peer.store(status=0xC000, comment="a\n" * 1000)
    (listed,), (problem,) = record.report()["listed"], record.report()["problems"]
    assert listed["calling_ae_title"] == problem["who"] == "\\x1b[31m\\n<b>"
    assert len(problem["text"]) < 600
    assert problem["text"].isprintable()


def test_ends_that_are_nobody_s_fault_are_no_problems() -> None:
    record = Recorder()
    Happening(record.take).leave("released")
    Happening(record.take).leave("stopped", "the server stops")
    record.take(ConnectionRefused("127.0.0.1", "silent", "a probe"))
    assert record.report()["problems"] == []
    Happening(record.take).leave("lost", "reset")
    record.take(ConnectionRefused("127.0.0.1", "address", "not allowed"))
    assert [each["kind"] for each in record.report()["problems"]] == ["ended", "refused"]
    assert totals(record)["refused"] | {"silent": 1, "address": 1} == totals(record)["refused"]


def test_who_replaces_a_process_that_has_died_goes_on_from_what_it_counted() -> None:
    first = Recorder()
    first.take(ServerListening("TITLE", (("127.0.0.1", 104),), lambda: 77))
    peer = Happening(first.take)
    peer.store(1000)
    peer.store(status=0xC000)
    peer.begin(10)
    before = first.report()
    assert before["buffered"] == 77
    gone = without_present(before)
    assert (gone["associations"], gone["running"], gone["buffered"], gone["listed"]) == (
        0,
        0,
        0,
        [],
    )
    after = Recorder(gone).report()
    assert (after["associations"], after["running"], after["buffered"]) == (0, 0, 0)
    assert (after["totals"]["objects"], after["totals"]["requests"]["C-STORE 0x0000"]) == (1, 1)
    assert after["totals"]["ended"]["died"] == after["totals"]["interrupted"]["C-STORE"] == 1
    assert after["rates"]["objects"][-2:] == before["rates"]["objects"][-2:]
    assert (after["problems"], after["since"]) == (before["problems"], before["since"])
    assert not after["is_listening"]


def test_a_server_that_stops_is_not_listening() -> None:
    record = Recorder()
    record.take(ServerListening("TITLE", ()))
    assert record.is_listening
    record.take(ServerStopping())
    assert not record.is_listening
