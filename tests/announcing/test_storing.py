"""FileStorage with an announcer: what is announced, when, and that no response waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom import FileStorage, Status
from aiodicom.announcing import Announcer, ObjectStored, StudyQuiet
from aiodicom.storage.placing import Placing
from aiodicom.storage.schemes import Layout
from aiodicom.storage.sorting import Sorting, by_patient_name, by_series_date, by_study_uid
from aiodicom.storage.stored import StoredObject
from aiodicom.storage.studies import Studies
from tests.announcing.values import Hanging, Taker
from tests.peer import (
    CT,
    Peer,
    command_pdu,
    ct_dataset,
    element,
    fragment,
    store_command,
    store_pdus,
    uid_value,
)
from tests.serving import until
from tests.storage.objects import sorted_dataset
from tests.storage.test_files import storing

S = "1.2.91"
SORTINGS = {"no": None, "date": by_series_date(), "uid": by_study_uid(), "name": by_patient_name()}


def with_series(uid: str, study: str | None = S, size: int = 100) -> bytes:
    data = sorted_dataset(uid, study, name=b"Doe^Jo", date=b"20240102", pixels=bytes(size))
    at = data.index(b"\xe0\x7f\x10\x00")
    return data[:at] + element(0x0020000E, b"UI", uid_value("1.2.92")) + data[at:]


@asynccontextmanager
async def announcing(
    folder: Path, *sinks: Any, sorting: Sorting | None = None, quiet: float = 60, **settings: Any
) -> AsyncIterator[tuple[Peer, Announcer]]:
    announcer = Announcer(*sinks, quiet=quiet, grace=0)
    layout = Layout(sorting=sorting)
    studies = Studies()
    values = {"layout": layout, "studies": studies, "announcer": announcer, **settings}
    async with storing(folder, **values) as peer:
        yield peer, announcer


def objects(sink: Taker) -> list[ObjectStored]:
    return [each for each in sink.given if isinstance(each, ObjectStored)]


@pytest.mark.parametrize("by", SORTINGS)
async def test_object_is_announced_with_its_study_however_it_is_sorted(
    tmp_path: Path, by: str
) -> None:
    sink = Taker()
    data = with_series("1.2.3")
    async with announcing(tmp_path, sink, sorting=SORTINGS[by]) as (peer, _):
        assert await peer.store("1.2.3", data) == Status.SUCCESS
    told, study = sink.given
    assert isinstance(told, ObjectStored)
    stored = told.stored
    assert (stored.sop_class_uid, stored.sop_instance_uid) == (CT, "1.2.3")
    assert (stored.study_instance_uid, stored.series_instance_uid) == (S, "1.2.92")
    assert (stored.transfer_syntax_uid, stored.size) == ("1.2.840.10008.1.2.1", len(data))
    assert stored.calling_ae_title == "PEER"
    assert await asyncio.to_thread(Path(stored.path).exists)
    assert isinstance(study, StudyQuiet)
    assert (study.study.study_instance_uid, study.study.size) == (S, len(data))
    assert study.study.first_at == stored.at > 0


async def test_object_of_no_study_is_stored_and_announced(tmp_path: Path) -> None:
    sink = Taker()
    async with announcing(tmp_path, sink) as (peer, announcer):
        assert await peer.store("1.2.3", ct_dataset("1.2.3")) == Status.SUCCESS
        assert announcer.studies is not None
        assert len(announcer.studies) == 0
    (told,) = objects(sink)
    assert (told.stored.study_instance_uid, told.stored.series_instance_uid) == ("", "")
    assert len(sink.given) == 1


async def test_study_is_under_way_while_its_large_object_comes(tmp_path: Path) -> None:
    """Also one that is cut off, of which nothing is announced."""
    data = with_series("1.2.3", size=3_000_000)
    sink = Taker()
    async with announcing(tmp_path, sink, quiet=0) as (peer, announcer):
        studies = announcer.studies
        assert studies is not None
        await peer.send(command_pdu(store_command("1.2.3")))
        for start in range(0, 1_500_000, 16_000):
            await peer.send(fragment(data[start : start + 16_000]))
        await until(lambda: len(studies) == 1)
        peer.writer.transport.abort()
        await until(lambda: len(studies) == 0)
    assert sink.given == []


async def test_what_is_not_stored_is_not_announced(tmp_path: Path) -> None:
    sink = Taker()
    async with announcing(tmp_path, sink, duplicates="refuse") as (peer, _):
        assert await peer.store("1.2.3", with_series("1.2.3")) == Status.SUCCESS
        assert await peer.store("1.2.3", with_series("1.2.3")) == Status.DUPLICATE_SOP_INSTANCE
        assert await peer.store("1.2.4", with_series("1.2.5")) == Status.DATASET_DOES_NOT_MATCH
    assert len(objects(sink)) == 1


async def test_object_that_was_there_and_is_kept_is_not_announced(tmp_path: Path) -> None:
    sink = Taker()
    async with announcing(tmp_path, sink, duplicates="keep") as (peer, _):
        for _ in range(2):
            assert await peer.store("1.2.3", with_series("1.2.3")) == Status.SUCCESS
    assert len(objects(sink)) == 1


async def test_uids_of_a_hostile_length_are_cut(tmp_path: Path) -> None:
    sink = Taker()
    uid = "1" * 5000
    async with announcing(tmp_path, sink) as (peer, _):
        assert await peer.store(uid, with_series(uid, uid)) == Status.SUCCESS
    told, study = sink.given
    assert isinstance(told, ObjectStored)
    assert told.stored.sop_instance_uid == told.stored.study_instance_uid == uid[:128]
    assert isinstance(study, StudyQuiet)
    assert study.study.study_instance_uid == uid[:128]


async def test_thousand_objects_are_answered_while_a_sink_hangs(tmp_path: Path) -> None:
    sinks = Hanging(), Taker()
    announcer = Announcer(*sinks, room=100, grace=0)
    storage = FileStorage(tmp_path, durability="none", announcer=announcer)
    async with (
        aiodicom.serve(port=0, store=storage) as server,
        Peer(server.port) as peer,
    ):
        await peer.associate()
        for number in range(1000):
            uid = f"1.2.{number}"
            await peer.send(store_pdus(uid, ct_dataset(uid), number))
            assert (await peer.status()) == Status.SUCCESS
        hanging, taking = announcer.counts
        assert len(sinks[0].given) == 1
        assert (hanging.queued, hanging.sent, hanging.dropped) == (101, 0, 899)
        await until(lambda: announcer.counts[1].sent == 1000)
        assert taking.dropped == 0
    assert sinks[1].uids == [f"1.2.{number}" for number in range(1000)]


async def test_sink_that_raises_and_an_announcer_that_fails_change_no_response(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = Taker(*[RuntimeError("Doe^Jo")] * 3)
    async with announcing(tmp_path, sink) as (peer, announcer):
        assert await peer.store("1.2.3", with_series("1.2.3")) == Status.SUCCESS
        monkeypatch.setattr(announcer, "stored", None)
        assert await peer.store("1.2.4", with_series("1.2.4")) == Status.SUCCESS
    assert "Doe" not in caplog.text
    assert "What follows a stored object failed: TypeError" in caplog.text


async def test_announcer_that_fails_does_not_keep_others_from_hearing_of_the_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[StoredObject] = []
    async with announcing(tmp_path, on_stored=told.append) as (peer, announcer):
        monkeypatch.setattr(announcer, "stored", None)
        assert await peer.store("1.2.3", with_series("1.2.3")) == Status.SUCCESS
    assert [stored.sop_instance_uid for stored in told] == ["1.2.3"]


async def test_announcer_is_entered_with_the_storage_and_left_after_it(tmp_path: Path) -> None:
    announcer = Announcer(Taker())
    async with FileStorage(tmp_path, announcer=announcer) as storage, storage:
        assert len(announcer.counts) == 1
        assert announcer._users == 1
    assert announcer._users == 0


async def test_storage_whose_announcer_cannot_be_entered_leaves_nothing(tmp_path: Path) -> None:
    class Broken(Taker):
        async def __aenter__(self) -> None:
            raise OSError("no")

        async def __aexit__(self, *exc_info: object) -> None: ...

    storage = FileStorage(tmp_path, announcer=Announcer(Broken()))
    for _ in range(2):
        with pytest.raises(OSError, match="no"):
            await storage.__aenter__()
    assert list(await asyncio.to_thread(lambda: list(tmp_path.iterdir()))) == []


async def test_without_an_announcer_nothing_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*values: object) -> None:
        raise AssertionError

    monkeypatch.setattr(Placing, "__init__", never)
    async with storing(tmp_path) as peer:
        assert await peer.store("1.2.3", with_series("1.2.3")) == Status.SUCCESS
