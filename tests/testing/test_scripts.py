"""Scripted acceptors, as a sender meets them."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

import aiodicom
from aiodicom.testing import ScriptedPeer, accepting, objects, scripts
from aiodicom.testing.acceptor import Script

pytestmark = pytest.mark.anyio

TIMEOUTS = aiodicom.Timeouts(association=10, dimse=0.1, network=10, closing=1)


def connect(port: int) -> aiodicom.Requestor:
    return aiodicom.connect("127.0.0.1", port, timeouts=TIMEOUTS, window=1)


def image() -> bytes:
    return objects.encode(objects.ct_image())


async def test_an_association_is_rejected_with_the_triple_asked_for() -> None:
    async with accepting(scripts.rejecting(2, 3, 1)) as acceptor:
        with pytest.raises(aiodicom.AssociationRejected) as rejected:
            await connect(acceptor.port).__aenter__()
    assert (rejected.value.result, rejected.value.source, rejected.value.reason) == (2, 3, 1)


async def test_no_context_is_accepted() -> None:
    async with (
        accepting(scripts.refusing_contexts()) as acceptor,
        connect(acceptor.port) as requestor,
    ):
        with pytest.raises(aiodicom.NotSent):
            await requestor.c_echo()


async def test_requests_are_answered_with_one_status() -> None:
    async with (
        accepting(scripts.answering(0xA700, "full")) as acceptor,
        connect(acceptor.port) as requestor,
    ):
        result = await requestor.c_store(image())
    assert (result.status, result.comment) == (0xA700, "full")


async def test_an_answer_comes_late() -> None:
    async with (
        accepting(scripts.answering(after=0.05)) as acceptor,
        connect(acceptor.port) as requestor,
    ):
        began = time.monotonic()
        assert await requestor.c_echo() == 0
        assert time.monotonic() - began > 0.04


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (scripts.aborting(after=1, source=2, reason=1), aiodicom.AssociationAborted),
        (scripts.closing(after=1), aiodicom.AssociationLost),
        (scripts.silent(after=1), aiodicom.AssociationLost),
    ],
    ids=["aborting", "closing", "silent"],
)
async def test_an_association_ends_after_so_many_objects(
    script: Script, error: type[aiodicom.DicomError]
) -> None:
    async with accepting(script) as acceptor:
        requestor = await connect(acceptor.port).__aenter__()
        assert (await requestor.c_store(image())).stored
        with pytest.raises(error):
            await requestor.c_store(image())
        with contextlib.suppress(aiodicom.AssociationClosed):
            await requestor.__aexit__(None, None, None)


async def test_each_connection_has_its_script_and_the_last_one_serves_the_rest() -> None:
    async with accepting(scripts.rejecting(), scripts.answering()) as acceptor:
        with pytest.raises(aiodicom.AssociationRejected):
            await connect(acceptor.port).__aenter__()
        for _ in range(2):
            async with connect(acceptor.port) as requestor:
                assert await requestor.c_echo() == 0
    assert len(acceptor.peers) == 3


async def test_a_script_of_ones_own_sees_what_is_sent() -> None:
    came = []

    async def script(peer: ScriptedPeer) -> None:
        request = await peer.accept(maximum_length=100)
        assert request.calling_ae_title == "AIODICOM"
        while (one := await peer.next_request()) is not None:
            came.append(one)
            await peer.respond(one)

    made = objects.ct_image()
    async with accepting(script) as acceptor, connect(acceptor.port) as requestor:
        await requestor.c_echo()
        assert (await requestor.c_store(objects.encode(made))).stored
    assert [one.sop_instance_uid for one in came] == ["", made.SOPInstanceUID]
    assert came[1].data.endswith(made.PixelData)
    assert came[0].data == b""


async def test_what_a_script_did_not_expect_is_told_in_the_end() -> None:
    async def script(peer: ScriptedPeer) -> None:
        await peer.accept()
        await peer.aborted()

    with pytest.raises(AssertionError, match=r"^Abort was expected, and ReleaseRequest\(\) came$"):
        async with accepting(script) as acceptor, connect(acceptor.port):
            pass


async def test_a_script_that_never_ends_is_cancelled() -> None:
    ended = asyncio.Event()

    async def script(peer: ScriptedPeer) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with accepting(script) as acceptor, ScriptedPeer(acceptor.port):
        while not acceptor.peers:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert ended.is_set()
