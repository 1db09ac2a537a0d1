"""What workers know of each other, and who takes the next connection."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator

import pytest

from aiodicom.server.accepting import Accepting
from aiodicom.workers.shares import BATCH, OVERLOOKED, Share, Shares
from tests.serving import until


def shares_of(*connections: int) -> list[Share]:
    """Workers that serve, with so many connections."""
    shares = Shares(len(connections))
    workers = [Share(shares, index) for index in range(len(connections))]
    for worker, count in zip(workers, connections, strict=True):
        worker.serve(True)
        worker.add_connection(count)
    return workers


# Counting ----------------------------------------------------------------------------------------


def test_counts_are_everybody_s() -> None:
    one, other = shares_of(0, 0)
    assert one.add_connection() == 1
    assert other.add_connection(5) == 6
    assert one.add_association() == 1
    assert other.add_association() == 2
    assert one.add_association(-1) == 1
    assert (one.associations, other.associations) == (0, 1)


def test_counts_are_seen_by_another_process() -> None:
    one, other = shares_of(0, 0)
    pid = os.fork()
    if not pid:
        other.add_connection(7)
        os._exit(0)
    os.waitpid(pid, 0)
    assert one.add_connection(0) == 7


def test_who_is_gone_counts_no_more() -> None:
    shares = Shares(3)
    for index in range(3):
        Share(shares, index).add_association(10 + index)
    shares.clear(1)
    assert list(shares.associations) == [10, 0, 12]
    assert list(shares.connections) == [0, 0, 0]


# Whose the next connection is --------------------------------------------------------------------


def test_one_worker_takes_what_there_is() -> None:
    (one,) = shares_of(1000)
    assert one.room() == BATCH


@pytest.mark.parametrize(
    ("connections", "room"),
    [
        ((0, 0), 1),
        ((1, 0), 0),
        ((1, 1), 1),
        ((0, 3), 4),
        ((7, 7, 6), 0),
        ((9, 8), 1),  # an eighth more is even
        ((10, 8), 0),
        ((400, 400), 51),
        ((0, 500), BATCH),
    ],
)
def test_room_up_to_the_one_that_has_fewest(connections: tuple[int, ...], room: int) -> None:
    assert max(shares_of(*connections)[0].room(), 0) == room


def test_who_does_not_serve_is_not_waited_for() -> None:
    one, starting = shares_of(5, 0)
    assert one.room() <= 0
    starting.serve(False)
    assert one.room() == BATCH


def test_who_comes_back_takes_one_all_the_same() -> None:
    one, other = shares_of(5, 0)
    one.leave()
    other.accepted()
    assert one.come_back() == 1


def test_what_is_left_in_vain_is_taken_by_more_and_more() -> None:
    one, _ = shares_of(5, 0)
    taken = []
    while one.room() <= 0:
        one.leave()
        taken.append(one.come_back())
        one.left_in_vain(True)
    assert len(taken) == OVERLOOKED
    assert taken[0] == taken[1] == 1
    assert sorted(taken) == taken
    assert taken[-1] == 16
    assert one.room() == BATCH  # from here on without waiting


def test_who_is_passed_over_counts_again_once_it_accepts() -> None:
    one, stuck, third = shares_of(5, 0, 5)
    for _ in range(OVERLOOKED):
        one.leave()
        one.left_in_vain(True)
    assert one.room() == 1  # even with the third
    third.add_connection(-5)
    assert one.room() <= 0
    third.add_connection(5)
    stuck.accepted()
    assert one.room() <= 0


def test_patience_begins_anew_when_the_other_one_has_taken_some() -> None:
    one, other = shares_of(5, 0)
    for _ in range(3 * OVERLOOKED):
        one.leave()
        other.accepted()
        one.left_in_vain(True)
    for _ in range(3 * OVERLOOKED):
        one.leave()
        one.left_in_vain(False)  # a third one has taken it, or its peer is gone
    assert one.room() <= 0


# Accepting ---------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def accepting(share: Share) -> AsyncIterator[tuple[Accepting, socket.socket, list[int]]]:
    """Accept on the loopback, and count."""
    taken: list[int] = []

    def take(accepted: socket.socket, address: object, listening: socket.socket) -> None:
        accepted.close()
        taken.append(share.add_connection())

    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    accepts = Accepting([listening], share, take)
    try:
        yield accepts, listening, taken
    finally:
        accepts.close()


def client(listening: socket.socket) -> socket.socket:
    made = socket.socket()
    made.setblocking(False)
    made.connect_ex(listening.getsockname())
    return made


async def test_connections_are_left_to_who_has_fewer() -> None:
    one, other = shares_of(1, 0)
    async with accepting(one) as (accepts, listening, taken):
        with client(listening):
            accepts.accept(listening)
            assert not taken
            listening.accept()[0].close()
            other.accepted()
            other.add_connection()
            await asyncio.sleep(0.01)
            assert not taken  # it has looked again, and there was none


async def test_nobody_waits_for_long_for_a_worker_that_is_stuck(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, _ = shares_of(1, 0)
    async with accepting(one) as (_, listening, taken), contextlib.AsyncExitStack() as clients:
        for _ in range(200):
            clients.enter_context(client(listening))
        await until(lambda: len(taken) == 200)
        monkeypatch.setattr("aiodicom.server.accepting.MOMENT", 60)
        clients.enter_context(client(listening))  # by now nothing is left to it any more
        await until(lambda: len(taken) == 201)


async def test_what_was_left_to_others_is_taken_as_soon_as_we_have_fewer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aiodicom.server.accepting.MOMENT", 60)
    one, _ = shares_of(1, 0)
    async with accepting(one) as (accepts, listening, taken):
        with client(listening):
            accepts.accept(listening)
            accepts.has_fewer()
            await asyncio.sleep(0.01)
            assert not taken  # that was another connection's end, and we still have more
            one.add_connection(-1)
            accepts.has_fewer()
            await until(lambda: len(taken) == 1)


async def test_a_closed_one_does_not_come_back() -> None:
    one, _ = shares_of(1, 0)
    async with accepting(one) as (accepts, listening, taken):
        with client(listening):
            accepts.accept(listening)
            accepts.close()
            await asyncio.sleep(0.01)
    assert not taken
