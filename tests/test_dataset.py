"""DatasetStream: between an association that feeds it and a handler that reads, or does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

import aiodicom
from aiodicom import AssociationLost, DatasetStream, Refused, Status, StoreRequest
from aiodicom.wire.buffers import Account, Block, Pool
from tests.peer import CT_CONTEXT, Peer, command_pdu, dataset_pdus, store_command, store_pdus
from tests.serving import MIB, Gate, Peak, happens, serving


class Holder:
    """The connection of an account, which has none."""

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def squeeze(self) -> None:
        pass


class Feed:
    """A stream, and what an association does to it."""

    def __init__(self) -> None:
        self.account = Account(Pool(), Holder(), 4 * MIB)
        self.discards = 0
        self.stream = DatasetStream(self._discarded)

    def _discarded(self) -> None:
        self.discards += 1

    def __call__(self, data: bytes, *, is_last: bool = False) -> None:
        block = Block(self.account, [bytearray(data)], len(data)) if data else None
        self.stream.feed(block, is_last)

    @property
    def held(self) -> int:
        return self.account.held


async def started(reading: asyncio.Task[bytes] | asyncio.Task[Block | None]) -> None:
    """Let a task run until it waits."""
    await asyncio.sleep(0)
    assert not reading.done()


# Reading ---------------------------------------------------------------------------------------


async def test_chunks_come_as_they_were_fed() -> None:
    feed = Feed()
    chunks = feed.stream.__aiter__()
    feed(b"one")
    assert await anext(chunks) == b"one"
    feed(b"two")
    feed(b"three", is_last=True)
    assert b"".join([chunk async for chunk in chunks]) == b"twothree"
    assert feed.held == 0


async def test_read_waits_for_all_of_it() -> None:
    feed = Feed()
    reading = asyncio.ensure_future(feed.stream.read())
    await started(reading)
    feed(b"one")
    await started(reading)
    feed(b"", is_last=True)
    assert await reading == b"one"


async def test_size_and_completeness_are_what_has_come() -> None:
    feed = Feed()
    feed(b"one")
    assert (feed.stream.size, feed.stream.complete, feed.stream.consumed) == (3, False, False)
    feed(b"two", is_last=True)
    assert (feed.stream.size, feed.stream.complete, feed.stream.consumed) == (6, True, False)
    await feed.stream.read()
    assert feed.stream.consumed


async def test_an_empty_dataset_ends_at_once() -> None:
    feed = Feed()
    feed(b"", is_last=True)
    assert await feed.stream.block() is None
    assert await feed.stream.read() == b""
    assert feed.stream.consumed


async def test_a_block_waits_for_as_much_as_was_asked_for() -> None:
    feed = Feed()
    reading = asyncio.ensure_future(feed.stream.block(5))
    feed(b"1234")
    await started(reading)
    feed(b"56")
    block = await reading
    assert block is not None
    assert (bytes(block), block.size, feed.held) == (b"123456", 6, 6)
    block.release()
    assert feed.held == 0


async def test_a_block_at_the_end_is_smaller() -> None:
    feed = Feed()
    reading = asyncio.ensure_future(feed.stream.block(1000))
    await started(reading)
    feed(b"1234", is_last=True)
    block = await reading
    assert block is not None
    with block:
        assert bytes(block) == b"1234"
    assert await feed.stream.block(1000) is None


async def test_a_block_is_smaller_where_memory_is_short() -> None:
    feed = Feed()
    reading = asyncio.ensure_future(feed.stream.block(1000))
    feed(b"1234")
    await started(reading)
    feed.stream.hurry()
    block = await reading
    assert block is not None
    block.release()
    feed(b"5678")
    reading = asyncio.ensure_future(feed.stream.block(1000))
    await started(reading)  # once only
    feed(b"", is_last=True)
    block = await reading
    assert block is not None
    block.release()


async def test_there_is_nothing_to_hurry_before_something_has_come() -> None:
    feed = Feed()
    reading = asyncio.ensure_future(feed.stream.block(1000))
    await started(reading)
    feed.stream.hurry()
    await started(reading)
    feed(b"1")
    block = await reading
    assert block is not None
    block.release()


async def test_a_reader_that_was_cancelled_has_lost_nothing() -> None:
    feed = Feed()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await feed.stream.block()
    feed(b"one", is_last=True)
    assert await feed.stream.read() == b"one"


async def test_two_readers_are_one_too_many() -> None:
    feed = Feed()
    reading = asyncio.ensure_future(feed.stream.read())
    await started(reading)
    with pytest.raises(RuntimeError, match="two"):
        await feed.stream.block()
    feed(b"", is_last=True)
    await reading


async def test_small_pieces_are_kept_together() -> None:
    feed = Feed()
    for _ in range(10_000):
        feed(b"x")
    assert len(feed.stream._blocks) == 1
    block = await feed.stream.block()
    assert block is not None
    with block:
        assert (block.size, feed.held) == (10_000, 10_000)
        assert len(block.views) == 1
    assert feed.held == 0


# Not reading -----------------------------------------------------------------------------------


async def test_what_is_discarded_is_not_held() -> None:
    feed = Feed()
    feed(b"one")
    feed.stream.discard()
    feed.stream.discard()
    assert (feed.held, feed.discards, feed.stream.consumed) == (0, 1, True)
    feed(b"two")
    assert feed.held == 0
    feed(b"three", is_last=True)
    await feed.stream.wait_complete()


async def test_the_upper_layer_hears_nothing_of_a_discard_after_the_last_fragment() -> None:
    feed = Feed()
    feed(b"one", is_last=True)
    feed.stream.discard()
    assert (feed.held, feed.discards) == (0, 0)
    assert feed.stream.discarded


async def test_a_discard_wakes_nobody_with_a_short_read_before_the_end() -> None:
    feed = Feed()
    feed(b"one")
    feed.stream.discard()
    waiting = asyncio.ensure_future(feed.stream.wait_complete())
    await asyncio.sleep(0)
    feed(b"two")
    await asyncio.sleep(0)
    assert not waiting.done()
    feed(b"", is_last=True)
    await waiting


# The end of the association ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "way",
    [
        DatasetStream.read,
        DatasetStream.block,
        DatasetStream.wait_complete,
        lambda stream: anext(aiter(stream)),
    ],
)
async def test_an_association_that_ends_is_raised_for_good(
    way: Callable[[DatasetStream], Awaitable[object]],
) -> None:
    feed = Feed()
    feed(b"one")
    feed.stream.fail(AssociationLost("gone"))
    assert feed.held == 0
    for _ in range(2):
        with pytest.raises(AssociationLost, match="gone"):
            await way(feed.stream)


async def test_an_association_that_ends_wakes_the_reader() -> None:
    feed = Feed()
    reading = asyncio.ensure_future(feed.stream.block(1000))
    await started(reading)
    feed.stream.fail(AssociationLost("gone"))
    with pytest.raises(AssociationLost, match="gone"):
        await reading


async def test_an_association_that_ends_after_the_last_fragment_takes_nothing_away() -> None:
    feed = Feed()
    feed(b"one", is_last=True)
    feed.stream.fail(AssociationLost("gone"))
    assert await feed.stream.read() == b"one"


async def test_what_comes_after_the_end_is_not_held() -> None:
    feed = Feed()
    feed.stream.fail(AssociationLost("gone"))
    feed(b"one")
    assert feed.held == 0


# On a socket -----------------------------------------------------------------------------------


async def test_not_reading_is_back_pressure(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, peak, data = Gate(), Peak(monkeypatch), bytes(50 * MIB)
    limits = aiodicom.Limits(association_bytes=4 * MIB)
    async with serving(store=gate, limits=limits) as server, Peer(server.port) as peer:
        await peer.associate()
        sending = asyncio.ensure_future(peer.send(store_pdus("1.2.3", data)))
        await happens(gate.entered)
        done, _ = await asyncio.wait([sending], timeout=0.5)
        assert not done  # it cannot get rid of the 50 MB
        assert 4 * MIB < peak.account <= 4 * MIB + MIB  # one buffer more than the limit
        gate.opened.set()
        assert await peer.status() == Status.SUCCESS
        await sending
        assert await gate.outcome() == data


async def test_not_reading_pipelined_objects_is_back_pressure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, peak = Gate(), Peak(monkeypatch)
    limits = aiodicom.Limits(association_bytes=2 * MIB)
    async with serving(store=gate, limits=limits) as server, Peer(server.port) as peer:
        await peer.associate()
        objects = [store_pdus(f"1.2.{i}", bytes(MIB // 2), i) for i in range(60)]
        sending = asyncio.ensure_future(peer.send(b"".join(objects)))
        await happens(gate.entered)
        done, _ = await asyncio.wait([sending], timeout=0.3)
        assert not done
        assert peak.account <= 2 * MIB + MIB
        gate.opened.set()
        assert {await peer.status() for _ in objects} == {Status.SUCCESS}
        await sending


async def test_blocks_that_are_kept_are_back_pressure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The budget counts what a handler has taken and not released: a writers' queue."""
    enough, peak = asyncio.Event(), Peak(monkeypatch)

    async def handler(request: StoreRequest) -> int:
        blocks = []
        while request.dataset.size < 3 * MIB:
            blocks.append(await request.dataset.block())
        try:
            async with asyncio.timeout(0.3):  # above the limit nothing more comes
                while True:
                    blocks.append(await request.dataset.block(8 * MIB))
        except TimeoutError:
            enough.set()
        for block in blocks:
            assert block is not None
            block.release()
        await request.dataset.read()
        return Status.SUCCESS

    limits = aiodicom.Limits(association_bytes=4 * MIB)
    async with serving(store=handler, limits=limits) as server, Peer(server.port) as peer:
        await peer.associate()
        sending = asyncio.ensure_future(peer.send(store_pdus("1.2.3", bytes(20 * MIB))))
        await happens(enough)
        assert peak.account <= 4 * MIB + MIB
        assert await peer.status() == Status.SUCCESS
        await sending


async def test_one_byte_fragments_do_not_multiply_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, peak = Gate(), Peak(monkeypatch)
    async with serving(store=gate) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.send(command_pdu(store_command("1.2.3")))
        await peer.send(dataset_pdus(bytes(30_000), CT_CONTEXT, size=1))
        await happens(gate.entered)
        gate.opened.set()
        assert await peer.status() == Status.SUCCESS
        assert await gate.outcome() == bytes(30_000)
        assert peak.account <= 2 * MIB


# Afterwards ------------------------------------------------------------------------------------


async def test_a_discard_tells_a_reader_that_waits() -> None:
    feed = Feed()
    reading = asyncio.create_task(feed.stream.read())
    await started(reading)
    feed.stream.discard()
    with pytest.raises(aiodicom.AssociationClosed, match="discarded"):
        await reading


async def test_what_was_discarded_has_no_end_that_could_be_taken_for_the_dataset_s() -> None:
    feed = Feed()
    feed(b"first half")
    feed.stream.close()
    with pytest.raises(aiodicom.AssociationClosed, match="discarded"):
        await feed.stream.block()


async def test_a_block_that_nobody_released_is_given_back_with_its_last_reference() -> None:
    feed = Feed()
    feed(b"12345", is_last=True)
    block = await feed.stream.block()
    assert feed.held == 5
    del block
    assert feed.held == 0


# Looking ahead -------------------------------------------------------------------------------


async def test_what_is_ahead_is_copied_and_stays() -> None:
    feed = Feed()
    feed(b"1234")
    feed(bytes(40_000))
    feed(b"5678", is_last=True)
    assert await feed.stream.ahead(0, 3) == b"123"
    assert await feed.stream.ahead(3, 2) == b"4\0"
    assert await feed.stream.ahead(40_002, 100) == b"\0\x005678"
    assert await feed.stream.ahead(40_008, 100) == b""
    assert len(await feed.stream.read()) == 40_008


async def test_what_is_ahead_is_waited_for() -> None:
    feed = Feed()
    feed(b"1234")
    looking = asyncio.ensure_future(feed.stream.ahead(4, 10))
    await started(looking)
    feed(b"5")
    assert await looking == b"5"


async def test_what_is_ahead_is_waited_for_where_memory_is_short() -> None:
    feed = Feed()
    looking = asyncio.ensure_future(feed.stream.ahead(0, 10))
    await started(looking)
    feed.stream.hurry()
    await started(looking)  # it holds nothing: others will let it go on
    feed(b"1234")
    assert await looking == b"1234"
    looking = asyncio.ensure_future(feed.stream.ahead(4, 10))
    await started(looking)  # it holds something: perhaps there will be room for more
    feed(b"5")
    assert await looking == b"5"
    feed.stream.discard()


async def test_it_is_not_waited_for_ever_and_no_end_of_the_dataset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aiodicom.dataset.SHORTAGE", 0)
    feed = Feed()
    feed.stream.hurry()
    looking = asyncio.ensure_future(feed.stream.ahead(0, 10))
    for _ in range(5):
        await started(looking)  # it holds nothing that others could wait for
    feed(b"1234")
    assert await looking == b"1234"
    with pytest.raises(Refused, match="memory is short") as raised:
        await feed.stream.ahead(4, 10)
    assert raised.value.status == Status.OUT_OF_RESOURCES
    feed(b"5", is_last=True)
    assert await feed.stream.read() == b"12345"


# Branches ------------------------------------------------------------------------------------


async def test_each_branch_has_all_of_it_and_it_is_held_until_the_last_has_let_go() -> None:
    feed = Feed()
    feed(bytes(40_000))
    first, second = feed.stream.branch(2)
    feed(bytes(50_000), is_last=True)
    assert len(await first.read()) == 90_000
    assert feed.held == 90_000
    assert len(await second.read()) == 90_000
    assert (feed.held, feed.stream.consumed, feed.discards) == (0, True, 0)


async def test_small_pieces_are_kept_together_in_every_branch() -> None:
    feed = Feed()
    branches = feed.stream.branch(2)
    for _ in range(10_000):
        feed(b"x")
    assert [len(branch._blocks) for branch in branches] == [1, 1]
    assert feed.held == 20_000
    feed.stream.close()
    assert feed.held == 0


async def test_what_is_large_is_not_copied_for_branches() -> None:
    feed = Feed()
    branches = feed.stream.branch(2)
    feed(bytes(100_000))
    assert feed.held == 100_000
    blocks = [await branch.block() for branch in branches]
    assert all(isinstance(view, memoryview) for block in blocks if block for view in block.views)
    del blocks  # forgotten
    assert feed.held == 0


async def test_what_no_branch_wants_is_dropped_as_it_comes() -> None:
    feed = Feed()
    first, second = feed.stream.branch(2)
    feed(bytes(100_000))
    first.discard()
    assert (feed.held, feed.discards) == (100_000, 0)
    second.discard()
    assert (feed.held, feed.discards, feed.stream.discarded) == (0, 1, True)


async def test_branches_hear_of_all_that_happens_to_it() -> None:
    for happening, kind in ((DatasetStream.fail, AssociationLost), (DatasetStream.refuse, Refused)):
        feed, error = (
            Feed(),
            AssociationLost("gone") if kind is AssociationLost else Refused(0xA700),
        )
        branches = feed.stream.branch(2)
        reading = [asyncio.ensure_future(branch.read()) for branch in branches]
        feed(bytes(100_000))
        await started(reading[0])
        happening(feed.stream, error)  # type: ignore[arg-type]
        assert [type(e) for e in await asyncio.gather(*reading, return_exceptions=True)] == [
            kind
        ] * 2
        assert feed.held == 0


@pytest.mark.parametrize("is_before", [True, False])
async def test_branches_are_hurried_again_and_again(is_before: bool) -> None:
    feed = Feed()
    feed.stream.hurry()
    if not is_before:
        feed(b"1234")
    branches = feed.stream.branch(2)
    if is_before:
        feed(b"1234")
        feed.stream.hurry()
    for branch in branches:
        block = await branch.block(1000)
        assert block is not None
        block.release()


async def test_what_has_branches_is_read_by_nobody_else() -> None:
    feed = Feed()
    feed(b"1234", is_last=True)
    branches = feed.stream.branch(1)
    with pytest.raises(RuntimeError, match="by others"):
        await feed.stream.block()
    with pytest.raises(RuntimeError, match="already"):
        feed.stream.branch(1)
    assert await branches[0].read() == b"1234"


async def test_a_branch_has_branches() -> None:
    feed = Feed()
    left, right = feed.stream.branch(2)
    ends = left.branch(2)
    feed(bytes(100_000), is_last=True)
    assert [len(await end.read()) for end in (*ends, right)] == [100_000] * 3
    assert feed.held == 0


# More than is wanted -------------------------------------------------------------------------


@pytest.mark.parametrize("is_complete", [False, True])
async def test_what_comes_of_a_dataset_that_is_refused_is_dropped(is_complete: bool) -> None:
    feed = Feed()
    feed.stream.feed(None, is_complete)
    for _ in range(2):
        feed.stream.refuse(Refused(Status.OUT_OF_RESOURCES, "too much"))
    feed.stream.discard()
    assert feed.discards == (not is_complete)
    assert not feed.stream.consumed
    with pytest.raises(Refused, match="too much"):
        await feed.stream.block()
