"""The connection: how it ends, flow control, and deadlines."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import pytest

import aiodicom
from aiodicom import EchoRequest, Status, StoreRequest, Timeouts
from aiodicom.acceptor.protocol import AcceptorConnection
from aiodicom.wire.dimse import CommandField, CommandSet
from aiodicom.wire.negotiation import VERIFICATION
from aiodicom.wire.pdu import (
    Abort,
    ReleaseRequest,
    ReleaseResponse,
    encode_pdu,
)
from tests.peer import (
    ECHO_CONTEXT,
    PATIENCE,
    Peer,
    association_request,
    command_pdu,
    dataset_pdus,
    echo_command,
    fragment,
    store_command,
    store_pdus,
)
from tests.serving import MIB, TIMEOUTS, Gate, Keeper, discard, empty, happens, serving

REQUEST = encode_pdu(association_request())

IN_FLIGHT = dataset_pdus(bytes(6 * MIB))
"""More than the kernel keeps for a server that does not read."""

GARBAGE = [
    b"GET / HTTP/1.1\r\nHost: dicom\r\n\r\n",
    bytes.fromhex("16030100c8010000c40303") + bytes(200),  # a TLS ClientHello begins like this
    bytes.fromhex("9ac4f0137be2d5a6081f"),
    b"\x01\0\xff\xff\xff\xff",
    b"\x01\0\0\0\0\x01\0",
    encode_pdu(ReleaseRequest()),
    store_pdus("1.2.3"),
]


async def nobody(info: aiodicom.AssociationInfo) -> None:
    """An authorize hook that lets nobody in."""
    raise aiodicom.AssociationRejected


async def send_without_end(peer: Peer, data: bytes) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            await peer.send(data)


# Endings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", GARBAGE, ids=range(len(GARBAGE)))
async def test_what_is_no_association_is_aborted(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(store=discard) as server, Peer(server.port) as peer:
        await peer.send(data)
        assert (await peer.aborted()).source == 0  # PS3.8 table 9-10, AA-1
        await peer.half_close()
        assert await peer.closed()
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


async def test_a_peer_that_sends_on_hears_its_rejection() -> None:
    """Whoever closes a socket with bytes unread resets the connection, and its answer is lost."""
    async with serving(authorize=nobody) as server, Peer(server.port) as peer:
        assert await peer.rejected() == (1, 1, 1)
        await peer.sends_on_in_vain(IN_FLIGHT)


async def test_a_peer_that_sends_on_hears_its_abort() -> None:
    async with serving(store=discard) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(fragment(b"no command announced it") + IN_FLIGHT)
        assert await peer.receive() == Abort(2, 6)
        await peer.sends_on_in_vain(IN_FLIGHT)


async def test_a_peer_that_sends_on_hears_its_release() -> None:
    async with serving(store=discard) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.release()
        await peer.sends_on_in_vain(IN_FLIGHT)


async def test_a_peer_that_never_closes_is_closed() -> None:
    timeouts = Timeouts(closing=0.2)
    async with serving(timeouts=timeouts) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.release()
        async with asyncio.timeout(5):
            assert await peer.closed()
        await empty(server)


async def test_a_peer_that_sends_for_ever_after_the_end_is_closed() -> None:
    timeouts = Timeouts(closing=0.2)
    async with serving(timeouts=timeouts) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.release()
        with pytest.raises(ConnectionError):
            await send_without_end(peer, IN_FLIGHT[:100_000])


async def test_a_peer_that_half_closes_is_closed() -> None:
    async with serving() as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.half_close()
        assert await peer.closed()
        await empty(server)


async def test_a_peer_that_half_closes_behind_its_release_is_answered() -> None:
    async with serving() as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(ReleaseRequest())
        await peer.half_close()
        assert await peer.receive() == ReleaseResponse()
        assert await peer.closed()


async def test_probes_leave_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "aiodicom")
    async with serving() as server:
        for _ in range(500):
            async with Peer(server.port):
                pass
        await empty(server)
        assert not server._connections.opening
        async with Peer(server.port) as peer:
            await peer.associate()
            await peer.release()
            await peer.half_close()
            assert await peer.closed()
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


async def test_probes_that_reset_leave_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as server:
        for _ in range(100):
            async with Peer(server.port) as peer:
                peer.reset()
        await empty(server)
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


# Deadlines -----------------------------------------------------------------------------------


async def test_a_silent_connection_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    timeouts = Timeouts(association=0.2)
    async with serving(timeouts=timeouts) as server, Peer(server.port) as peer:
        assert await peer.closed()
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


async def test_a_byte_now_and_then_does_not_extend_the_association_deadline() -> None:
    timeouts = Timeouts(association=0.3)
    async with serving(timeouts=timeouts) as server, Peer(server.port) as peer:
        sent = 0
        with contextlib.suppress(ConnectionError):
            while await peer.still_open(0.05):
                await peer.send(REQUEST[sent : sent + 1])
                sent += 1
        assert 1 < sent < 30


async def test_an_idle_association_is_aborted() -> None:
    timeouts = Timeouts(network=0.2, closing=0.2)
    async with serving(timeouts=timeouts) as server, Peer(server.port) as peer:
        await peer.associate()
        assert await peer.receive() == Abort(2, 0)
        assert await peer.closed()


async def test_the_idle_deadline_starts_anew_with_every_message() -> None:
    timeouts = Timeouts(network=0.3, closing=0.2)
    async with serving(timeouts=timeouts) as server, Peer(server.port) as peer:
        await peer.associate()
        for _ in range(10):
            assert await peer.hears_nothing(0.05)
            assert await peer.echo() == Status.SUCCESS
        await peer.aborted()


async def test_silence_between_two_fragments_is_aborted() -> None:
    keeper, timeouts = Keeper(), Timeouts(dimse=0.2)
    async with serving(store=keeper, timeouts=timeouts) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3")
        for _ in range(6):  # a slow sender is no silent one
            assert await peer.hears_nothing(0.05)
            await peer.send(fragment(b"part"))
        assert await peer.receive() == Abort(2, 0)
        assert isinstance(await keeper.outcome(), aiodicom.AssociationLost)


async def test_a_dimse_timeout_does_not_hold_between_messages() -> None:
    timeouts = Timeouts(dimse=0.1)
    async with serving(store=discard, timeouts=timeouts) as server, Peer(server.port) as peer:
        await peer.associate()
        assert await peer.store("1.2.3") == Status.SUCCESS
        assert await peer.hears_nothing(0.3)
        assert await peer.store("1.2.4") == Status.SUCCESS


async def test_silence_in_mid_command_is_aborted_as_an_idle_association_is() -> None:
    timeouts = Timeouts(network=0.2)
    async with serving(timeouts=timeouts) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(echo_command(), ECHO_CONTEXT)[:-1])
        await peer.aborted()


@pytest.mark.parametrize("size", [100, 12 * MIB], ids=["whole", "paused"])
async def test_no_deadline_runs_while_the_handler_is_slow(size: int) -> None:
    async def slow(request: StoreRequest) -> int:
        await asyncio.sleep(0.5)
        request.dataset.discard()
        return Status.SUCCESS

    limits = aiodicom.Limits(association_bytes=MIB)
    timeouts = Timeouts(dimse=0.1, network=0.1)
    async with (
        serving(store=slow, limits=limits, timeouts=timeouts) as server,
        Peer(server.port) as peer,
    ):
        await peer.associate()
        assert await peer.store("1.2.3", bytes(size)) == Status.SUCCESS


async def test_silence_after_we_paused_is_silence_all_the_same() -> None:
    """Messages that wait pause reading; the last one's dataset then never comes to its end."""

    async def slow(request: EchoRequest) -> int:
        await asyncio.sleep(0)
        return Status.SUCCESS

    keeper, timeouts = Keeper(), Timeouts(network=0.2)
    async with (
        serving(echo=slow, store=keeper, timeouts=timeouts) as server,
        Peer(server.port) as peer,
    ):
        await peer.associate()
        echoes = b"".join(command_pdu(echo_command(i), ECHO_CONTEXT) for i in range(40))
        store = command_pdu(store_command("1.2.3")) + fragment(b"a part")
        await peer.send(echoes + store)
        assert [await peer.status() for _ in range(40)] == [Status.SUCCESS] * 40
        assert isinstance(await keeper.outcome(), aiodicom.AssociationLost)
        await peer.aborted()


async def test_a_peer_that_goes_on_after_its_deadline_is_not_heard() -> None:
    keeper, timeouts = Keeper(), Timeouts(dimse=0.1)
    part = fragment(bytes(100), is_last=True)
    async with serving(store=keeper, timeouts=timeouts) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(store_command("1.2.3")) + part[:50])
        await peer.aborted()
        await peer.send(part[50:] + store_pdus("1.2.4"))
        await peer.half_close()
        assert await peer.closed()
    assert len(keeper.requests) == 1


async def test_a_peer_that_never_reads_its_responses_is_noticed() -> None:
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
    timeouts = Timeouts(network=0.3)
    async with (
        serving(echo=echo, timeouts=timeouts) as server,
        Peer(server.port, receive_buffer=4096) as peer,
    ):
        await peer.associate()
        with pytest.raises(ConnectionError):
            await send_without_end(peer, command_pdu(command, ECHO_CONTEXT))
        assert echoed < 1500  # 16 kB each: what the kernel keeps, and no more
        await empty(server)


async def test_a_peer_that_reads_its_responses_slowly_gets_them_all() -> None:
    command = CommandSet.build(
        CommandField.C_ECHO,
        affected_sop_class_uid=VERIFICATION,
        affected_sop_instance_uid="1" * 16000,
        message_id=1,
    )
    async with serving() as server, Peer(server.port, receive_buffer=4096) as peer:
        await peer.associate()
        messages = [command_pdu(command, ECHO_CONTEXT)] * 600
        sending = asyncio.ensure_future(peer.send(b"".join(messages)))
        await asyncio.wait([sending], timeout=0.1)
        assert [await peer.status() for _ in messages] == [Status.SUCCESS] * 600
        await sending
        await peer.release()


# Timers --------------------------------------------------------------------------------------


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The times that connections have asked their loops to be called at."""
    started: list[float] = []
    start = AcceptorConnection._start_timer

    def counted(connection: AcceptorConnection, due: float) -> None:
        started.append(due)
        start(connection, due)

    monkeypatch.setattr(AcceptorConnection, "_start_timer", counted)
    return started


async def test_a_busy_association_starts_no_timer_for_each_message(timers: list[float]) -> None:
    async with serving(store=discard) as server, Peer(server.port) as peer:
        await peer.associate()
        for number in range(100):
            assert await peer.echo(number) == Status.SUCCESS
            assert await peer.store("1.2.3") == Status.SUCCESS
        assert len(timers) <= 2


async def test_an_idle_association_wakes_up_for_its_deadline_only(
    timers: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(AcceptorConnection, "on_deadline", lambda self: calls.append(self))
    async with serving() as server, Peer(server.port) as peer:
        await peer.associate()
        before = len(timers)
        assert await peer.hears_nothing(0.5)
        assert len(timers) == before
        assert not calls
        assert timers[-1] - asyncio.get_running_loop().time() > TIMEOUTS.closing


async def test_no_timer_outlives_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as server, Peer(server.port) as peer:
        await peer.associate()
        connection = next(iter(server._connections.made))
        assert connection._timer is not None
        await peer.half_close()
        assert await peer.closed()
        await empty(server)
        assert connection._timer is None


async def test_a_peer_that_goes_while_it_is_paused_is_noticed_when_it_is_read_again() -> None:
    gate = Gate()
    async with serving(store=gate) as server, Peer(server.port) as peer:
        await peer.associate()
        sending = asyncio.ensure_future(peer.send(store_pdus("1.2.3", bytes(20 * MIB))))
        await happens(gate.entered)
        await asyncio.wait([sending], timeout=0.2)
        peer.cut()
        await sending
        gate.opened.set()
        assert isinstance(await gate.outcome(), aiodicom.AssociationLost)
        await empty(server)


# What one peer may ask of the loop -------------------------------------------------------------


async def test_an_abort_after_the_answer_to_a_release_closes_at_once() -> None:
    timeouts = Timeouts(closing=60)
    async with serving(timeouts=timeouts) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.release()
        await peer.abort()
        async with asyncio.timeout(5):
            assert await peer.closed()


async def test_a_conversation_with_a_full_inbox_lets_others_have_their_turn() -> None:
    turns = [0]

    async def echo(request: EchoRequest) -> int:
        if not turns[-1]:  # the first one since somebody else had a turn
            asyncio.get_running_loop().call_soon(turns.append, 0)
        turns[-1] += 1
        return Status.SUCCESS

    async with serving(echo=echo) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(echo_command(), ECHO_CONTEXT) * 700)
        for _ in range(700):
            assert await peer.status() == Status.SUCCESS
    assert sum(turns) == 700
    assert max(turns) <= 64
