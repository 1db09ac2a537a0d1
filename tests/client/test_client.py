"""connect(): objects of every kind, contexts that change, callers that go."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import aiodicom
from aiodicom import (
    AssociationAborted,
    AssociationClosed,
    AssociationRejected,
    NotSent,
    ObjectHeader,
    Status,
)
from aiodicom.objects.prepared import Preparation, Prepared
from aiodicom.wire.dimse import CommandSet, Tag, encode_response
from aiodicom.wire.items import ImplementationVersionName
from aiodicom.wire.negotiation import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, VERIFICATION
from aiodicom.wire.pdu import PDV, Abort, AssociateReject, AssociateRequest, DataTransfer
from aiodicom.wire.proposal import DEFLATED
from tests.interop.samples import named
from tests.peer import CT
from tests.scripted_acceptor import (
    MR,
    Caller,
    accepting,
    connected,
    dataset,
    nothing_left,
    open_descriptors,
    sparse_object,
    write_object,
)
from tests.serving import Gate, Keeper, happens, serving, until

UID = "1.2.826.0.1.81"
JPEG = "1.2.840.10008.1.2.4.50"
ONLY_CT = [(CT, [EXPLICIT_LITTLE])]
ECHO = (VERIFICATION, (IMPLICIT_LITTLE,))


def told(sop_class: str = CT, transfer: str = EXPLICIT_LITTLE) -> ObjectHeader:
    return ObjectHeader("", sop_class, UID, transfer)


def proposed(request: AssociateRequest) -> list[tuple[str, tuple[str, ...]]]:
    return [(c.abstract_syntax, c.transfer_syntaxes) for c in request.presentation_contexts]


def keeping(**settings: Any) -> tuple[Keeper, Any]:
    keeper = Keeper()
    return keeper, serving(store=keeper, **settings)


def to(server: aiodicom.Server, **settings: Any) -> aiodicom.Requestor:
    return aiodicom.connect("127.0.0.1", server.port, **settings)


async def in_chunks(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


# Objects -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [100, 16378, 262_144, 1_000_000])
async def test_an_object_in_a_file(tmp_path: Path, size: int) -> None:
    path = write_object(tmp_path, UID, size)
    keeper, server = keeping()
    async with server as serving_, to(serving_) as requestor:
        for name in (path, str(path)):
            result = await requestor.c_store(name)
            assert (result.path, result.status, result.size) == (str(path), 0, size)
            assert (result.sop_class_uid, result.sop_instance_uid) == (CT, UID)
            assert await keeper.outcome() == dataset(UID, size)
        assert keeper.requests[0].sop_instance_uid == UID
        assert keeper.requests[0].context.transfer_syntax == EXPLICIT_LITTLE


@pytest.mark.parametrize("make", [bytes, bytearray])
async def test_an_object_in_memory(
    tmp_path: Path, make: Callable[[bytes], bytes | bytearray]
) -> None:
    content = write_object(tmp_path, UID, 600_000).read_bytes()
    keeper, server = keeping()
    async with server as serving_, to(serving_) as requestor:
        result = await requestor.c_store(make(content))
        assert (result.path, result.stored, result.size) == ("", True, 600_000)
        assert await keeper.outcome() == dataset(UID, 600_000)
        result = await requestor.c_store(make(dataset(UID, 50_000)), instance=told())
        assert (result.stored, result.size) == (True, 50_000)
        assert await keeper.outcome() == dataset(UID, 50_000)


@pytest.mark.parametrize("chunk", [1, 137, 5000, 1 << 20])
async def test_an_object_in_a_stream(tmp_path: Path, chunk: int) -> None:
    size = 2000 if chunk == 1 else 600_000
    content = write_object(tmp_path, UID, size).read_bytes()
    keeper, server = keeping()
    async with server as serving_, to(serving_) as requestor:
        result = await requestor.c_store(in_chunks(content, chunk))
        assert result.stored
        assert await keeper.outcome() == dataset(UID, size)
        assert keeper.requests[0].sop_instance_uid == UID


async def test_a_dataset_in_a_stream_needs_to_be_told() -> None:
    keeper, server = keeping()
    async with server as serving_, to(serving_) as requestor:
        result = await requestor.c_store(in_chunks(b"any content.", 5), instance=told(MR))
        assert result.stored
        assert (result.sop_class_uid, result.sop_instance_uid) == (MR, UID)
        assert await keeper.outcome() == b"any content."


@pytest.mark.parametrize("chunk", [100, 1 << 20])
async def test_an_odd_deflated_object_is_padded(tmp_path: Path, chunk: int) -> None:
    one = named("image_dfl.dcm")
    data = one.data + b"" if len(one.data) % 2 else one.data + b"\1"
    header = told(one.sop_class_uid, DEFLATED)
    keeper, server = keeping()
    async with server as serving_, to(serving_) as requestor:
        for source in (data, in_chunks(data, chunk)):
            assert (await requestor.c_store(source, instance=header)).stored
            assert await keeper.outcome() == data + b"\0"


async def test_an_odd_object_is_not_sent_and_costs_nothing(tmp_path: Path) -> None:
    path = write_object(tmp_path, UID, 1001)
    keeper, server = keeping()
    async with server as serving_, to(serving_) as requestor:
        await requestor.c_store(dataset(UID), instance=told())
        association = requestor._associations.present
        sources: tuple[Any, ...] = (path, path.read_bytes(), in_chunks(path.read_bytes(), 300))
        for source in sources:
            with pytest.raises(NotSent, match=r"odd|not an even number"):
                await requestor.c_store(source)
        assert requestor._associations.present is association
        assert (await requestor.c_store(dataset(UID), instance=told())).stored
    assert len(keeper.requests) == 2


async def test_a_large_odd_stream_is_taken_back_by_an_abort() -> None:
    keeper, server = keeping()
    async with server as serving_, to(serving_) as requestor:
        with pytest.raises(NotSent, match="odd"):
            await requestor.c_store(in_chunks(bytes(600_001), 5000), instance=told())
        assert isinstance(await keeper.outcome(), AssociationClosed)
        assert (await requestor.c_store(dataset(UID), instance=told())).stored


async def test_a_stream_that_fails_is_taken_back_by_an_abort() -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield bytes(600_000)
        raise RuntimeError("the source is gone")

    keeper, server = keeping()
    async with server as serving_, to(serving_) as requestor:
        with pytest.raises(RuntimeError, match="the source is gone"):
            await requestor.c_store(failing(), instance=told())
        assert isinstance(await keeper.outcome(), AssociationClosed)
        assert (await requestor.c_store(dataset(UID), instance=told())).stored


async def test_a_stream_is_not_sent_as_what_it_is_not() -> None:
    contexts = [(CT, [IMPLICIT_LITTLE])]
    keeper, server = keeping()
    async with server as serving_, to(serving_, contexts=contexts) as requestor:
        with pytest.raises(NotSent, match="a stream is sent as it is"):
            await requestor.c_store(in_chunks(dataset(UID), 50), instance=told())
    assert not keeper.requests


async def test_an_object_that_has_not_had_its_turn_is_closed(tmp_path: Path) -> None:
    path = sparse_object(tmp_path, UID, 1 << 22)

    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.command()
        await until(lambda: association._answered is not None)
        await caller.send(Abort(0, 0))
        await caller.gone()

    settings = {"contexts": [ECHO, *ONLY_CT]}
    async with accepting(script) as acceptor, connected(acceptor, **settings) as requestor:
        assert requestor._associations.present is not None
        association = requestor._associations.present
        echo = asyncio.create_task(requestor.c_echo())
        await until(lambda: bool(association._pending))
        for action in (requestor.c_store(path), echo):
            with pytest.raises(AssociationAborted):
                await action
        assert str(path) not in open_descriptors()


async def test_what_is_no_object_is_not_sent(tmp_path: Path) -> None:
    async with nothing_left(), serving(store=Keeper()) as server, to(server) as requestor:
        sources: tuple[Any, ...] = (tmp_path / "none", tmp_path, b"no DICOM at all", b"")
        for source in (*sources, in_chunks(b"no DICOM at all", 3)):
            with pytest.raises(NotSent):
                await requestor.c_store(source)
        assert await requestor.c_echo() == 0


# Contexts ----------------------------------------------------------------------------------------


async def test_explicit_contexts_are_what_is_proposed(tmp_path: Path) -> None:
    contexts = [(MR, [JPEG, IMPLICIT_LITTLE]), (CT, [EXPLICIT_LITTLE])]

    async def script(caller: Caller) -> None:
        request = await caller.accept()
        assert proposed(request) == [(abstract, tuple(of)) for abstract, of in contexts]
        await caller.serve()

    async with accepting(script) as acceptor, connected(acceptor, contexts=contexts) as requestor:
        assert (await requestor.c_store(dataset(UID), instance=told())).stored
        with pytest.raises(NotSent, match="which was not proposed for MR Image Storage"):
            await requestor.c_store(write_object(tmp_path, UID, 100, MR, JPEG[:-1] + "1"))
        with pytest.raises(NotSent, match="Verification"):
            await requestor.c_echo()
    assert len(acceptor.callers) == 1


async def test_contexts_are_what_the_objects_need(tmp_path: Path) -> None:
    seen: list[list[tuple[str, tuple[str, ...]]]] = []

    async def script(caller: Caller) -> None:
        seen.append(proposed(await caller.accept()))
        await caller.serve()

    ct = [(CT, (EXPLICIT_LITTLE,)), (CT, (EXPLICIT_BIG, IMPLICIT_LITTLE))]
    async with accepting(script) as acceptor, connected(acceptor) as requestor:
        assert (await requestor.c_store(write_object(tmp_path, UID))).stored
        assert (await requestor.c_store(write_object(tmp_path, UID))).stored  # the same
        assert (await requestor.c_store(write_object(tmp_path, UID, 100, MR, JPEG))).stored
        assert (await requestor.c_store(write_object(tmp_path, UID))).stored  # and again
    assert seen == [[ECHO], [ECHO, *ct], [ECHO, *ct, (MR, (JPEG,))]]
    assert acceptor.most == 1  # each is released before the next


async def test_contexts_that_no_longer_fit_begin_anew(tmp_path: Path) -> None:
    seen: list[list[tuple[str, tuple[str, ...]]]] = []

    async def script(caller: Caller) -> None:
        seen.append(proposed(await caller.accept()))
        await caller.serve()

    async with accepting(script) as acceptor, connected(acceptor) as requestor:
        for number in range(130):
            header = told(f"1.2.3.{number}", JPEG)
            assert (await requestor.c_store(bytes(10), instance=header)).stored
    assert [len(contexts) for contexts in seen] == [*range(1, 129), 1, 2, 3]
    assert seen[127][-1] == ("1.2.3.126", (JPEG,))
    assert seen[128] == [("1.2.3.127", (JPEG,))]


async def test_a_context_that_the_peer_does_not_accept() -> None:
    settings = {"contexts": {VERIFICATION: [IMPLICIT_LITTLE]}}
    async with nothing_left(), serving(**settings) as server, to(server) as requestor:
        with pytest.raises(NotSent, match=r"^the peer accepts no CT Image Storage as Explicit"):
            await requestor.c_store(dataset(UID), instance=told())
        assert await requestor.c_echo() == 0


async def test_another_association_that_the_peer_rejects() -> None:
    async def first(caller: Caller) -> None:
        await caller.accept()
        await caller.released()

    async def second(caller: Caller) -> None:
        await caller.asked()
        await caller.send(AssociateReject(2, 3, 1))
        await caller.closed()

    async def third(caller: Caller) -> None:
        await caller.accept()
        await caller.serve()

    async with accepting(first, second, third) as acceptor, connected(acceptor) as requestor:
        with pytest.raises(AssociationRejected, match="temporary congestion"):
            await requestor.c_store(dataset(UID), instance=told())
        with pytest.raises(AssociationClosed):
            await requestor.c_echo()
        assert (await requestor.c_store(dataset(UID), instance=told())).stored


async def test_an_object_after_the_end_of_the_association_gets_another_one() -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.respond(await caller.store())
        await caller.released()

    async def ending(caller: Caller) -> None:
        await caller.accept()
        caller.cut()

    async with (
        accepting(ending, script) as acceptor,
        connected(acceptor, contexts=ONLY_CT) as requestor,
    ):
        association = requestor._associations.present
        assert association is not None
        await until(lambda: not association.is_open)
        assert (await requestor.c_store(dataset(UID), instance=told())).stored


async def test_several_tasks_send_objects_of_several_classes() -> None:
    """The contexts change again and again, and nobody's object is cut."""
    keeper, server = keeping()
    sizes = {number: 100 + 50_000 * (number % 7) for number in range(24)}

    async def store(requestor: aiodicom.Requestor, number: int) -> str:
        header = ObjectHeader("", f"1.2.3.{number % 5}", f"1.9.{number}", EXPLICIT_LITTLE)
        data = bytes([number]) * sizes[number]
        source = data if number % 2 else in_chunks(data, 7000)
        result = await requestor.c_store(source, instance=header)
        assert result.stored
        return result.sop_instance_uid

    async with server as serving_, to(serving_) as requestor:
        sent = await asyncio.gather(*(store(requestor, number) for number in sizes))
        received = [await keeper.outcome() for _ in sizes]
    assert sent == [f"1.9.{number}" for number in sizes]
    assert sorted(one for one in received if isinstance(one, bytes)) == sorted(
        bytes([number]) * size for number, size in sizes.items()
    )


async def test_another_association_waits_until_nobody_uses_the_present_one() -> None:
    gate = Gate()
    async with serving(store=gate) as server, to(server) as requestor:
        first = asyncio.create_task(requestor.c_store(dataset(UID), instance=told()))
        await happens(gate.entered)
        association = requestor._associations.present
        second = asyncio.create_task(requestor.c_store(dataset(UID), instance=told(MR)))
        await until(requestor._associations._changing.locked)
        assert requestor._associations.present is association
        gate.opened.set()
        assert (await first).stored
        assert (await second).stored
        assert requestor._associations.present is not association


def keep_little(server: aiodicom.Server) -> None:
    """Let the kernel keep little of what a server does not read."""
    for listening in (each.socket for each in server._listened_on):
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)


# A proxy -----------------------------------------------------------------------------------------


async def test_a_proxy_passes_an_object_on_while_it_comes() -> None:
    """The receiver does not read, so the sender cannot send on: nobody keeps a whole object."""
    size = 1 << 25
    gate = Gate()
    async with serving(store=gate) as receiver, to(receiver, contexts=ONLY_CT) as onward:
        keep_little(receiver)

        async def pass_on(request: aiodicom.StoreRequest) -> int:
            instance = ObjectHeader(
                "",
                request.sop_class_uid,
                request.sop_instance_uid,
                request.context.transfer_syntax,
            )
            result = await onward.c_store(request.dataset, instance=instance)
            return result.status or 0

        taken = 0

        async def large() -> AsyncIterator[bytes]:
            nonlocal taken
            for number in range(size >> 16):
                yield bytes([number & 0xFF]) * (1 << 16)
                taken += 1 << 16

        async with serving(store=pass_on) as proxy, to(proxy) as requestor:
            keep_little(proxy)
            sending = asyncio.create_task(requestor.c_store(large(), instance=told()))
            await happens(gate.entered)
            before = -1
            while before != taken:  # until all buffers are full
                before = taken
                await asyncio.sleep(0.1)
            assert taken < size * 3 // 4
            gate.opened.set()
            assert (await sending).stored
        outcome = await gate.outcome()
        assert isinstance(outcome, bytes)
        assert len(outcome) == size
        assert outcome[:: 1 << 16] == bytes(number & 0xFF for number in range(size >> 16))


async def test_a_proxy_says_what_the_receiver_says() -> None:
    async def refuse(request: aiodicom.StoreRequest) -> int:
        raise aiodicom.Refused(0xA701, "no room")

    async with serving(store=refuse) as receiver, to(receiver, contexts=ONLY_CT) as onward:

        async def pass_on(request: aiodicom.StoreRequest) -> int:
            result = await onward.c_store(request.dataset, instance=told())
            raise aiodicom.Refused(result.status or 0, result.comment)

        async with serving(store=pass_on) as proxy, to(proxy) as requestor:
            result = await requestor.c_store(bytes(1 << 22), instance=told())
            assert (result.status, result.comment, result.stored) == (0xA701, "no room", False)
            assert result.reason == "0xA701: no room"


async def test_a_proxy_whose_sender_is_lost_takes_the_object_back() -> None:
    keeper = Keeper()
    lost: list[Exception] = []
    async with serving(store=keeper) as receiver, to(receiver, contexts=ONLY_CT) as onward:

        async def pass_on(request: aiodicom.StoreRequest) -> int:
            try:
                await onward.c_store(request.dataset, instance=told())
            except Exception as error:
                lost.append(error)
                raise
            return Status.SUCCESS

        async def halfway() -> AsyncIterator[bytes]:
            yield bytes(1 << 20)
            await happens(keeper.entered)
            raise RuntimeError("gone")

        async with serving(store=pass_on) as proxy, to(proxy) as requestor:
            with pytest.raises(RuntimeError, match="gone"):
                await requestor.c_store(halfway(), instance=told())
        assert isinstance(await keeper.outcome(), AssociationClosed)
    assert isinstance(lost[0], AssociationClosed)


# Leaving -----------------------------------------------------------------------------------------


async def test_leaving_releases() -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.released()

    async with accepting(script) as acceptor, connected(acceptor):
        pass


async def test_leaving_with_an_exception_aborts() -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.aborted()

    async with accepting(script) as acceptor:
        with pytest.raises(ValueError, match=r"^mine$"):
            async with connected(acceptor):
                raise ValueError("mine")


async def test_leaving_because_of_a_cancellation_aborts() -> None:
    entered = asyncio.Event()

    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.aborted()

    async def work(requestor: aiodicom.Requestor) -> None:
        async with requestor:
            entered.set()
            await asyncio.Event().wait()

    async with accepting(script) as acceptor:
        task = asyncio.create_task(work(connected(acceptor)))
        await happens(entered)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_after_leaving_there_is_no_association() -> None:
    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.released()

    async with accepting(script) as acceptor:
        async with connected(acceptor) as requestor:
            pass
        with pytest.raises(AssociationClosed, match="there is no association"):
            await requestor.c_echo()
        with pytest.raises(AssociationClosed, match="there is no association"):
            _ = requestor.agreed


# Cancelling --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "bytes", "stream"])
async def test_cancelling_in_the_middle_of_a_dataset_aborts(tmp_path: Path, kind: str) -> None:
    begun = asyncio.Event()
    path = sparse_object(tmp_path, UID, 1 << 25)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1 << 16)

    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.store_begun()
        begun.set()
        await caller.aborted()

    before = open_descriptors()
    async with accepting(script) as acceptor, connected(acceptor, contexts=ONLY_CT) as requestor:
        source: Any = {"file": path, "bytes": bytes(1 << 25), "stream": endless()}[kind]
        instance = None if kind == "file" else told()
        sending = asyncio.create_task(requestor.c_store(source, instance=instance))
        await happens(begun)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        # Its thread closes it.
        await until(lambda: str(path) not in open_descriptors() - before)


async def test_cancelling_after_a_dataset_leaves_the_association() -> None:
    received = asyncio.Event()

    async def script(caller: Caller) -> None:
        await caller.accept()
        first = await caller.store()
        received.set()
        await caller.respond(first)
        await caller.serve()

    async with accepting(script) as acceptor, connected(acceptor, contexts=ONLY_CT) as requestor:
        sending = asyncio.create_task(requestor.c_store(dataset(UID), instance=told()))
        await happens(received)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert (await requestor.c_store(dataset(UID), instance=told())).stored
    assert len(acceptor.callers) == 1


class Slow:
    """Makes a worker thread wait, in a function of its own, until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        self.entered, self.let_go = threading.Event(), threading.Event()
        self.is_on = True
        function = getattr(owner, name)

        def slow(*args: object) -> object:
            if self.is_on:
                self.entered.set()
                assert self.let_go.wait(10)
            return function(*args)

        monkeypatch.setattr(owner, name, slow)


@pytest.mark.parametrize(
    ("owner", "name"), [(Preparation, "of"), (os, "preadv")], ids=["opening", "reading"]
)
async def test_cancelling_while_a_thread_reads_closes_the_file_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    path = sparse_object(tmp_path, UID, 1 << 22)

    async def script(caller: Caller) -> None:
        await caller.accept()
        await caller.ended()

    async with accepting(script) as acceptor, connected(acceptor, contexts=ONLY_CT) as requestor:
        slow = Slow(monkeypatch, owner, name)
        if name == "preadv":
            monkeypatch.setattr(Prepared, "__init__", reading_ahead(slow, Prepared.__init__))
        sending = asyncio.create_task(requestor.c_store(path))
        await until(slow.entered.is_set)
        is_open = name == "preadv"
        assert (open_descriptors()[str(path)] == 1) == is_open
        sending.cancel()
        await asyncio.sleep(0.02)  # the cancellation may take effect
        assert (open_descriptors()[str(path)] == 1) == is_open
        slow.let_go.set()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await until(lambda: open_descriptors()[str(path)] == 0)


def reading_ahead(slow: Slow, function: Callable[..., None]) -> Callable[..., None]:
    """Let what an object reads in the beginning pass, and make only the rest slow."""

    def init(*args: object) -> None:
        slow.is_on = False
        function(*args)
        slow.is_on = True

    return init


# The log -----------------------------------------------------------------------------------------


async def test_the_log_tells_of_everything_and_escapes_what_peers_say(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "aiodicom")

    async def script(caller: Caller) -> None:
        await caller.accept(16384, ImplementationVersionName("EVIL\n\x1b[31m"))
        received = await caller.store()
        evil = CommandSet.decode(encode_response(received.command, 0xA700, "comment"))
        evil.elements[Tag.ERROR_COMMENT] = b"a\nline\x1b[2J"
        pdv = PDV(received.context_id, True, True, evil.encode())
        await caller.send(DataTransfer((pdv,)))
        await caller.released()

    path = write_object(tmp_path, UID)
    async with accepting(script) as acceptor, connected(acceptor, contexts=ONLY_CT) as requestor:
        assert (await requestor.c_store(path)).status == 0xA700
    lines = [record.getMessage() for record in caplog.records if record.name != "asyncio"]
    assert all(line.isprintable() for line in lines), [x for x in lines if not x.isprintable()]
    for part in (
        "Requesting Association",
        "Association Accepted (Max Send PDV: 16384)",
        f"Sending file: {path}",
        "Received Store Response (Status: 0xA700 - Out of resources)",
        "Releasing Association",
        UID,
        "EVIL",
    ):
        assert any(part in line for line in lines), part
