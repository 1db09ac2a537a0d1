"""``python -m benchmarks.null_receiver PORT``: receives, discards and answers success.

The least that a receiver on this interpreter and event loop can do: what is between it and a
receiver that stores is storing, and what a library is for. It believes its peer: whoever breaks the
standard has his connection closed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import struct
import sys
from typing import cast

import uvloop

from aiodicom.wire.dimse import RESPONSE, CommandField, CommandSet
from aiodicom.wire.items import (
    AcceptedContext,
    ApplicationContext,
    Item,
    MaximumLength,
    TransferSyntax,
    UserInformation,
)
from aiodicom.wire.pdu import (
    APPLICATION_CONTEXT_NAME,
    PDV,
    AssociateAccept,
    AssociateRequest,
    DataTransfer,
    ReleaseResponse,
    decode_pdu,
    encode_pdu,
)

MAXIMUM_LENGTH = 131072
BACKLOG = 1024

_P_DATA_TF = 0x04
_ASSOCIATE_RQ = 0x01
_RELEASE_RQ = 0x05
_PDU = struct.Struct(">BxI")
_PDV = struct.Struct(">IBB")
_IS_COMMAND, _IS_LAST = 0x01, 0x02  # PS3.8 E.2

_COMMAND_FIELD = struct.pack("<HHI", 0, 0x0100, 2)
_MESSAGE_ID = struct.pack("<HHI", 0, 0x0110, 2)

_buffer = memoryview(bytearray(1 << 20))
"""One for all connections: what is received is looked at at once, and not kept."""


class Null(asyncio.BufferedProtocol):
    """One connection."""

    def __init__(self) -> None:
        self._kept = b""  # the beginning of a PDU, or of an item of one, or of a command
        self._skip = 0  # bytes of a dataset that still come
        self._left = 0  # bytes of the P-DATA-TF that still come, after those
        self._answer = b""  # what is answered when the skipped bytes have come

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        # uvloop's transports are no asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)
        self._command = b""
        self._message_id = b""
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get_buffer(self, _size_hint: int) -> memoryview:
        """Return where to receive."""
        kept = len(self._kept)
        if kept:
            _buffer[:kept] = self._kept
        return _buffer[kept:]

    def buffer_updated(self, count: int) -> None:
        """Skip what is data; answer what is complete."""
        end = len(self._kept) + count
        self._kept = b""
        position = 0
        while True:
            step = min(self._skip, end - position)
            position += step
            self._skip -= step
            if self._skip:
                return
            if self._answer:
                self._transport.write(self._answer)
                self._answer = b""
            taken = self._item(position, end) if self._left else self._head(position, end)
            if taken <= 0:
                self._kept = bytes(_buffer[position:end])
                return
            position += taken

    def _head(self, position: int, end: int) -> int:
        """Take the head of a PDU, or all of one that is short; return how much, 0 for not yet."""
        if end - position < 6:
            return 0
        kind: int
        length: int
        kind, length = _PDU.unpack_from(_buffer, position)
        if kind == _P_DATA_TF:
            self._left = length
            return 6
        if end - position < 6 + length:
            return 0
        pdu = bytes(_buffer[position : position + 6 + length])
        if kind == _ASSOCIATE_RQ:
            self._transport.write(_accepted(pdu))
        elif kind == _RELEASE_RQ:
            self._transport.write(encode_pdu(ReleaseResponse()))
        else:
            self._transport.close()
        return 6 + length

    def _item(self, position: int, end: int) -> int:
        """Take the head of a PDV, and its data where it is a command; 0 for not yet."""
        if end - position < 6:
            return 0
        length: int
        length, context, control = _PDV.unpack_from(_buffer, position)
        whole = length + 4
        if not control & _IS_COMMAND:
            self._left -= whole
            self._skip = whole - 6
            if control & _IS_LAST:
                self._answer = _answer(context, CommandField.C_STORE, self._message_id)
            return 6
        if end - position < whole:
            return 0
        self._left -= whole
        self._command += bytes(_buffer[position + 6 : position + whole])
        if control & _IS_LAST:
            self._take_command(context)
        return whole

    def _take_command(self, context: int) -> None:
        command, self._command = self._command, b""
        self._message_id = _value(command, _MESSAGE_ID)
        if int.from_bytes(_value(command, _COMMAND_FIELD), "little") == CommandField.C_ECHO:
            self._transport.write(_answer(context, CommandField.C_ECHO, self._message_id))


def _value(command: bytes, element: bytes) -> bytes:
    start = command.index(element) + len(element)
    return command[start : start + 2]


def _template(field: CommandField) -> bytes:
    """Return a response of success on context 0 to message 0xFFFF."""
    command = CommandSet.build(field | RESPONSE, message_id_being_responded_to=0xFFFF, status=0)
    data = command.encode()
    return encode_pdu(DataTransfer((PDV(1, True, True, data),)))


_TEMPLATES = {field: _template(field) for field in (CommandField.C_STORE, CommandField.C_ECHO)}
_ANSWERED = struct.pack("<HHIH", 0, 0x0120, 2, 0xFFFF)


def _answer(context: int, field: CommandField, message_id: bytes) -> bytes:
    template = _TEMPLATES[field]
    place = template.index(_ANSWERED) + len(_ANSWERED) - 2
    # The context's ID is the eleventh byte: PS3.8 9.3.5.
    return b"".join(
        (template[:10], bytes((context,)), template[11:place], message_id, template[place + 2 :])
    )


def _accepted(pdu: bytes) -> bytes:
    """Accept every presentation context, with the transfer syntax that is named first."""
    request = decode_pdu(pdu)
    assert isinstance(request, AssociateRequest)
    contexts = tuple(
        AcceptedContext(context.context_id, 0, (TransferSyntax(context.transfer_syntaxes[0]),))
        for context in request.presentation_contexts
    )
    user = UserInformation((MaximumLength(MAXIMUM_LENGTH),))
    items: tuple[Item, ...] = (ApplicationContext(APPLICATION_CONTEXT_NAME), *contexts, user)
    titles = request.called_ae_title_field, request.calling_ae_title_field
    return encode_pdu(AssociateAccept(*titles, items))


async def _serve(listening: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Null, sock=listening, backlog=BACKLOG)
    await server.serve_forever()


def main() -> None:
    """Listen until a signal ends it."""
    parser = argparse.ArgumentParser("python -m benchmarks.null_receiver", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    listening = socket.create_server(("127.0.0.1", asked.port), backlog=BACKLOG)
    for _ in range(asked.processes - 1):
        if not os.fork():
            break
    sys.exit(uvloop.run(_serve(listening)))


if __name__ == "__main__":
    main()
