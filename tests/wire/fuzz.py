"""Fuzzes `aiodicom.wire`: any bytes raise `ProtocolError` or nothing.

    python -m tests.wire.fuzz 1000000 [seed]

Each input is made from the seed and its number alone: `fuzz_one(seed, number)` repeats it.
"""

from __future__ import annotations

import os
import random
import sys
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from unittest.mock import patch

from aiodicom.errors import AssociationRejected, ProtocolError, Refused
from aiodicom.wire import upper_layer
from aiodicom.wire.buffers import Account, Block, Pool
from aiodicom.wire.dimse import CommandSet, Tag, encode_response
from aiodicom.wire.elements import ElementWalker, Encoding
from aiodicom.wire.items import (
    AcceptedContext,
    ApplicationContext,
    AsynchronousOperationsWindow,
    ImplementationVersionName,
    Item,
    MaximumLength,
    RoleSelection,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    TransferSyntax,
    UnknownItem,
    UserIdentity,
    UserIdentityResponse,
    UserInformation,
)
from aiodicom.wire.negotiation import Policy, is_storage, negotiate
from aiodicom.wire.part10 import FileMeta
from aiodicom.wire.pdu import (
    PDU,
    PDV,
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ReleaseRequest,
    ReleaseResponse,
    decode_pdu,
    encode_pdu,
)
from aiodicom.wire.states import State
from aiodicom.wire.upper_layer import Fragment, Incoming, Message, Role, UpperLayer
from tests.peer import CT, association_request, command_pdu, ct_dataset, echo_command, store_command
from tests.wire.feeding import Holder, data_pdu, pdus_in, transcript

SCRATCH, SLAB = 256, 1024
BATCH = 5000
CLASS, INSTANCE = 0x00080016, 0x00080018

# What is mutated -------------------------------------------------------------------------------

REQUESTED: tuple[Item, ...] = (
    AsynchronousOperationsWindow(5, 5),
    RoleSelection(CT, 1, 1),
    ImplementationVersionName("FUZZ"),
    SOPClassExtendedNegotiation(CT, b"\1\1"),
    SOPClassCommonExtendedNegotiation(CT, "1.2.840.10008.4.2", ("1.2.3", "1.2.4")),
    UserIdentity(2, 1, b"user", b"pass"),
    UnknownItem(0x60, b"unknown"),
)
REQUEST = association_request(more=REQUESTED)
ACCEPT = AssociateAccept(
    REQUEST.called_ae_title_field,
    REQUEST.calling_ae_title_field,
    (
        ApplicationContext("1.2.840.10008.3.1.1.1"),
        AcceptedContext(1, 0, (TransferSyntax("1.2.840.10008.1.2"),)),
        AcceptedContext(3, 4, ()),
        UserInformation((MaximumLength(100), UserIdentityResponse(b"ok"))),
    ),
)
ECHO = command_pdu(echo_command(), 1)
STORE = store_command("1.2.3").encode()
DATASET = ct_dataset("1.2.3", b"\1\2\3\4" * 300)
SINGLE = [
    encode_pdu(pdu)
    for pdu in (
        REQUEST,
        ACCEPT,
        AssociateReject(1, 1, 1),
        ReleaseRequest(),
        ReleaseResponse(),
        Abort(0, 0),
        Abort(2, 6),
    )
]


def store(size: int, fragment: int) -> list[bytes]:
    """The PDUs of one C-STORE, one fragment each."""
    starts = range(0, size, fragment)
    pdvs = [
        PDV(3, False, s + fragment >= size, DATASET[s : min(s + fragment, size)]) for s in starts
    ]
    return [data_pdu(PDV(3, True, True, STORE)), *map(data_pdu, pdvs)]


def _messages() -> list[list[bytes]]:
    """Messages, each as its PDUs."""
    parts = [
        PDV(3, True, n + 20 >= len(STORE), STORE[n : n + 20]) for n in range(0, len(STORE), 20)
    ]
    together = [PDV(3, True, True, STORE), PDV(3, False, False, DATASET[:40])]
    return [
        [ECHO],
        store(100, 30),
        store(40, 1),
        store(1000, 400),
        store(len(DATASET), len(DATASET)),
        [*map(data_pdu, parts), data_pdu(PDV(3, False, True, b""))],
        [data_pdu(*together, PDV(3, False, True, DATASET[40:60]), PDV(1, True, True, ECHO[12:]))],
        [data_pdu(PDV(2, True, True, STORE)), data_pdu(PDV(2, False, True, b"even"))],
    ]


MESSAGES = _messages()
INTERESTING = [0, 1, 2, 3, 5, 6, 7, 0x7F, 0x80, 0xFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF]
HEADS = [FileMeta(CT, "1.2.3", "1.2.840.10008.1.2.1", "ME").encode() + DATASET[:50]]
COMMANDS = [STORE, echo_command().encode(), encode_response(store_command("1.2.3"), 0xA700, "no")]


def _datasets() -> list[tuple[Encoding, bytes]]:
    """Small datasets, each with its encoding."""
    begin = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
    end = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    pixels = (
        b"\x09\0\x10\x10OB\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\4\0\0\0abcd\xfe\xff\xdd\xe0\0\0\0\0"
    )
    explicit = DATASET[:32] + begin * 3 + end * 3 + pixels
    unknown = b"\x08\0\x05\0UN\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\xff\xff\xff\xff" + end
    implicit = b"\x08\0\x16\0\4\0\0\0" + b"1.2\0" + b"\x08\0\x18\0\4\0\0\0" + b"1.3\0" + end
    big = b"\0\x08\0\x16UI\0\4" + b"1.2\0" + b"\0\x08\0\x18UI\0\4" + b"1.3\0"
    compressor = zlib.compressobj(wbits=-15)
    deflated = compressor.compress(explicit) + compressor.flush()
    return [
        (Encoding(is_explicit=True), explicit),
        (Encoding(is_explicit=True), unknown + explicit),
        (Encoding(is_explicit=False), implicit),
        (Encoding(is_explicit=True, is_big=True), big + unknown),
        (Encoding(is_explicit=True, is_deflated=True), deflated),
    ]


DATASETS = _datasets()


def conversation(rng: random.Random, role: Role, state: State) -> list[bytes]:
    """Most of what a peer says from some state on, as its PDUs."""
    pdus: list[bytes] = []
    if state is State.STA2 or state is State.STA5 or rng.random() < 0.05:
        pdus.append(SINGLE[0] if role is Role.ACCEPTOR else SINGLE[1])
    for _ in range(rng.randrange(4)):
        pdus += rng.choice(MESSAGES)
    if rng.random() < 0.5:
        pdus.append(rng.choice(SINGLE))
    return pdus


# How it is mutated -----------------------------------------------------------------------------


def shuffled(rng: random.Random, pdus: list[bytes]) -> list[bytes]:
    """Drop, repeat, swap or insert whole PDUs."""
    pdus = list(pdus)
    at = rng.randrange(len(pdus)) if pdus else 0
    how = rng.randrange(4)
    if how == 0 or not pdus:
        pdus.insert(at, rng.choice(SINGLE))
    elif how == 1:
        pdus.insert(at, pdus[rng.randrange(len(pdus))])
    elif how == 2:
        other = rng.randrange(len(pdus))
        pdus[at], pdus[other] = pdus[other], pdus[at]
    else:
        del pdus[at]
    return pdus


def lengths(pdus: list[bytes]) -> list[int]:
    """Where the length fields of PDUs, and of their first PDVs or items, are."""
    places, start = [], 0
    for pdu in pdus:
        places.append(start + 2)
        if len(pdu) > 12:
            places.append(start + 6 if pdu[0] == 4 else start + 74)
        start += len(pdu)
    return places


def damaged(rng: random.Random, data: bytearray, places: list[int]) -> None:
    """Change some bytes, or their number."""
    if not data:
        data += rng.randbytes(rng.randrange(40))
        return
    at, how = rng.randrange(len(data)), rng.randrange(8)
    if how == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif how == 1:
        data[at] = rng.choice(INTERESTING) & 0xFF
    elif how == 2:
        del data[at:]
    elif how == 3:
        del data[at : at + rng.randrange(1, 20)]
    elif how == 4:
        data[at:at] = rng.randbytes(rng.randrange(1, 20))
    elif how == 5:
        data[at:at] = data[at : at + rng.randrange(1, 60)]
    else:
        at = rng.choice(places) if places and how == 6 else at
        size = rng.choice((1, 2, 4))
        number = rng.choice(INTERESTING) & (1 << 8 * size) - 1
        data[at : at + size] = number.to_bytes(size, rng.choice(("big", "little")))


def mutated(rng: random.Random, pdus: list[bytes]) -> bytes:
    """Some input that was valid once; sometimes it still is, and sometimes it never was."""
    if rng.random() < 0.03:
        return rng.randbytes(rng.randrange(100))
    while rng.random() < 0.3:
        pdus = shuffled(rng, pdus)
    places = lengths(pdus)
    data = bytearray().join(pdus)
    while rng.random() < 0.5:
        damaged(rng, data, places)
    return bytes(data)


def pieces_of(rng: random.Random, data: bytes) -> list[bytes]:
    """Cut at random: now into a few pieces, now into many."""
    if len(data) < 2 or rng.random() < 0.2:
        return [data]
    if rng.random() < 0.05 and len(data) < 500:
        return [data[n : n + 1] for n in range(len(data))]
    cuts = sorted(rng.randrange(1, len(data)) for _ in range(rng.randrange(1, 12)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]


# The upper layer -------------------------------------------------------------------------------

LISTENING = [state for state in State if state not in (State.STA1, State.STA4)]
LIKELY = [State.STA2, State.STA5, State.STA6, State.STA6, State.STA6, State.STA7]


class Listener:
    """An upper layer, its consumer, and what must hold of both."""

    def __init__(self, pool: Pool, role: Role, state: State, limit: int, longest: int) -> None:
        self.holder = Holder()
        self.account = Account(pool, self.holder, limit)
        self.upper = UpperLayer(role, self.account, longest)
        self.upper.state = state
        self.holder.upper = self.upper
        self.blocks: list[Block] = []
        self.events: list[Incoming] = []
        self.error: ProtocolError | None = None
        self._is_open = False  # between a message and the last fragment of its dataset

    def feed(self, data: bytes) -> None:
        upper, rest = self.upper, data
        while rest:
            buffer = upper.get_buffer()
            count = min(len(buffer), len(rest))
            assert count, "get_buffer returned an empty buffer"
            buffer[:count] = rest[:count]
            del buffer
            is_over = self.error is not None or upper.closing
            try:
                events = upper.received(count)
            except ProtocolError as error:
                assert not is_over, "an error after the end"
                self.error = error.with_traceback(None)
                assert isinstance(list(pdus_in(self.upper.data_to_send()))[-1], Abort)
                assert upper.state is State.STA13
                events = []
            assert not (is_over and events), "events after the end"
            assert len(events) <= count, "more events than bytes"
            for event in events:
                self.take(event)
            rest = rest[count:]
        slabs = sum(any(isinstance(v, memoryview) for v in b.views) for b in self.blocks)
        copied = sum(block.size for block in self.blocks)
        most = (slabs + 1) * SLAB + copied + self.upper._unfinished
        assert self.account.held <= most, "more is held than is justified"

    def take(self, event: Incoming) -> None:
        """Take an event as the conversation does, which believes in their order."""
        self.events.append(event)
        if isinstance(event, Fragment):
            assert self._is_open, "a fragment without a message"
            self._is_open = not event.is_last
            if event.block is not None:
                assert event.block.size == len(bytes(event.block)) > 0
                self.blocks.append(event.block)
        elif isinstance(event, Message):
            assert not self._is_open, "a message within a dataset"
            self._is_open = event.command.has_dataset
        elif not isinstance(event, AssociateRequest | AssociateAccept):
            self._is_open = False

    def end(self) -> None:
        """Lose the connection; everything comes back."""
        self.upper.connection_lost()
        for block in self.blocks:
            block.release()
        self.account.close()
        pool = self.account.pool
        assert self.account.held == pool.held == 0, "memory has not come back"
        assert not pool.filling
        assert not pool.waiting
        self.upper.get_buffer()[:1] = b"\4"
        assert self.upper.received(1) == []


def act(rng: random.Random, listener: Listener) -> None:
    """Something that the local user or the transport may do now."""
    upper, state = listener.upper, listener.upper.state
    choice = rng.random()
    if state is State.STA3:
        upper.accept(ACCEPT) if choice < 0.9 else upper.reject(AssociateReject(1, 1, 1))
    elif choice < 0.10:
        upper.squeeze()
    elif choice < 0.15:
        upper.discard_dataset()
    elif choice < 0.17:
        upper.abort(rng.choice((0, 2)))
        listener._is_open = False
    elif choice < 0.25 and listener.blocks:
        listener.blocks.pop(rng.randrange(len(listener.blocks))).release()
    elif choice < 0.30 and upper.can_send:
        upper.peer_maximum_length = rng.choice(INTERESTING)
        upper.send(rng.randrange(256), DATASET[: rng.randrange(30)], is_command=choice < 0.27)
    elif choice < 0.32 and state is State.STA6:
        upper.release()
    elif choice < 0.5 and state in (State.STA8, State.STA9, State.STA12):
        upper.respond_to_release()
    elif choice > 0.99 and state in (State.STA2, State.STA13):
        upper.artim_expired()
    elif choice > 0.98 and not upper.closing:
        upper.connection_lost()
        listener._is_open = False


def fuzz_upper_layer(rng: random.Random, pool: Pool) -> Exception | None:
    """A peer says anything, and we do something now and then."""
    role = rng.choice((Role.ACCEPTOR, Role.REQUESTOR))
    state = rng.choice(LIKELY if rng.random() < 0.9 else LISTENING)
    limit = rng.choice((100, 3000, 1 << 20))
    listener = Listener(pool, role, state, limit, rng.choice((0, 0, 16384)))
    for piece in pieces_of(rng, mutated(rng, conversation(rng, role, state))):
        listener.feed(piece)
        if rng.random() < 0.5 or listener.upper.state is State.STA3:
            act(rng, listener)
    listener.end()
    for _ in pdus_in(listener.upper.data_to_send()):
        pass  # what we send is well-formed
    return listener.error


def fuzz_cuts(rng: random.Random, pool: Pool) -> Exception | None:
    """However a peer's bytes are cut, they say the same."""
    role = rng.choice((Role.ACCEPTOR, Role.REQUESTOR))
    state = rng.choice(LIKELY)
    data = mutated(rng, conversation(rng, role, state))
    limit = rng.choice((100, 1 << 20))
    listeners = [Listener(pool, role, state, limit, 16384) for _ in range(2)]
    said, ends = [], []
    for listener in listeners:
        for piece in pieces_of(rng, data):
            listener.feed(piece)
        said.append(transcript(listener.events))
        end = listener.upper.state, listener.upper.closing, listener.upper.artim
        ends.append((end, str(listener.error), listener.upper.data_to_send()))
        listener.end()
    assert ends[0] == ends[1], "a cut changed the end"
    if listeners[0].error is None:
        assert said[0] == said[1], "a cut changed what was said"
    return listeners[0].error


# The rest --------------------------------------------------------------------------------------


def fuzz_pdu(rng: random.Random, pool: Pool) -> Exception | None:
    data = bytearray(mutated(rng, [rng.choice(SINGLE + MESSAGES[6])]))
    if rng.random() < 0.8 and len(data) >= 6:  # else hardly any gets beyond its length
        data[2:6] = (len(data) - 6).to_bytes(4, "big")
    try:
        pdu = decode_pdu(bytes(data))
    except ProtocolError as error:
        return error
    again = encode_pdu(pdu)
    assert len(again) == len(data)
    assert decode_pdu(again) == pdu, "a PDU does not round-trip"
    return _negotiated(pdu)


def _negotiated(pdu: PDU) -> Exception | None:
    if not isinstance(pdu, AssociateRequest):
        return None
    try:
        agreement = negotiate(pdu, Policy(supports=is_storage))
    except AssociationRejected as error:
        return error
    assert decode_pdu(encode_pdu(agreement.accept)) == agreement.accept
    return None


def fuzz_command(rng: random.Random, pool: Pool) -> Exception | None:
    data = mutated(rng, [rng.choice(COMMANDS)])
    try:
        command = CommandSet.decode(data)
    except ProtocolError as error:
        return error
    assert CommandSet.decode(command.encode()).encode() == command.encode()
    for tag in Tag:
        command.number(tag), command.uid(tag), command.text(tag), command.tags(tag)
    assert command.name
    assert isinstance(command.missing(), tuple)
    CommandSet.decode(encode_response(command, 0xA700, "why", (CLASS,)))
    return None


def _walked(encoding: Encoding, pieces: list[bytes]) -> tuple[str, dict[int, bytes]]:
    walker = ElementWalker(encoding, (CLASS, INSTANCE))
    try:
        for piece in pieces:
            walker.feed(piece)
        walker.end()
    except Refused as refused:
        return str(refused), walker.found
    return "", walker.found


def fuzz_elements(rng: random.Random, pool: Pool) -> Exception | None:
    encoding, dataset = rng.choice(DATASETS)
    data = mutated(rng, [dataset])
    why, found = _walked(encoding, pieces_of(rng, data))
    whole = _walked(encoding, [data])
    # Of what cannot be inflated zlib gives nothing, or what came in an earlier piece.
    if "inflated" not in why + whole[0]:
        assert (why, found) == whole, "a cut changed what was found"
    assert all(len(value) <= 1 << 14 for value in found.values())
    return Refused(0xC000) if why else None


def fuzz_file_meta(rng: random.Random, pool: Pool) -> Exception | None:
    data = bytearray(mutated(rng, HEADS))
    if rng.random() < 0.8:
        data[:132] = HEADS[0][:132]
    try:
        _, offset = FileMeta.decode(bytes(data))
    except ValueError as error:
        return error
    assert 132 <= offset <= len(data)
    return None


Target = Callable[[random.Random, Pool], Exception | None]
TARGETS: list[tuple[Target, float]] = [
    (fuzz_upper_layer, 0.50),
    (fuzz_cuts, 0.20),
    (fuzz_pdu, 0.12),
    (fuzz_command, 0.06),
    (fuzz_elements, 0.08),
    (fuzz_file_meta, 0.04),
]
_FUNCTIONS = [target for target, _ in TARGETS]
_WEIGHTS = [weight for _, weight in TARGETS]

# Running ---------------------------------------------------------------------------------------


class Failure(Exception):
    """An input that raised what it must not, or broke what must hold."""


@contextmanager
def small_buffers() -> Iterator[Pool]:
    """Make every boundary of the buffers one that a short input crosses."""
    sizes = upper_layer.Sizes(command=300)
    with patch.multiple(upper_layer, SHORT_FRAGMENT=16, SLAB_TAIL=64, SIZES=sizes):
        pool = Pool(budget=8 * SLAB, slab_size=SLAB)
        pool.scratch = memoryview(bytearray(SCRATCH))
        yield pool


def fuzz_one(seed: int, number: int, pool: Pool) -> str:
    """Make one input and feed it; return what it raised.

    Raises
    ------
    Failure
        Where it was anything that it must not be.
    """
    rng = random.Random(f"{seed}/{number}")
    (target,) = rng.choices(_FUNCTIONS, _WEIGHTS)
    try:
        error = target(rng, pool)
    except Exception as failure:
        raise Failure(
            f"seed {seed}, input {number} ({target.__name__}):\n{traceback.format_exc()}"
        ) from failure
    return type(error).__name__ if error is not None else "nothing"


def fuzz(seed: int, numbers: range) -> Counter[str]:
    """Feed the inputs of some numbers; return what they raised, and how often."""
    with small_buffers() as pool:
        return Counter(fuzz_one(seed, number, pool) for number in numbers)


def main(arguments: list[str]) -> int:
    count = int(arguments[0]) if arguments else 1_000_000
    seed = int(arguments[1]) if len(arguments) > 1 else int.from_bytes(os.urandom(4), "big")
    write = sys.stdout.write
    write(f"{count} inputs, seed {seed}\n")
    sys.stdout.flush()
    batches = [range(n, min(n + BATCH, count)) for n in range(0, count, BATCH)]
    raised: Counter[str] = Counter()
    begin = time.monotonic()
    with ProcessPoolExecutor() as processes:
        try:
            for counted in processes.map(partial(fuzz, seed), batches):
                raised += counted
        except Failure as failure:
            write(f"after {raised.total()} inputs or more: {failure}\n")
            processes.shutdown(cancel_futures=True)
            return 1
    names = ", ".join(f"{name} {number}" for name, number in raised.most_common())
    seconds = time.monotonic() - begin
    write(f"{raised.total()} inputs in {seconds:.0f} s, seed {seed}: {names}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
