"""FileStorage behind a server: what stands in the folder, and what the sender is told."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest

import aiodicom
from aiodicom import FileStorage, Status
from aiodicom.storage.commit import Job
from aiodicom.storage.writers import Writers
from aiodicom.wire.dimse import CommandSet, Tag
from aiodicom.wire.items import ProposedContext
from aiodicom.wire.pdu import PDU, PDV, Abort, DataTransfer, ReleaseRequest, encode_pdu
from tests.peer import (
    CT,
    CT_CONTEXT,
    CT_IMPLICIT_CONTEXT,
    Peer,
    association_request,
    command_pdu,
    ct_dataset,
    dataset_pdus,
    element,
    store_command,
    store_pdus,
    uid_value,
)
from tests.processes import Sender, dataset_of, receiving, unfinished, visible
from tests.serving import until
from tests.storage.faults import Gate, fail, fail_writers, record
from tests.storage.objects import warnings_of

UID = "1.2.3"
NAME = "CT.1.2.3"
SMALL, LARGE = 200, 3_000_000
"""Bytes of pixels: one job, and several slabs."""


@asynccontextmanager
async def storing(folder: Path, **settings: Any) -> AsyncIterator[Peer]:
    """A peer that has associated with a server that stores into `folder`."""
    async with (
        aiodicom.serve(port=0, store=FileStorage(folder, **settings)) as server,
        Peer(server.port) as peer,
    ):
        await peer.associate()
        yield peer


@asynccontextmanager
async def storing_into(first: Peer) -> AsyncIterator[Peer]:
    """A second peer of the server that `first` has associated with."""
    async with Peer(first.writer.get_extra_info("peername")[1]) as peer:
        await peer.associate()
        yield peer


def pixels(value: int, size: int = SMALL) -> bytes:
    return ct_dataset(UID, bytes([value]) * size)


async def answer(peer: Peer, data: bytes, uid: str = UID) -> CommandSet:
    await peer.send(store_pdus(uid, data))
    return await peer.response()


def begun(data: bytes, sent: int, uid: str = UID) -> bytes:
    """A C-STORE whose dataset stops after `sent` bytes, without a last fragment."""
    pdus = [command_pdu(store_command(uid))]
    for start in range(0, sent, 16000):
        part = data[start : min(start + 16000, sent)]
        pdus.append(encode_pdu(DataTransfer((PDV(CT_CONTEXT, False, False, part),))))
    return b"".join(pdus)


# What is stored -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, SMALL, 983040, 1 << 20, LARGE])
async def test_dataset_is_stored_as_sent(tmp_path: Path, size: int) -> None:
    data = ct_dataset(UID, os.urandom(size))
    async with storing(tmp_path) as peer:
        assert await peer.store(UID, data) == Status.SUCCESS
    assert visible(tmp_path) == [NAME]
    assert dataset_of(tmp_path / NAME) == data


async def test_file_meta_says_what_was_negotiated_and_who_sent(tmp_path: Path) -> None:
    async with storing(tmp_path) as peer:
        await peer.store(UID)
    meta = pydicom.dcmread(tmp_path / NAME).file_meta
    assert meta.MediaStorageSOPClassUID == CT
    assert meta.MediaStorageSOPInstanceUID == UID
    assert meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert meta.SourceApplicationEntityTitle == "PEER"


async def test_nothing_but_objects_is_left_when_the_server_stops(tmp_path: Path) -> None:
    async with storing(tmp_path) as peer:
        await peer.store("1.2.3")
        await peer.store("1.2.4")
        await peer.store("1.2.5", b"garbage")
    assert sorted(os.listdir(tmp_path)) == ["CT.1.2.3", "CT.1.2.4"]


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """The bytes of each job for the writers, and whether it was its object's last."""
    jobs: list[tuple[int, bool]] = []
    do = Writers.do

    async def noted(self: Writers, job: Job) -> None:
        jobs.append((sum(map(len, job.buffers)), job.is_last))
        await do(self, job)

    monkeypatch.setattr(Writers, "do", noted)
    return jobs


async def test_ordinary_object_is_one_job(tmp_path: Path, jobs: list[tuple[int, bool]]) -> None:
    async with storing(tmp_path) as peer:
        await peer.store(UID, pixels(1, 200_000))
    assert [is_last for _, is_last in jobs] == [True]


async def test_slab_is_one_job_where_the_writers_are_busy(
    tmp_path: Path, jobs: list[tuple[int, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    async with storing(tmp_path) as busy, storing_into(busy) as peer:
        await busy.send(store_pdus("1.2.4"))
        await gate.wait_reached()
        jobs.clear()
        await peer.send(store_pdus(UID, pixels(1, 900_000)))
        await until(lambda: bool(jobs))
        gate.opened.set()
        assert await peer.status() == Status.SUCCESS
    assert [is_last for _, is_last in jobs] == [True]


async def test_large_object_is_a_job_for_some_slabs(
    tmp_path: Path, jobs: list[tuple[int, bool]]
) -> None:
    async with storing(tmp_path) as peer:
        await peer.store(UID, pixels(1, 8 * LARGE))
    assert [is_last for _, is_last in jobs] == [False] * (len(jobs) - 1) + [True]
    assert max(size for size, _ in jobs) <= 6 << 20  # however large the object is


async def test_system_calls_of_an_object_come_in_the_safe_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with storing(tmp_path) as peer:
        calls = record(monkeypatch)
        await peer.store(UID)
        monkeypatch.undo()
    done = [call for call, name in calls if name == tmp_path.name or name.endswith(".part")]
    assert done == ["open", "writev", "fdatasync", "rename", "open", "fsync"]


async def test_large_object_is_written_while_it_arrives_and_seen_when_it_is_whole(
    tmp_path: Path,
) -> None:
    data = pixels(1, LARGE)
    async with storing(tmp_path) as peer:
        await peer.send(begun(data, 2_500_000))
        part = await first_part(tmp_path, 1_000_000)
        assert part.name.startswith(".")
        assert visible(tmp_path) == []
        await peer.send(dataset_pdus(data[2_500_000:]))
        assert await peer.status() == Status.SUCCESS
        assert visible(tmp_path) == [NAME]
        assert unfinished(tmp_path) == []


async def first_part(folder: Path, at_least: int) -> Path:
    """Wait for a temporary file that has grown to a size."""

    def grown() -> list[Path]:
        parts = [folder / name for name in unfinished(folder)]
        return [part for part in parts if part.stat().st_size >= at_least]

    await until(lambda: bool(grown()))
    return grown()[0]


async def test_folder_is_made_and_synced_with_those_that_hold_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record(monkeypatch)
    async with FileStorage(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
        synced = {name for call, name in calls if call == "fsync"}
        assert synced >= {"a", tmp_path.name}


async def test_folder_that_somebody_has_made_and_not_synced_is_durable_after_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    calls = record(monkeypatch)
    async with FileStorage(tmp_path / "a" / "b"):
        assert {name for call, name in calls if call == "fsync"} >= {"a", tmp_path.name}


async def test_folder_above_that_may_not_be_read_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, "open", errno.EACCES, tmp_path.name)
    (tmp_path / "a").mkdir()
    async with FileStorage(tmp_path / "a"):
        pass
    with pytest.raises(OSError, match="Permission denied"):  # this one it has to make itself
        async with FileStorage(tmp_path / "b"):
            pass


async def test_without_durability_nothing_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = record(monkeypatch)
    async with storing(tmp_path / "a", durability="none") as peer:
        assert await peer.store(UID) == Status.SUCCESS
    assert not {"fsync", "fdatasync"} & {call for call, _ in calls}
    assert visible(tmp_path / "a") == [NAME]


async def test_relative_folder_is_where_the_process_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    async with storing(Path("received")) as peer:
        monkeypatch.chdir(tmp_path / "elsewhere")
        await peer.store(UID)
    assert visible(tmp_path / "received") == [NAME]


async def test_private_transfer_syntax_is_stored_as_it_comes(tmp_path: Path) -> None:
    private = "1.3.6.1.4.1.99999.1"
    async with (
        aiodicom.serve(port=0, store=FileStorage(tmp_path)) as server,
        Peer(server.port) as peer,
    ):
        context = ProposedContext.of(CT_CONTEXT, CT, private)
        await peer.associate(association_request((context,)))
        assert await peer.store(UID, b"whatever it is") == Status.SUCCESS
    assert dataset_of(tmp_path / NAME) == b"whatever it is"


@pytest.mark.parametrize(
    "settings", [{"durability": "later"}, {"duplicates": "drop"}, {"mismatch": "ignore"}]
)
def test_setting_that_there_is_not(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings.values()))):
        FileStorage(tmp_path, **settings)


# A second object of the same name -----------------------------------------------------------------


async def test_replace_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with storing(tmp_path) as peer:
        await peer.store(UID, pixels(1))
        assert not warnings_of(caplog)
        assert await peer.store(UID, pixels(2)) == Status.SUCCESS
    assert dataset_of(tmp_path / NAME) == pixels(2)
    assert warnings_of(caplog) == [f"DICOM file existed and was replaced: {NAME}"]


async def test_keep(tmp_path: Path) -> None:
    async with storing(tmp_path, duplicates="keep") as peer:
        await peer.store(UID, pixels(1))
        assert await peer.store(UID, pixels(2)) == Status.SUCCESS
    assert visible(tmp_path) == [NAME]
    assert dataset_of(tmp_path / NAME) == pixels(1)


async def test_both(tmp_path: Path) -> None:
    async with storing(tmp_path, duplicates="both") as peer:
        await peer.store(UID, pixels(1))
        assert await peer.store(UID, pixels(2)) == Status.SUCCESS
    assert visible(tmp_path) == [NAME, f"{NAME}~1"]
    assert dataset_of(tmp_path / NAME) == pixels(1)
    assert dataset_of(tmp_path / f"{NAME}~1") == pixels(2)


async def test_refuse(tmp_path: Path) -> None:
    async with storing(tmp_path, duplicates="refuse") as peer:
        await peer.store(UID, pixels(1))
        response = await answer(peer, pixels(2))
        assert response.number(Tag.STATUS) == Status.DUPLICATE_SOP_INSTANCE
        assert response.text(Tag.ERROR_COMMENT)
        assert await peer.echo() == Status.SUCCESS
    assert visible(tmp_path) == [NAME]
    assert dataset_of(tmp_path / NAME) == pixels(1)


async def test_one_instance_from_many_senders_at_once_is_one_of_theirs_and_whole(
    tmp_path: Path,
) -> None:
    datasets = [pixels(n, LARGE // 2) for n in range(6)]
    async with aiodicom.serve(port=0, store=FileStorage(tmp_path)) as server:

        async def send(data: bytes) -> int:
            async with Peer(server.port) as peer:
                await peer.associate()
                return await peer.store(UID, data)

        assert await asyncio.gather(*map(send, datasets)) == [Status.SUCCESS] * 6
    assert visible(tmp_path) == [NAME]
    assert dataset_of(tmp_path / NAME) in datasets


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("part", [0, 10, 0.5, -1, 1.0])
@pytest.mark.parametrize("ending", ["abort", "cut", "reset", "garbled", "message", "release"])
async def test_second_store_that_is_not_finished_leaves_the_first_intact(
    tmp_path: Path, ending: str, part: float, size: int
) -> None:
    data = pixels(2, size)
    sent = int(len(data) * part) if isinstance(part, float) else part % len(data)
    async with storing(tmp_path) as peer:
        assert await peer.store(UID, pixels(1, size)) == Status.SUCCESS
        await peer.send(begun(data, sent))
        await end(peer, ending)
    assert os.listdir(tmp_path) == [NAME]
    assert dataset_of(tmp_path / NAME) == pixels(1, size)


async def end(peer: Peer, how: str) -> None:
    """Do to an association, in the middle of a dataset, what may happen to it."""
    if how == "reset":
        raw = peer.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif how != "cut":
        ends: dict[str, bytes | PDU] = {
            "abort": Abort(0, 0),
            "garbled": b"\xff\0\0\0\0\x10" + bytes(16),
            "message": command_pdu(store_command(UID, 2)),
            "release": ReleaseRequest(),
        }
        await peer.send(ends[how])
    peer.writer.close()


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("what", ["start", "uids", "empty", "stub"])
async def test_second_store_that_is_garbled_leaves_the_first_intact(
    tmp_path: Path, what: str, size: int
) -> None:
    garbled = {
        "start": bytes(range(255, 0, -1)) + pixels(2, size),
        "uids": pixels(2, size).replace(b"1.2.3\0", b"1.2.\xff\xff"),
        "empty": b"",
        "stub": pixels(2, size)[:20],
    }
    async with storing(tmp_path) as peer:
        assert await peer.store(UID, pixels(1, size)) == Status.SUCCESS
        assert await peer.store(UID, garbled[what]) in (0xA900, 0xC000)
        assert await peer.echo() == Status.SUCCESS
    assert os.listdir(tmp_path) == [NAME]
    assert dataset_of(tmp_path / NAME) == pixels(1, size)


# What is not stored -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_other_instance_than_the_command_names(tmp_path: Path, size: int) -> None:
    async with storing(tmp_path) as peer:
        response = await answer(peer, ct_dataset("1.2.4", bytes(size)))
        assert response.number(Tag.STATUS) == 0xA900
        assert response.tags(Tag.OFFENDING_ELEMENT) == (0x00080018,)
        assert "instance" in response.text(Tag.ERROR_COMMENT)
        assert await peer.store("1.2.5") == Status.SUCCESS
    assert os.listdir(tmp_path) == ["CT.1.2.5"]


async def test_mismatch_that_shows_late_leaves_nothing_of_what_was_written(
    tmp_path: Path,
) -> None:
    size = LARGE.to_bytes(4, "little")
    before = b"\x07\0\x10\x00OB\0\0" + size + bytes(LARGE)  # ahead of the UIDs, by its tag
    async with storing(tmp_path) as peer:
        assert await peer.store(UID, before + ct_dataset(UID)) == Status.SUCCESS
        assert await peer.store("1.2.4", before + ct_dataset("1.2.5")) == 0xA900
    assert os.listdir(tmp_path) == [NAME]


async def test_other_class_than_the_command_names(tmp_path: Path) -> None:
    mr = "1.2.840.10008.5.1.4.1.1.4"
    data = element(0x00080016, b"UI", uid_value(mr)) + element(0x00080018, b"UI", uid_value(UID))
    async with storing(tmp_path) as peer:
        response = await answer(peer, data)
        assert response.number(Tag.STATUS) == 0xA900
        assert response.tags(Tag.OFFENDING_ELEMENT) == (0x00080016,)
        assert "class" in response.text(Tag.ERROR_COMMENT)
    assert os.listdir(tmp_path) == []


async def test_mismatch_is_stored_with_a_warning_where_that_is_wanted(tmp_path: Path) -> None:
    async with storing(tmp_path, mismatch="warn") as peer:
        assert await peer.store(UID, ct_dataset("1.2.4")) == 0xB007
    assert visible(tmp_path) == [NAME]
    assert dataset_of(tmp_path / NAME) == ct_dataset("1.2.4")


@pytest.mark.parametrize("padding", [b"", b"\0", b" ", b"\0\0", b"  \0"])
async def test_padding_of_a_uid_is_no_mismatch(tmp_path: Path, padding: bytes) -> None:
    data = element(0x00080016, b"UI", CT.encode() + padding)
    data += element(0x00080018, b"UI", UID.encode() + padding)
    async with storing(tmp_path) as peer:
        assert await peer.store(UID, data) == Status.SUCCESS
    assert dataset_of(tmp_path / NAME) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff" * 1000,
        bytes(1000),
        bytes(128) + b"DICM" + bytes(200),
        ct_dataset(UID)[:30],
        ct_dataset(UID)[30:],
        element(0x00100010, b"PN", b"Name^No"),
        bytes(LARGE),
    ],
    ids="empty byte http ff zeros file cut tail no-uids large".split(),
)
async def test_bytes_that_cannot_begin_a_dataset(tmp_path: Path, data: bytes) -> None:
    async with storing(tmp_path) as peer:
        response = await answer(peer, data)
        assert response.number(Tag.STATUS) == 0xC000
        assert response.text(Tag.ERROR_COMMENT).startswith("Not a dataset")
        assert await peer.store(UID) == Status.SUCCESS
    assert os.listdir(tmp_path) == [NAME]


async def test_explicit_dataset_in_an_implicit_context_is_no_dataset(tmp_path: Path) -> None:
    async with storing(tmp_path) as peer:
        await peer.send(command_pdu(store_command(UID), CT_IMPLICIT_CONTEXT))
        await peer.send(dataset_pdus(ct_dataset(UID), CT_IMPLICIT_CONTEXT))
        assert await peer.status() in (0xA900, 0xC000)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("uid", ["../../escaped", "/tmp/escaped", "a/b", "..", "1.2\\3", "1\n2"])
async def test_uid_that_is_none_stays_in_the_folder(tmp_path: Path, uid: str) -> None:
    folder = tmp_path / "a" / "b" / "received"
    async with storing(folder) as peer:
        assert await peer.store(uid, ct_dataset(uid)) == Status.SUCCESS
    files = [os.path.join(path, name) for path, _, names in os.walk(tmp_path) for name in names]
    assert [os.path.dirname(path) for path in files] == [os.fspath(folder)]
    assert dataset_of(Path(files[0])) == ct_dataset(uid)


# Disks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("open", errno.EACCES),
        ("writev", errno.ENOSPC),
        ("writev", errno.EDQUOT),
        ("writev", errno.EIO),
        ("fdatasync", errno.EIO),
        ("fdatasync", errno.ENOSPC),
        ("rename", errno.ENOSPC),
        ("rename", errno.EROFS),
    ],
)
async def test_disk_that_fails_costs_one_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int, size: int
) -> None:
    async with storing(tmp_path) as peer:
        assert await peer.store(UID, pixels(1)) == Status.SUCCESS
        fail_writers(monkeypatch, call, code)
        response = await answer(peer, pixels(2, size))
        assert response.number(Tag.STATUS) == Status.OUT_OF_RESOURCES
        assert response.text(Tag.ERROR_COMMENT) == os.strerror(code)  # without the path
        assert await peer.store("1.2.4", ct_dataset("1.2.4")) == Status.SUCCESS
        monkeypatch.undo()
    assert sorted(os.listdir(tmp_path)) == [NAME, "CT.1.2.4"]
    assert dataset_of(tmp_path / NAME) == pixels(1)


async def test_folder_whose_sync_fails_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with storing(tmp_path) as peer:
        fail_writers(monkeypatch, "fsync", errno.EIO)
        response = await answer(peer, pixels(1))
        monkeypatch.undo()
        assert response.number(Tag.STATUS) == Status.OUT_OF_RESOURCES
        assert response.text(Tag.ERROR_COMMENT) == os.strerror(errno.EIO)
        assert await peer.store(UID, pixels(2)) == Status.SUCCESS
    assert dataset_of(tmp_path / NAME) == pixels(2)


async def test_disk_that_fills_up_in_a_large_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with storing(tmp_path) as peer:
        fail_writers(monkeypatch, "writev", errno.ENOSPC, after=2)
        response = await answer(peer, pixels(1, 4 * LARGE))
        assert response.number(Tag.STATUS) == Status.OUT_OF_RESOURCES
        assert unfinished(tmp_path) == []
        assert await peer.store(UID, pixels(2, LARGE)) == Status.SUCCESS
        monkeypatch.undo()
    assert dataset_of(tmp_path / NAME) == pixels(2, LARGE)


async def test_refusal_of_a_large_object_does_not_wait_for_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pixels(1, LARGE)
    async with storing(tmp_path) as peer:
        fail_writers(monkeypatch, "writev", errno.ENOSPC)
        await peer.send(begun(data, 2_000_000))
        assert await peer.status() == Status.OUT_OF_RESOURCES
        await peer.send(dataset_pdus(data[2_000_000:]))
        assert await peer.store(UID, pixels(2)) == Status.SUCCESS
        monkeypatch.undo()
    assert dataset_of(tmp_path / NAME) == pixels(2)


async def test_folder_that_is_gone_for_a_while(tmp_path: Path) -> None:
    folder = tmp_path / "received"
    async with storing(folder) as peer:
        shutil.rmtree(folder)
        folder.write_bytes(b"a file in its place")
        response = await answer(peer, pixels(1))
        assert response.number(Tag.STATUS) == Status.OUT_OF_RESOURCES
        assert os.fspath(tmp_path) not in response.text(Tag.ERROR_COMMENT)
        folder.unlink()
        assert await peer.store(UID, pixels(2)) == Status.SUCCESS  # it is made again
    assert visible(folder) == [NAME]


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_disk_that_is_really_full(tmp_path: Path, size: int) -> None:
    limit = ("prlimit", "--fsize=100000" if size == LARGE else "--fsize=150")
    with (
        receiving("storescp", "-od", "received", folder=tmp_path, prefix=limit,
                  stderr=subprocess.DEVNULL) as receiver,
        Sender(receiver.port) as sender,
    ):  # fmt: skip
        sender.associate()
        sender.send(store_pdus(UID, pixels(1, size)))
        response = sender.response()
        assert response.number(Tag.STATUS) == Status.OUT_OF_RESOURCES
        assert response.text(Tag.ERROR_COMMENT) == os.strerror(errno.EFBIG)
        assert sender.store("1.2.4", b"") == Status.CANNOT_UNDERSTAND  # it goes on
        assert visible(tmp_path / "received") == unfinished(tmp_path / "received") == []


def test_folder_that_cannot_be_written_to_is_named_at_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    async def start(folder: str) -> None:
        async with aiodicom.serve(port=0, store=FileStorage(folder)):
            raise AssertionError("it has started")

    for folder in (tmp_path / "file", tmp_path / "file" / "folder", Path("/proc")):
        with pytest.raises(OSError, match=f"cannot store in {folder}: "):
            asyncio.run(start(os.fspath(folder)))


# Ending, and sharing ------------------------------------------------------------------------------


async def test_server_that_stops_while_a_writer_is_busy_leaves_nothing_unfinished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    server = aiodicom.serve(port=0, store=FileStorage(tmp_path), grace=0)
    async with server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(begun(pixels(1, LARGE), LARGE // 2))
        await gate.wait_reached()
        assert len(unfinished(tmp_path)) == 1
        stopping = asyncio.create_task(server.stop())
        assert isinstance(await peer.receive(), Abort)
        peer.writer.close()
        assert len(unfinished(tmp_path)) == 1  # it is the writer's until that has come back
        gate.opened.set()
        await stopping
    assert os.listdir(tmp_path) == []


async def test_object_whose_last_fragment_came_before_the_abort_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    async with storing(tmp_path) as peer:
        await peer.send(store_pdus(UID))
        await gate.wait_reached()
        await peer.send(Abort(0, 0))
        gate.opened.set()
    assert os.listdir(tmp_path) == [NAME]


async def test_two_storages_on_one_folder(tmp_path: Path) -> None:
    data = pixels(1, LARGE)
    async with storing(tmp_path) as first:
        await first.send(begun(data, 2_000_000))
        part = await first_part(tmp_path, 1)
        async with storing(tmp_path) as second:
            assert await second.store("1.2.4") == Status.SUCCESS
            assert part.exists()
        assert part.exists()
        await first.send(dataset_pdus(data[2_000_000:]))
        assert await first.status() == Status.SUCCESS
    assert sorted(os.listdir(tmp_path)) == [NAME, "CT.1.2.4"]
    assert dataset_of(tmp_path / NAME) == data


async def test_one_storage_for_two_servers(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    async with aiodicom.serve(port=0, store=storage) as first, Peer(first.port) as peer:
        async with aiodicom.serve(port=0, store=storage):
            pass
        await peer.associate()
        assert await peer.store(UID) == Status.SUCCESS


async def test_second_server_waits_until_their_storage_is_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on = threading.Event()
    prepared: list[FileStorage] = []
    prepare = FileStorage._prepare

    def slow(self: FileStorage) -> Any:
        prepared.append(self)
        assert may_go_on.wait(20)
        return prepare(self)

    monkeypatch.setattr(FileStorage, "_prepare", slow)
    storage = FileStorage(tmp_path)
    entering = [asyncio.create_task(storage.__aenter__()) for _ in range(2)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert not any(task.done() for task in entering)
    may_go_on.set()
    await asyncio.gather(*entering)
    assert prepared == [storage]
    for _ in entering:
        await storage.__aexit__()


def test_storage_can_be_used_in_one_event_loop_after_another(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)

    async def store(uid: str) -> None:
        async with aiodicom.serve(port=0, store=storage) as server, Peer(server.port) as peer:
            await peer.associate()
            assert await peer.store(uid) == Status.SUCCESS

    for uid in ("1.2.3", "1.2.4"):
        asyncio.run(store(uid))
    assert visible(tmp_path) == ["CT.1.2.3", "CT.1.2.4"]


async def test_storage_that_was_not_entered_stores_nothing(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)

    async def store(request: aiodicom.StoreRequest) -> int:
        return await storage(request)

    async with aiodicom.serve(port=0, store=store) as server, Peer(server.port) as peer:
        await peer.associate()
        assert await peer.store(UID) == Status.UNABLE_TO_PROCESS
    assert os.listdir(tmp_path) == []
