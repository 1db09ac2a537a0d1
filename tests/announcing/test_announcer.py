"""Announcer: sinks apart from each other, ids, and studies that have been quiet."""

from __future__ import annotations

import asyncio
import contextvars
import functools

import pytest

from aiodicom.announcing import Announcer, ObjectStored, StudyQuiet, announcer
from aiodicom.storage.stored import StoredObject
from aiodicom.storage.studies import Studies
from tests.announcing.values import AT, Hanging, Taker, stored, timeless

S, T = "1.2.9", "1.2.8"


def store(announcing: Announcer, stored: StoredObject) -> None:
    """Have an object come and be stored, as `FileStorage` does."""
    studies = studies_of(announcing)
    run = studies.enter(stored.study_instance_uid, stored.association)
    announcing.stored(stored)
    studies.leave(run, stored)


def studies_of(announcing: Announcer) -> Studies:
    assert announcing.studies is not None
    return announcing.studies


def studies_in(sink: Taker) -> list[StudyQuiet]:
    return [each for each in sink.given if isinstance(each, StudyQuiet)]


# Sinks --------------------------------------------------------------------------------------------


def test_every_sink_is_told_of_the_same_whatever_the_others_do() -> None:
    async def main() -> None:
        sinks = Taker(ValueError()), Hanging(), Taker()
        async with Announcer(*sinks) as announcing:
            for uid in "123":
                announcing.stored(stored(uid))
            await asyncio.sleep(1)
            assert [sink.uids for sink in sinks] == [[*"123"], ["1"], [*"123"]]
            assert sinks[0].given[0] is sinks[1].given[0] is sinks[2].given[0]
            counts = announcing.counts
            assert [each.sent for each in counts] == [2, 0, 3]
            assert [each.failed for each in counts] == [1, 0, 0]
            assert [each.queued for each in counts] == [0, 3, 0]

    timeless(main)


def test_ids_are_unique_also_of_two_processes_and_sources_are_uris() -> None:
    async def main() -> None:
        sink = Taker()
        for _ in range(2):
            async with Announcer(sink) as announcing:
                for uid in "123":
                    announcing.stored(stored(uid))
        async with Announcer(sink, source="urn:here") as announcing:
            announcing.stored(stored("4"))
        assert len({each.id for each in sink.given}) == 7
        assert sink.given[0].source.startswith("/aiodicom/")
        assert sink.given[-1].source == "urn:here"

    timeless(main)


def test_object_is_announced_with_the_time_of_its_storing() -> None:
    async def main() -> None:
        sink = Taker()
        async with Announcer(sink) as announcing:
            announcing.stored(stored("1"))
        (told,) = sink.given
        assert isinstance(told, ObjectStored)
        assert (told.at, told.stored) == (AT, stored("1"))

    timeless(main)


def test_sinks_that_are_context_managers_are_entered_and_left_after_the_last_announcement() -> None:
    log: list[str] = []

    class Entered(Taker):
        async def __aenter__(self) -> None:
            log.append("entered")

        async def __call__(self, announcement: object) -> None:
            log.append("given")

        async def __aexit__(self, *exc_info: object) -> None:
            log.append("left")

    async def main() -> None:
        announcing = Announcer(Entered())
        async with announcing, announcing:  # of two storages
            announcing.stored(stored())
        assert log == ["entered", "given", "left"]

    timeless(main)


def test_announcer_that_nobody_has_entered_says_so() -> None:
    async def main() -> None:
        announcing = Announcer(Taker())
        for _ in range(2):
            with pytest.raises(RuntimeError, match="enter it"):
                announcing.stored(stored())
            async with announcing:
                pass

    timeless(main)


def test_worker_is_of_no_association() -> None:
    """What runs in a sink has not the context of the object that happened to come first."""
    variable = contextvars.ContextVar("variable", default="the announcer's")
    seen: list[str] = []

    async def sink(announcement: object) -> None:
        seen.append(variable.get())

    async def main() -> None:
        async with Announcer(sink) as announcing:
            variable.set("an association's")
            announcing.stored(stored())

    timeless(main)
    assert seen == ["the announcer's"]


def test_names_are_told_apart() -> None:
    async def hook(announcement: object) -> None: ...

    async def main() -> None:
        async with Announcer(hook, Taker(), Taker(), functools.partial(hook)) as announcing:
            names = [each.name for each in announcing.counts]
        assert names[0].endswith("hook")
        assert names[1:] == ["Taker (1)", "Taker (2)", "partial"]

    timeless(main)


@pytest.mark.parametrize(
    "settings", [{"at_once": 0}, {"room": 0}, {"grace": -1}, {"quiet": -1}, {"grace": float("nan")}]
)
def test_numbers_that_are_too_small_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"or more"):
        Announcer(**settings)  # type: ignore[arg-type]


# Studies ------------------------------------------------------------------------------------------


def test_study_is_announced_once_it_has_been_quiet_with_what_came_of_it() -> None:
    async def main() -> None:
        sink = Taker()
        async with Announcer(sink, quiet=60) as announcing:
            store(announcing, stored("1", S, at=AT, size=10))
            await asyncio.sleep(59)
            store(announcing, stored("2", S, at=AT + 59, calling_ae_title="X", size=20))
            await asyncio.sleep(2)
            store(announcing, stored("3", T))
            await asyncio.sleep(57)
            assert sink.uids == ["1", "2", "3"]
            await asyncio.sleep(10)
            assert sink.times[-2:] == [pytest.approx(119), pytest.approx(121)]
        first, second = studies_in(sink)
        assert [each.study.study_instance_uid for each in (first, second)] == [S, T]
        study = first.study
        assert (study.objects, study.size, study.reason) == (2, 30, "quiet")
        assert (study.first_at, study.last.at) == (AT, AT + 59)
        assert study.series_instance_uids == (f"{S}.1",)
        assert study.senders == (("PEER", "HERE"), ("X", "HERE"))

    timeless(main)


def test_study_is_not_quiet_while_an_object_of_it_is_coming() -> None:
    async def main() -> None:
        sink = Taker()
        async with Announcer(sink, quiet=60) as announcing:
            store(announcing, stored("1"))
            run = studies_of(announcing).enter(S, 2)
            await asyncio.sleep(1000)
            assert studies_in(sink) == []
            studies_of(announcing).leave(run, stored("2"))
            await asyncio.sleep(61)
            assert [each.study.objects for each in studies_in(sink)] == [2]

    timeless(main)


def test_study_that_comes_again_is_announced_again_with_what_is_new() -> None:
    async def main() -> None:
        sink = Taker()
        async with Announcer(sink, quiet=60) as announcing:
            for _ in range(2):
                store(announcing, stored())
                await asyncio.sleep(61)
        one, other = studies_in(sink)
        assert one.id != other.id
        assert (one.study.objects, other.study.objects) == (1, 1)

    timeless(main)


def test_study_of_which_nothing_was_stored_is_not_announced() -> None:
    async def main() -> None:
        sink = Taker()
        async with Announcer(sink, quiet=60) as announcing:
            studies_of(announcing).leave(studies_of(announcing).enter(S, 1), None)
            await asyncio.sleep(61)
        assert sink.given == []

    timeless(main)


def test_studies_under_way_are_announced_at_the_end_and_say_why() -> None:
    async def main() -> None:
        sink = Taker()
        async with Announcer(sink, quiet=60) as announcing:
            store(announcing, stored("1", S))
            store(announcing, stored("2", T))
        assert [each.study.reason for each in studies_in(sink)] == ["stopped", "stopped"]

    timeless(main)


def test_studies_without_end_are_bounded_the_longest_quiet_one_goes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(announcer, "MOST_STUDIES", 3)

    async def main() -> None:
        sink = Taker()
        async with Announcer(sink, quiet=60) as announcing:
            for study in ("1", "2", "3", "1", "4"):
                store(announcing, stored("9", study))
            await asyncio.sleep(1)
            assert len(studies_of(announcing)) == 3
            (told,) = studies_in(sink)
            assert (told.study.study_instance_uid, told.study.reason) == ("2", "crowded")

    timeless(main)


def test_study_of_many_series_and_senders_is_remembered_up_to_a_bound() -> None:
    async def main() -> None:
        sink = Taker()
        async with Announcer(sink, quiet=60) as announcing:
            for number in range(1500):
                values = {"series_instance_uid": str(number), "calling_ae_title": str(number)}
                store(announcing, stored(str(number), **values))
        (told,) = studies_in(sink)
        assert len(told.study.series_instance_uids) == 1000
        assert len(told.study.senders) == 100
        assert told.study.objects == 1500

    timeless(main)


async def test_sink_that_cannot_be_left_does_not_keep_the_announcer_from_starting_again() -> None:
    class Stubborn(Taker):
        async def __aenter__(self) -> None: ...

        async def __aexit__(self, *exc_info: object) -> None:
            raise OSError("no")

    sink = Stubborn()
    announcing = Announcer(sink)
    for uid in ("1.2.1", "1.2.2"):
        await announcing.__aenter__()
        announcing.stored(stored(uid))
        with pytest.raises(OSError, match="no"):
            await announcing.__aexit__(None, None, None)
    assert sink.uids == ["1.2.1", "1.2.2"]
