"""An upper layer and what a transport would do with it, without a transport."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from aiodicom.wire.buffers import Account, Block, Pool
from aiodicom.wire.pdu import PDU, PDV, DataTransfer, decode_pdu, encode_pdu
from aiodicom.wire.states import State
from aiodicom.wire.upper_layer import Fragment, Incoming, Message, Role, UpperLayer


class Holder:
    """Who is paused and resumed; remembers it."""

    def __init__(self) -> None:
        self.paused = False
        self.pauses = 0
        self.squeezed = 0
        self.upper: UpperLayer | None = None

    def pause_reading(self) -> None:
        self.paused = True
        self.pauses += 1

    def resume_reading(self) -> None:
        self.paused = False

    def squeeze(self) -> None:
        self.squeezed += 1
        if self.upper is not None:
            self.upper.squeeze()


class Line:
    """An upper layer with memory of its own, fed as a transport feeds it."""

    def __init__(
        self,
        role: Role = Role.ACCEPTOR,
        state: State = State.STA6,
        *,
        pool: Pool | None = None,
        scratch_size: int | None = None,
        limit: int = 4 << 20,
        maximum_length: int = 0,
    ) -> None:
        self.pool = pool or Pool()
        if scratch_size is not None:
            self.pool.scratch = memoryview(bytearray(scratch_size))
        self.holder = Holder()
        self.account = Account(self.pool, self.holder, limit)
        self.upper = UpperLayer(role, self.account, maximum_length)
        self.upper.state = state
        self.holder.upper = self.upper

    def feed(self, data: bytes) -> list[Incoming]:
        """Feed `data` in reads as large as the buffers allow."""
        events: list[Incoming] = []
        rest = memoryview(data)
        while rest:
            buffer = self.upper.get_buffer()
            count = min(len(buffer), len(rest))
            assert count, "get_buffer returned an empty buffer"
            buffer[:count] = rest[:count]
            del buffer  # a slab whose view is alive is not used again
            events += self.upper.received(count)
            rest = rest[count:]
        return events

    def feed_all(self, pieces: Iterable[bytes]) -> list[Incoming]:
        """Feed each piece as a read, or several, of its own."""
        return [event for piece in pieces for event in self.feed(piece)]

    def sent(self) -> list[PDU]:
        """Decode, and forget, what is to be sent."""
        return list(pdus_in(self.upper.data_to_send()))

    def sent_one(self) -> PDU | None:
        """Return the only PDU that is to be sent, or None where there is none."""
        sent = self.sent()
        assert len(sent) <= 1
        return sent[0] if sent else None


def pdus_in(data: bytes) -> Iterator[PDU]:
    """Take a byte stream apart into its PDUs."""
    while data:
        end = 6 + int.from_bytes(data[2:6], "big")
        yield decode_pdu(data[:end])
        data = data[end:]


def blocks_of(events: Iterable[Incoming]) -> list[Block]:
    """Return the memory of all fragments."""
    return [e.block for e in events if isinstance(e, Fragment) and e.block is not None]


def release(events: Iterable[Incoming]) -> None:
    """Release the memory of all fragments."""
    for block in blocks_of(events):
        block.release()


Heard = tuple[int, bytes] | tuple[bytes, bool] | PDU


def transcript(events: Iterable[Incoming]) -> list[Heard]:
    """What was said, however it was cut: a message's dataset is one entry, with its end's flag."""
    heard: list[Heard] = []
    data = b""
    for event in events:
        if isinstance(event, Fragment):
            data += bytes(event.block) if event.block is not None else b""
            if event.is_last:
                heard.append((data, True))
                data = b""
            continue
        if data:
            heard.append((data, False))
            data = b""
        if isinstance(event, Message):
            heard.append((event.context_id, event.command.encode()))
        else:
            heard.append(event)
    if data:
        heard.append((data, False))
    return heard


def cut(data: bytes, seed: int, longest: int) -> list[bytes]:
    """Cut `data` into pieces of 1 to `longest` bytes."""
    chosen, pieces, start = random.Random(seed), [], 0
    while start < len(data):
        end = start + chosen.randint(1, longest)
        pieces.append(data[start:end])
        start = end
    return pieces


def bytewise(data: bytes) -> list[bytes]:
    """Cut `data` into single bytes."""
    return [bytes((byte,)) for byte in data]


def data_pdu(*pdvs: PDV) -> bytes:
    """A P-DATA-TF."""
    return encode_pdu(DataTransfer(pdvs))


def pattern(size: int) -> bytes:
    """Bytes of which no two neighbourhoods are alike."""
    return random.Random(size).randbytes(size)
