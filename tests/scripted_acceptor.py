"""A scripted acceptor: whatever bytes a test wants, on a real socket; the mirror of `peer`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import threading
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiodicom
from aiodicom.testing.messages import Answer, response_pdu
from aiodicom.testing.messages import accept_all as accept_all
from aiodicom.testing.messages import acceptance as acceptance
from aiodicom.testing.messages import accepted as accepted
from aiodicom.testing.peer import ReceivedRequest, ScriptedPeer
from aiodicom.wire.dimse import CommandSet, Status, Tag
from aiodicom.wire.items import AsynchronousOperationsWindow, Item
from aiodicom.wire.negotiation import EXPLICIT_LITTLE
from aiodicom.wire.part10 import encode_file_meta
from aiodicom.wire.pdu import (
    PDU,
    PDV,
    Abort,
    AssociateRequest,
    DataTransfer,
    ReleaseRequest,
    ReleaseResponse,
    encode_pdu,
)
from tests.peer import CT, PATIENCE, element, uid_value

MR = "1.2.840.10008.5.1.4.1.1.4"

TIMEOUTS = aiodicom.Timeouts(association=10, network=10, closing=2, connection=10)


@dataclass
class Received:
    """A C-STORE-RQ as it came: its command, its dataset, and the fragments of that."""

    context_id: int
    command: CommandSet
    pdvs: list[PDV]

    @property
    def message_id(self) -> int:
        number = self.command.number(Tag.MESSAGE_ID)
        assert number is not None
        return number

    @property
    def uid(self) -> str:
        return self.command.uid(Tag.AFFECTED_SOP_INSTANCE_UID)

    @property
    def data(self) -> bytes:
        return b"".join(pdv.data for pdv in self.pdvs)


class Caller(ScriptedPeer):
    """One connection that has come, in the hands of a script."""

    sent = 0
    maximum_length = 0
    request: AssociateRequest

    # Sending ---------------------------------------------------------------------------------

    async def send(self, *data: bytes | PDU) -> None:
        """Send bytes and PDUs, in one write, and count the bytes."""
        parts = [part if isinstance(part, bytes) else encode_pdu(part) for part in data]
        await super().send(*parts)
        self.sent += sum(map(len, parts))

    async def respond(
        self,
        to: Received | CommandSet | ReceivedRequest,
        status: int = Status.SUCCESS,
        comment: str = "",
    ) -> None:
        await self.send(response(to, status, comment))

    # Receiving -------------------------------------------------------------------------------

    async def receive(self) -> PDU:
        """Return the next PDU; EOFError where the requestor has closed, between two of them."""
        try:
            return await super().receive()
        except EOFError as error:
            if error.args:
                raise AssertionError(*error.args) from None
            raise

    async def expect(self, *pdus: PDU) -> None:
        """Receive PDUs that are just these."""
        for pdu in pdus:
            received = await self.receive()
            assert received == pdu, received

    async def closed(self) -> bool:
        """Wait until the requestor has closed, and see that nothing else comes."""
        assert await super().closed()
        return True

    async def hears_nothing(self, seconds: float = 0.03) -> bool:
        """Tell whether nothing comes for a while."""
        try:
            async with asyncio.timeout(seconds):
                data = await self.reader.readexactly(1)
        except TimeoutError:
            return True
        raise AssertionError(f"something came: {data!r}")

    async def pdv(self) -> PDV:
        """Return the next fragment: this requestor puts one into each P-DATA-TF."""
        pdu = await self.receive()
        assert isinstance(pdu, DataTransfer), pdu
        assert len(pdu.pdvs) == 1
        length = 6 + len(pdu.pdvs[0].data)
        assert not self.maximum_length or length <= max(self.maximum_length, 8)
        return pdu.pdvs[0]

    async def command(self) -> tuple[int, CommandSet]:
        """Return the next command set and its presentation context."""
        data = b""
        while True:
            pdv = await self.pdv()
            assert pdv.is_command
            data += pdv.data
            if pdv.is_last:
                return pdv.context_id, CommandSet.decode(data)

    async def store(self) -> Received:  # type: ignore[override]  # in the other direction
        """Return the next C-STORE-RQ, with all of its dataset."""
        received = await self.store_begun()
        while not received.pdvs[-1].is_last:
            received.pdvs.append(await self.dataset_pdv(received))
        return received

    async def store_begun(self) -> Received:
        """Return the next C-STORE-RQ, with the first fragment of its dataset."""
        context_id, command = await self.command()
        assert command.has_dataset
        received = Received(context_id, command, [])
        received.pdvs.append(await self.dataset_pdv(received))
        return received

    async def dataset_pdv(self, of: Received) -> PDV:
        pdv = await self.pdv()
        assert not pdv.is_command, "a command interleaves with a dataset"
        assert pdv.context_id == of.context_id
        return pdv

    # Conversations ---------------------------------------------------------------------------

    async def asked(self) -> AssociateRequest:
        """Receive the A-ASSOCIATE-RQ."""
        self.request = await super().asked()
        return self.request

    async def accept(
        self, maximum_length: int = 16384, *more: Item, answer: Answer | None = None
    ) -> AssociateRequest:
        """Receive the A-ASSOCIATE-RQ, accept it, and see that the PDUs to come are not longer."""
        self.maximum_length = maximum_length
        return await super().accept(maximum_length, *more, answer=answer)

    async def serve(
        self, status: int = Status.SUCCESS, *, may_abort: bool = False
    ) -> list[Received]:
        """Take objects until the requestor releases the association; return them."""
        objects = []
        while (received := await self.store_or_release(may_abort=may_abort)) is not None:
            objects.append(received)
            await self.respond(received, status)
        return objects

    async def store_or_release(self, *, may_abort: bool = False) -> Received | None:
        """Return the next object; None where the requestor has released the association.

        C-ECHO's are answered meanwhile.
        """
        while True:
            pdu = await self.receive()
            if pdu == ReleaseRequest():
                await self.send(ReleaseResponse())
                await self.closed()
                return None
            if may_abort and isinstance(pdu, Abort):
                return None
            assert isinstance(pdu, DataTransfer), pdu
            first = pdu.pdvs[0]
            assert first.is_command
            assert first.is_last
            received = Received(first.context_id, CommandSet.decode(first.data), [])
            if received.command.has_dataset:
                break
            await self.respond(received)
        while not received.pdvs or not received.pdvs[-1].is_last:
            received.pdvs.append(await self.dataset_pdv(received))
        return received

    async def released(self) -> None:
        """Expect A-RELEASE-RQ and nothing else, and answer it."""
        await self.expect(ReleaseRequest())
        await self.send(ReleaseResponse())
        await self.closed()

    async def ended(self) -> None:
        """Read on until the association ends, in whatever way."""
        with contextlib.suppress(EOFError, ConnectionError):
            while not isinstance(pdu := await self.receive(), Abort):
                if pdu == ReleaseRequest():
                    await self.send(ReleaseResponse())

    async def aborted(self, source: int = 0, reason: int = 0) -> Abort:
        """Read on until A-ABORT, and see that it says this; then the end comes."""
        while not isinstance(pdu := await self.receive(), Abort):
            assert isinstance(pdu, DataTransfer), pdu
        assert (pdu.source, pdu.reason) == (source, reason)
        await self.closed()
        return pdu


Script = Callable[[Caller], Awaitable[object]]


class Acceptor:
    """What listens, and what has come of it.

    Attributes
    ----------
    port : int
        Where it listens.
    callers : list of Caller
        The connections that have come, in order.
    open, most : int
        How many are open, and how many were at a time.
    failures : list of Exception
        What went wrong in scripts.
    """

    def __init__(self, *scripts: Script) -> None:
        self.port = 0
        self.callers: list[Caller] = []
        self.most = 0
        self.open = 0
        self._scripts = scripts
        self._running: set[asyncio.Task[None]] = set()
        self.failures: list[BaseException] = []

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        self.open += 1
        self.most = max(self.most, self.open)
        caller = Caller.of(reader, writer)
        script = self._scripts[min(len(self.callers), len(self._scripts) - 1)]
        self.callers.append(caller)
        try:
            await script(caller)
        except Exception as error:
            self.failures.append(error)
        finally:
            self.open -= 1
            self._running.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def ended(self) -> None:
        """Wait for the ends of all scripts; raise the first thing that went wrong in one."""
        try:
            async with asyncio.timeout(PATIENCE):
                while self._running:
                    await asyncio.wait(self._running)
        except TimeoutError:
            for task in self._running:
                task.cancel()
            self.failures.append(AssertionError("a script waits for ever"))
        if self.failures:
            raise self.failures[0]


@contextlib.asynccontextmanager
async def accepting(*scripts: Script, receive_buffer: int | None = None) -> AsyncIterator[Acceptor]:
    """Run a script for each connection that comes, the last one for all that follow.

    Afterwards the scripts must have come to their ends, and nothing may be left of the
    requestor. With `receive_buffer` the kernel keeps about that many bytes for a script that
    does not read.
    """
    acceptor = Acceptor(*scripts)
    listening = socket.create_server(("127.0.0.1", 0))
    if receive_buffer is not None:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    acceptor.port = listening.getsockname()[1]
    async with nothing_left():
        limit = 1 << 16 if receive_buffer is None else receive_buffer
        server = await asyncio.start_server(acceptor.connected, sock=listening, limit=limit)
        try:
            yield acceptor
        except BaseException as error:  # the test has failed: scripts have nothing to wait for
            for caller in acceptor.callers:
                caller.cut()
            if acceptor.failures:
                raise acceptor.failures[0] from error
            raise
        else:
            await acceptor.ended()
        finally:
            server.close()
            await server.wait_closed()


def connected(acceptor: Acceptor, **settings: Any) -> aiodicom.Requestor:
    """What asks an acceptor for an association."""
    return aiodicom.connect("127.0.0.1", acceptor.port, **{"timeouts": TIMEOUTS, **settings})


@contextlib.asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """See that no task, thread or descriptor is left, and that no exception went unseen."""
    loop = asyncio.get_running_loop()
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: failures.append(context))
    tasks, descriptors = asyncio.all_tasks(), open_descriptors()
    yield
    await asyncio.to_thread(join_readers)
    async with asyncio.timeout(PATIENCE):
        while asyncio.all_tasks() - tasks:  # noqa: ASYNC110 - they end in the loop's next turns
            await asyncio.sleep(0)
    gc.collect()  # what nobody has retrieved is told of now
    await asyncio.sleep(0)
    assert not failures, failures
    left = open_descriptors() - descriptors
    assert not left, left


def join_readers() -> None:
    """Wait for the ends of the threads that read files."""
    for thread in threading.enumerate():
        if thread.name.startswith("aiodicom-read"):
            thread.join(PATIENCE)
            assert not thread.is_alive(), thread


def open_descriptors() -> Counter[str]:
    """What this process has open that could be a requestor's: sockets and files."""
    # /dev/null is uvloop's.
    return Counter(target for target in _targets() if not target.startswith(("/proc/", "/dev/")))


def _targets() -> Iterator[str]:
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # it was the folder's own
            yield os.readlink(f"/proc/self/fd/{name}")


def granting(window: int) -> AsynchronousOperationsWindow:
    """What lets a requestor have that many operations outstanding (PS3.7 D.3.3.3)."""
    return AsynchronousOperationsWindow(window, 1)


def response(
    to: Received | CommandSet | ReceivedRequest,
    status: int = Status.SUCCESS,
    comment: str = "",
    context_id: int = 1,
) -> bytes:
    """A P-DATA-TF that holds a response."""
    if isinstance(to, CommandSet):
        return response_pdu(to, status, comment, context_id)
    return response_pdu(to.command, status, comment, to.context_id)


def dataset(uid: str, size: int = 0, sop_class: str = CT) -> bytes:
    """A dataset in Explicit VR Little Endian, of `size` bytes where that is more than it needs.

    Its pixels are no two stretches alike.
    """
    head = element(0x00080016, b"UI", uid_value(sop_class))
    head += element(0x00080018, b"UI", uid_value(uid))
    count = max(size - len(head) - 12, 0)
    pattern = array("I", range(count // 4 + 1)).tobytes()
    return head + b"\xe0\x7f\x10\x00OW\0\0" + count.to_bytes(4, "little") + pattern[:count]


def write_object(
    folder: Path,
    uid: str,
    size: int = 0,
    sop_class: str = CT,
    transfer_syntax: str = EXPLICIT_LITTLE,
    *,
    data: bytes | None = None,
) -> Path:
    """Write a DICOM file whose dataset has that many bytes, or is `data`; return its path."""
    path = folder / f"{uid}.dcm"
    head = encode_file_meta(sop_class, uid, transfer_syntax)
    path.write_bytes(head + (dataset(uid, size, sop_class) if data is None else data))
    return path


def sparse_object(folder: Path, uid: str, size: int) -> Path:
    """Write a DICOM file whose dataset has that many bytes, nearly all of them a hole."""
    path = write_object(folder, uid)
    os.truncate(path, path.stat().st_size - len(dataset(uid)) + size)
    return path


def dataset_in(path: Path) -> bytes:
    """The dataset of a file that `write_object` has written."""
    data = path.read_bytes()
    return data[144 + int.from_bytes(data[140:144], "little") :]
