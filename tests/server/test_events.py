"""What watchers are told: each thing once, in order, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

import pytest

import aiodicom
from aiodicom import AbortAssociation, AssociationRejected, Limits, Refused, Status, StoreRequest
from aiodicom.events import (
    AssociationEnded,
    ConnectionRefused,
    Event,
    ProposalRejected,
    RequestBegun,
    RequestEnded,
    ServerListening,
    ServerStopping,
)
from aiodicom.wire.dimse import CommandField, CommandSet
from aiodicom.wire.items import AsynchronousOperationsWindow
from aiodicom.wire.pdu import ReleaseRequest
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
from tests.server.test_tls import acceptor
from tests.serving import Gate, Keeper, discard, empty, happens, serving, until
from tests.watched import Heard

WIDE = association_request(more=[AsynchronousOperationsWindow(8, 1)])
QUICK = aiodicom.Timeouts(association=0.1, network=0.1, closing=0.1)


def has_ended(server: aiodicom.Server) -> bool:
    """Whether the only association of a server knows of its end."""
    (connection,) = server._connections.made
    assert connection.association is not None
    return connection.association._end is not None


# One request -------------------------------------------------------------------------------------


async def test_an_association_with_one_object_and_one_echo() -> None:
    heard = Heard()
    async with serving(store=discard, watchers=[heard]) as server, Peer(server.port) as peer:
        await peer.associate()
        assert await peer.store("1.2.3") == Status.SUCCESS
        assert await peer.echo() == Status.SUCCESS
        await peer.release()
    assert heard.kinds == [
        "ServerListening",
        "AssociationAccepted",
        *("RequestBegun", "RequestEnded") * 2,
        "AssociationEnded",
        "ServerStopping",
    ]
    assert heard.connections() == 1


async def test_what_is_told_of_an_object() -> None:
    heard, data = Heard(), ct_dataset("1.2.3")
    async with serving(store=discard, watchers=[heard]) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.store("1.2.3", data, message_id=7)
    ended = heard.one(RequestEnded)
    request = ended.request
    assert request is heard.one(RequestBegun)
    assert (request.operation, request.message_id) == ("C-STORE-RQ", 7)
    assert (request.sop_class_uid, request.sop_instance_uid) == (CT, "1.2.3")
    assert request.size == len(data)
    assert (ended.status, ended.comment, ended.answered) == (0, "", True)
    assert ended.settled is not None
    assert 0 <= ended.settled <= ended.seconds
    assert request.association.calling_ae_title == "PEER"


async def test_where_a_server_listens() -> None:
    heard = Heard()
    async with serving(watchers=[heard]) as server:
        listening = heard.one(ServerListening)
        assert listening.addresses == (("127.0.0.1", server.port),)
        assert not heard.all(ServerStopping)
    heard.one(ServerStopping)


async def test_an_end_is_told_after_the_answer_was_written() -> None:
    written: list[int] = []

    def watch(event: Event) -> None:
        if isinstance(event, RequestEnded):
            (connection,) = server._connections.made
            written.append(len(connection._upper.data_to_send()))

    async with serving(store=discard, watchers=[watch]) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.store("1.2.3")
    assert written == [0]


async def test_a_request_has_begun_before_its_dataset_has_come() -> None:
    heard = Heard()
    async with serving(store=Keeper(), watchers=[heard]) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"abcd")
        (begun,) = await heard.until(RequestBegun)
        await until(lambda: begun.size == 4)
        assert not heard.all(RequestEnded)
        await peer.finish_store(b"ef")
        assert await peer.status() == Status.SUCCESS
        assert begun.size == 6


async def test_a_request_that_waits_for_its_turn_has_begun() -> None:
    gate, heard = Gate(), Heard()
    async with serving(store=gate, watchers=[heard]) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus("1.2.3") + store_pdus("1.2.4", message_id=2))
        await heard.until(RequestBegun, 2)
        assert not heard.all(RequestEnded)
        gate.opened.set()
        assert [await peer.status(), await peer.status()] == [0, 0]
    assert heard.connections() == 1


async def test_what_an_object_waits_for_after_its_last_fragment() -> None:
    gate, heard = Gate(), Heard()
    async with serving(store=gate, watchers=[heard]) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"ab")
        await happens(gate.entered)
        await asyncio.sleep(0.05)  # that its sender is slow is not counted
        await peer.finish_store(b"cd")
        gate.opened.set()
        await peer.status()
    ended = heard.one(RequestEnded)
    assert ended.settled is not None
    assert ended.seconds - ended.settled >= 0.045


async def test_an_early_refusal_has_no_settled_time_and_ends_once() -> None:
    async def refuses(request: StoreRequest) -> int:
        raise Refused(Status.OUT_OF_RESOURCES, "no room")

    heard = Heard()
    async with serving(store=refuses, watchers=[heard]) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"abcd")
        assert await peer.status() == Status.OUT_OF_RESOURCES
        await peer.finish_store(b"ef")
        assert await peer.echo(2) == Status.SUCCESS
    ended, _ = heard.all(RequestEnded)
    assert (ended.status, ended.comment, ended.settled) == (0xA700, "no room", None)
    assert heard.connections() == 1


async def test_a_handler_that_fails() -> None:
    async def fails(request: StoreRequest) -> int:
        raise RuntimeError("CANARY")

    heard = Heard()
    async with serving(store=fails, watchers=[heard]) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.store("1.2.3")
    ended = heard.one(RequestEnded)
    assert (ended.status, ended.comment) == (Status.UNABLE_TO_PROCESS, "the handler failed")


async def test_an_operation_that_is_not_served() -> None:
    heard = Heard()
    find = CommandSet.build(CommandField.C_FIND, affected_sop_class_uid=CT, message_id=1)
    async with serving(store=discard, watchers=[heard]) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(find))
        assert await peer.status() == Status.UNRECOGNIZED_OPERATION
    ended = heard.one(RequestEnded)
    assert (ended.status, ended.request.operation) == (0x0211, "C-FIND-RQ")


async def test_what_is_no_request_is_not_told() -> None:
    heard = Heard()
    cancel = CommandSet.build(CommandField.C_CANCEL, message_id=1)
    response = CommandSet.build(CommandField.C_ECHO | 0x8000, message_id=1, status=0)
    async with serving(watchers=[heard]) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(cancel, ECHO_CONTEXT) + command_pdu(response, ECHO_CONTEXT))
        await peer.echo()
    assert heard.one(RequestBegun).operation == "C-ECHO-RQ"
    assert heard.connections() == 1


# Requests that are not answered ------------------------------------------------------------------


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("way", ["abort", "cut", "violation"])
async def test_an_object_that_breaks_off(way: str, wide: bool) -> None:
    heard, keeper = Heard(), Keeper()
    settings = {"window": 8} if wide else {}
    async with serving(store=keeper, watchers=[heard], **settings) as server:
        async with Peer(server.port) as peer:
            await peer.associate(WIDE if wide else None)
            await peer.begin_store("1.2.3", b"abcd")
            await happens(keeper.entered)
            await {"abort": peer.abort, "cut": _cut(peer), "violation": _violation(peer)}[way]()
        await heard.until(AssociationEnded)
    ended = heard.one(RequestEnded)
    assert (ended.status, ended.answered, ended.settled) == (None, False, None)
    how = {"abort": "aborted", "cut": "lost", "violation": "violated"}[way]
    assert heard.one(AssociationEnded).how == how
    assert heard.connections() == 1


def _cut(peer: Peer) -> Callable[[], Awaitable[None]]:
    async def cut() -> None:
        peer.cut()

    return cut


def _violation(peer: Peer) -> Callable[[], Awaitable[None]]:
    async def violate() -> None:
        await peer.send(b"\xff\0\0\0\0\0")

    return violate


async def test_an_object_that_was_stored_for_nobody() -> None:
    gate, heard = Gate(), Heard()
    async with serving(store=gate, watchers=[heard]) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus("1.2.3"))
        await happens(gate.entered)
        await peer.abort()
        await until(lambda: has_ended(server))
        assert not heard.all(AssociationEnded)
        gate.opened.set()
        await heard.until(AssociationEnded)
    ended = heard.one(RequestEnded)
    assert (ended.status, ended.answered) == (Status.SUCCESS, False)
    assert ended.settled is not None


async def test_requests_that_nobody_came_to() -> None:
    async def aborts(request: StoreRequest) -> int:
        raise AbortAssociation("enough")

    heard = Heard()
    async with serving(store=aborts, watchers=[heard]) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(store_pdus("1.2.3") + store_pdus("1.2.4", message_id=2))
        await peer.aborted()
        await heard.until(AssociationEnded)
    assert [(e.status, e.comment) for e in heard.all(RequestEnded)] == [(None, "enough")] * 2
    end = heard.one(AssociationEnded)
    assert (end.how, end.text) == ("handler", "enough")
    assert heard.connections() == 1


async def test_a_message_that_cannot_be_answered() -> None:
    heard = Heard()
    nameless = CommandSet.build(CommandField.C_ECHO, affected_sop_class_uid="1.2.840.10008.1.1")
    async with serving(watchers=[heard]) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(nameless, ECHO_CONTEXT))
        await peer.aborted()
    assert not heard.all(RequestBegun)
    assert heard.one(AssociationEnded).how == "violated"


async def test_a_release_in_the_middle_of_a_dataset() -> None:
    heard, keeper = Heard(), Keeper()
    async with serving(store=keeper, watchers=[heard]) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"abcd")
        await happens(keeper.entered)
        await peer.send(ReleaseRequest())
        assert await peer.status() == Status.UNABLE_TO_PROCESS
    assert heard.one(RequestEnded).status == Status.UNABLE_TO_PROCESS
    assert heard.one(AssociationEnded).how == "released"


@pytest.mark.parametrize("wide", [False, True])
async def test_a_handler_that_is_cancelled_at_the_stop(wide: bool) -> None:
    gate, heard = Gate(), Heard()
    window = 8 if wide else 1
    async with (
        serving(store=gate, watchers=[heard], grace=0, window=window) as server,
        Peer(server.port) as peer,
    ):
        await peer.associate(WIDE if wide else None)
        await peer.send(store_pdus("1.2.3") + store_pdus("1.2.4", message_id=2))
        await happens(gate.entered)
        stopping = asyncio.ensure_future(server.stop())
        await peer.aborted()
        await peer.half_close()
        await stopping
    assert gate.cancelled
    assert [event.status for event in heard.all(RequestEnded)] == [None, None]
    assert heard.one(AssociationEnded).how == "stopped"
    assert heard.kinds.index("ServerStopping") < heard.kinds.index("AssociationEnded")
    assert heard.connections() == 1


async def test_a_stop_between_two_messages() -> None:
    heard = Heard()
    async with serving(watchers=[heard]) as server, Peer(server.port) as peer:
        await peer.associate()
        await server.stop(0.1)
    assert heard.one(AssociationEnded).how == "stopped"


# Side by side ------------------------------------------------------------------------------------


async def test_a_message_id_that_is_in_use_ends_by_itself() -> None:
    gate, heard = Gate(), Heard()
    async with (
        serving(store=gate, watchers=[heard], window=8) as server,
        Peer(server.port) as peer,
    ):
        await peer.associate(WIDE)
        await peer.send(store_pdus("1.2.3") + store_pdus("1.2.4"))
        assert await peer.status() == Status.DUPLICATE_INVOCATION
        assert heard.one(RequestEnded).request.sop_instance_uid == "1.2.4"
        gate.opened.set()
        assert await peer.status() == Status.SUCCESS
        await peer.release()
    assert [e.status for e in heard.all(RequestEnded)] == [0x0210, 0]
    assert heard.connections() == 1


async def test_one_handler_aborts_and_another_one_stores() -> None:
    gate, heard = Gate(), Heard()

    async def store(request: StoreRequest) -> int:
        if request.message_id == 2:
            raise AbortAssociation
        return await gate(request)

    async with (
        serving(store=store, watchers=[heard], window=8) as server,
        Peer(server.port) as peer,
    ):
        await peer.associate(WIDE)
        await peer.send(store_pdus("1.2.3") + store_pdus("1.2.4", message_id=2))
        await peer.aborted()
        gate.opened.set()
        await heard.until(AssociationEnded)
    ends = {e.request.message_id: (e.status, e.answered) for e in heard.all(RequestEnded)}
    assert ends == {1: (0, False), 2: (None, False)}
    assert heard.one(AssociationEnded).how == "handler"


async def test_equal_requests_are_told_apart() -> None:
    heard = Heard()
    async with serving(watchers=[heard]) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(echo_command(), ECHO_CONTEXT) * 3)
        assert [await peer.status() for _ in range(3)] == [0, 0, 0]
        await peer.release()
    assert len(heard.all(RequestEnded)) == 3
    assert heard.connections() == 1


# Connections that come to nothing ----------------------------------------------------------------


async def test_a_proposal_that_is_rejected() -> None:
    async def no(info: aiodicom.AssociationInfo) -> None:
        raise AssociationRejected("not you", 1, 1, 3)

    heard = Heard()
    async with serving(authorize=no, watchers=[heard]) as server, Peer(server.port) as peer:
        assert await peer.rejected() == (1, 1, 3)
    rejected = heard.one(ProposalRejected)
    assert (rejected.result, rejected.source, rejected.reason) == (1, 1, 3)
    assert rejected.text == "not you"
    assert rejected.association.calling_ae_title == "PEER"
    assert heard.connections() == 1


async def test_a_peer_that_has_gone_before_it_was_answered() -> None:
    asked, may_go = asyncio.Event(), asyncio.Event()

    async def asks(info: aiodicom.AssociationInfo) -> None:
        asked.set()
        await may_go.wait()

    heard = Heard()
    async with serving(authorize=asks, watchers=[heard]) as server:
        async with Peer(server.port) as peer:
            await peer.send(association_request())
            await happens(asked)
            peer.cut()
        await until(lambda: all(c._transport is None for c in server._connections.made))
        may_go.set()
        await empty(server)
    assert heard.one(ConnectionRefused).reason == "unanswered"
    assert heard.connections() == 1


async def test_who_may_associate_is_asked_while_the_server_stops() -> None:
    asked = asyncio.Event()

    async def asks(info: aiodicom.AssociationInfo) -> None:
        asked.set()
        await asyncio.Event().wait()

    heard = Heard()
    async with (
        serving(authorize=asks, watchers=[heard], grace=0) as server,
        Peer(server.port) as peer,
    ):
        await peer.send(association_request())
        await happens(asked)
        await server.stop()
    assert heard.one(ConnectionRefused).text == "the server has stopped"
    assert heard.connections() == 1


async def test_a_conversation_that_never_began() -> None:
    heard = Heard()
    async with serving(watchers=[heard], grace=0) as server, Peer(server.port) as peer:
        await until(lambda: bool(server._connections.made))
        (connection,) = server._connections.made
        connection._begin(association_request())
        connection.abort()
        await empty(server)
        await peer.half_close()
    assert heard.one(ConnectionRefused).reason == "unanswered"
    assert heard.connections() == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "silent"), (b"\1\0\0\0", "no proposal"), (b"GET / HTTP/1.1\r\n\r\n", "protocol")],
)
async def test_a_peer_that_makes_no_proposal(data: bytes, reason: str) -> None:
    heard = Heard()
    async with serving(watchers=[heard]) as server:
        async with Peer(server.port) as peer:
            await peer.send(data)
            await peer.half_close()
            assert await peer.closed() == (reason != "protocol")
        (refused,) = await heard.until(ConnectionRefused)
    assert (refused.address, refused.reason) == ("127.0.0.1", reason)
    assert heard.connections() == 1


async def test_a_peer_that_is_waited_for_in_vain() -> None:
    heard = Heard()
    async with serving(watchers=[heard], timeouts=QUICK) as server, Peer(server.port):
        (refused,) = await heard.until(ConnectionRefused)
    assert refused.reason == "no proposal"
    assert "A-ASSOCIATE-RQ" in refused.text


async def test_a_silent_connection_at_the_stop() -> None:
    heard = Heard()
    async with serving(watchers=[heard], grace=0) as server, Peer(server.port):
        await until(lambda: bool(server._connections.made))
        await server.stop()
    assert heard.one(ConnectionRefused).reason == "silent"
    assert heard.connections() == 1


async def test_an_address_that_is_not_allowed() -> None:
    heard = Heard()
    access = aiodicom.Access(allow=["192.0.2.0/24"])
    async with serving(access=access, watchers=[heard]) as server, Peer(server.port) as peer:
        assert await peer.closed()
    assert heard.one(ConnectionRefused).reason == "address"


async def test_one_connection_too_many() -> None:
    heard = Heard()
    limits = Limits(associations=1, connections=1)
    async with serving(limits=limits, watchers=[heard]) as server, Peer(server.port) as peer:
        await peer.associate()
        async with Peer(server.port) as other:
            assert await other.closed()
    assert heard.one(ConnectionRefused).reason == "too many"
    assert heard.connections() == 2


async def test_a_connection_that_was_lost_before_it_was_served() -> None:
    heard = Heard()
    ours, theirs = socket.socketpair()
    theirs.close()
    listening = socket.create_server(("127.0.0.1", 0))
    async with serving(watchers=[heard], sockets=[listening]) as server:
        ours.close()
        server._connections.take(ours, server._listeners)
    assert heard.one(ConnectionRefused).reason == "silent"


# Watchers ----------------------------------------------------------------------------------------


async def test_a_watcher_that_raises_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def fails(event: Event) -> None:
        raise RuntimeError("CANARY")

    heard = Heard()
    async with serving(store=discard, watchers=[fails, heard]) as server:
        async with Peer(server.port) as peer:
            await peer.associate()
            assert await peer.store("1.2.3") == Status.SUCCESS
            await peer.release()
        await heard.until(AssociationEnded)
    (said, *_) = (text for text in caplog.messages if "A watcher failed" in text)
    assert "RuntimeError" in said
    assert "CANARY" not in said


async def test_a_watcher_that_raises_a_cancellation_cancels_nobody() -> None:
    def fails(event: Event) -> None:
        raise asyncio.CancelledError

    async with serving(store=discard, watchers=[fails]) as server, Peer(server.port) as peer:
        await peer.associate()
        assert await peer.store("1.2.3") == Status.SUCCESS
        await peer.release()


class Living(Heard):
    """A watcher with everything that it may have, which keeps what was called in which order."""

    def __init__(self, calls: list[str], name: str = "watcher") -> None:
        super().__init__()
        self.calls, self.name = calls, name

    def share(self, workers: int) -> None:
        self.calls.append(f"{self.name} shares with {workers}")

    def work(self, index: int) -> None:
        self.calls.append(f"{self.name} works as {index}")

    def close(self) -> None:
        self.calls.append(f"{self.name} closes")

    async def __aenter__(self) -> None:
        self.calls.append(f"{self.name} enters")

    async def __aexit__(self, *exc_info: object) -> None:
        self.calls.append(f"{self.name} leaves after {self.kinds[-1] if self.events else None}")


class Handling(Living):
    async def __call__(self, request: StoreRequest) -> int:  # type: ignore[override]
        return 0


async def test_the_life_of_a_watcher_is_around_that_of_the_handlers() -> None:
    calls: list[str] = []
    watchers = [Living(calls)]
    handler = Handling(calls, "handler")
    async with serving(store=handler, watchers=watchers) as server, Peer(server.port) as peer:
        await peer.associate()
    assert calls == [
        "watcher shares with 1",
        "watcher enters",
        "handler enters",
        "handler leaves after None",
        "watcher leaves after AssociationEnded",
        "watcher closes",
    ]


async def test_a_server_that_cannot_start_closes_its_watchers() -> None:
    calls: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = aiodicom.serve(host="127.0.0.1", port=port, watchers=[watcher := Living(calls)])
        with pytest.raises(OSError, match="in use"):
            await server.start()
        await server.stop()
    assert calls == ["watcher shares with 1", "watcher enters", "watcher leaves after None",
                     "watcher closes"]  # fmt: skip
    assert watcher.events == []


async def test_a_watcher_that_cannot_share_keeps_the_server_from_starting() -> None:
    class Refusing(Living):
        def share(self, workers: int) -> None:
            raise OSError("no memory")

    calls: list[str] = []
    watchers = [Living(calls, "first"), Refusing(calls), Living(calls, "third")]
    server = aiodicom.serve(host="127.0.0.1", port=0, watchers=watchers)
    with pytest.raises(OSError, match="no memory"):
        await server.start()
    assert calls == ["first shares with 1", "watcher closes", "first closes"]


async def test_a_connection_that_outlives_the_grace_is_told_before_the_watchers_leave() -> None:
    calls: list[str] = []
    timeouts = aiodicom.Timeouts(association=10, network=10, closing=30)
    async with contextlib.AsyncExitStack() as opened:
        server = await opened.enter_async_context(
            serving(watchers=[watcher := Living(calls)], grace=0, timeouts=timeouts)
        )
        peer = await opened.enter_async_context(Peer(server.port))
        await peer.send(b"\1\0\0\0")  # and it never closes
        await until(lambda: bool(server._connections.made))
        await server.stop()
        assert watcher.one(ConnectionRefused)
        assert "leaves after ConnectionRefused" in calls[-2]


@pytest.mark.parametrize("way", ["abort", "cut"])
async def test_who_goes_while_the_server_stops_is_told_before_the_watchers_leave(way: str) -> None:
    calls: list[str] = []
    async with serving(watchers=[watcher := Living(calls)]) as server:
        async with Peer(server.port) as peer:
            await peer.associate()
            await peer.abort() if way == "abort" else peer.cut()
        while server._connections.made:  # noqa: ASYNC110
            await asyncio.sleep(0)
        await server.stop()
    assert calls[-2] == "watcher leaves after ServerStopping"
    assert watcher.one(AssociationEnded)


async def test_a_handshake_that_fails() -> None:
    heard = Heard()
    async with serving(ssl=acceptor(), watchers=[heard]) as server, Peer(server.port) as peer:
        await peer.send(b"GET / HTTP/1.1\r\n\r\n")
        await peer.half_close()
        (refused,) = await heard.until(ConnectionRefused)
    assert refused.reason == "tls"
    assert heard.connections() == 1


async def test_a_handshake_that_the_stop_ends() -> None:
    heard = Heard()
    async with serving(ssl=acceptor(), watchers=[heard], grace=0) as server, Peer(server.port):
        await until(lambda: bool(server._connections.opening))
        await server.stop()
    assert heard.one(ConnectionRefused).reason == "tls"
    assert heard.connections() == 1
