"""The asynchronous operations window of the acceptor: requests that are served side by side."""

from __future__ import annotations

import asyncio

import pytest

import aiodicom
from aiodicom import EchoRequest, Refused, Status, StoreRequest
from aiodicom.acceptor.association import CROWDED, Service
from aiodicom.wire.dimse import CommandField, CommandSet, Tag
from aiodicom.wire.items import AsynchronousOperationsWindow
from aiodicom.wire.negotiation import make_policy
from tests.peer import (
    ECHO_CONTEXT,
    Peer,
    association_request,
    command_pdu,
    ct_dataset,
    echo_command,
    status_of,
    store_pdus,
)
from tests.serving import TIMEOUTS, discard, serving, until
from tests.windows import WINDOW, Doors, answered, hosting, send_stores

# Side by side ------------------------------------------------------------------------------------


async def test_responses_leave_as_handlers_complete() -> None:
    doors = Doors()
    async with hosting(doors) as (_, peer):
        await send_stores(peer, 1, 2, 3)
        await doors.reads("1.2.1", "1.2.2", "1.2.3")
        for number in (3, 1, 2):
            assert await peer.hears_nothing()
            doors.open(f"1.2.{number}")
            assert await answered(peer) == (number, Status.SUCCESS)
        await peer.release()
    assert doors.read == {f"1.2.{n}": ct_dataset(f"1.2.{n}") for n in (1, 2, 3)}


@pytest.mark.parametrize(
    ("served", "asked", "most"),
    [(3, 8, 3), (8, 3, 3), (1, 8, 1), (8, 1, 1), (8, None, 1), (0, 3, 3), (3, 0, 3), (0, 0, 32)],
)
async def test_never_more_requests_run_than_were_agreed_on(
    served: int, asked: int | None, most: int
) -> None:
    more = [] if asked is None else [AsynchronousOperationsWindow(asked, 1)]
    doors = Doors()
    async with serving(store=doors, window=served) as server, Peer(server.port) as peer:
        await peer.associate(association_request(more=more))
        await send_stores(peer, *range(1, 41))
        await until(lambda: len(doors.read) == most)
        assert await peer.hears_nothing()
        assert doors.entered == [f"1.2.{n}" for n in range(1, most + 1)]
        for number in range(1, 41):
            doors.open(f"1.2.{number}")
        assert {await answered(peer) for _ in range(40)} == {(n, 0) for n in range(1, 41)}
        assert doors.most == most
        await peer.release()


async def test_the_next_request_takes_the_place_of_any_that_is_answered() -> None:
    doors = Doors()
    async with hosting(doors, window=2) as (_, peer):
        await send_stores(peer, 1, 2, 3, 4)
        await doors.reads("1.2.1", "1.2.2")
        doors.open("1.2.2")
        assert await answered(peer) == (2, Status.SUCCESS)
        await doors.reads("1.2.3")
        assert doors.entered == ["1.2.1", "1.2.2", "1.2.3"]
        doors.open("1.2.1", "1.2.3", "1.2.4")
        assert {await answered(peer) for _ in range(3)} == {(1, 0), (3, 0), (4, 0)}


async def test_a_handler_begins_while_its_dataset_arrives_and_others_run() -> None:
    doors = Doors()
    async with hosting(doors) as (_, peer):
        await send_stores(peer, 2)
        await peer.begin_store("1.2.9", b"ab")
        await until(lambda: doors.entered == ["1.2.2", "1.2.9"])


async def test_an_echo_among_stores_is_answered_at_once() -> None:
    doors = Doors()
    async with hosting(doors) as (_, peer):
        await send_stores(peer, 1, 2)
        assert await peer.echo(3) == Status.SUCCESS
        await send_stores(peer, 4)
        assert await peer.echo(5) == Status.SUCCESS
        await doors.reads("1.2.1", "1.2.2", "1.2.4")
        doors.open()
        assert [await peer.status() for _ in range(3)] == [Status.SUCCESS] * 3


async def test_a_refusal_leaves_at_once_and_the_rest_of_its_dataset_is_dropped() -> None:
    doors = Doors()

    async def store(request: StoreRequest) -> int:
        if request.sop_instance_uid == "1.2.9":
            raise Refused(Status.NOT_AUTHORIZED)
        return await doors(request)

    async with hosting(doors, store=store) as (_, peer):
        await send_stores(peer, 2)
        await peer.begin_store("1.2.9", b"ab")
        assert await answered(peer) == (1, Status.NOT_AUTHORIZED)
        await peer.finish_store(bytes(100_000))
        await send_stores(peer, 3)
        await doors.reads("1.2.2", "1.2.3")
        doors.open()
        assert {await answered(peer) for _ in range(2)} == {(2, 0), (3, 0)}


async def test_a_handler_that_fails_is_the_only_one() -> None:
    doors = Doors()

    async def store(request: StoreRequest) -> int:
        if request.sop_instance_uid == "1.2.2":
            raise ZeroDivisionError
        return await doors(request)

    async with hosting(doors, store=store) as (_, peer):
        await send_stores(peer, 1, 2, 3)
        assert await answered(peer) == (2, Status.UNABLE_TO_PROCESS)
        await doors.reads("1.2.1", "1.2.3")
        doors.open()
        assert {await answered(peer) for _ in range(2)} == {(1, 0), (3, 0)}


async def test_without_a_window_no_request_has_a_task_of_its_own() -> None:
    tasks: list[object] = []

    async def store(request: StoreRequest) -> int:
        tasks.append(asyncio.current_task())
        return await discard(request)

    async with serving(store=store, window=8) as server, Peer(server.port) as peer:
        await peer.associate()
        assert [await peer.store("1.2.3") for _ in range(2)] == [Status.SUCCESS] * 2
    assert tasks[0] is tasks[1]


async def test_the_widest_window_lets_others_have_their_turn() -> None:
    turns = [0]

    async def echo(request: EchoRequest) -> int:
        if not turns[-1]:  # the first one since somebody else had a turn
            asyncio.get_running_loop().call_soon(turns.append, 0)
        turns[-1] += 1
        return Status.SUCCESS

    window = AsynchronousOperationsWindow(65535, 1)
    async with serving(echo=echo, window=0) as server, Peer(server.port) as peer:
        await peer.associate(association_request(more=[window]))
        commands = (command_pdu(echo_command(n), ECHO_CONTEXT) for n in range(500))
        await peer.send(b"".join(commands))
        for _ in range(500):
            assert await peer.status() == Status.SUCCESS
    assert sum(turns) == 500
    assert max(turns) <= 2 * CROWDED


async def test_a_place_in_the_window_rests_after_its_response() -> None:
    service = Service(make_policy(window=2), discard, rest=0.2)
    loop = asyncio.get_running_loop()
    listeners = [aiodicom.Listener(0, "127.0.0.1")]
    server = aiodicom.Server(service, ae_title="SCP", listeners=listeners, timeouts=TIMEOUTS)
    async with server, Peer(server.port) as peer:
        await peer.associate(WINDOW)
        begun = loop.time()
        await send_stores(peer, 1, 2, 3)
        assert {await answered(peer) for _ in range(2)} == {(1, 0), (2, 0)}
        assert await answered(peer) == (3, Status.SUCCESS)
        assert loop.time() - begun >= 0.198  # uvloop's clock counts milliseconds
        await peer.release()
        assert loop.time() - begun >= 0.398


# Message IDs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [10, 300_000])
async def test_a_message_id_in_use_is_a_duplicate_invocation(size: int) -> None:
    doors = Doors()
    async with hosting(doors) as (_, peer):
        await send_stores(peer, 1)
        await peer.send(store_pdus("1.2.9", bytes(size), message_id=1))
        response = await peer.response()
        assert status_of(response) == Status.DUPLICATE_INVOCATION
        assert response.uid(Tag.AFFECTED_SOP_INSTANCE_UID) == "1.2.9"
        await send_stores(peer, 2)
        await doors.reads("1.2.1", "1.2.2")
        doors.open()
        assert {await answered(peer) for _ in range(2)} == {(1, 0), (2, 0)}
    assert doors.entered == ["1.2.1", "1.2.2"]


async def test_an_echo_with_a_message_id_in_use_is_a_duplicate_invocation() -> None:
    doors = Doors()
    async with hosting(doors) as (_, peer):
        await send_stores(peer, 1)
        assert await peer.echo(1) == Status.DUPLICATE_INVOCATION
        assert await peer.echo(1) == Status.DUPLICATE_INVOCATION
        await doors.reads("1.2.1")
        doors.open()
        assert await answered(peer) == (1, Status.SUCCESS)


async def test_a_message_id_is_free_again_after_its_response() -> None:
    doors = Doors()
    async with hosting(doors) as (_, peer):
        for number in range(20):
            await peer.send(store_pdus(f"1.2.{number}", message_id=1))
            doors.open(f"1.2.{number}")
            assert await answered(peer) == (1, Status.SUCCESS)


async def test_a_cancel_of_a_request_that_runs_is_not_answered() -> None:
    cancel = CommandSet.build(
        CommandField.C_CANCEL, message_id=1, message_id_being_responded_to=1
    )  # fmt: skip
    doors = Doors()
    async with hosting(doors) as (_, peer):
        await send_stores(peer, 1)
        await doors.reads("1.2.1")
        await peer.send(command_pdu(cancel))
        assert await peer.hears_nothing()
        doors.open()
        assert await answered(peer) == (1, Status.SUCCESS)
