"""ScriptedPeer: one end of a connection that says, and leaves unsaid, whatever a test wants."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass
from typing import Self, TypeVar, cast

from aiodicom.testing.messages import (
    CT_CONTEXT,
    ECHO_CONTEXT,
    Answer,
    acceptance,
    association_request,
    command_pdu,
    echo_command,
    fragment,
    response_pdu,
    status_of,
    store_command,
    store_pdus,
)
from aiodicom.wire.dimse import CommandSet, Status, Tag
from aiodicom.wire.items import Item
from aiodicom.wire.pdu import (
    PDU,
    PDV,
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    DataTransfer,
    ReleaseRequest,
    ReleaseResponse,
    decode_pdu,
    encode_pdu,
)

__all__ = ["ReceivedRequest", "ScriptedPeer"]

PATIENCE = 10.0
"""Seconds within which whatever a test waits for comes."""

_NO_LINGER = struct.pack("ii", 1, 0)

_PDU = TypeVar("_PDU")


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as it came.

    Parameters
    ----------
    context_id : int
        The presentation context it came in.
    command : CommandSet
        Its command set.
    data : bytes
        Its dataset; empty where it has none.
    """

    context_id: int
    command: CommandSet
    data: bytes

    @property
    def sop_instance_uid(self) -> str:
        """Affected SOP Instance UID (0000,1000), without padding."""
        return self.command.uid(Tag.AFFECTED_SOP_INSTANCE_UID)


class ScriptedPeer:
    """A peer that keeps to nothing but the script of a test.

    As a requestor it is an asynchronous context manager, which connects; as an acceptor it is
    what `accepting` gives to a script. It does just what its methods are called for: to be
    silent, do nothing; to break the protocol, `send` any bytes. Whatever else comes than a
    method expects is an AssertionError, and whatever does not come in time a TimeoutError.

    Parameters
    ----------
    port : int
        The TCP port to connect to.
    host : str
        Its address.
    receive_buffer : int, optional
        About how many bytes the kernel keeps for a peer that does not read.
    source : str, optional
        The address that it comes from.
    """

    def __init__(
        self,
        port: int,
        host: str = "127.0.0.1",
        *,
        receive_buffer: int | None = None,
        source: str | None = None,
    ) -> None:
        self._host, self._port, self._receive_buffer = host, port, receive_buffer
        self._source = source
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    @classmethod
    def of(cls, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Self:
        """Return the peer at this end of a connection that is there."""
        address, port = writer.get_extra_info("peername")[:2]
        peer = cls(port, address)
        peer.reader, peer.writer = reader, writer
        return peer

    async def __aenter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        connecting = socket.socket(family)
        connecting.setblocking(False)
        if self._receive_buffer is not None:
            connecting.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        if self._source is not None:
            connecting.bind((self._source, 0))
        try:
            async with asyncio.timeout(PATIENCE):
                loop = asyncio.get_running_loop()
                await loop.sock_connect(connecting, (self._host, self._port))
                self.reader, self.writer = await asyncio.open_connection(sock=connecting)
        except BaseException:
            connecting.close()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; what the other side has not taken by now is dropped."""
        if self.writer.transport.get_write_buffer_size():
            self.cut()
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    # Sending ---------------------------------------------------------------------------------

    async def send(self, *data: bytes | PDU) -> None:
        """Send bytes and PDUs, in one write; wait while the other side takes nothing."""
        parts = [part if isinstance(part, bytes) else encode_pdu(part) for part in data]
        self.writer.write(b"".join(parts))
        await self.writer.drain()

    async def abort(self, source: int = 0, reason: int = 0) -> None:
        """Send A-ABORT (PS3.8 9.3.8)."""
        await self.send(Abort(source, reason))

    def cut(self) -> None:
        """Be gone, without a word."""
        self.writer.transport.abort()

    def reset(self) -> None:
        """Be gone, with a TCP reset."""
        connected = self.writer.get_extra_info("socket")
        if connected is not None:  # else it is gone already, as uvloop says it
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.cut()

    def stop_reading(self) -> None:
        """Leave whatever comes to the kernel from now on, until its buffer is full."""
        cast("asyncio.ReadTransport", self.writer.transport).pause_reading()

    async def half_close(self) -> None:
        """Send nothing more, but read on."""
        self.writer.write_eof()
        await self.writer.drain()

    # Receiving -------------------------------------------------------------------------------

    async def receive(self) -> PDU:
        """Return the next PDU.

        Raises
        ------
        EOFError
            Where the other side has closed; says so where that is inside of a PDU.
        TimeoutError
            Where nothing comes.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                head = await self.reader.readexactly(6)
                body = await self.reader.readexactly(int.from_bytes(head[2:], "big"))
        except asyncio.IncompleteReadError as error:
            inside = (f"it ends inside a PDU: {error.partial[:20]!r}",) if error.partial else ()
            raise EOFError(*inside) from None
        return decode_pdu(head + body)

    async def closed(self) -> bool:
        """Tell whether nothing but the end comes."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read() == b""

    async def gone(self) -> None:
        """Wait until the other side is gone, whatever it still sends and however it goes."""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE):
                while await self.reader.read(1 << 20):
                    pass

    async def aborted(self) -> Abort:
        """Expect A-ABORT, and return it."""
        return _expected(Abort, await self.receive())

    async def response(self) -> CommandSet:
        """Return the command set of the next message, which has no dataset."""
        data = b""
        while True:
            for pdv in _expected(DataTransfer, await self.receive()).pdvs:
                data += pdv.data
                if pdv.is_last:
                    return CommandSet.decode(data)

    async def status(self) -> int:
        """Return the next response's Status."""
        return status_of(await self.response())

    # As a requestor --------------------------------------------------------------------------

    async def associate(self, request: AssociateRequest | None = None) -> AssociateAccept:
        """Ask for an association; by default one for C-ECHO and for CTs (see `messages`)."""
        await self.send(request or association_request())
        return _expected(AssociateAccept, await self.receive())

    async def rejected(self, request: AssociateRequest | None = None) -> tuple[int, int, int]:
        """Ask for an association in vain; return result, source and reason (PS3.8 9.3.4)."""
        await self.send(request or association_request())
        answer = _expected(AssociateReject, await self.receive())
        return answer.result, answer.source, answer.reason

    async def echo(self, message_id: int = 1) -> int:
        """Send C-ECHO-RQ, and return the Status."""
        await self.send(command_pdu(echo_command(message_id), ECHO_CONTEXT))
        return await self.status()

    async def store(
        self, sop_instance_uid: str, data: bytes | None = None, message_id: int = 1
    ) -> int:
        """Send a CT, and return the Status; `data` is its dataset in Explicit VR Little Endian."""
        await self.send(store_pdus(sop_instance_uid, data, message_id))
        return await self.status()

    async def begin_store(self, sop_instance_uid: str, data: bytes = b"") -> None:
        """Send the command of a C-STORE, and a part of its dataset that is not the last."""
        await self.send(command_pdu(store_command(sop_instance_uid)) + fragment(data, CT_CONTEXT))

    async def finish_store(self, data: bytes) -> None:
        """Send the last part of the dataset that has begun."""
        await self.send(fragment(data, CT_CONTEXT, is_last=True))

    async def release(self) -> None:
        """Ask for the end of the association, and expect the answer."""
        await self.send(ReleaseRequest())
        _expected(ReleaseResponse, await self.receive())

    # As an acceptor --------------------------------------------------------------------------

    async def asked(self) -> AssociateRequest:
        """Return the A-ASSOCIATE-RQ."""
        return _expected(AssociateRequest, await self.receive())

    async def accept(
        self, maximum_length: int = 16384, *more: Item, answer: Answer | None = None
    ) -> AssociateRequest:
        """Receive the A-ASSOCIATE-RQ, accept it, and return it.

        By default every context is accepted with its first transfer syntax; `answer` makes
        other answers. `more` goes into the user information.
        """
        request = await self.asked()
        await self.send(acceptance(request, maximum_length, *more, answer=answer))
        return request

    async def reject(self, result: int = 1, source: int = 1, reason: int = 1) -> AssociateRequest:
        """Receive the A-ASSOCIATE-RQ, reject it (PS3.8 table 9-21), and return it."""
        request = await self.asked()
        await self.send(AssociateReject(result, source, reason))
        return request

    async def next_request(self) -> ReceivedRequest | None:
        """Return the next request, with all of its dataset.

        None after A-RELEASE-RQ, which is answered.
        """
        first = await self._next_pdvs()
        if first is None:
            return None
        pdvs = first
        while not _is_whole(pdvs):
            pdvs += await self._next_pdvs() or []
        command = CommandSet.decode(b"".join(pdv.data for pdv in pdvs if pdv.is_command))
        data = b"".join(pdv.data for pdv in pdvs if not pdv.is_command)
        return ReceivedRequest(pdvs[0].context_id, command, data)

    async def _next_pdvs(self) -> list[PDV] | None:
        pdu = await self.receive()
        if isinstance(pdu, ReleaseRequest):
            await self.send(ReleaseResponse())
            return None
        return list(_expected(DataTransfer, pdu).pdvs)

    async def respond(
        self, to: ReceivedRequest, status: int = Status.SUCCESS, comment: str = ""
    ) -> None:
        """Answer a request; `comment` is the Error Comment (0000,0902)."""
        await self.send(response_pdu(to.command, status, comment, to.context_id))


def _is_whole(pdvs: list[PDV]) -> bool:
    """Whether a message has all of its command set, and of its dataset if it has one."""
    last = pdvs[-1]
    if not last.is_last:
        return False
    if not last.is_command:
        return True
    return not CommandSet.decode(b"".join(pdv.data for pdv in pdvs)).has_dataset


def _expected(kind: type[_PDU], pdu: PDU) -> _PDU:
    if not isinstance(pdu, kind):
        raise AssertionError(f"{kind.__name__} was expected, and {pdu} came")
    return pdu
