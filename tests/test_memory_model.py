"""Memory that is too small, by chance: nobody waits for ever, and nothing stays counted."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable

import pytest

import aiodicom
from aiodicom import Status, StoreRequest
from aiodicom.acceptor.association import Service
from aiodicom.acceptor.protocol import AcceptorConnection, Surroundings
from aiodicom.wire.buffers import Pool
from aiodicom.wire.items import AsynchronousOperationsWindow
from aiodicom.wire.negotiation import make_policy
from aiodicom.wire.pdu import DataTransfer, ReleaseRequest, encode_pdu
from aiodicom.wire.upper_layer import SHORT_READ
from tests.peer import association_request, command_pdu, ct_dataset, dataset_pdus, store_command
from tests.serving import Peak
from tests.timeless import TimelessLoop, Wire

SLAB = 1 << 17
SIZES = (100, 5_000, 70_000, SLAB, 3 * SLAB)
OBJECTS = 3
NAPS = (0.0, 0.0, 0.01, 0.5)
VANISHES, STALLS, STUCK, HONEST = range(4)


async def comes(is_so: Callable[[], bool]) -> None:
    """Wait for what is bound to come, in the loop's own time."""
    async with asyncio.timeout(600):
        for _ in itertools.count():
            if is_so():
                break
            await asyncio.sleep(0.1)


class Model:
    """Some senders, a handler of whims, and a pool that is too small for them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seed: int) -> None:
        self.chance = chance = random.Random(seed)
        self.pool = Pool(SLAB * chance.choice((2, 3, 8)), SLAB, 2, loop.call_later)
        self.sent: dict[str, bytes] = {}
        self.damaged: list[str] = []
        self.gone: set[AcceptorConnection] = set()
        self.wires: list[tuple[int, Wire, AcceptorConnection]] = []
        window = chance.choice((1, 4))
        limit = chance.choice((1, SLAB - 1, SLAB, SLAB + 5_000, 2 * SLAB, 4 * SLAB))
        around = Surroundings(
            loop, self.pool, Service(make_policy(window=window), self.store),
            aiodicom.Limits(association_bytes=limit), aiodicom.Timeouts(network=None),
            lambda _: None, self.gone.add,
        )  # fmt: skip
        request = association_request(more=[AsynchronousOperationsWindow(window, 1)])
        for number in range(chance.choice((1, 3, 8))):
            kind = (
                chance.choice((VANISHES, STALLS, STUCK, HONEST, HONEST, HONEST))
                if number
                else HONEST
            )
            data = self._messages(number)
            end = chance.randrange(len(data)) if kind in (VANISHES, STALLS) else None
            connection = AcceptorConnection(around, number if kind != STUCK else -1)
            wire = Wire(loop, connection, request, data, chance, end, kind == VANISHES)
            self.wires.append((kind, wire, connection))

    def _messages(self, number: int) -> bytes:
        data = b""
        for each in range(OBJECTS):
            uid = f"1.2.{number}.{each}"
            pixels = self.chance.randbytes(self.chance.choice(SIZES))
            self.sent[uid] = ct_dataset(uid, pixels)
            data += command_pdu(store_command(uid, each)) + dataset_pdus(self.sent[uid])
        return data + encode_pdu(ReleaseRequest())

    async def store(self, request: StoreRequest) -> int:
        chance, got = self.chance, bytearray()
        if request.association.number < 0:
            await asyncio.Event().wait()
        at_least = chance.choice((1, SLAB // 2, SLAB, 1 << 40))
        is_late, is_forgetful = chance.random() < 0.3, chance.random() < 0.1
        while (block := await request.dataset.block(at_least)) is not None:
            got += bytes(block)
            if is_late:  # somebody else has it
                asyncio.get_running_loop().call_later(chance.choice(NAPS), block.release)
            elif not is_forgetful:
                with block:
                    await asyncio.sleep(chance.choice(NAPS))
            del block
        if got != self.sent[request.sop_instance_uid]:
            self.damaged.append(request.sop_instance_uid)
        return Status.SUCCESS

    async def run(self) -> None:
        """Wait until all honest ones have their answers; then close what is left."""
        honest = [wire for kind, wire, _ in self.wires if kind == HONEST]
        await comes(lambda: all(len(wire.answers) == OBJECTS + 2 for wire in honest))
        for wire in honest:
            assert sum(isinstance(each, DataTransfer) for each in wire.answers) == OBJECTS
        for _, wire, connection in self.wires:
            connection.abort()
            wire.close()
        await comes(lambda: len(self.gone) == len(self.wires))
        await asyncio.sleep(max(NAPS))


@pytest.mark.parametrize("seed", range(60))
def test_who_waits_goes_on_and_nothing_stays_counted(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    peak = Peak(monkeypatch)
    with asyncio.Runner(loop_factory=TimelessLoop) as runner:
        model = Model(runner.get_loop(), seed)
        runner.run(model.run())
    assert not model.damaged
    assert (model.pool.held, len(model.pool.waiting), len(model.pool.filling)) == (0, 0, 0)
    assert peak.pool <= model.pool.budget + len(model.wires) * 2 * SHORT_READ
