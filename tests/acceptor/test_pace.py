"""Senders that are slow, in a loop whose time passes by itself: minutes in a moment."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from aiodicom import Limits, Refused, Status, StoreRequest, Timeouts
from aiodicom.acceptor.association import Service
from aiodicom.acceptor.protocol import AcceptorConnection, Surroundings
from aiodicom.wire.buffers import Pool
from aiodicom.wire.dimse import CommandSet
from aiodicom.wire.negotiation import make_policy
from aiodicom.wire.pdu import Abort, AssociateAccept, DataTransfer, ReleaseRequest, encode_pdu
from tests.peer import (
    ECHO_CONTEXT,
    Peer,
    association_request,
    command_pdu,
    ct_dataset,
    dataset_pdus,
    echo_command,
    fragment,
    store_command,
    store_pdus,
)
from tests.serving import MIB, discard, empty, serving
from tests.timeless import TimelessLoop, Wire

ECHO = command_pdu(echo_command(), ECHO_CONTEXT)
LONG_ECHO = CommandSet({**echo_command().elements, 0x00090010: bytes(400)})
OBJECT = store_pdus("1.2.3", ct_dataset("1.2.3", bytes(300)))
LARGE = store_pdus("1.2.3", bytes(20_000))


class Sender:
    """One association, whose peer sends when it is told to."""

    def __init__(
        self,
        store: Callable[[StoreRequest], Awaitable[int]] = discard,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.gone = asyncio.Event()
        self.pool = Pool()
        service = Service(make_policy(), store)
        around = Surroundings(
            self.loop, self.pool, service, limits or Limits(), timeouts or Timeouts(),
            lambda _: None, lambda _: self.gone.set(),
        )  # fmt: skip
        self.connection = AcceptorConnection(around, 1)
        chance = random.Random(1)
        self.wire = Wire(self.loop, self.connection, association_request(), b"", chance)

    @property
    def is_aborted(self) -> bool:
        return any(isinstance(answer, Abort) for answer in self.wire.answers)

    @property
    def statuses(self) -> int:
        return sum(isinstance(answer, DataTransfer) for answer in self.wire.answers)

    async def associated(self) -> None:
        while not self.wire.answers:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert isinstance(self.wire.answers[0], AssociateAccept)

    async def send(self, data: bytes, size: int = 1, pause: float = 1) -> float:
        """Send so many bytes at a time; return after how many seconds that has ended."""
        await self.associated()
        began, rest = self.loop.time(), memoryview(data)
        while rest and not self.is_aborted:
            while self.wire._is_paused:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            buffer = self.connection.get_buffer(-1)
            count = min(len(buffer), len(rest), size)
            buffer[:count] = rest[:count]
            del buffer
            self.connection.buffer_updated(count)
            rest = rest[count:]
            await asyncio.sleep(pause)
        return self.loop.time() - began

    async def close(self) -> None:
        if not self.is_aborted:
            self.connection.abort()
        self.wire.close()
        await self.gone.wait()


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def working() -> None:
        await work()

    with asyncio.Runner(loop_factory=TimelessLoop) as runner:
        runner.run(working())


TRICKLES = {
    "a command": command_pdu(LONG_ECHO, ECHO_CONTEXT),
    "a dataset": OBJECT,
    "fragments of a byte": command_pdu(store_command("1.2.3")) + fragment(b"a") * 60,
}


@pytest.mark.parametrize("data", TRICKLES.values(), ids=TRICKLES.keys())
@pytest.mark.parametrize("network", [60, 3600, None])
def test_a_byte_a_second_is_aborted_in_two_minutes(data: bytes, network: float | None) -> None:
    async def work() -> None:
        sender = Sender(timeouts=Timeouts(network=network))
        assert await sender.send(data) < 2 * 60 + 2
        assert sender.wire.answers[-1] == Abort(2, 0)  # no reason of table 9-26 is slowness
        await sender.close()

    run(work)


def test_a_byte_at_a_time_is_no_way_around_the_deadline_for_a_request() -> None:
    async def work() -> None:
        sender = Sender()
        sender.wire.pause_reading()  # the request, which is sent here
        request, timeouts = encode_pdu(association_request()), Timeouts()
        assert timeouts.association is not None
        for byte in request:
            if sender.wire.is_closing():
                break
            sender.connection.get_buffer(-1)[:1] = bytes((byte,))
            sender.connection.buffer_updated(1)
            await asyncio.sleep(1)
        assert timeouts.association <= sender.loop.time() < timeouts.association + 3
        await sender.gone.wait()

    run(work)


@pytest.mark.parametrize("bits_per_second", [2400, 9600, 1_000_000])
def test_a_modem_is_served(bits_per_second: int) -> None:
    async def work() -> None:
        sender = Sender()
        await sender.send(LARGE, bits_per_second // 8 // 5, 0.2)
        assert not sender.is_aborted
        assert sender.statuses == 1
        await sender.close()

    run(work)


def test_a_fast_sender_that_pauses_for_most_of_a_minute_is_served() -> None:
    async def work() -> None:
        sender = Sender()
        await sender.send(LARGE * 5, 7000, 55)
        assert not sender.is_aborted
        assert sender.statuses == 5
        await sender.close()

    run(work)


def test_between_messages_nobody_is_in_a_hurry() -> None:
    """Small ones in two halves, so that one is under way whenever somebody looks."""

    async def work() -> None:
        sender = Sender()
        for _ in range(20):
            await sender.send(OBJECT, len(OBJECT) - 1, 35)
        assert not sender.is_aborted
        assert sender.statuses == 20
        await sender.close()

    run(work)


def test_an_echo_now_and_then_keeps_an_association() -> None:
    async def work() -> None:
        sender = Sender()
        for _ in range(20):
            await sender.send(ECHO, len(ECHO), 59)
        assert not sender.is_aborted
        await sender.close()

    run(work)


def test_who_is_kept_waiting_by_us_is_not_slow() -> None:
    opened = asyncio.Event()

    async def slow(request: StoreRequest) -> int:
        await asyncio.sleep(600)
        request.dataset.discard()
        opened.set()
        return Status.SUCCESS

    async def work() -> None:
        sender = Sender(slow, Limits(association_bytes=MIB))
        await sender.send(store_pdus("1.2.3", bytes(3 * MIB)), 1 << 16, 0.1)
        assert opened.is_set()
        assert not sender.is_aborted
        assert sender.statuses == 1
        await sender.close()

    run(work)


def test_a_pause_of_ours_is_not_held_against_a_sender_that_goes_on_after_it() -> None:
    """It is measured from the 30th second on, and not read from between the 37th and the 88th."""

    async def late(request: StoreRequest) -> int:
        await asyncio.sleep(88)
        await request.dataset.read()
        return Status.SUCCESS

    async def work() -> None:
        sender = Sender(late, Limits(association_bytes=5500))
        began = sender.loop.time()
        await sender.send(LARGE, 150)
        assert sender.loop.time() - began > 20_000 / 150 + 40
        assert not sender.is_aborted
        await sender.close()

    run(work)


def test_half_a_command_that_was_on_its_way_when_we_paused_is_not_waited_for() -> None:
    async def work() -> None:
        sender = Sender()
        await sender.associated()
        sender.connection.crowded(True)
        sender.connection.get_buffer(-1)[:10] = ECHO[:10]
        sender.connection.buffer_updated(10)
        await asyncio.sleep(600)
        assert sender.wire._is_paused
        assert not sender.is_aborted
        sender.connection.crowded(False)
        await sender.send(ECHO[10:], len(ECHO))
        assert sender.statuses == 1
        await sender.close()

    run(work)


def test_what_is_dropped_may_not_trickle_either() -> None:
    async def refuses(request: StoreRequest) -> int:
        raise Refused(Status.NOT_AUTHORIZED)

    async def work() -> None:
        sender = Sender(refuses)
        await sender.send(command_pdu(store_command("1.2.3")), 1000)
        assert sender.statuses == 1
        assert await sender.send(dataset_pdus(bytes(300))) < 2 * 60 + 2
        assert sender.is_aborted
        await sender.close()

    run(work)


def test_without_a_rate_a_sender_may_trickle() -> None:
    async def work() -> None:
        sender = Sender(limits=Limits(least_rate=None), timeouts=Timeouts(network=None))
        await sender.send(OBJECT)
        assert not sender.is_aborted
        assert sender.statuses == 1
        await sender.close()

    run(work)


def test_a_rate_of_one_s_own() -> None:
    async def work() -> None:
        sender = Sender(limits=Limits(least_rate=1000), timeouts=Timeouts(rate=10))
        assert 10 <= await sender.send(LARGE, 900) <= 22
        assert sender.is_aborted
        await sender.close()

    run(work)


def test_a_release_is_no_message_that_is_measured() -> None:
    async def work() -> None:
        sender = Sender()
        await sender.send(OBJECT, 1000)
        await sender.send(encode_pdu(ReleaseRequest()), 9, 50)
        assert not sender.is_aborted
        sender.wire.close()
        await sender.gone.wait()

    run(work)


async def test_who_is_too_slow_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    timeouts = Timeouts(closing=1, rate=0.1)
    async with serving(store=discard, timeouts=timeouts) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3")
        assert await peer.receive() == Abort(2, 0)
        await peer.half_close()
        await empty(server)
    assert "Association Aborted: the peer sends too slowly" in caplog.text
