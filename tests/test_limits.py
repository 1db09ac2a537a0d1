"""What one peer may take of what is there for all: numbers, sizes, and time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom import FileStorage, Limits, Refused, Status, StoreRequest, Timeouts
from aiodicom.wire.dimse import CommandSet, Tag
from aiodicom.wire.items import ProposedContext
from aiodicom.wire.pdu import Abort, encode_pdu
from tests.peer import (
    CT,
    ECHO_CONTEXT,
    Peer,
    association_request,
    command_pdu,
    ct_dataset,
    echo_command,
    fragment,
    status_of,
    store_command,
)
from tests.serving import MIB, Keeper, discard, empty, serving

LIMIT_EXCEEDED = (2, 3, 2)


# How many of one address, and of one title ---------------------------------------------------


async def test_one_association_too_many_of_an_address_leaves_the_others_alone() -> None:
    limits = Limits(associations_per_address=1)
    async with (
        serving(host=None, limits=limits) as server,
        Peer(server.port) as first,
        Peer(server.port) as second,
        Peer(server.port, "127.0.0.2", source="127.0.0.2") as other,
    ):
        await first.associate()
        assert await second.rejected() == LIMIT_EXCEEDED
        await other.associate()
        await first.release()
        async with Peer(server.port) as third:
            await third.associate()


async def test_one_association_too_many_of_a_title_leaves_the_others_alone() -> None:
    limits = Limits(associations_per_title=1)
    async with (
        serving(limits=limits) as server,
        Peer(server.port) as first,
        Peer(server.port) as second,
        Peer(server.port) as other,
    ):
        await first.associate(association_request(calling="CT1"))
        assert await second.rejected(association_request(calling="CT1 ")) == LIMIT_EXCEEDED
        await other.associate(association_request(calling="CT2"))
        await first.release()
        async with Peer(server.port) as third:
            await third.associate(association_request(calling="CT1"))


async def test_whoever_is_rejected_is_counted_no_more() -> None:
    limits = Limits(associations=1, associations_per_address=1, associations_per_title=1)
    async with serving(limits=limits) as server:
        for _ in range(3):
            async with Peer(server.port) as first, Peer(server.port) as second:
                await first.associate()
                assert await second.rejected() == LIMIT_EXCEEDED
                await first.release()
        await empty(server)
        assert not len(server._share.tally)


async def test_one_connection_too_many_of_an_address_is_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        serving(host=None, limits=Limits(connections_per_address=1)) as server,
        Peer(server.port) as silent,
    ):
        async with Peer(server.port) as second:
            assert await second.closed()
        async with Peer(server.port, "127.0.0.2", source="127.0.0.2") as other:
            await other.associate()
            await other.release()
        await silent.half_close()
        assert await silent.closed()
        async with Peer(server.port) as third:
            await third.associate()
            await third.release()
        await empty(server)
        assert not len(server._share.tally)
    assert [r for r in caplog.records if r.getMessage().startswith("Too many connections from 127")]


async def test_by_default_one_address_leaves_room_for_others() -> None:
    limits = Limits()
    assert limits.connections_per_address is not None
    assert limits.associations_per_address is not None
    assert limits.connections_per_address < limits.connections
    assert limits.associations_per_address < limits.associations


# How long a request, a command, an object --------------------------------------------------------


def long_request(size: int) -> bytes:
    """An A-ASSOCIATE-RQ of at least so many bytes."""
    contexts = [ProposedContext.of(n, CT, "1.2.840.10008.1.2") for n in range(1, size // 30, 2)]
    return encode_pdu(association_request(contexts))


async def test_a_request_that_is_too_long_is_aborted_at_once() -> None:
    request = long_request(2000)
    limits = Limits(request_bytes=len(request) - 7)
    async with serving(limits=limits) as server, Peer(server.port) as peer:
        await peer.send(request[:6])  # its length is enough
        assert await peer.receive() == Abort(0, 0)  # PS3.8 table 9-10, Sta2: AA-1
        await peer.half_close()
        assert await peer.closed()


async def test_a_request_that_is_just_not_too_long_is_read() -> None:
    request = long_request(2000)
    limits = Limits(request_bytes=len(request) - 6)
    async with serving(limits=limits) as server, Peer(server.port) as peer:
        await peer.send(request)
        assert not isinstance(await peer.receive(), Abort)


@pytest.mark.parametrize(("more", "is_taken"), [(0, True), (2, False)])
async def test_a_command_that_is_too_long_is_aborted(more: int, is_taken: bool) -> None:
    padding = 600 - len(echo_command().encode()) - 8 + more
    command = CommandSet({**echo_command().elements, 0x00090010: bytes(padding)})
    limits = Limits(command_bytes=600)
    async with serving(limits=limits) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(command, ECHO_CONTEXT))
        if is_taken:
            assert await peer.status() == Status.SUCCESS
        else:
            assert await peer.receive() == Abort(2, 0)  # no reason of table 9-26 is a limit


async def store_too_much(peer: Peer, uid: str = "1.2.3") -> CommandSet:
    """Send an object without its end; return the response, which does not wait for that."""
    await peer.send(command_pdu(store_command(uid)) + fragment(ct_dataset(uid, bytes(5000))))
    return await peer.response()


async def test_an_object_that_is_too_long_is_refused_before_its_end(tmp_path: Path) -> None:
    limits = Limits(object_bytes=4000)
    async with (
        serving(store=FileStorage(tmp_path), limits=limits) as server,
        Peer(server.port) as peer,
    ):
        await peer.associate()
        response = await store_too_much(peer)
        assert status_of(response) == Status.OUT_OF_RESOURCES
        assert response.text(Tag.ERROR_COMMENT) == "the object has more than 4000 bytes"
        await peer.send(fragment(bytes(MIB // 64)) * 200)  # is dropped
        await peer.finish_store(b"end")
        assert await peer.store("1.2.4") == Status.SUCCESS
        await peer.release()
    assert os.listdir(tmp_path) == ["CT.1.2.4"]


@pytest.mark.parametrize(("more", "status"), [(0, Status.SUCCESS), (1, Status.OUT_OF_RESOURCES)])
async def test_an_object_is_as_long_as_its_dataset(
    more: int, status: Status, tmp_path: Path
) -> None:
    data = ct_dataset("1.2.3", bytes(3 * MIB))
    limits = Limits(object_bytes=len(data) - more)
    async with (
        serving(store=FileStorage(tmp_path), limits=limits) as server,
        Peer(server.port) as peer,
    ):
        await peer.associate()
        assert await peer.store("1.2.3", data) == status
        await peer.release()
    assert len(os.listdir(tmp_path)) == 1 - more


async def ignores_errors(request: StoreRequest) -> int:
    try:
        await request.dataset.read()
    except aiodicom.DicomError:
        request.dataset.discard()
    return Status.SUCCESS


async def reads_late(request: StoreRequest) -> int:
    await asyncio.sleep(0.05)
    await request.dataset.read()
    return Status.SUCCESS


@pytest.mark.parametrize("handler", [ignores_errors, reads_late])
async def test_whatever_the_handler_does_what_is_too_long_is_no_success(
    handler: Callable[[StoreRequest], Awaitable[int]],
) -> None:
    limits = Limits(object_bytes=4000)
    async with serving(store=handler, limits=limits) as server, Peer(server.port) as peer:
        await peer.associate()
        assert status_of(await store_too_much(peer)) == Status.OUT_OF_RESOURCES
        await peer.finish_store(b"end")
        assert await peer.store("1.2.3") == Status.SUCCESS
        assert await peer.store("1.2.3", bytes(4001)) == Status.OUT_OF_RESOURCES


async def test_what_a_handler_does_not_want_may_be_of_any_length() -> None:
    limits = Limits(object_bytes=4000)
    async with serving(store=discard, limits=limits) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3")
        assert await peer.hears_nothing()
        await peer.send(fragment(bytes(5000)))
        await peer.finish_store(bytes(5000))
        assert await peer.status() == Status.SUCCESS


async def test_reading_what_is_too_long_raises_what_is_answered() -> None:
    keeper, limits = Keeper(), Limits(object_bytes=4000)
    async with serving(store=keeper, limits=limits) as server, Peer(server.port) as peer:
        await peer.associate()
        await store_too_much(peer)
        outcome = await keeper.outcome()
        assert isinstance(outcome, Refused)
        assert outcome.status == Status.OUT_OF_RESOURCES


# Settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "setting",
    [
        {"associations_per_address": 0},
        {"associations_per_title": -1},
        {"connections_per_address": 0},
        {"request_bytes": 100},
        {"command_bytes": 100},
        {"object_bytes": 0},
        {"least_rate": 0},
        {"least_rate": float("nan")},
    ],
    ids=str,
)
def test_a_limit_that_lets_nobody_through(setting: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        Limits(**setting)


def test_a_rate_needs_a_time() -> None:
    for seconds in (0, -1, None):
        with pytest.raises(ValueError, match="rate"):
            Timeouts(rate=seconds)  # type: ignore[arg-type]
