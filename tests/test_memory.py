"""Memory: many senders and a slow receiver, idle associations, bursts of connections."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import aiodicom
from aiodicom import Status, StoreRequest
from aiodicom.dataset import DatasetStream
from aiodicom.open_files import raise_open_files_limit
from aiodicom.storage import commit
from aiodicom.storage.commit import Job
from aiodicom.wire.buffers import Account
from aiodicom.wire.pdu import encode_pdu
from aiodicom.wire.upper_layer import SHORT_READ, Message
from tests.peer import (
    Peer,
    association_request,
    command_pdu,
    ct_dataset,
    dataset_pdus,
    store_command,
)
from tests.processes import Receiver, Sender, free_port, receiving, tries
from tests.serving import MIB, Gate, Peak, happens, pool_of, serving
from tests.wire.feeding import Holder

SENDERS = 60
LIMITS = aiodicom.Limits(buffered_bytes=4 * MIB)
UID = "1.2.3"
OBJECT = command_pdu(store_command(UID)) + dataset_pdus(ct_dataset(UID, bytes(MIB)))


@contextlib.asynccontextmanager
async def senders(server: aiodicom.Server, called: str = "ANY-SCP") -> AsyncIterator[list[Peer]]:
    async with contextlib.AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(Peer(server.port)) for _ in range(SENDERS)]
        for peer in peers:
            await peer.associate(association_request(called=called))
        yield peers


async def all_send(peers: list[Peer], data: bytes = OBJECT) -> list[int]:
    async def send(peer: Peer) -> int:
        await peer.send(data)
        return await peer.status()

    async with asyncio.timeout(60):
        return await asyncio.gather(*(send(peer) for peer in peers))


# A slow disk -----------------------------------------------------------------------------------


@pytest.mark.parametrize("at_least", [1, 1 << 20])
async def test_slow_handlers_keep_to_the_budget_and_serve_everybody(
    at_least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(request: StoreRequest) -> int:
        while (block := await request.dataset.block(at_least)) is not None:
            with block:
                await asyncio.sleep(0.002)
        return Status.SUCCESS

    peak = Peak(monkeypatch)
    async with serving(store=slow, limits=LIMITS) as server, senders(server) as peers:
        assert await all_send(peers) == [Status.SUCCESS] * SENDERS
    assert peak.pool <= LIMITS.buffered_bytes + SENDERS * SHORT_READ


async def test_slow_files_keep_to_the_budget_and_get_large_pieces(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A disk that is slow to be asked must not be asked for crumbs: there are 60 MiB."""
    jobs: list[int] = []

    def noted(job: Job) -> bool:
        jobs.append(0 if job.block is None else job.block.size)
        return write(job)

    write = commit._write
    monkeypatch.setattr(commit, "_write", noted)
    peak, store = Peak(monkeypatch), aiodicom.FileStorage(tmp_path, durability="none")
    async with serving(store=store, limits=LIMITS) as server, senders(server) as peers:
        assert await all_send(peers) == [Status.SUCCESS] * SENDERS
    assert peak.pool <= LIMITS.buffered_bytes + SENDERS * SHORT_READ
    assert sum(jobs) / len(jobs) > 128 << 10


async def test_nobody_is_far_behind() -> None:
    """When half of them have finished, a third at least has come of each other's object."""
    arriving: list[DatasetStream] = []
    come: list[int] = []

    async def slow(request: StoreRequest) -> int:
        arriving.append(request.dataset)
        while (block := await request.dataset.block(MIB)) is not None:
            with block:
                await asyncio.sleep(0.001)
        if sum(dataset.complete for dataset in arriving) <= SENDERS // 2:
            come[:] = [dataset.size for dataset in arriving]
        return Status.SUCCESS

    large = command_pdu(store_command(UID)) + dataset_pdus(ct_dataset(UID, bytes(3 * MIB)))
    async with serving(store=slow, limits=LIMITS) as server, senders(server) as peers:
        assert await all_send(peers, large) == [Status.SUCCESS] * SENDERS
    assert len(come) == SENDERS
    assert min(come) >= MIB


async def test_who_comes_while_all_memory_is_with_stuck_handlers_is_served() -> None:
    gate = Gate()

    async def handler(request: StoreRequest) -> int:
        if request.association.called_ae_title == "STUCK":
            return await gate(request)
        async for _ in request.dataset:
            pass
        return Status.SUCCESS

    async with (
        serving(store=handler, limits=LIMITS) as server,
        senders(server, called="STUCK") as stuck,
        Peer(server.port) as late,
    ):
        sending = [asyncio.ensure_future(peer.send(OBJECT)) for peer in stuck]
        await happens(gate.entered)
        await asyncio.wait(sending, timeout=0.3)
        assert not pool_of(server).has_room
        await late.associate()
        async with asyncio.timeout(10):
            assert await late.store("1.2.4", ct_dataset("1.2.4", bytes(MIB))) == Status.SUCCESS
        gate.opened.set()
        assert [await peer.status() for peer in stuck] == [Status.SUCCESS] * SENDERS
        await asyncio.gather(*sending)


async def test_who_has_waited_goes_on_with_a_slab() -> None:
    gate = Gate()
    async with serving(store=gate, limits=LIMITS) as server, Peer(server.port) as peer:
        pool = pool_of(server)
        other = Account(pool, Holder(), 1 << 30)
        other.count(3 * MIB)
        await peer.associate()
        await peer.send(OBJECT[: MIB // 2])
        for _ in tries("it does not wait"):
            await asyncio.sleep(0)
            if pool.waiting:
                break
        assert not pool.filling
        other.give(3 * MIB)
        assert len(pool.filling) == 1


async def test_what_a_thread_forgets_goes_back_in_the_thread_of_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[int] = []

    def noted(self: Account, count: int) -> None:
        threads.append(threading.get_ident())
        give(self, count)

    async def forgetful(request: StoreRequest) -> int:
        blocks = [await request.dataset.block()]
        await asyncio.to_thread(blocks.clear)
        return Status.SUCCESS

    give = Account.give
    monkeypatch.setattr(Account, "give", noted)
    async with serving(store=forgetful) as server, Peer(server.port) as peer:
        await peer.associate()
        assert await peer.store(UID, ct_dataset(UID)) == Status.SUCCESS
    assert threads == [threading.get_ident()]


def known_messages() -> set[int]:
    return {id(each) for each in gc.get_objects() if isinstance(each, Message)}


async def test_who_is_idle_holds_no_message() -> None:
    gc.collect()
    before = known_messages()
    async with serving() as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.echo()
        await peer.echo()
        assert not known_messages() - before


async def test_half_sent_proposals_count_and_go_with_their_connections() -> None:
    part = b"\x01\0" + (1 << 18).to_bytes(4, "big") + bytes(100_000)
    async with serving(limits=LIMITS) as server:
        async with contextlib.AsyncExitStack() as stack:
            peers = [await stack.enter_async_context(Peer(server.port)) for _ in range(20)]
            for peer in peers:
                await peer.send(part)
            for _ in tries("they are not counted"):
                await asyncio.sleep(0)
                if pool_of(server).held >= 20 * 90_000:
                    break
        for _ in tries("they have not gone"):
            await asyncio.sleep(0)
            if not pool_of(server).held:
                break


# Idle, and bursts --------------------------------------------------------------------------------


@pytest.fixture
def open_files() -> Iterator[None]:
    """Let this process have as many files open as it may, for a while."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    raise_open_files_limit()
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def associated(receiver: Receiver, count: int, stack: contextlib.ExitStack) -> None:
    """Open associations: all connect and ask before the first of them is answered."""
    opened = [stack.enter_context(Sender(receiver.port)) for _ in range(count)]
    for sender in opened:
        sender.send(association_request())
    for sender in opened:
        assert encode_pdu(sender.receive())[0] == 2


@pytest.mark.usefixtures("open_files")
def test_an_idle_association_costs_at_most_6_kb(tmp_path: Path) -> None:
    with receiving("storescp", folder=tmp_path) as receiver, contextlib.ExitStack() as stack:
        associated(receiver, 10, stack)
        before = receiver.memory("VmRSS")
        associated(receiver, 1000, stack)
        assert (receiver.memory("VmRSS") - before) / 1000 <= 6 << 10


@pytest.mark.usefixtures("open_files")
def test_a_burst_of_connections_is_served(tmp_path: Path) -> None:
    with receiving("storescp", folder=tmp_path) as receiver, contextlib.ExitStack() as stack:
        receiver.process.send_signal(signal.SIGSTOP)  # all of them wait to be accepted
        opened = [stack.enter_context(Sender(receiver.port)) for _ in range(1000)]
        for sender in opened:
            sender.send(association_request())
        receiver.process.send_signal(signal.SIGCONT)
        for sender in opened:
            assert encode_pdu(sender.receive())[0] == 2


def test_run_may_have_as_many_open_files_as_the_system_allows() -> None:
    port = free_port()
    program = f"import aiodicom; aiodicom.run(host='127.0.0.1', port={port})"
    prefix = ("prlimit", "--nofile=256:4096")
    with subprocess.Popen((*prefix, sys.executable, "-c", program)) as process:
        try:
            for _ in tries("it does not listen"):
                with contextlib.suppress(OSError), Sender(port):
                    break
            limits = Path(f"/proc/{process.pid}/limits").read_text().splitlines()
        finally:
            process.kill()
    line = next(line for line in limits if line.startswith("Max open files"))
    assert line.split()[3:5] == ["4096", "4096"]
