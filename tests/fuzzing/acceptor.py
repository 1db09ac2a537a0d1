"""A whole association, from the acceptor's side: whatever a peer says."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

from aiodicom import AssociationInfo, EchoRequest, Limits, Status, Timeouts
from aiodicom.acceptor.association import Service
from aiodicom.acceptor.protocol import AcceptorConnection, Surroundings
from aiodicom.wire.negotiation import make_policy
from aiodicom.wire.pdu import Abort, AssociateReject, ReleaseResponse
from tests.fuzzing.handlers import Keeper, Kept, Refusing, folders
from tests.fuzzing.hearing import FIELD, MESSAGE_ID, RESPONDED, STATUS, Heard, messages_in
from tests.fuzzing.inputs import Settings
from tests.fuzzing.peer import LONG, FuzzedPeer, StillLoop, settle, still_loop
from tests.fuzzing.small import SLAB, small_boundaries, small_pool
from tests.fuzzing.watching import watched
from tests.wire.feeding import pdus_in

__all__ = ["acceptor"]

TIMEOUTS = Timeouts(association=30, dimse=20, network=60, closing=5)

_C_STORE, _C_STORE_RSP = 0x0001, 0x8001
_SUCCESSES = (0x0000, 0xB007, 0xB000)


@contextlib.contextmanager
def acceptor() -> Iterator[Callable[[bytes], None]]:
    """Make a receiver; yield what serves one connection, which says what an input says."""
    with still_loop() as loop, small_boundaries(), folders() as made:
        for storage in made:
            loop.run_until_complete(storage.__aenter__())
        handlers: list[Kept] = [*made, Keeper(0), Keeper(3), Refusing()]

        def serve(data: bytes) -> None:
            _Served(loop, handlers, Settings(data)).check()

        yield serve
        for storage in made:
            loop.run_until_complete(storage.__aexit__())


class _Served:
    """One connection to an acceptor."""

    def __init__(self, loop: StillLoop, handlers: list[Kept], settings: Settings) -> None:
        self._loop, self._settings = loop, settings
        self._level = settings.one_of(logging.WARNING, logging.INFO, logging.WARNING, logging.DEBUG)
        self._handler = settings.one_of(*handlers)
        self._pool = small_pool(settings.one_of(8, 2), self._loop.call_later)
        self._limit = settings.one_of(1 << 20, 3000, SLAB, 100)
        self._policy = make_policy(
            window=settings.one_of(1, 4, 0), maximum_length=settings.one_of(1 << 17, 0, 1024)
        )
        self._echo = settings.one_of(None, _echo)
        self._authorize = settings.one_of(None, _authorize)
        self._reads = settings.one_of(True, True, False)
        self._ends = settings.one_of(_hangs_up, _resets, _is_silent, _is_stopped, _is_killed)
        self._admitted: Counter[AssociationInfo] = Counter()
        self._gone: list[AcceptorConnection] = []

    def check(self) -> None:
        """Serve it, and check what must hold afterwards.

        Raises
        ------
        AssertionError
            Where something of it does not.
        """
        with watched(self._loop, self._level):
            peer, connection = self._loop.run_until_complete(self._serve())
        assert peer.is_gone
        assert self._gone[:1] == [connection], "the server was not told of the end"
        assert not any(self._admitted.values()), "an association is still counted"
        pool = self._pool
        assert (pool.held, len(pool.waiting), len(pool.filling)) == (0, 0, 0)
        _check_order(bytes(peer.written))
        self._check_objects(messages_in(self._settings.stream), messages_in(bytes(peer.written)))

    async def _serve(self) -> tuple[FuzzedPeer, AcceptorConnection]:
        def admit(info: AssociationInfo) -> None:
            self._admitted[info] += 1

        def leave(info: AssociationInfo) -> None:
            self._admitted[info] -= 1

        service = Service(
            self._policy, self._handler, self._echo, self._authorize, admit=admit, leave=leave
        )
        around = Surroundings(
            self._loop, self._pool, service, Limits(association_bytes=self._limit), TIMEOUTS,
            lambda _: None, self._gone.append,
        )  # fmt: skip
        connection = AcceptorConnection(around, 1)
        chance = self._settings.chance
        peer = FuzzedPeer(self._loop, connection, chance, reads=self._reads)
        await peer.say(self._settings.stream)
        await self._ends(peer, connection)
        until = self._loop.time() + LONG
        while not self._gone:
            assert self._loop.time() < until, "it does not end"
            await asyncio.sleep(1)
        return peer, connection

    def _check_objects(self, said: list[Heard], heard: list[Heard]) -> None:
        kept = self._handler.datasets()
        whole = [message.dataset for message in said if message.dataset is not None]
        assert all(dataset in whole for dataset in kept), "an object is not what was sent"
        asked = Counter(m.number(MESSAGE_ID) for m in said if m.number(FIELD) < 0x8000)
        answered = Counter(message.number(RESPONDED) for message in heard)
        assert answered <= asked, "a response to what was not asked"
        for response in heard:
            if response.number(FIELD) == _C_STORE_RSP and response.number(STATUS) in _SUCCESSES:
                self._check_stored(response, said, kept)

    def _check_stored(self, response: Heard, said: list[Heard], kept: list[bytes]) -> None:
        """Check that an object that was acknowledged had come whole, and is there."""
        objects = [
            message.dataset
            for message in said
            if message.number(FIELD) == _C_STORE
            and message.number(MESSAGE_ID) == response.number(RESPONDED)
            and message.instance == response.instance
            and message.dataset is not None
        ]
        assert objects, "success for an object that has not come whole"
        if isinstance(self._handler, Refusing):
            return
        is_there = any(dataset in kept for dataset in objects)
        # Another object of the same UID may have taken its place, or kept it.
        rivals = [m.dataset for m in said if m.instance == response.instance]
        assert is_there or any(dataset in kept for dataset in rivals), "what was stored is gone"


def _check_order(written: bytes) -> None:
    """Check that all of it is well-formed, and that after the last word nothing but A-ABORT is."""
    pdus = list(pdus_in(written))
    ends = [n for n, pdu in enumerate(pdus) if isinstance(pdu, AssociateReject | ReleaseResponse)]
    for pdu in pdus[ends[0] + 1 :] if ends else ():
        assert isinstance(pdu, Abort), f"{pdu} after the end"


# What chance has happen ------------------------------------------------------------------------


async def _echo(request: EchoRequest) -> int:
    await asyncio.sleep(1)
    return Status.SUCCESS


async def _authorize(info: AssociationInfo) -> None:
    await asyncio.sleep(1)


_End = Callable[[FuzzedPeer, AcceptorConnection], Awaitable[None]]


async def _hangs_up(peer: FuzzedPeer, connection: AcceptorConnection) -> None:
    await peer.hang_up()


async def _resets(peer: FuzzedPeer, connection: AcceptorConnection) -> None:
    await peer.hang_up(ConnectionResetError())


async def _is_silent(peer: FuzzedPeer, connection: AcceptorConnection) -> None:
    await asyncio.sleep(2 * LONG)


async def _is_stopped(peer: FuzzedPeer, connection: AcceptorConnection) -> None:
    connection.stop()
    await settle()
    await peer.hang_up()


async def _is_killed(peer: FuzzedPeer, connection: AcceptorConnection) -> None:
    connection.abort()
    connection.kill()
    await settle()
