"""Whole messages, from the bytes of the request to those of the response; without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

from aiodicom.acceptor.association import Service
from aiodicom.acceptor.protocol import AcceptorConnection, Surroundings
from aiodicom.limits import Limits, Timeouts
from aiodicom.requests import StoreRequest
from aiodicom.wire.buffers import Pool
from aiodicom.wire.items import ProposedContext
from aiodicom.wire.negotiation import EXPLICIT_LITTLE, VERIFICATION, make_policy
from aiodicom.wire.pdu import ReleaseRequest, encode_pdu
from benchmarks.micro.materials import (
    CONTEXT_ID,
    DATASETS,
    ECHO_COMMAND,
    ONE_CONTEXT,
    STORE_COMMAND,
    command_pdu,
    data_pdus,
    proposal,
)
from benchmarks.micro.transports import SilentTransport, feed

pytestmark = pytest.mark.benchmark(group="conversation")

TIMES = 100
"""Conversations of one run: to enter the event loop costs as much as one of them."""

VERIFICATION_CONTEXT = (ProposedContext.of(CONTEXT_ID, VERIFICATION, EXPLICIT_LITTLE),)


async def _discard(request: StoreRequest) -> int:
    request.dataset.discard()
    return 0


def _surroundings(loop: asyncio.AbstractEventLoop) -> Surroundings:
    """Return what the connections of a receiver that keeps nothing share."""
    return Surroundings(
        loop,
        Pool(),
        Service(make_policy(), store=_discard),
        Limits(),
        Timeouts(),
        on_made=lambda connection: None,
        on_gone=lambda connection: None,
    )


class _Connection:
    def __init__(self, around: Surroundings) -> None:
        self.protocol = AcceptorConnection(around, 1)
        self.transport = SilentTransport()
        self.protocol.connection_made(self.transport)

    async def ask(self, data: bytes) -> None:
        """Feed a request, and wait for its response."""
        writes = self.transport.writes
        feed(self.protocol, data)
        while self.transport.writes == writes:  # noqa: ASYNC110  # an event would be measured
            await asyncio.sleep(0)

    async def close(self) -> None:
        self.protocol.connection_lost(None)
        if self.protocol.task is not None:
            await self.protocol.task


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = uvloop.new_event_loop()
    yield loop
    loop.close()


def _measure_messages(
    benchmark: BenchmarkFixture,
    loop: asyncio.AbstractEventLoop,
    contexts: tuple[ProposedContext, ...],
    message: bytes,
) -> None:
    async def opened() -> _Connection:
        connection = _Connection(_surroundings(loop))
        await connection.ask(proposal(contexts))
        return connection

    async def several() -> None:
        for _ in range(TIMES):
            await connection.ask(message)

    connection = loop.run_until_complete(opened())
    benchmark.extra_info["times"] = TIMES
    benchmark(lambda: loop.run_until_complete(several()))
    assert connection.protocol.is_conversing
    loop.run_until_complete(connection.close())


def test_echo(benchmark: BenchmarkFixture, loop: asyncio.AbstractEventLoop) -> None:
    _measure_messages(benchmark, loop, VERIFICATION_CONTEXT, command_pdu(ECHO_COMMAND))


@pytest.mark.parametrize("size", DATASETS)
def test_store(benchmark: BenchmarkFixture, loop: asyncio.AbstractEventLoop, size: str) -> None:
    message = command_pdu(STORE_COMMAND) + data_pdus(DATASETS[size])
    _measure_messages(benchmark, loop, ONE_CONTEXT, message)


def test_association_per_object(
    benchmark: BenchmarkFixture, loop: asyncio.AbstractEventLoop
) -> None:
    """An association is made, an object is stored, and the association is released."""
    around = _surroundings(loop)
    steps = (
        proposal(ONE_CONTEXT),
        command_pdu(STORE_COMMAND) + data_pdus(DATASETS["6 kB"]),
        encode_pdu(ReleaseRequest()),
    )

    async def several() -> None:
        for _ in range(TIMES):
            connection = _Connection(around)
            for step in steps:
                await connection.ask(step)
            await connection.close()

    benchmark.extra_info["times"] = TIMES
    benchmark(lambda: loop.run_until_complete(several()))
