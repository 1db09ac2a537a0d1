"""Every example runs, receives, says so, and ends."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
from pathlib import Path

import pytest

from aiodicom.testing import (
    ScriptedPeer,
    ServerThread,
    accepting,
    in_thread,
    objects,
    scripts,
)
from tests.examples.object_store import ObjectStore
from tests.examples.running import EXAMPLES, running
from tests.processes import PATIENCE, free_port


def test_fastapi_lists_the_studies_that_have_come(tmp_path: Path) -> None:
    images = list(objects.study(3))
    with running("fastapi_service.py", folder=tmp_path) as example:
        assert example.get("/studies") == {}
        assert example.send(*images) == [0, 0, 0]
        uids = sorted(image.SOPInstanceUID for image in images)
        assert example.get("/studies") == {images[0].StudyInstanceUID: uids}
        assert example.get("/associations") == 0
    assert len(list((tmp_path / "received").glob("CT.*"))) == 3


@pytest.mark.dcmtk
def test_starlette_digests_what_dcmtk_sends_and_refuses_it_again(tmp_path: Path) -> None:
    image = objects.ct_image()
    path = tmp_path / "image.dcm"
    path.write_bytes(file := objects.encode(image))
    folder = tmp_path / "empty"
    folder.mkdir()
    with running("starlette_service.py", folder=folder) as example:
        storescu = ("storescu", "-v", "127.0.0.1", str(example.port), path)
        said = [
            subprocess.run(storescu, capture_output=True, timeout=PATIENCE, check=False)
            for _ in range(2)
        ]
        assert b"(Success)" in said[0].stderr + said[0].stdout
        assert b"Status: 0x111)" in said[1].stderr + said[1].stdout
        (digest,) = example.get("/digests").items()
    dataset = file[144 + int.from_bytes(file[140:144], "little") :]
    assert digest == (image.SOPInstanceUID, hashlib.sha256(dataset).hexdigest())


def test_aiohttp_counts_the_bytes_of_each_sender(tmp_path: Path) -> None:
    with running("aiohttp_service.py", folder=tmp_path) as example:
        assert example.send(objects.ct_image(), objects.report(), calling="CT1") == [0, 0]
        assert example.send(objects.ct_image(), calling="CT2") == [0]
        senders = example.get("/senders")
    assert senders.keys() == {"CT1", "CT2"}
    assert senders["CT1"] > senders["CT2"] > 512
    assert len(list((tmp_path / "received").iterdir())) == 3


def test_a_task_group_ends_with_its_server(tmp_path: Path) -> None:
    with running("task_group.py", folder=tmp_path) as example:
        assert example.send(objects.ct_image(), objects.report()) == [0, 0]
        example.interrupt()
        assert "SIGINT: stopping\nINFO:task_group:2 objects" in example.log


def test_an_ai_service_works_on_objects_in_other_processes(tmp_path: Path) -> None:
    images = [objects.secondary_capture(PixelData=bytes([number]) * 256) for number in (7, 9)]
    with running("ai_service.py", folder=tmp_path) as example:
        assert example.send(*images) == [0, 0]
        for image, mean in zip(images, ("7.0", "9.0"), strict=True):
            assert f"'{image.SOPInstanceUID}': {mean}\n" in example.log
        assert "INFO:aiodicom.server:Listening" in example.log


def test_a_router_sends_on_what_comes(tmp_path: Path) -> None:
    image = objects.ct_image()
    with ServerThread(ae_title="PACS") as pacs:
        with running("router.py", "127.0.0.1", str(pacs.port), "PACS", folder=tmp_path) as example:
            assert example.send(image, calling="CT1") == [0]
        (came,) = pacs.collector.objects
    assert came.dataset == image
    assert came.association.calling_ae_title == "CT1"
    assert came.association.called_ae_title == "PACS"


def test_a_router_answers_what_it_is_answered(tmp_path: Path) -> None:
    refusing = accepting(scripts.answering(0xC123), scripts.rejecting())
    with in_thread(refusing) as pacs:
        arguments = ("127.0.0.1", str(pacs.port), "PACS")
        with running("router.py", *arguments, folder=tmp_path) as example:
            assert example.send(objects.report()) == [0xC123]


def test_a_router_that_reaches_nobody_says_so(tmp_path: Path) -> None:
    arguments = ("127.0.0.1", str(free_port()), "PACS")
    with running("router.py", *arguments, folder=tmp_path, complains=True) as example:
        assert example.send(objects.report()) == [0xA700]


def test_an_object_store_is_sent_files(tmp_path: Path) -> None:
    image = objects.ct_image()
    with in_thread(ObjectStore()) as store:
        with running("object_store.py", store.url, folder=tmp_path) as example:
            assert example.send(image) == [0]
        ((name, file),) = store.files.items()
    assert name == f"/bucket/{image.SOPInstanceUID}.dcm"
    assert file[128:132] == b"DICM"
    assert file.endswith(image.PixelData)


def test_an_object_store_that_is_full_is_no_success(tmp_path: Path) -> None:
    with (
        in_thread(ObjectStore(507)) as store,
        running("object_store.py", store.url, folder=tmp_path, complains=True) as example,
    ):
        assert example.send(objects.report()) == [0xA700]


def test_half_an_object_is_none_for_an_object_store(tmp_path: Path) -> None:
    async def send_half(port: int, store: ObjectStore) -> None:
        async with ScriptedPeer(port) as peer:
            await peer.associate()
            await peer.begin_store("1.2.3", bytes(10_000))
            async with asyncio.timeout(PATIENCE):
                while not store.begun:  # noqa: ASYNC110 - it is counted in another thread
                    await asyncio.sleep(0.005)
            peer.reset()

    with (
        in_thread(ObjectStore()) as store,
        running("object_store.py", store.url, folder=tmp_path, complains=True) as example,
    ):
        asyncio.run(send_half(example.port, store))
        assert example.send(objects.report()) == [0]
    assert store.begun == 2
    assert len(store.files) == 1


def test_web_workers_share_a_port(tmp_path: Path) -> None:
    reports = [objects.report() for _ in range(6)]
    with running("web_workers.py", folder=tmp_path) as example:
        example.wait_for("Application startup complete.", times=2)
        for report in reports:
            assert example.send(report) == [0]
        there = " ".join(example.get("/objects"))
    assert all(report.SOPInstanceUID in there for report in reports)


def test_no_example_is_longer_than_a_page() -> None:
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) < 60, path.name
