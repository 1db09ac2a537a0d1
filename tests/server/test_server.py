"""Listening, accepting, stopping."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import inspect
import logging
import os
import resource
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import anyio
import pytest

import aiodicom
from aiodicom import AssociationRejected, Status, StoreRequest
from aiodicom.listening import _on
from aiodicom.wire.items import ProposedContext
from aiodicom.wire.negotiation import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from tests.peer import (
    CT,
    ECHO_CONTEXT,
    Peer,
    association_request,
    command_pdu,
    ct_dataset,
    echo_command,
    store_pdus,
)
from tests.serving import MIB, TIMEOUTS, Gate, Keeper, accept, discard, empty, happens, serving

JPEG = "1.2.840.10008.1.2.4.50"


class Service:
    """A handler that is a context manager as well."""

    def __init__(self, fails: BaseException | None = None) -> None:
        self.events: list[str] = []
        self._fails = fails

    async def __aenter__(self) -> Service:
        if self._fails is not None:
            raise self._fails
        self.events.append("entered")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.sleep(0)
        self.events.append("left")

    async def __call__(self, request: object) -> int:
        self.events.append("called")
        if isinstance(request, StoreRequest):
            request.dataset.discard()
        return Status.SUCCESS


def descriptors() -> list[str]:
    """What this process has open, but for the one that libuv keeps for when it may not open."""
    opened = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the one that listed them
            opened.append(os.readlink(f"/proc/self/fd/{number}"))
    return sorted(name for name in opened if name != "/dev/null")


def bound(host: str = "127.0.0.1") -> socket.socket:
    """A listening socket of somebody else's."""
    return socket.create_server((host, 0))


async def answers(host: str, port: int) -> bool:
    async with Peer(port, host) as peer:
        await peer.associate()
        return await peer.echo() == Status.SUCCESS


needs_ipv6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6")


# Listening -----------------------------------------------------------------------------------


async def test_echo_is_answered_without_a_handler() -> None:
    async with serving() as server, Peer(server.port) as peer:
        await peer.associate()
        assert await peer.echo() == Status.SUCCESS
        await peer.release()


async def test_store(tmp_path: Path) -> None:
    async with (
        serving(store=aiodicom.FileStorage(tmp_path)) as server,
        Peer(server.port) as peer,
    ):
        await peer.associate()
        assert await peer.store("1.2.3") == Status.SUCCESS
        await peer.release()
    assert (tmp_path / "CT.1.2.3").read_bytes().endswith(ct_dataset("1.2.3"))


@needs_ipv6
@pytest.mark.parametrize("host", [None, ""])
async def test_everywhere_is_one_port_for_ipv4_and_ipv6(host: str | None) -> None:
    async with serving(host=host) as server:
        assert {port for _, port in server.addresses} == {server.port}
        assert await answers("127.0.0.1", server.port)
        assert await answers("::1", server.port)


async def test_a_name_s_addresses_all_have_one_port() -> None:
    async with serving(host="localhost") as server:
        assert {port for _, port in server.addresses} == {server.port}
        for host, port in server.addresses:
            assert await answers(host, port)


@needs_ipv6
def test_one_port_0_for_all_addresses_is_one_port() -> None:
    addresses = [(socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_INET6, ("::1", 0, 0, 0))]
    listening = _on(addresses, 0)
    try:
        assert len({each.getsockname()[1] for each in listening}) == 1
    finally:
        for each in listening:
            each.close()


async def test_another_port_0_is_tried_where_the_first_was_half_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = 0

    def listen_on(addresses: Any, port: int) -> list[socket.socket]:
        nonlocal tried
        tried += 1
        if tried < 3:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return _on(addresses, port)

    monkeypatch.setattr("aiodicom.listening._on", listen_on)
    async with serving() as server:
        assert await answers("127.0.0.1", server.port)
    assert tried == 3


# What is agreed to -------------------------------------------------------------------------------


async def test_transfer_syntaxes_of_the_server_s_own_order() -> None:
    proposed = [
        ProposedContext.of(1, CT, JPEG, EXPLICIT_LITTLE, IMPLICIT_LITTLE),
        ProposedContext.of(3, CT, JPEG),
    ]
    async with (
        serving(store=discard, transfer_syntaxes=[IMPLICIT_LITTLE, EXPLICIT_LITTLE]) as server,
        Peer(server.port) as peer,
    ):
        accept = await peer.associate(association_request(proposed))
    first, second = accept.presentation_contexts
    assert (first.result, first.transfer_syntax) == (0, IMPLICIT_LITTLE)
    assert second.result == 4


async def test_contexts_that_the_server_lists_are_the_only_ones() -> None:
    keeper = Keeper()
    async with (
        serving(store=keeper, contexts={CT: [EXPLICIT_LITTLE]}) as server,
        Peer(server.port) as peer,
    ):
        accept = await peer.associate()
        assert [c.result for c in accept.presentation_contexts] == [3, 0, 4]
        assert await peer.store("1.2.3") == Status.SUCCESS


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"port": 65536}, "65536 is no TCP port"),
        ({"port": -1}, "-1 is no TCP port"),
        ({"maximum_length": 1000}, "a maximum length of 1000"),
        ({"window": 65536}, "a window of 65536"),
        ({"grace": -1}, "-1 s are no grace"),
        ({"contexts": {}, "transfer_syntaxes": []}, "give one of the two"),
        ({"transfer_syntaxes": EXPLICIT_LITTLE}, "must be a list"),
        ({"transfer_syntaxes": ["ExplicitVRLittleEndian"]}, "'ExplicitVRLittleEndian' is no UID"),
        ({"contexts": {CT: EXPLICIT_LITTLE}}, "must be a list"),
        ({"contexts": {CT: [""]}}, "'' is no UID"),
        ({"contexts": {"CTImageStorage": [EXPLICIT_LITTLE]}}, "'CTImageStorage' is no UID"),
        ({"ae_title": ""}, "no AE title"),
    ],
)
def test_a_setting_out_of_its_range_is_said_clearly(
    settings: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        aiodicom.serve(**settings)


def test_run_takes_what_serve_takes() -> None:
    assert inspect.signature(aiodicom.run).parameters == (
        inspect.signature(aiodicom.serve).parameters
    )
    with pytest.raises(ValueError, match="no TCP port"):
        aiodicom.run(port=65536)


# Addresses and starts ----------------------------------------------------------------------------


async def test_a_mapped_address_is_logged_as_what_it_is() -> None:
    keeper = Keeper()
    async with serving(host=None, store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        assert await peer.store("1.2.3") == Status.SUCCESS
    assert keeper.requests[0].association.address == "127.0.0.1"


async def test_the_port_is_known_afterwards() -> None:
    async with serving() as server:
        port = server.port
        assert server.addresses == [("127.0.0.1", port)]
    assert server.port == port != 0
    assert server.addresses == []


async def test_a_port_in_use_is_said_clearly() -> None:
    before = descriptors()
    with bound() as other:
        port = other.getsockname()[1]
        service = Service()
        with pytest.raises(OSError, match=rf"port {port} of 127.0.0.1.*in use") as raised:
            async with aiodicom.serve(store=service, host="127.0.0.1", port=port):
                pass
        assert raised.value.errno == errno.EADDRINUSE
    assert service.events == ["entered", "left"]
    assert descriptors() == before


async def test_a_name_that_has_no_address_is_said_clearly() -> None:
    with pytest.raises(OSError, match=r"port 0 of nowhere\.invalid"):
        async with aiodicom.serve(host="nowhere.invalid", port=0):
            pass


async def test_two_servers_in_one_loop() -> None:
    one, two = Keeper(), Keeper()
    async with (
        serving(store=one) as first,
        serving(store=two) as second,
        Peer(first.port) as peer,
        Peer(second.port) as other,
    ):
        await peer.associate()
        await other.associate()
        assert await peer.store("1.2.1") == Status.SUCCESS
        assert await other.store("1.2.2") == Status.SUCCESS
        for gone, left in ((peer, first), (other, second)):
            await gone.half_close()
            await empty(left)
    assert [request.sop_instance_uid for request in one.requests] == ["1.2.1"]
    assert [request.sop_instance_uid for request in two.requests] == ["1.2.2"]


async def test_a_server_is_entered_once() -> None:
    async with serving() as server:
        with pytest.raises(RuntimeError, match="once"):
            await server.start()
        assert await answers("127.0.0.1", server.port)


async def test_the_names_of_the_debug_log_are_imported_by_another_thread(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    threads: list[threading.Thread] = []
    monkeypatch.setattr(
        "aiodicom.server.server.uid_name", lambda uid: threads.append(threading.current_thread())
    )
    async with serving():
        assert not threads
    caplog.set_level(logging.DEBUG, "aiodicom")
    async with serving():
        assert len(threads) == 1
        assert threads[0] is not threading.main_thread()


async def test_out_of_descriptors(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("aiodicom.server.accepting.RETRY", 0.05)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with serving() as server:
        spare = socket.socket()
        resource.setrlimit(resource.RLIMIT_NOFILE, (spare.fileno() + 1, hard))
        try:
            spare.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(spare, ("127.0.0.1", server.port))
            reader, writer = await asyncio.open_connection(sock=spare)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await reader.read()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert await answers("127.0.0.1", server.port)
        writer.close()
    said = [record for record in caplog.records if "Cannot accept" in record.msg]
    assert 1 <= len(said) < 10  # and no busy loop


# Handlers that are context managers ----------------------------------------------------------


async def test_handlers_are_entered_and_left() -> None:
    store, echo, authorize = Service(), Service(), Service()
    async with serving(store=store, echo=echo, authorize=authorize) as server:
        assert store.events == echo.events == authorize.events == ["entered"]
        async with Peer(server.port) as peer:
            await peer.associate()
            await peer.echo()
            await peer.store("1.2.3")
    assert store.events == echo.events == authorize.events == ["entered", "called", "left"]


async def test_one_handler_with_two_parts_is_entered_once() -> None:
    service = Service()
    async with serving(store=service, echo=service):
        pass
    assert service.events == ["entered", "left"]


@pytest.mark.parametrize("error", [OSError("no disk"), ValueError("a bug")], ids=repr)
async def test_a_handler_that_cannot_be_entered_leaves_the_others(error: Exception) -> None:
    before, store, echo = descriptors(), Service(), Service(error)
    with pytest.raises(type(error)):
        async with aiodicom.serve(store=store, echo=echo, port=0):
            pass
    assert store.events == ["entered", "left"]
    assert descriptors() == before


async def test_a_handler_is_left_after_the_last_store_has_ended() -> None:
    class Slow(Service):
        async def __call__(self, request: object) -> int:
            entered.set()
            await opened.wait()
            return await super().__call__(request)

    entered, opened, service = asyncio.Event(), asyncio.Event(), Slow()
    async with serving(store=service) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus("1.2.3"))
        await happens(entered)
        stopping = asyncio.ensure_future(server.stop())
        opened.set()
        assert await peer.status() == Status.SUCCESS
        await peer.aborted()
        await peer.half_close()
        await stopping
    assert service.events == ["entered", "called", "left"]


# Stopping ------------------------------------------------------------------------------------


async def test_a_running_store_ends_and_idle_associations_are_aborted() -> None:
    gate = Gate()
    async with (
        serving(store=gate) as server,
        Peer(server.port) as busy,
        Peer(server.port) as idle,
    ):
        await busy.associate()
        await idle.associate()
        await busy.begin_store("1.2.3", b"a part")
        await happens(gate.entered)
        stopping = asyncio.ensure_future(server.stop(grace=10))
        await idle.aborted()
        with pytest.raises(ConnectionRefusedError):
            await answers("127.0.0.1", server.port)
        gate.opened.set()
        await busy.finish_store(b" and the rest")
        assert await busy.status() == Status.SUCCESS
        await busy.aborted()
        for peer in (busy, idle):
            await peer.half_close()
        await stopping
    assert await gate.outcome() == b"a part and the rest"


async def test_after_its_grace_a_store_is_aborted_and_its_handler_cancelled() -> None:
    gate = Gate()
    async with serving(store=gate) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus("1.2.3") + store_pdus("1.2.4") + store_pdus("1.2.5"))
        await happens(gate.entered)
        stopping = asyncio.ensure_future(server.stop(grace=0.1))
        await peer.aborted()
        assert gate.cancelled
        await peer.half_close()
        await stopping


async def test_a_store_in_mid_dataset_is_aborted_after_its_grace() -> None:
    keeper = Keeper()
    async with serving(store=keeper) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"a part")
        await happens(keeper.entered)
        stopping = asyncio.ensure_future(server.stop(grace=0))
        await peer.aborted()
        await peer.finish_store(b"it was on its way")
        await peer.half_close()
        assert await peer.closed()
        await stopping


async def test_a_paused_sender_is_read_again_to_hear_its_abort() -> None:
    gate = Gate()
    async with serving(store=gate) as server, Peer(server.port) as peer:
        await peer.associate()
        sending = asyncio.ensure_future(peer.send(store_pdus("1.2.3", bytes(20 * MIB))))
        await happens(gate.entered)
        await asyncio.wait([sending], timeout=0.2)
        assert not sending.done()
        stopping = asyncio.ensure_future(server.stop(grace=0))
        async with asyncio.timeout(TIMEOUTS.closing):
            await sending
        await peer.aborted()
        await peer.half_close()
        assert await peer.closed()
        await stopping


async def test_a_crowd_of_messages_is_read_to_its_end_after_the_abort() -> None:
    gate, timeouts = Gate(), aiodicom.Timeouts(closing=60)
    async with (
        serving(store=gate, timeouts=timeouts) as server,
        Peer(server.port) as peer,
    ):
        await peer.associate()
        await peer.send(store_pdus("1.2.3"))
        await happens(gate.entered)
        await peer.send(command_pdu(echo_command(), ECHO_CONTEXT) * 3000)
        stopping = asyncio.ensure_future(server.stop(grace=0))
        await peer.aborted()
        await peer.half_close()
        assert await peer.closed()
        async with asyncio.timeout(5):
            await stopping


async def test_a_handler_whose_clean_up_fails_is_no_bug_of_ours() -> None:
    async def handler(request: StoreRequest) -> int:
        try:
            entered.set()
            await asyncio.Event().wait()
        finally:
            raise ValueError("while cleaning up")

    entered = asyncio.Event()
    async with serving(store=handler) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus("1.2.3"))
        await happens(entered)
        stopping = asyncio.ensure_future(server.stop(grace=0))
        await peer.aborted()
        await peer.half_close()
        await stopping


async def test_a_stop_does_not_wait_for_what_is_dropped() -> None:
    async def refuse(request: StoreRequest) -> int:
        return Status.OUT_OF_RESOURCES

    async with serving(store=refuse) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"a part")
        assert await peer.status() == Status.OUT_OF_RESOURCES
        stopping = asyncio.ensure_future(server.stop(grace=60))
        await asyncio.sleep(0)
        await peer.finish_store(b"")
        await peer.aborted()
        await peer.half_close()
        await stopping


async def test_connections_without_an_association_are_closed() -> None:
    async with (
        serving() as server,
        Peer(server.port) as silent,
        Peer(server.port) as half,
        Peer(server.port) as released,
    ):
        await half.send(b"\x01\0\0\0\1")
        await released.associate()
        await released.release()
        stopping = asyncio.ensure_future(server.stop())
        assert await silent.closed()
        assert await half.closed()
        await released.half_close()
        await stopping


async def test_an_authorize_hook_is_cancelled_after_the_grace() -> None:
    async def authorize(info: aiodicom.AssociationInfo) -> None:
        entered.set()
        await asyncio.Event().wait()

    entered = asyncio.Event()
    async with serving(authorize=authorize) as server, Peer(server.port) as peer:
        await peer.send(association_request())
        await happens(entered)
        stopping = asyncio.ensure_future(server.stop(grace=0))
        await peer.aborted()
        await peer.half_close()
        await stopping


async def test_a_peer_that_does_not_close_cannot_stop_the_stop() -> None:
    timeouts = aiodicom.Timeouts(closing=0.1)
    async with serving(timeouts=timeouts) as server, Peer(server.port) as peer:
        await peer.associate()
        async with asyncio.timeout(5):
            await server.stop()
        await peer.aborted()
        assert await peer.closed()


async def test_a_connection_that_is_being_opened_when_it_stops_is_closed() -> None:
    async with serving(grace=60) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            accept(server)
            async with asyncio.timeout(5):
                await server.stop()
            assert client.recv(1) == b""


async def test_a_second_stop_waits_for_the_first() -> None:
    gate = Gate()
    async with serving(store=gate) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus("1.2.3"))
        await happens(gate.entered)
        first = asyncio.ensure_future(server.stop(grace=10))
        await server.wait_stopped()
        second = asyncio.ensure_future(server.stop())
        await asyncio.wait([second], timeout=0.05)
        assert not second.done()  # else leaving the server would end the loop under the store
        gate.opened.set()
        assert await peer.status() == Status.SUCCESS
        await peer.aborted()
        await peer.half_close()
        await asyncio.gather(first, second)
        await server.stop()


async def test_a_stop_before_the_start_is_none() -> None:
    server = aiodicom.serve(port=0)
    await server.stop()
    assert server.addresses == []


async def test_a_server_in_a_cancelled_scope_leaves_nothing_behind() -> None:
    service, tasks, before = Service(), asyncio.all_tasks(), descriptors()
    with anyio.CancelScope() as scope:
        async with (
            aiodicom.serve(store=service, host="127.0.0.1", port=0) as server,
            Peer(server.port) as peer,
        ):
            await peer.associate()
            scope.cancel()
            await anyio.sleep_forever()
    assert service.events == ["entered", "left"]
    await empty(server)
    assert asyncio.all_tasks() == tasks
    assert descriptors() == before


async def test_an_exception_in_the_body_passes_and_everything_ends() -> None:
    service = Service()
    with pytest.raises(KeyError):
        async with aiodicom.serve(store=service, port=0, timeouts=TIMEOUTS):
            raise KeyError
    assert service.events == ["entered", "left"]


async def test_nothing_is_left_afterwards() -> None:
    for round_ in range(2):  # the first one makes what stays: threads that look names up
        before, threads = descriptors(), threading.active_count()
        async with serving(store=discard, host="localhost") as server:
            for _ in range(10):
                async with Peer(server.port, server.addresses[0][0]) as peer:
                    await peer.associate()
                    assert await peer.store("1.2.3") == Status.SUCCESS
        if round_:
            assert descriptors() == before
            assert threading.active_count() == threads


async def test_associating_and_leaving_a_hundred_times_leaves_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def nobody(info: aiodicom.AssociationInfo) -> None:
        if info.calling_ae_title == "NOBODY":
            raise AssociationRejected

    caplog.set_level(logging.CRITICAL, "aiodicom")
    async with serving(authorize=nobody) as server:
        before = descriptors()
        for _ in range(100):
            async with Peer(server.port) as peer:
                await peer.associate()
                await peer.abort()
            async with Peer(server.port) as peer:
                await peer.rejected(association_request(calling="NOBODY"))
            async with Peer(server.port) as peer:
                await peer.associate()
                await peer.release()
        await empty(server)
        assert descriptors() == before
