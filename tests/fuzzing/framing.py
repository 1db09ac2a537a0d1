"""The upper layer, both roles: a peer says anything, and we do something now and then."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator

from aiodicom.errors import ProtocolError
from aiodicom.wire.buffers import Account, Block, Pool
from aiodicom.wire.items import (
    AcceptedContext,
    ApplicationContext,
    MaximumLength,
    TransferSyntax,
    UserInformation,
)
from aiodicom.wire.pdu import Abort, AssociateAccept, AssociateReject, AssociateRequest
from aiodicom.wire.states import State
from aiodicom.wire.upper_layer import Fragment, Incoming, Message, Role, UpperLayer
from tests.fuzzing.inputs import Settings, pieces_of
from tests.fuzzing.small import SLAB, small_buffers
from tests.wire.feeding import Holder, pdus_in, transcript

__all__ = ["upper_layer"]

ACCEPT = AssociateAccept(
    b"ANY-SCP".ljust(16),
    b"PEER".ljust(16),
    (
        ApplicationContext("1.2.840.10008.3.1.1.1"),
        AcceptedContext(1, 0, (TransferSyntax("1.2.840.10008.1.2"),)),
        AcceptedContext(3, 4, ()),
        UserInformation((MaximumLength(100),)),
    ),
)

_STATES = (State.STA2, State.STA5, State.STA6, State.STA7)
_OTHERS = [state for state in State if state not in (State.STA1, State.STA4, *_STATES)]
_LENGTHS = (0, 1, 7, 8, 9, 100, 16384, 0xFFFFFFFF)


@contextlib.contextmanager
def upper_layer() -> Iterator[Callable[[bytes], None]]:
    """Make a pool; yield what feeds an input to an upper layer, in some state, twice."""
    with small_buffers() as pool:

        def feed(data: bytes) -> None:
            _feed_and_act(Settings(data), pool)
            _feed_in_pieces(Settings(data), pool)

        yield feed


class _Listener:
    """An upper layer, its consumer, and what must hold of both."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        role = settings.one_of(Role.ACCEPTOR, Role.REQUESTOR)
        usual = State.STA2 if role is Role.ACCEPTOR else State.STA5
        state = settings.one_of(usual, *_STATES, *_OTHERS)
        self.holder = Holder()
        self.account = Account(pool, self.holder, settings.one_of(1 << 20, 3000, 100))
        self.upper = UpperLayer(role, self.account, settings.one_of(16384, 0))
        self.upper.state = state
        self.holder.upper = self.upper
        self.blocks: list[Block] = []
        self.events: list[Incoming] = []
        self.error: ProtocolError | None = None
        self.has_message = False  # and not yet the last fragment of its dataset

    def feed(self, data: bytes) -> None:
        upper, rest = self.upper, data
        while rest:
            buffer = upper.get_buffer()
            count = min(len(buffer), len(rest))
            assert count, "get_buffer returned an empty buffer"
            buffer[:count] = rest[:count]
            del buffer
            for event in self._received(count):
                self._take(event)
            rest = rest[count:]
        slabs = sum(any(isinstance(v, memoryview) for v in b.views) for b in self.blocks)
        copied = sum(block.size for block in self.blocks)
        most = (slabs + 1) * SLAB + copied + self.upper._unfinished
        assert self.account.held <= most, "more is held than is justified"

    def _received(self, count: int) -> list[Incoming]:
        is_over = self.error is not None or self.upper.closing
        try:
            events = self.upper.received(count)
        except ProtocolError as error:
            assert not is_over, "an error after the end"
            self.error = error.with_traceback(None)
            assert isinstance(list(pdus_in(self.upper.data_to_send()))[-1], Abort)
            assert self.upper.state is State.STA13
            return []
        assert not (is_over and events), "events after the end"
        assert len(events) <= count, "more events than bytes"
        return events

    def _take(self, event: Incoming) -> None:
        """Take an event as the conversation does, which believes in their order."""
        self.events.append(event)
        if isinstance(event, Fragment):
            assert self.has_message, "a fragment without a message"
            self.has_message = not event.is_last
            if event.block is not None:
                assert event.block.size == len(bytes(event.block)) > 0
                self.blocks.append(event.block)
        elif isinstance(event, Message):
            assert not self.has_message, "a message within a dataset"
            self.has_message = event.command.has_dataset
        elif not isinstance(event, AssociateRequest | AssociateAccept):
            self.has_message = False

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


def _act(rng: random.Random, listener: _Listener) -> None:
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
        listener.has_message = False
    elif choice < 0.25 and listener.blocks:
        listener.blocks.pop(rng.randrange(len(listener.blocks))).release()
    elif choice < 0.30 and upper.can_send:
        upper.peer_maximum_length = rng.choice(_LENGTHS)
        upper.send(rng.randrange(256), bytes(rng.randrange(30)), is_command=choice < 0.27)
    elif choice < 0.32 and state is State.STA6:
        upper.release()
    elif choice < 0.5 and state in (State.STA8, State.STA9, State.STA12):
        upper.respond_to_release()
    elif choice > 0.99 and state in (State.STA2, State.STA13):
        upper.artim_expired()
    elif choice > 0.98 and not upper.closing:
        upper.connection_lost()
        listener.has_message = False


def _parts(settings: Settings, data: bytes) -> list[bytes]:
    """Cut behind the first PDU, because nothing may follow an A-ASSOCIATE-RQ at once."""
    end = 6 + int.from_bytes(data[2:6], "big")
    cut = pieces_of(settings.chance, data[end:])
    return [*pieces_of(settings.chance, data[:end]), *cut]


def _feed_and_act(settings: Settings, pool: Pool) -> None:
    """A peer says anything, and we do something now and then."""
    listener = _Listener(pool, settings)
    acts = settings.one_of(True, False)
    for piece in _parts(settings, settings.stream):
        listener.feed(piece)
        if listener.upper.state is State.STA3 or (acts and settings.chance.random() < 0.5):
            _act(settings.chance, listener)
    listener.end()
    for _ in pdus_in(listener.upper.data_to_send()):
        pass  # what we send is well-formed


def _feed_in_pieces(settings: Settings, pool: Pool) -> None:
    """However a peer's bytes are cut, they say the same."""
    left = settings._left
    said, ends = [], []
    for _ in range(2):
        settings._left = left
        listener = _Listener(pool, settings)
        for piece in pieces_of(settings.chance, settings.stream):
            listener.feed(piece)
        said.append(transcript(listener.events))
        upper = listener.upper
        end = upper.state, upper.closing, upper.artim, str(listener.error)
        ends.append((end, upper.data_to_send()))
        error = listener.error
        listener.end()
    assert ends[0] == ends[1], "a cut changed the end"
    if error is None:
        assert said[0] == said[1], "a cut changed what was said"
