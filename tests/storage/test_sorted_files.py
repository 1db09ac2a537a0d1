"""FileStorage with a layout: what stands where, from several senders, and what is told of it."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import shutil
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest

import aiodicom
from aiodicom import FileStorage, Status
from aiodicom.storage.schemes import Layout, Names
from aiodicom.storage.sorting import (
    Sorting,
    by_patient_name,
    by_series_date,
    by_study_time,
    by_study_uid,
)
from aiodicom.storage.stored import EndedStudy, StoredObject
from aiodicom.storage.studies import Studies
from aiodicom.wire.dimse import Tag
from tests.peer import CT, Peer, ct_dataset, dataset_pdus
from tests.processes import dataset_of, unfinished
from tests.serving import until
from tests.storage.faults import Gate, fail_writers, record
from tests.storage.objects import sorted_dataset, tree, warnings_of
from tests.storage.test_files import answer, begun, storing, storing_into

S, T = "1.2.91", "1.2.92"

SORTINGS: dict[str, Sorting] = {
    "date": by_series_date(),
    "uid": by_study_uid(),
    "time": by_study_time("CT"),
    "name": by_patient_name(),
}
FOLDERS = {
    "date": r"data/2024/01/02",
    "uid": re.escape(S),
    "time": r"CT_\d{8}_\d{9}",
    "name": r"A_B_\d{8}_\d{9}",
}


def ordinary(uid: str, study: str | None = S, size: int = 200) -> bytes:
    return sorted_dataset(uid, study, name=b"A^B ", date=b"20240102", pixels=bytes(size))


@asynccontextmanager
async def sorting(folder: Path, by: str, **settings: Any) -> AsyncIterator[Peer]:
    settings.setdefault("studies", Studies())
    async with storing(folder, layout=Layout(sorting=SORTINGS[by]), **settings) as peer:
        yield peer


# Where objects go ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [200, 3_000_000])
@pytest.mark.parametrize("by", SORTINGS)
async def test_object_stands_in_its_folder(tmp_path: Path, by: str, size: int) -> None:
    data = ordinary("1.2.3", S, size)
    async with sorting(tmp_path, by) as peer:
        assert await peer.store("1.2.3", data) == Status.SUCCESS
    (path,) = tree(tmp_path)
    assert re.fullmatch(FOLDERS[by] + r"/CT\.1\.2\.3", path)
    assert dataset_of(tmp_path / path) == data
    assert unfinished(tmp_path) == []


@pytest.mark.parametrize("by", ["uid", "time", "name"])
async def test_study_has_one_folder_and_another_one_another(tmp_path: Path, by: str) -> None:
    async with sorting(tmp_path, by) as peer:
        for uid, study in (("1.2.1", S), ("1.2.2", S), ("1.2.3", T)):
            assert await peer.store(uid, ordinary(uid, study)) == Status.SUCCESS
    folders = [path.rpartition("/")[::2] for path in tree(tmp_path)]
    by_name = {name: folder for folder, name in folders}
    assert by_name["CT.1.2.1"] == by_name["CT.1.2.2"] != by_name["CT.1.2.3"]


@pytest.mark.parametrize("by", ["uid", "time", "name"])
async def test_object_of_no_study_is_refused(tmp_path: Path, by: str) -> None:
    async with sorting(tmp_path, by) as peer:
        for study in (None, "", " "):
            response = await answer(peer, ordinary("1.2.3", study), "1.2.3")
            assert response.number(Tag.STATUS) == 0xC000
            assert "Study Instance UID" in response.text(Tag.ERROR_COMMENT)
        assert await peer.echo() == Status.SUCCESS
    assert os.listdir(tmp_path) == []


async def test_without_a_date_todays_counts(tmp_path: Path) -> None:
    async with sorting(tmp_path, "date") as peer:
        assert await peer.store("1.2.3", sorted_dataset("1.2.3", None)) == Status.SUCCESS
    (path,) = tree(tmp_path)
    assert re.fullmatch(r"undef/\d{8}/CT\.1\.2\.3", path)


async def test_study_behind_a_large_value_is_found(tmp_path: Path) -> None:
    size = 3_000_000
    data = ordinary("1.2.3")
    at = data.index(b"\x20\x00\x0d\x00")
    large = b"\x19\x00\x10\x00OB\0\0" + size.to_bytes(4, "little") + bytes(size)
    data = data[:at] + large + data[at:]
    async with sorting(tmp_path, "uid") as peer:
        assert await peer.store("1.2.3", data) == Status.SUCCESS
    assert tree(tmp_path) == [f"{S}/CT.1.2.3"]
    assert dataset_of(tmp_path / S / "CT.1.2.3") == data


EVIL = ["..", ".", "../../x", "/x", "a/b", "$(touch x)", '"; rm', "x\ny", "~", "-rf", "\\"]


@pytest.mark.parametrize("by", SORTINGS)
@pytest.mark.parametrize("evil", EVIL)
async def test_no_value_of_a_peers_leaves_the_folder(tmp_path: Path, evil: str, by: str) -> None:
    folder = tmp_path / "a" / "received"
    text = evil.encode("latin-1")
    data = sorted_dataset("1.2", evil, name=text, date=text, charset=text)
    async with (
        aiodicom.serve(
            port=0,
            store=FileStorage(folder, layout=Layout(sorting=SORTINGS[by]), studies=Studies()),
        ) as server,
        Peer(server.port) as peer,
    ):
        await peer.associate()
        assert await peer.store("1.2", data) == Status.SUCCESS
    (path,) = tree(tmp_path)
    assert re.fullmatch(r"a/received/[A-Za-z0-9%_-][A-Za-z0-9%_./-]*/CT\.1\.2", path)
    assert "/../" not in path
    assert "/./" not in path


async def test_file_without_meta_is_the_dataset(tmp_path: Path) -> None:
    data = ct_dataset("1.2.3")
    async with storing(tmp_path, with_meta=False) as peer:
        assert await peer.store("1.2.3", data) == Status.SUCCESS
    assert (tmp_path / "CT.1.2.3").read_bytes() == data


def test_runs_of_studies_need_somebody_who_keeps_them(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="studies"):
        FileStorage(tmp_path, layout=Layout(sorting=by_study_time()))


# What they are called -----------------------------------------------------------------------------


@pytest.mark.parametrize("names", [n for n in Names if n is not Names.INSTANCE])
async def test_object_that_comes_again_is_another_file(
    tmp_path: Path, names: Names, caplog: pytest.LogCaptureFixture
) -> None:
    layout = Layout(names, extension=".dcm")
    async with storing(tmp_path, layout=layout, duplicates="replace") as peer:
        for value in range(5):
            data = ct_dataset("1.2.3", bytes([value]))
            assert await peer.store("1.2.3", data) == Status.SUCCESS
    files = [tmp_path / name for name in tree(tmp_path)]
    assert {dataset_of(path)[-1] for path in files} == set(range(5))
    assert all(path.suffix == ".dcm" for path in files)
    assert not warnings_of(caplog)


@pytest.mark.parametrize("names", [Names.MICROSECONDS, Names.MILLISECONDS, Names.SHORT])
async def test_name_that_is_taken_at_the_same_time_is_nobodys_end(
    tmp_path: Path,
    names: Names,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    candidates = Layout.candidates

    def same(layout: Layout, sop_class: str, sop_instance: str) -> Any:
        others = candidates(layout, sop_class, sop_instance)
        return lambda number: "SAME.CT" if number < 2 else others(number)

    monkeypatch.setattr(Layout, "candidates", same)
    storages = [FileStorage(tmp_path, layout=Layout(names)) for _ in range(2)]  # as two processes
    async with (
        aiodicom.serve(port=0, store=storages[0]) as one,
        aiodicom.serve(port=0, store=storages[1]) as other,
    ):

        async def send(port: int, value: int) -> int:
            async with Peer(port) as peer:
                await peer.associate()
                return await peer.store("1.2.3", ct_dataset("1.2.3", bytes([value])))

        ports = [(one, other)[number % 2].port for number in range(8)]
        answers = await asyncio.gather(*(send(port, n) for n, port in enumerate(ports)))
        assert answers == [Status.SUCCESS] * 8
    files = [tmp_path / name for name in tree(tmp_path)]
    assert sorted(dataset_of(path)[-1] for path in files) == list(range(8))
    assert not warnings_of(caplog)


async def test_extension_and_the_policy_for_duplicates(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    layout = Layout(extension=".dcm")
    async with storing(tmp_path, layout=layout) as peer:
        await peer.store("1.2.3")
        await peer.store("1.2.3")
    assert tree(tmp_path) == ["CT.1.2.3.dcm"]
    warnings = warnings_of(caplog)
    assert warnings == ["DICOM file existed and was replaced: CT.1.2.3.dcm"]
    async with storing(tmp_path, layout=layout, duplicates="both") as peer:
        await peer.store("1.2.3")
    assert tree(tmp_path) == ["CT.1.2.3.dcm", "CT.1.2.3~1.dcm"]


async def test_log_says_in_which_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aiodicom.storage")
    async with sorting(tmp_path, "uid") as peer:
        await peer.store("1.2.3", ordinary("1.2.3"))
    assert f"Storing DICOM file: {S}/CT.1.2.3" in caplog.messages


# Studies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["uid", "time", "name"])
async def test_interleaved_studies_of_several_senders_are_each_in_one_piece(
    tmp_path: Path, by: str
) -> None:
    ended: list[EndedStudy] = []
    studies = Studies(on_end=ended.append)
    storage = FileStorage(tmp_path, layout=Layout(sorting=SORTINGS[by]), studies=studies)
    uids = [f"1.2.9.{sender}" for sender in range(4)]
    async with aiodicom.serve(port=0, store=storage) as server:
        barrier = asyncio.Barrier(4)

        async def send(study: str) -> None:
            async with Peer(server.port) as peer:
                await peer.associate()
                for number in range(10):
                    await barrier.wait()  # so that their objects are interleaved
                    uid = f"{study}.{number}"
                    assert await peer.store(uid, ordinary(uid, study)) == Status.SUCCESS

        await asyncio.gather(*map(send, uids))
        assert ended == []
    assert sorted(study.study_instance_uid for study in ended) == uids
    assert [study.objects for study in ended] == [10] * 4
    assert len({study.folder for study in ended}) == 4
    for study in ended:
        expected = sorted(f"CT.{study.study_instance_uid}.{number}" for number in range(10))
        assert sorted(os.listdir(study.folder)) == expected


async def test_study_that_comes_again_gets_a_new_folder_for_each_run(tmp_path: Path) -> None:
    async with sorting(tmp_path, "time") as peer:
        for uid, study in (("1.2.1", S), ("1.2.2", T), ("1.2.3", S)):
            await peer.store(uid, ordinary(uid, study))
    assert len({path.rpartition("/")[0] for path in tree(tmp_path)}) == 3


async def test_object_that_is_aborted_leaves_no_folder_and_holds_up_no_study(
    tmp_path: Path,
) -> None:
    ended: list[EndedStudy] = []
    async with sorting(tmp_path, "time", studies=Studies(on_end=ended.append)) as peer:
        async with storing_into(peer) as other:
            await other.send(begun(ordinary("1.2.3", S, 100_000), 50_000, "1.2.3"))
            await other.abort()
            assert await other.closed()
        assert await peer.store("1.2.4", ordinary("1.2.4", T)) == Status.SUCCESS
    assert [study.study_instance_uid for study in ended] == [T]
    assert [path.rpartition("/")[2] for path in tree(tmp_path)] == ["CT.1.2.4"]
    assert len(os.listdir(tmp_path)) == 1


async def test_large_object_that_is_coming_keeps_its_study_together(tmp_path: Path) -> None:
    data = ordinary("1.2.3", S, 3_000_000)
    ended: list[EndedStudy] = []
    studies = Studies(timeout=0.02, on_end=ended.append)
    async with sorting(tmp_path, "time", studies=studies) as peer, storing_into(peer) as other:
        await other.send(begun(data, 2_500_000, "1.2.3"))
        await until(lambda: len(studies) == 1)
        for uid, study in (("1.2.1", S), ("1.2.2", T)):
            assert await peer.store(uid, ordinary(uid, study)) == Status.SUCCESS
        await until(lambda: bool(ended))
        assert [study.study_instance_uid for study in ended] == [T]
        await other.send(dataset_pdus(data[2_500_000:]))
        assert await other.status() == Status.SUCCESS
    assert [(study.study_instance_uid, study.objects) for study in ended] == [(T, 1), (S, 2)]
    assert sorted(os.listdir(ended[1].folder)) == ["CT.1.2.1", "CT.1.2.3"]


async def test_files_get_short_names_when_the_receiver_stops(tmp_path: Path) -> None:
    ended: list[EndedStudy] = []
    studies = Studies(renames=True, on_end=ended.append)
    async with sorting(tmp_path, "uid", studies=studies) as peer:
        for uid in ("1.2.1", "1.2.2"):
            await peer.store(uid, ordinary(uid))
    assert tree(tmp_path) == [f"{S}/CT000001", f"{S}/CT000002"]
    assert [study.objects for study in ended] == [2]


# Disks --------------------------------------------------------------------------------------------


async def test_system_calls_of_a_sorted_object_come_in_the_safe_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sorting(tmp_path, "uid") as peer:
        with monkeypatch.context() as patched:
            calls = record(patched)
            await peer.store("1.2.3", ordinary("1.2.3"))
    wanted = [call for call in calls if call[0] in ("fdatasync", "rename", "fsync")]
    assert [call for call, _ in wanted] == ["fdatasync", "rename", "rename", "fsync", "fsync"]
    assert sorted(name for call, name in wanted if call == "fsync") == sorted([S, tmp_path.name])


@pytest.mark.parametrize("by", SORTINGS)
async def test_folder_that_was_removed_by_hand_is_made_again(tmp_path: Path, by: str) -> None:
    async with sorting(tmp_path, by) as peer:
        assert await peer.store("1.2.1", ordinary("1.2.1")) == Status.SUCCESS
        (folder,) = {path.partition("/")[0] for path in tree(tmp_path)}
        shutil.rmtree(tmp_path / folder)
        assert await peer.store("1.2.2", ordinary("1.2.2")) == Status.SUCCESS
    assert [path.rpartition("/")[2] for path in tree(tmp_path)] == ["CT.1.2.2"]


@pytest.mark.parametrize("by", SORTINGS)
async def test_folder_that_cannot_be_made_costs_one_object(
    tmp_path: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sorting(tmp_path, by) as peer:
        with monkeypatch.context() as patched:

            def full(*args: object, **settings: object) -> None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/secret")

            patched.setattr(os, "mkdir", full)
            response = await answer(peer, ordinary("1.2.1"), "1.2.1")
        assert response.number(Tag.STATUS) == Status.OUT_OF_RESOURCES
        assert response.text(Tag.ERROR_COMMENT) == os.strerror(errno.ENOSPC)
        assert await peer.store("1.2.2", ordinary("1.2.2")) == Status.SUCCESS
    assert [path.rpartition("/")[2] for path in tree(tmp_path)] == ["CT.1.2.2"]
    assert unfinished(tmp_path) == []


async def test_many_makers_of_one_folder(tmp_path: Path) -> None:
    async with sorting(tmp_path, "date") as first:
        port = first.writer.get_extra_info("peername")[1]

        async def send(number: int) -> int:
            async with Peer(port) as peer:
                await peer.associate()
                return await peer.store(f"1.2.{number}", ordinary(f"1.2.{number}"))

        assert await asyncio.gather(*map(send, range(20))) == [Status.SUCCESS] * 20
    assert tree(tmp_path) == sorted(f"data/2024/01/02/CT.1.2.{number}" for number in range(20))


# What is told -------------------------------------------------------------------------------------


async def test_object_that_is_stored_is_told_of(tmp_path: Path) -> None:
    told: list[StoredObject] = []
    studies = Studies()
    async with sorting(tmp_path, "uid", studies=studies, on_stored=told.append) as peer:
        await peer.store("1.2.3", ordinary("1.2.3"))
    (stored,) = told
    assert stored.path == f"{tmp_path}/{S}/CT.1.2.3"
    assert (stored.folder, stored.name) == (f"{tmp_path}/{S}", "CT.1.2.3")
    assert (stored.sop_class_uid, stored.sop_instance_uid) == (CT, "1.2.3")
    assert stored.study_instance_uid == S
    assert (stored.calling_ae_title, stored.called_ae_title) == ("PEER", "ANY-SCP")
    assert stored.address in ("127.0.0.1", "::ffff:127.0.0.1")
    assert stored.association == 1


async def test_told_after_the_object_stands_and_before_the_response(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[StoredObject] = []
    gate = Gate(monkeypatch, "fsync")
    async with storing(tmp_path, on_stored=told.append) as peer:
        await peer.send(begun(b"", 0))
        await peer.send(dataset_pdus(ct_dataset("1.2.3")))
        await gate.wait_reached()
        assert told == []
        gate.opened.set()
        assert await peer.status() == Status.SUCCESS
        assert [stored.name for stored in told] == ["CT.1.2.3"]


async def test_response_waits_for_what_is_to_be_awaited(tmp_path: Path) -> None:
    asked, opened = asyncio.Event(), asyncio.Event()

    def on_stored(stored: StoredObject) -> Awaitable[object]:
        asked.set()
        return opened.wait()

    async with storing(tmp_path, on_stored=on_stored) as peer:
        await peer.send(begun(b"", 0))
        await peer.send(dataset_pdus(ct_dataset("1.2.3")))
        await asked.wait()
        assert await peer.hears_nothing()
        opened.set()
        assert await peer.status() == Status.SUCCESS


async def test_peer_that_does_not_wait_keeps_its_object(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[EndedStudy] = []
    asked = asyncio.Event()

    async def for_ever() -> None:
        asked.set()
        await asyncio.Event().wait()

    storage = FileStorage(
        tmp_path,
        layout=Layout(sorting=by_study_uid()),
        studies=Studies(on_end=ended.append),
        on_stored=lambda stored: for_ever(),
    )
    async with (
        aiodicom.serve(port=0, store=storage, grace=0.05) as server,
        Peer(server.port) as peer,
    ):
        await peer.associate()
        await peer.send(begun(b"", 0))
        await peer.send(dataset_pdus(ordinary("1.2.3")))
        await asked.wait()
        await peer.abort()
    assert tree(tmp_path) == [f"{S}/CT.1.2.3"]
    assert [study.objects for study in ended] == [1]
    assert "CancelledError" not in caplog.text  # it is the server that has cancelled it


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
@pytest.mark.parametrize("is_awaited", [False, True])
async def test_what_follows_fails_without_consequences(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    error: type[BaseException],
    is_awaited: bool,
) -> None:
    def fail(stored: StoredObject) -> Awaitable[object] | None:
        if is_awaited:
            failed = asyncio.get_running_loop().create_future()
            failed.cancel() if error is asyncio.CancelledError else failed.set_exception(error())
            return failed
        raise error("of theirs")

    async with storing(tmp_path, on_stored=fail) as peer:
        assert await peer.store("1.2.3") == Status.SUCCESS
    assert tree(tmp_path) == ["CT.1.2.3"]
    assert error.__name__ in caplog.text


async def test_object_that_is_not_stored_is_not_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[StoredObject] = []
    async with storing(tmp_path, on_stored=told.append, duplicates="keep") as peer:
        await peer.store("1.2.3")
        told.clear()
        assert await peer.store("1.2.3") == Status.SUCCESS  # kept, the old one
        assert await peer.store("1.2.4", b"garbage") == 0xC000
        assert await peer.store("1.2.4", ct_dataset("1.2.5")) == 0xA900
        fail_writers(monkeypatch, "writev", errno.ENOSPC)
        assert await peer.store("1.2.4") == Status.OUT_OF_RESOURCES
        assert told == []


async def test_sorted_file_is_what_pydicom_reads(tmp_path: Path) -> None:
    async with sorting(tmp_path, "date") as peer:
        await peer.store("1.2.3", ordinary("1.2.3"))
    (path,) = tree(tmp_path)
    assert pydicom.dcmread(tmp_path / path).StudyInstanceUID == S
