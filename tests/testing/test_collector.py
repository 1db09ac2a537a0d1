"""Collector: what has come, and waiting for it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from aiodicom import Status, connect
from aiodicom.testing import Collector, ServerThread, objects, server

pytestmark = pytest.mark.anyio


async def send(port: int, *sent: bytes) -> list[int | None]:
    async with connect("127.0.0.1", port, calling_ae_title="CT1") as requestor:
        return [(await requestor.c_store(each)).status for each in sent]


async def test_an_object_that_has_come_is_what_was_sent() -> None:
    image, collector = objects.ct_image(), Collector()
    async with server(collector) as running:
        await send(running.port, objects.encode(image))
    (came,) = collector.objects
    assert (came.sop_class_uid, came.sop_instance_uid) == (image.SOPClassUID, image.SOPInstanceUID)
    assert came.association.calling_ae_title == "CT1"
    assert came.file.endswith(came.data)
    assert came.dataset == image
    assert came.dataset.file_meta.TransferSyntaxUID == came.transfer_syntax_uid


async def test_a_test_waits_for_as_many_as_it_wants() -> None:
    collector = Collector()
    sent = [objects.encode(each) for each in objects.study(3)]
    async with server(collector) as running:
        waiting = [asyncio.create_task(collector.wait(count)) for count in (1, 3)]
        assert await send(running.port, *sent) == [0, 0, 0]
        assert [len(came) for came in await asyncio.gather(*waiting)] == [1, 3]
        assert len(await collector.wait(3)) == len(collector) == 3


async def test_who_waits_in_vain_is_told_how_many_came() -> None:
    collector = Collector()
    with pytest.raises(TimeoutError, match=r"^0 of 2 objects have come in 0.01 s$"):
        await collector.wait(2, timeout=0.01)
    with pytest.raises(TimeoutError, match=r"^0 of 1 objects have come in 0 s$"):
        collector.wait_blocking(timeout=0)


async def test_one_who_has_given_up_waiting_is_no_trouble_to_the_next_object() -> None:
    collector = Collector()
    async with server(collector) as running:
        with pytest.raises(TimeoutError):
            await collector.wait(timeout=0.01)
        assert await send(running.port, objects.encode(objects.report())) == [0]


async def test_objects_are_answered_with_the_status_asked_for() -> None:
    async with server(Collector(Status.OUT_OF_RESOURCES)) as running:
        assert await send(running.port, objects.encode(objects.report())) == [0xA700]


def test_a_thread_waits_for_what_comes_in_another() -> None:
    image = objects.encode(objects.ct_image())
    with ServerThread() as running:
        sender = threading.Thread(target=lambda: asyncio.run(send(running.port, image)))
        sender.start()
        (came,) = running.collector.wait_blocking()
        sender.join()
    assert came.dataset.Modality == "CT"
