"""Peers that send too much, too little, too often, or do not listen."""

from __future__ import annotations

import asyncio
import contextlib
import struct

import pytest

import aiodicom
from aiodicom import Status
from aiodicom.wire.pdu import PDV, DataTransfer, encode_pdu
from tests.hostile.victim import GONE, attacked
from tests.peer import (
    CT_CONTEXT,
    ECHO_CONTEXT,
    Peer,
    association_request,
    command_pdu,
    ct_dataset,
    echo_command,
    fragment,
    store_command,
)
from tests.serving import MIB, Keeper, Peak, pool_of

HURRIED = aiodicom.Timeouts(association=0.3, dimse=0.3, network=0.3, closing=0.3)

OTHER_PROTOCOLS = {
    "HL7": b"\x0bMSH|^~\\&|A|B|C|D|20260101||ADT^A01|1|P|2.5\r\x1c\r",
    "HTTP": b"GET / HTTP/1.1\r\nHost: dicom\r\nUser-Agent: probe\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\4\0\0\0\0\0",
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(193),
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "PROXY": b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n",
    "NULs": bytes(1000),
    "ten bytes": bytes.fromhex("9ac4f0137be2d5a6081f"),
}


@pytest.mark.parametrize("name", OTHER_PROTOCOLS)
async def test_another_protocol_is_told_to_go(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """And the connection ends: it does not stay and fill the server up."""
    caplog.set_level("DEBUG", "aiodicom")
    async with attacked() as server:
        for _ in range(5):
            async with Peer(server.port) as peer:
                await peer.send(OTHER_PROTOCOLS[name])
                await peer.aborted()
                await peer.half_close()
                assert await peer.closed()
        assert not server.associations
    assert not any(record.levelname == "ERROR" for record in caplog.records)


# Probes and storms -------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["close", "reset", "half"])
async def test_hundreds_of_probes_of_a_load_balancer(how: str) -> None:
    async def probe(server: aiodicom.Server) -> None:
        async with Peer(server.port) as peer:
            if how == "reset":
                peer.reset()
            elif how == "half":
                await peer.half_close()
                assert await peer.closed()

    async with attacked() as server:
        for _ in range(5):
            async with asyncio.timeout(10):
                await asyncio.gather(*(probe(server) for _ in range(40)))


async def test_a_storm_of_associations_is_served() -> None:
    async def associate(server: aiodicom.Server) -> None:
        async with Peer(server.port) as peer:
            await peer.associate()
            await peer.abort()

    async with attacked() as server, asyncio.timeout(20):
        await asyncio.gather(*(associate(server) for _ in range(100)))


async def test_who_fills_up_the_associations_is_alone_with_that() -> None:
    """Beyond the limit the answer is transient, and there is room when they have gone."""
    limits = aiodicom.Limits(associations=5)
    async with attacked(limits=limits) as server:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(5):
                await (await stack.enter_async_context(Peer(server.port))).associate()
            async with Peer(server.port) as late:
                assert await late.rejected() == (2, 3, 2)
        async with asyncio.timeout(10):
            while server.associations:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.001)


# Slow --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [3, 6, 40])
async def test_a_part_of_a_request_is_not_waited_for(part: int) -> None:
    async with attacked(timeouts=HURRIED) as server, Peer(server.port) as peer:
        await peer.send(encode_pdu(association_request())[:part])
        assert await peer.closed()


@pytest.mark.parametrize("part", [1, 5, 9, 50])
async def test_a_part_of_a_command_is_not_waited_for(part: int) -> None:
    async with attacked(timeouts=HURRIED) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(echo_command(), ECHO_CONTEXT)[:part])
        await peer.aborted()


@pytest.mark.parametrize("data", [b"", bytes(10), bytes(100_000)], ids=len)
async def test_a_part_of_a_dataset_is_not_waited_for(data: bytes) -> None:
    keeper = Keeper()
    async with attacked(store=keeper, timeouts=HURRIED) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", data)
        await peer.aborted()
        assert isinstance(await keeper.outcome(), Exception)


async def test_who_never_reads_is_cut_off() -> None:
    async with attacked(timeouts=HURRIED) as server, Peer(server.port, receive_buffer=4096) as peer:
        await peer.associate()
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        with contextlib.suppress(*GONE):
            async with asyncio.timeout(20):
                while True:
                    await peer.send(command_pdu(echo_command(), ECHO_CONTEXT) * 100)


# Fragments ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1])
async def test_a_hundred_thousand_fragments_of_nothing(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    peak, keeper = Peak(monkeypatch), Keeper()
    pdv = struct.pack(">IBB", 2 + size, CT_CONTEXT, 0) + bytes(size)
    many = struct.pack(">BxI", 4, 10_000 * len(pdv)) + pdv * 10_000
    async with attacked(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(store_command("1.2.3")))
        for _ in range(10):
            await peer.send(many)
        await peer.send(fragment(b"the end", is_last=True))
        assert await peer.status() == Status.SUCCESS
        assert await keeper.outcome() == bytes(size * 100_000) + b"the end"
    assert peak.pool <= 2 * MIB


async def test_empty_pdus_without_end_cost_nothing() -> None:
    async with attacked() as server, Peer(server.port) as peer:
        await peer.associate()
        for _ in range(10):
            await peer.send(encode_pdu(DataTransfer(())) * 5000)
        assert await peer.echo() == Status.SUCCESS
        assert pool_of(server).held == 0


async def test_a_flood_of_fragments_lets_others_have_their_turn() -> None:
    """A newcomer is served while another sends nothing but single bytes."""
    pdvs = tuple(PDV(CT_CONTEXT, False, False, b"x") for _ in range(10_000))
    flood = encode_pdu(DataTransfer(pdvs))

    async def flooding(peer: Peer) -> None:
        with contextlib.suppress(*GONE):
            while True:
                await peer.send(flood)

    async with attacked() as server, Peer(server.port) as peer, Peer(server.port) as other:
        await peer.associate()
        await peer.send(command_pdu(store_command("1.2.3")))
        sending = asyncio.ensure_future(flooding(peer))
        await other.associate()
        async with asyncio.timeout(10):
            for number in range(20):
                assert await other.echo(number) == Status.SUCCESS
            assert await other.store("1.2.4", ct_dataset("1.2.4")) == Status.SUCCESS
        sending.cancel()
        peer.cut()
