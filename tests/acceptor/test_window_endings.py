"""How associations end whose requests are served side by side."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

import aiodicom
from aiodicom import AbortAssociation, EchoRequest, Refused, Status, StoreRequest, Timeouts
from aiodicom.events import AssociationEnded, Event, Watcher
from aiodicom.wire.dimse import CommandField, CommandSet, Tag
from aiodicom.wire.negotiation import VERIFICATION
from aiodicom.wire.pdu import Abort, ReleaseRequest, ReleaseResponse
from tests.peer import (
    ECHO_CONTEXT,
    PATIENCE,
    Peer,
    command_pdu,
    dataset_pdus,
    echo_command,
    fragment,
    store_command,
    store_pdus,
)
from tests.serving import empty, serving, until
from tests.windows import WINDOW, Doors, answered, hosting, send_stores


def on_end(act: Callable[[], object]) -> Watcher:
    """A watcher of the ends of associations."""

    def watch(event: Event) -> None:
        if isinstance(event, AssociationEnded):
            act()

    return watch


# Ends that the peer makes ------------------------------------------------------------------------


async def test_the_release_follows_all_responses() -> None:
    doors = Doors()
    async with hosting(doors, window=2) as (_, peer):
        await send_stores(peer, 1, 2, 3)
        await peer.send(ReleaseRequest())
        await doors.reads("1.2.1", "1.2.2")
        doors.open("1.2.2", "1.2.3")
        assert await answered(peer) == (2, Status.SUCCESS)
        assert await answered(peer) == (3, Status.SUCCESS)
        assert await peer.hears_nothing()
        doors.open("1.2.1")
        assert await answered(peer) == (1, Status.SUCCESS)
        assert await peer.receive() == ReleaseResponse()


async def test_a_release_in_the_middle_of_a_dataset_follows_the_others() -> None:
    doors = Doors()
    async with hosting(doors) as (_, peer):
        await send_stores(peer, 2)
        await peer.begin_store("1.2.9")
        await doors.reads("1.2.2")
        await peer.send(ReleaseRequest())
        assert await answered(peer) == (1, Status.UNABLE_TO_PROCESS)
        doors.open()
        assert await answered(peer) == (2, Status.SUCCESS)
        assert await peer.receive() == ReleaseResponse()


@pytest.mark.parametrize("way", ["abort", "cut", "violation", "release"])
async def test_two_whole_objects_stay_and_the_third_one_breaks_off(way: str) -> None:
    ended: list[list[str]] = []
    doors = Doors()
    watch = on_end(lambda: ended.append(list(doors.left)))
    async with hosting(doors, watchers=[watch]) as (server, peer):
        await send_stores(peer, 2, 3)
        await peer.begin_store("1.2.9", b"ab")
        await doors.reads("1.2.2", "1.2.3")
        if way == "abort":
            await peer.abort()
        elif way == "cut":
            peer.cut()
        elif way == "violation":
            await peer.send(b"\xff\0\0\0\0\0")
        else:  # and it does not wait for the answer
            await peer.send(ReleaseRequest())
            await peer.half_close()
        await until(lambda: "1.2.9" in doors.failed)
        assert isinstance(doors.failed["1.2.9"], aiodicom.AssociationClosed)
        assert not ended
        doors.open("1.2.2", "1.2.3")
        await until(lambda: bool(ended))
        if way != "violation":
            await empty(server)
    assert sorted(ended[0]) == ["1.2.2", "1.2.3"]


async def test_whole_objects_that_wait_for_their_turn_are_stored_after_an_abort() -> None:
    doors = Doors()
    async with hosting(doors, window=2) as (server, peer):
        await send_stores(peer, 1, 2, 3, 4)
        await doors.reads("1.2.1", "1.2.2")
        await peer.abort()
        assert await peer.closed()
        doors.open("1.2.1", "1.2.2", "1.2.3", "1.2.4")
        await empty(server)
    assert sorted(doors.left) == ["1.2.1", "1.2.2", "1.2.3", "1.2.4"]


# Ends that a request makes -----------------------------------------------------------------------


async def test_a_handler_aborts_and_the_others_see_it(caplog: pytest.LogCaptureFixture) -> None:
    doors, wants = Doors(), asyncio.Event()

    async def store(request: StoreRequest) -> int:
        if request.sop_instance_uid != "1.2.3":
            return await doors(request)
        await wants.wait()
        raise AbortAssociation("no more")

    async with hosting(doors, store=store, window=3) as (server, peer):
        await send_stores(peer, 2, 3)
        await peer.begin_store("1.2.9", b"ab")
        await doors.reads("1.2.2")
        await until(lambda: len(doors.entered) == 2)
        wants.set()
        assert await peer.aborted() == Abort(0, 0)  # while another one runs
        await until(lambda: "1.2.9" in doors.failed)
        assert isinstance(doors.failed["1.2.9"], aiodicom.AssociationLost)
        doors.open("1.2.2")
        await peer.sends_on_in_vain(fragment(b"cd", is_last=True))
        await empty(server)
    assert doors.left == ["1.2.2"]
    assert caplog.messages == ["Association Aborted: no more"]


async def test_what_waits_behind_a_handler_that_aborts_is_dropped() -> None:
    doors = Doors()

    async def store(request: StoreRequest) -> int:
        await doors(request)
        raise AbortAssociation

    async with hosting(doors, store=store, window=2) as (server, peer):
        await send_stores(peer, 1, 2, 3, 4)
        await doors.reads("1.2.1", "1.2.2")
        doors.open()
        assert await peer.aborted() == Abort(0, 0)
        await peer.half_close()
        assert await peer.closed()
        await empty(server)
    assert sorted(doors.entered) == ["1.2.1", "1.2.2"]


def without_message_id() -> bytes:
    command = store_command("1.2.9")
    del command.elements[Tag.MESSAGE_ID]
    return command_pdu(command) + dataset_pdus(b"ab")


@pytest.mark.parametrize(
    "data",
    [
        command_pdu(echo_command(), 99),
        command_pdu(store_command("1.2.9"), 99) + fragment(b"a part", 99),
        without_message_id(),
    ],
    ids=["context", "part", "message id"],
)
async def test_a_message_that_cannot_be_answered_ends_what_others_run_beside(data: bytes) -> None:
    doors = Doors()
    async with hosting(doors) as (server, peer):
        await send_stores(peer, 1, 2)
        await doors.reads("1.2.1", "1.2.2")
        await peer.send(data)
        assert (await peer.aborted()).source == 2
        assert doors.running == 2
        doors.open()
        await peer.half_close()
        assert await peer.closed()
        await empty(server)
    assert sorted(doors.left) == ["1.2.1", "1.2.2"]


# Deadlines ---------------------------------------------------------------------------------------


async def test_no_deadline_runs_while_any_handler_does() -> None:
    timeouts = Timeouts(network=0.2, dimse=0.2, closing=0.2)
    doors = Doors()
    async with hosting(doors, timeouts=timeouts) as (_, peer):
        await send_stores(peer, 1, 2)
        await doors.reads("1.2.1", "1.2.2")
        doors.open("1.2.2")
        assert await answered(peer) == (2, Status.SUCCESS)
        assert await peer.hears_nothing(0.5)
        doors.open("1.2.1")
        assert await answered(peer) == (1, Status.SUCCESS)
        assert await peer.aborted() == Abort(2, 0)  # now it is the peer who is waited for


async def test_silence_in_the_middle_of_a_dataset_is_one_while_handlers_run() -> None:
    doors = Doors()
    async with hosting(doors, timeouts=Timeouts(dimse=0.2, closing=0.2)) as (_, peer):
        await send_stores(peer, 2)
        await peer.begin_store("1.2.9", b"ab")
        assert await peer.aborted() == Abort(2, 0)
        assert isinstance(doors.failed["1.2.9"], aiodicom.AssociationLost)
        assert doors.running == 1


async def send_without_end(peer: Peer, data: bytes) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            await peer.send(data)


async def test_a_peer_that_does_not_read_its_responses_is_noticed() -> None:
    echoed = 0

    async def echo(request: EchoRequest) -> int:
        nonlocal echoed
        echoed += 1
        return Status.SUCCESS

    command = CommandSet.build(
        CommandField.C_ECHO,
        affected_sop_class_uid=VERIFICATION,
        affected_sop_instance_uid="1" * 16000,  # makes its response as long
        message_id=1,
    )
    async with (
        serving(echo=echo, window=8, timeouts=Timeouts(network=0.3)) as server,
        Peer(server.port, receive_buffer=4096) as peer,
    ):
        await peer.associate(WINDOW)
        with pytest.raises(ConnectionError):
            await send_without_end(peer, command_pdu(command, ECHO_CONTEXT))
        assert echoed < 1500  # 16 kB each: what the kernel keeps, and no more
        await empty(server)


# The end of the server ---------------------------------------------------------------------------


async def test_a_stop_waits_for_all_that_run_and_begins_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aiodicom.server.server.LINGER", 0)
    doors = Doors()
    async with hosting(doors, window=2) as (server, peer):
        await send_stores(peer, 1, 2, 3)
        await doors.reads("1.2.1", "1.2.2")
        stopping = asyncio.ensure_future(server.stop(10))
        await until(lambda: server._connections._stopping)
        doors.open("1.2.2")
        assert await answered(peer) == (2, Status.SUCCESS)
        assert await peer.hears_nothing()
        doors.open("1.2.1")
        assert await answered(peer) == (1, Status.SUCCESS)
        await peer.aborted()
        await peer.half_close()
        await stopping
    assert doors.entered == ["1.2.1", "1.2.2"]


async def test_a_stop_lets_a_dataset_come_to_its_end() -> None:
    doors = Doors()
    async with hosting(doors) as (server, peer):
        await peer.begin_store("1.2.9", b"ab")
        await until(lambda: doors.entered == ["1.2.9"])
        stopping = asyncio.ensure_future(server.stop(10))
        assert await peer.hears_nothing()
        await peer.finish_store(b"cd")
        doors.open("1.2.9")
        assert await answered(peer) == (1, Status.SUCCESS)
        await peer.aborted()
        await peer.half_close()
        await stopping
    assert doors.read == {"1.2.9": b"abcd"}


async def test_a_release_while_the_server_stops_is_answered() -> None:
    doors = Doors()
    async with hosting(doors) as (server, peer):
        await send_stores(peer, 1)
        await doors.reads("1.2.1")
        stopping = asyncio.ensure_future(server.stop(10))
        await peer.send(ReleaseRequest())
        assert await peer.hears_nothing()
        doors.open()
        assert await answered(peer) == (1, Status.SUCCESS)
        assert await peer.receive() == ReleaseResponse()
        await peer.half_close()
        await stopping


async def test_after_its_grace_all_handlers_are_cancelled() -> None:
    ended: list[int] = []
    doors = Doors()
    watch = on_end(lambda: ended.append(doors.running))
    async with hosting(doors, watchers=[watch]) as (server, peer):
        await send_stores(peer, 1, 2, 3)
        await doors.reads("1.2.1", "1.2.2", "1.2.3")
        stopping = asyncio.ensure_future(server.stop(0))
        await peer.aborted()
        await peer.half_close()
        await stopping
        assert doors.cancelled == 3
        assert ended == [0]


# Whatever happens --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
async def test_nothing_is_left_however_it_ends(seed: int) -> None:
    chance = random.Random(seed)

    async def store(request: StoreRequest) -> int:
        fate = chance.random()
        if fate < 0.1:
            raise Refused(Status.NOT_AUTHORIZED)
        if fate < 0.12:
            raise AbortAssociation
        await request.dataset.block()  # and whoever forgets a block gives it back
        await asyncio.sleep(chance.random() * 0.01)
        await request.dataset.read()
        return Status.SUCCESS

    limits = aiodicom.Limits(association_bytes=1 << 16)
    async with serving(store=store, window=5, limits=limits) as server:
        for _ in range(10):
            async with Peer(server.port) as peer:
                await peer.associate(WINDOW)
                objects = [
                    store_pdus(f"1.2.{n}", bytes(chance.randrange(200_000)), message_id=n)
                    for n in range(8)
                ]
                data = b"".join(objects)
                peer.writer.write(data[: chance.randrange(len(data))])
                if chance.random() < 0.5:
                    await peer.abort()
        await server.stop(chance.choice([0, 0.01, 5]))
