"""One sink's queue: order, retries in their own time, what is dropped, and the end."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest

from aiodicom.announcing import Announcement, Retries, TryAgain, Undeliverable
from aiodicom.announcing.outbox import Outbox
from tests.announcing.values import Hanging, Taker, announced, outbox, timeless

HOUR = 3600.0


def put(box: Outbox, *uids: str) -> None:
    for uid in uids:
        box.put(announced(uid))


def numbers(box: Outbox) -> tuple[int, int, int, int, int]:
    counts = box.counts
    return counts.queued, counts.sent, counts.retried, counts.failed, counts.dropped


# Order and retries --------------------------------------------------------------------------------


def test_announcements_come_in_order_and_once() -> None:
    async def main() -> None:
        sink = Taker()
        box = outbox(sink)
        put(box, *"12345")
        assert numbers(box) == (5, 0, 0, 0, 0)
        await asyncio.sleep(1)
        assert sink.uids == [*"12345"]
        assert numbers(box) == (0, 5, 0, 0, 0)

    timeless(main)


@pytest.mark.parametrize(
    "error", [TryAgain("busy"), ConnectionRefusedError(), TimeoutError(), OSError(28, "full")]
)
def test_what_cannot_be_taken_now_comes_again_the_same_and_before_others(error: Exception) -> None:
    async def main() -> None:
        sink = Taker(error, error)
        box = outbox(sink)
        put(box, "1", "2")
        await asyncio.sleep(HOUR)
        assert sink.uids == ["1", "1", "1", "2"]
        assert sink.given[0] is sink.given[1] is sink.given[2]
        assert numbers(box) == (0, 2, 2, 0, 0)

    timeless(main)


def test_waits_double_up_to_the_most_and_are_drawn() -> None:
    async def main() -> None:
        sink = Taker(*[TryAgain()] * 8)
        put(outbox(sink, retries=Retries(first=1, most=20, give_up=HOUR)), "1")
        await asyncio.sleep(HOUR)
        longest = [1, 2, 4, 8, 16, 20, 20, 20]
        assert len(sink.waits) == len(longest)
        assert all(m / 2 <= wait <= m for wait, m in zip(sink.waits, longest, strict=True))
        assert not any(wait in (m / 2, m) for wait, m in zip(sink.waits, longest, strict=True))

    timeless(main)


def test_it_is_given_up_in_time_logged_and_the_next_one_comes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        sink = Taker(*[TryAgain("answered 503")] * 20)
        box = outbox(sink, retries=Retries(first=10, most=10, give_up=60))
        put(box, "1")
        await asyncio.sleep(HOUR)
        assert 6 <= len(sink.given) <= 13  # 60 s in steps of 5 to 10
        assert sink.times[-1] - sink.times[0] <= 60
        sink._answers.clear()
        put(box, "2")
        await asyncio.sleep(1)
        assert sink.uids[-1] == "2"
        assert numbers(box)[:2] == (0, 1)
        assert box.counts.failed == 1

    timeless(main)
    assert "An announcement to sink failed: answered 503" in caplog.messages


def test_rest_that_a_sink_asks_for_is_kept_for_the_next_announcement_too() -> None:
    async def main() -> None:
        sink = Taker(TryAgain("later", after=1000), None)
        box = outbox(sink, retries=Retries(give_up=60))
        put(box, "1", "2")
        await asyncio.sleep(HOUR)
        assert sink.uids == ["1", "2"]  # the first one would have had to wait for too long
        assert sink.waits == [pytest.approx(1000)]
        assert numbers(box) == (0, 1, 0, 1, 0)

    timeless(main)


@pytest.mark.parametrize("error", [Undeliverable("no"), ValueError("Doe^Jo"), KeyError()])
def test_what_a_sink_refuses_or_breaks_on_does_not_come_again(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        sink = Taker(error)
        box = outbox(sink)
        put(box, "1", "2")
        await asyncio.sleep(HOUR)
        assert sink.uids == ["1", "2"]
        assert numbers(box) == (0, 1, 0, 1, 0)

    timeless(main)
    assert any("announcement to sink failed" in text for text in caplog.messages)
    assert "Doe" not in caplog.text


def test_sink_that_says_it_was_cancelled_has_failed_and_goes_on() -> None:
    async def main() -> None:
        sink = Taker(asyncio.CancelledError())
        box = outbox(sink)
        put(box, "1", "2")
        await asyncio.sleep(1)
        assert numbers(box) == (0, 1, 0, 1, 0)

    timeless(main)


def test_failures_that_are_alike_are_logged_seldom(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        box = outbox(Taker(*[Undeliverable("answered 404")] * 100))
        put(box, *map(str, range(100)))
        await asyncio.sleep(1)
        assert box.counts.failed == 100

    timeless(main)
    assert caplog.messages.count("An announcement to sink failed: answered 404") == 1


def test_idle_outbox_has_no_task() -> None:
    async def main() -> None:
        before = asyncio.all_tasks()
        box = outbox(Taker(), at_once=3)
        put(box, *"12345")
        assert len(asyncio.all_tasks() - before) == 3
        await asyncio.sleep(1)
        assert asyncio.all_tasks() == before
        put(box, "6")
        await asyncio.sleep(1)
        assert box.counts.sent == 6

    timeless(main)


def test_announcement_that_comes_right_when_the_task_has_ended_is_sent_too() -> None:
    async def main() -> None:
        sink = Taker()

        async def takes(announcement: Announcement) -> None:
            await sink(announcement)
            if len(sink.given) < 3:
                asyncio.get_running_loop().call_soon(put, box, "next")

        box = outbox(takes)
        put(box, "first")
        await asyncio.sleep(1)
        assert sink.uids == ["first", "next", "next"]

    timeless(main)


@pytest.mark.parametrize("at_once", [1, 3])
def test_so_many_are_sent_at_a_time(at_once: int) -> None:
    async def main() -> None:
        sink = Hanging()
        box = outbox(sink, at_once=at_once)
        put(box, *"12345")
        await asyncio.sleep(1)
        assert len(sink.given) == at_once
        await box.close(0)

    timeless(main)


# Bounds and the end -------------------------------------------------------------------------------


def test_full_queue_drops_the_oldest_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        sink = Hanging()
        box = outbox(sink, room=3)
        put(box, "0")
        await asyncio.sleep(1)
        put(box, *map(str, range(1, 100)))
        assert numbers(box) == (4, 0, 0, 0, 96)
        assert [a.stored.sop_instance_uid for a in box._waiting] == ["97", "98", "99"]  # type: ignore[union-attr]
        await box.close(0)
        assert numbers(box) == (0, 0, 0, 0, 100)

    timeless(main)
    assert sum("are too many: the oldest is dropped" in text for text in caplog.messages) == 1


def test_at_the_end_what_waits_is_sent() -> None:
    async def main() -> None:
        sink = Taker()
        box = outbox(sink)
        put(box, *"12345")
        await box.close(5)
        assert numbers(box) == (0, 5, 0, 0, 0)

    timeless(main)


def test_at_the_end_what_was_to_come_later_is_tried_at_once_and_then_no_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        sink = Taker(TryAgain("a", after=1000), None, TryAgain("b"))
        box = outbox(sink, retries=Retries(give_up=HOUR))
        put(box, "1", "2")
        await asyncio.sleep(10)
        before = asyncio.get_running_loop().time()
        await box.close(5)
        assert asyncio.get_running_loop().time() == before
        assert sink.uids == ["1", "1", "2"]
        assert numbers(box) == (0, 1, 1, 1, 0)

    timeless(main)
    assert "Not announced to sink at the end: 1" in caplog.messages


def test_sink_that_hangs_has_the_grace_and_the_rest_is_logged_by_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        box = outbox(Hanging())
        put(box, *"12345")
        before = asyncio.get_running_loop().time()
        await box.close(5)
        assert asyncio.get_running_loop().time() == pytest.approx(before + 5)
        assert numbers(box) == (0, 0, 0, 0, 5)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    timeless(main)
    (line,) = (r for r in caplog.records if r.levelno >= logging.ERROR)
    assert line.getMessage() == "Not announced to sink at the end: 5"


def test_sink_that_has_taken_it_when_it_is_cancelled_is_counted_once() -> None:
    async def main() -> None:
        async def late(announcement: object) -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(HOUR)

        box = outbox(late)
        put(box, "1", "2")
        await asyncio.sleep(1)
        await box.close(5)
        assert numbers(box) == (0, 1, 0, 0, 1)

    timeless(main)


def test_sink_that_does_not_let_itself_be_cancelled_is_left_alone() -> None:
    async def main() -> None:
        ended = asyncio.get_running_loop().create_future()

        async def stubborn(announcement: object) -> None:
            while not ended.done():
                try:
                    await asyncio.shield(ended)
                except asyncio.CancelledError:
                    continue

        box = outbox(stubborn)
        put(box, "1")
        await asyncio.sleep(1)
        async with asyncio.timeout(60):
            await box.close(5)
        ended.set_result(None)
        await asyncio.sleep(1)

    timeless(main)


@pytest.mark.parametrize("values", [(0, 1, 1), (2, 1, 1), (1, 1, -1)])
def test_retries_are_times(values: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="retries need"):
        Retries(*values)
