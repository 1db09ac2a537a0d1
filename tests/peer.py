"""A scripted requestor: whatever bytes a test wants, on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from aiodicom.wire.dimse import CommandField, CommandSet, Tag
from aiodicom.wire.items import (
    ApplicationContext,
    ImplementationClassUID,
    Item,
    MaximumLength,
    ProposedContext,
    UserInformation,
)
from aiodicom.wire.negotiation import EXPLICIT_LITTLE, IMPLICIT_LITTLE, VERIFICATION
from aiodicom.wire.pdu import (
    APPLICATION_CONTEXT_NAME,
    PDU,
    PDV,
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    DataTransfer,
    ReleaseRequest,
    ReleaseResponse,
    ae_title_field,
    decode_pdu,
    encode_pdu,
)

PATIENCE = 10
"""Seconds within which whatever a test waits for comes."""

CT = "1.2.840.10008.5.1.4.1.1.2"
ECHO_CONTEXT, CT_CONTEXT, CT_IMPLICIT_CONTEXT = 1, 3, 5

CONTEXTS = (
    ProposedContext.of(ECHO_CONTEXT, VERIFICATION, IMPLICIT_LITTLE),
    ProposedContext.of(CT_CONTEXT, CT, EXPLICIT_LITTLE),
    ProposedContext.of(CT_IMPLICIT_CONTEXT, CT, IMPLICIT_LITTLE),
)


def association_request(
    contexts: Iterable[ProposedContext] = CONTEXTS,
    *,
    calling: str = "PEER",
    called: str = "ANY-SCP",
    maximum_length: int = 16384,
    more: Iterable[Item] = (),
) -> AssociateRequest:
    """An A-ASSOCIATE-RQ; `more` goes into its user information."""
    user = UserInformation((MaximumLength(maximum_length), ImplementationClassUID("2.25.1"), *more))
    items: tuple[Item, ...] = (ApplicationContext(APPLICATION_CONTEXT_NAME), *contexts, user)
    return AssociateRequest(ae_title_field(called), ae_title_field(calling), items)


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    """A short element in Explicit VR Little Endian."""
    head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
    return head + vr + len(value).to_bytes(2, "little") + value


def uid_value(uid: str) -> bytes:
    value = uid.encode("ascii")
    return value + b"\0" * (len(value) % 2)


def ct_dataset(sop_instance_uid: str, pixels: bytes = b"\1\2" * 50) -> bytes:
    """A small CT in Explicit VR Little Endian: its UIDs and, as OW, its pixels."""
    return (
        element(0x00080016, b"UI", uid_value(CT))
        + element(0x00080018, b"UI", uid_value(sop_instance_uid))
        + b"\xe0\x7f\x10\x00OW\0\0"
        + len(pixels).to_bytes(4, "little")
        + pixels
    )


def store_command(
    sop_instance_uid: str, message_id: int = 1, sop_class_uid: str = CT
) -> CommandSet:
    return CommandSet.build(
        CommandField.C_STORE,
        dataset=True,
        affected_sop_class_uid=sop_class_uid,
        affected_sop_instance_uid=sop_instance_uid,
        message_id=message_id,
        priority=0,
    )


def echo_command(message_id: int = 1) -> CommandSet:
    return CommandSet.build(
        CommandField.C_ECHO, affected_sop_class_uid=VERIFICATION, message_id=message_id
    )


def command_pdu(command: CommandSet, context_id: int = CT_CONTEXT) -> bytes:
    """A P-DATA-TF that holds a whole command set."""
    return encode_pdu(DataTransfer((PDV(context_id, True, True, command.encode()),)))


def dataset_pdus(data: bytes, context_id: int = CT_CONTEXT, size: int = 16000) -> bytes:
    """P-DATA-TF PDUs that hold a whole dataset."""
    starts = range(0, len(data), size) if data else (0,)
    return b"".join(
        encode_pdu(
            DataTransfer(
                (PDV(context_id, False, start + size >= len(data), data[start : start + size]),)
            )
        )
        for start in starts
    )


def store_pdus(sop_instance_uid: str, data: bytes | None = None, message_id: int = 1) -> bytes:
    """A whole C-STORE of a CT."""
    command = command_pdu(store_command(sop_instance_uid, message_id))
    return command + dataset_pdus(ct_dataset(sop_instance_uid) if data is None else data)


def fragment(data: bytes, context_id: int = CT_CONTEXT, *, is_last: bool = False) -> bytes:
    """A P-DATA-TF that holds one fragment of a dataset."""
    return encode_pdu(DataTransfer((PDV(context_id, False, is_last, data),)))


def status_of(response: CommandSet) -> int:
    status = response.number(Tag.STATUS)
    assert status is not None
    return status


class Peer:
    """One connection to a server under test; an asynchronous context manager.

    With `receive_buffer`, the kernel keeps about that many bytes for a peer that does not read.
    `source` is the address that it comes from.
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

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.writer.transport.get_write_buffer_size():
            self.cut()  # what a server that does not read leaves unsent
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    # Sending ---------------------------------------------------------------------------------

    async def send(self, data: bytes | PDU) -> None:
        """Send bytes, or a PDU."""
        self.writer.write(data if isinstance(data, bytes) else encode_pdu(data))
        await self.writer.drain()

    async def abort(self, source: int = 0, reason: int = 0) -> None:
        """Send A-ABORT."""
        await self.send(Abort(source, reason))

    def cut(self) -> None:
        """Be gone, without a word."""
        self.writer.transport.abort()

    def reset(self) -> None:
        """Be gone, with a TCP reset."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.cut()

    async def half_close(self) -> None:
        """Send nothing more, but read on."""
        self.writer.write_eof()
        await self.writer.drain()

    async def begin_store(self, sop_instance_uid: str, data: bytes = b"") -> None:
        """Send the command of a C-STORE, and a part of its dataset that is not the last."""
        await self.send(command_pdu(store_command(sop_instance_uid)) + fragment(data))

    async def finish_store(self, data: bytes) -> None:
        """Send the last part of the dataset that has begun."""
        await self.send(fragment(data, is_last=True))

    # Receiving -------------------------------------------------------------------------------

    async def receive(self) -> PDU:
        """Return the next PDU; EOFError where the server has closed."""
        try:
            async with asyncio.timeout(PATIENCE):
                head = await self.reader.readexactly(6)
                body = await self.reader.readexactly(int.from_bytes(head[2:], "big"))
        except asyncio.IncompleteReadError:
            raise EOFError from None
        return decode_pdu(head + body)

    async def closed(self) -> bool:
        """Tell whether nothing but the end comes."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read() == b""

    async def hears_nothing(self, seconds: float = 0.05) -> bool:
        """Tell whether nothing comes for a while."""
        try:
            async with asyncio.timeout(seconds):
                data = await self.reader.readexactly(1)
        except TimeoutError:
            return True
        raise AssertionError(f"something came: {data!r}")

    async def still_open(self, seconds: float) -> bool:
        """Wait for the end, but not for long; tell whether it has not come."""
        try:
            async with asyncio.timeout(seconds):
                return await self.reader.read(1) != b""
        except TimeoutError:
            return True
        except ConnectionError:  # a byte of ours was on its way
            return False

    async def aborted(self) -> Abort:
        """Expect A-ABORT, and return it."""
        pdu = await self.receive()
        assert isinstance(pdu, Abort), pdu
        return pdu

    # Conversations ---------------------------------------------------------------------------

    async def associate(self, request: AssociateRequest | None = None) -> AssociateAccept:
        await self.send(request or association_request())
        answer = await self.receive()
        assert isinstance(answer, AssociateAccept), answer
        return answer

    async def rejected(self, request: AssociateRequest | None = None) -> tuple[int, int, int]:
        """Ask for an association in vain; return result, source and reason."""
        await self.send(request or association_request())
        answer = await self.receive()
        assert isinstance(answer, AssociateReject), answer
        return answer.result, answer.source, answer.reason

    async def response(self) -> CommandSet:
        """Return the next message's command set."""
        data = b""
        while True:
            pdu = await self.receive()
            assert isinstance(pdu, DataTransfer), pdu
            for pdv in pdu.pdvs:
                data += pdv.data
                if pdv.is_last:
                    return CommandSet.decode(data)

    async def status(self) -> int:
        """Return the next response's Status."""
        return status_of(await self.response())

    async def store(
        self, sop_instance_uid: str, data: bytes | None = None, message_id: int = 1
    ) -> int:
        await self.send(store_pdus(sop_instance_uid, data, message_id))
        return await self.status()

    async def echo(self, message_id: int = 1) -> int:
        await self.send(command_pdu(echo_command(message_id), ECHO_CONTEXT))
        return await self.status()

    async def release(self) -> None:
        await self.send(ReleaseRequest())
        assert await self.receive() == ReleaseResponse()

    async def sends_on_in_vain(self, data: bytes) -> None:
        """Send after the end; the server must drop it, and may not reset the connection."""
        await self.send(data)
        await self.half_close()
        assert await self.closed()
