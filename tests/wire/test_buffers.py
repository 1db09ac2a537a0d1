"""Slabs, blocks, accounts and the pool: what is held, who is paused, what is used again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aiodicom.wire.buffers import SCRATCH_SIZE, SLAB_SIZE, Account, Block, Pool, Slab
from tests.wire.feeding import Holder

SMALL = 1000


class Squeezed(Holder):
    """A holder whose consumer takes what is there as soon as it is asked to."""

    slab: Slab | None = None

    def squeeze(self) -> None:
        super().squeeze()
        slab, self.slab = self.slab, None
        if slab is not None:
            self.account.filled()
            slab.release()

    account: Account


def account(pool: Pool | None = None, limit: int = 1 << 30) -> tuple[Account, Squeezed]:
    holder = Squeezed()
    holder.account = Account(pool or Pool(), holder, limit)
    return holder.account, holder


class Clock:
    """Calls a pool back when a test says so."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def __call__(self, seconds: float, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def tick(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call()


def small_pool(slabs: int = 10, spare: int = 8, clock: Clock | None = None) -> Pool:
    return Pool(slabs * SMALL, SMALL, spare, clock)


def used_up(clock: Clock) -> tuple[Pool, list[Slab]]:
    """A pool whose slabs are with handlers that keep them."""
    pool = small_pool(slabs=4, clock=clock)
    slabs = [taken(account(pool)[0]) for _ in range(3)]
    pool.filling.clear()
    return pool, slabs


def taken(of: Account) -> Slab:
    slab = of.take_slab()
    assert slab is not None
    return slab


def part(of: Account, slab: Slab, size: int = 10) -> Block:
    """A block of the first bytes of a slab."""
    return Block(of, [slab.view[:size]], size, slab.share())


def copy(of: Account, data: bytes) -> Block:
    return Block(of, [bytearray(data)], len(data))


# Counting --------------------------------------------------------------------------------------


def test_a_slab_counts_with_its_capacity() -> None:
    one, _ = account()
    slab = taken(one)
    assert (one.held, one.pool.held, len(slab.view)) == (SLAB_SIZE, SLAB_SIZE, SLAB_SIZE)
    slab.release()
    assert (one.held, one.pool.held) == (0, 0)


def test_a_slab_goes_back_with_its_last_user() -> None:
    one, _ = account()
    slab = taken(one)
    first, second = part(one, slab), part(one, slab)
    slab.release()
    first.release()
    assert one.held == SLAB_SIZE
    second.release()
    assert one.held == 0


def test_a_copy_counts_with_its_size() -> None:
    one, _ = account()
    block = copy(one, bytes(123))
    assert (one.held, one.pool.held) == (123, 123)
    block.release()
    assert (one.held, one.pool.held) == (0, 0)


def test_releasing_a_block_twice_gives_back_once() -> None:
    one, _ = account()
    slab = taken(one)
    shared, copied = part(one, slab), copy(one, b"abc")
    for block in (shared, copied, shared, copied):
        block.release()
    assert one.held == SLAB_SIZE
    slab.release()
    assert one.held == 0


def test_a_block_is_released_by_its_context() -> None:
    one, _ = account()
    with copy(one, b"abc") as block:
        assert bytes(block) == b"abc"
    assert (one.held, block.views) == (0, [])


def test_accounts_of_one_pool_are_counted_together_and_apart() -> None:
    pool = Pool()
    (one, _), (two, _) = account(pool), account(pool)
    blocks = copy(one, bytes(5)), copy(two, bytes(7))
    assert (one.held, two.held, pool.held) == (5, 7, 12)
    blocks[0].release()
    assert (one.held, two.held, pool.held) == (0, 7, 7)


# Absorbing -------------------------------------------------------------------------------------


def test_absorbed_bytes_stand_behind_and_are_released_together() -> None:
    one, _ = account()
    slab = taken(one)
    slab.view[:4] = b"abcd"
    first, second = part(one, slab, 4), copy(one, b"ef")
    first.absorb(second)
    slab.release()
    assert (bytes(first), first.size) == (b"abcdef", 6)
    second.release()
    assert one.held == SLAB_SIZE + 2
    first.release()
    assert one.held == 0


def test_absorbed_single_bytes_are_one_object() -> None:
    one, _ = account()
    block = copy(one, b"")
    for byte in b"abcdefgh" * 100:
        block.absorb(copy(one, bytes((byte,))))
    assert len(block.views) == 1
    assert bytes(block) == b"abcdefgh" * 100
    assert one.held == 800


def test_a_copy_does_not_grow_beyond_the_scratch_buffer() -> None:
    one, _ = account()
    block = copy(one, bytes(SCRATCH_SIZE))
    block.absorb(copy(one, b"x"))
    assert [len(view) for view in block.views] == [SCRATCH_SIZE, 1]
    assert block.size == SCRATCH_SIZE + 1


def test_absorbing_a_part_of_a_slab_keeps_the_slab() -> None:
    one, _ = account()
    slab = taken(one)
    slab.view[:4] = b"cdef"
    first = copy(one, b"ab")
    first.absorb(part(one, slab, 4))
    slab.release()
    assert bytes(first) == b"abcdef"
    first.release()
    assert one.held == 0


def test_only_small_copies_are_small_copies() -> None:
    one, _ = account()
    slab = taken(one)
    assert copy(one, b"x").is_small_copy
    assert not copy(one, bytes(SCRATCH_SIZE // 2)).is_small_copy
    assert not part(one, slab).is_small_copy


# Reuse -----------------------------------------------------------------------------------------


def test_a_slab_is_used_again() -> None:
    one, _ = account()
    slab = taken(one)
    slab.view[:3] = b"abc"
    slab.release()
    assert bytes(taken(one).view[:3]) == b"abc"


def test_a_slab_of_which_a_view_is_kept_is_not_used_again() -> None:
    one, _ = account()
    slab = taken(one)
    slab.view[:3] = b"abc"
    block = part(one, slab, 3)
    kept = memoryview(block.views[0])  # a consumer's own
    slab.release()
    block.release()
    other = taken(one)
    other.view[:3] = b"xyz"
    assert bytes(kept) == b"abc"
    other.release()


def test_a_view_that_is_kept_does_not_count() -> None:
    # Nobody can tell how long it lives: the slab is the consumer's now.
    one, _ = account()
    slab = taken(one)
    kept = slab.view[:3]
    slab.release()
    assert (one.held, len(kept)) == (0, 3)


def test_releasing_a_block_ends_its_views() -> None:
    one, _ = account()
    slab = taken(one)
    block = part(one, slab)
    view = block.views[0]
    block.release()
    with pytest.raises(ValueError, match="released"):
        bytes(view)
    slab.release()


def test_a_view_in_use_does_not_stop_a_release() -> None:
    one, _ = account()
    slab = taken(one)
    block = part(one, slab)
    in_use = memoryview(block.views[0])  # as an array made of it: the view itself is held
    slab.release()
    block.release()
    assert (one.held, len(in_use)) == (0, 10)


@pytest.mark.parametrize(("spare", "expected"), [(0, 0), (1, 1), (2, 2)])
def test_only_some_slabs_are_kept(spare: int, expected: int) -> None:
    one, _ = account(small_pool(spare=spare))
    first = [taken(one) for _ in range(2)]
    for slab in first:
        slab.view[:1] = b"!"
        slab.release()
    again = [taken(one) for _ in range(2)]
    assert sum(bytes(slab.view[:1]) == b"!" for slab in again) == expected


# Pausing ---------------------------------------------------------------------------------------


def test_an_account_is_paused_above_its_limit_and_goes_on_at_half_of_it() -> None:
    one, holder = account(limit=100)
    blocks = [copy(one, bytes(25)) for _ in range(4)]
    assert not holder.paused
    blocks.append(copy(one, b"x"))
    assert holder.paused
    blocks[0].release()
    blocks[1].release()
    assert holder.paused  # 51 are left
    blocks[4].release()
    assert not holder.paused


def test_what_has_only_begun_to_come_keeps_nobody_from_going_on() -> None:
    """It could be the rest of a command, which comes only when the account goes on."""
    one, _ = account(limit=10)
    dataset = copy(one, bytes(20))
    one.count_unfinished(50, may_wait=False)
    assert one.paused
    dataset.release()
    assert not one.paused
    assert one.pool.held == 50


def test_what_has_only_begun_to_come_is_in_the_budget() -> None:
    pool = small_pool(slabs=4)
    one, _ = account(pool)
    one.count_unfinished(4 * SMALL, may_wait=True)
    assert not one.paused
    one.count_unfinished(1, may_wait=False)
    assert not one.paused
    one.count_unfinished(1, may_wait=True)
    assert one.paused
    one.count_unfinished(-4 * SMALL, may_wait=True)
    assert not one.paused


def test_a_pause_is_told_once() -> None:
    one, holder = account(limit=10)
    _blocks = [copy(one, bytes(11)) for _ in range(3)]
    assert holder.pauses == 1


def test_a_budget_that_is_used_up_gives_no_slab_and_pauses() -> None:
    pool = small_pool(slabs=2)
    one, holder = account(pool)
    blocks = [copy(one, bytes(SMALL + 1))]
    assert one.take_slab() is None
    assert holder.paused
    blocks[0].release()
    assert not holder.paused
    assert one.take_slab() is not None


def test_who_waits_goes_on_as_soon_as_a_slab_is_free() -> None:
    pool = small_pool(slabs=10)
    (rich, _), (poor, poor_holder) = account(pool), account(pool)
    blocks = [copy(rich, bytes(750)) for _ in range(10)]
    last = copy(rich, bytes(251))
    assert poor.take_slab() is None
    assert poor_holder.paused
    last.release()  # with one slab more, an eighth of the budget is left, and no more
    assert not poor_holder.paused
    assert poor.take_slab() is not None
    assert blocks


def test_an_eighth_of_the_budget_is_for_what_needs_no_slab() -> None:
    pool = small_pool(slabs=16)
    others = [account(pool) for _ in range(20)]
    slabs = [slab for one, _ in others if (slab := one.take_slab()) is not None]
    assert len(slabs) == 14
    (late, holder) = account(pool)
    block = copy(late, bytes(900))
    assert not holder.paused
    block.release()


def test_who_holds_slabs_leaves_room_for_those_who_do_not() -> None:
    pool = small_pool(slabs=10)
    (greedy, greedy_holder), (modest, modest_holder) = account(pool), account(pool)
    slabs = []
    while (slab := greedy.take_slab()) is not None:
        slabs.append(slab)
    assert len(slabs) == 4  # a fifth one would be more than what is left for others
    assert greedy_holder.paused
    assert modest.take_slab() is not None
    assert not modest_holder.paused


def test_who_is_greedy_lets_go_at_once() -> None:
    pool = small_pool(slabs=10, clock=Clock())
    one, _ = account(pool)
    slabs = [taken(one) for _ in range(4)]
    assert not one.must_let_go
    assert one.take_slab() is None
    assert one.must_let_go
    assert slabs


def test_over_the_budget_everybody_is_paused() -> None:
    pool = small_pool(slabs=10)
    (one, _), (two, holder) = account(pool), account(pool)
    _blocks = [copy(one, bytes(10 * SMALL)), copy(two, b"x")]
    assert holder.paused


def test_the_greedy_goes_on_when_others_have_let_go() -> None:
    pool = small_pool(slabs=10)
    (greedy, holder), (other, _) = account(pool), account(pool)
    mine = [copy(greedy, bytes(1000)), copy(greedy, bytes(1500))]
    theirs = [copy(other, bytes(3000)), copy(other, bytes(2500))]
    mine.append(copy(greedy, bytes(500)))
    assert holder.paused  # 3000 of its own and 8500 of all
    mine.pop().release()
    assert holder.paused  # 2500 and 8000
    theirs.pop().release()
    mine.pop().release()
    assert not holder.paused


def test_those_who_wait_go_on_in_turn_and_only_as_many_as_there_is_room_for() -> None:
    pool = small_pool(slabs=4, clock=Clock())
    slabs = [taken(account(pool)[0]) for _ in range(3)]
    late = [account(pool) for _ in range(5)]
    got: list[Slab] = []
    for one, holder in late:
        holder.resume_reading = lambda one=one: got.append(taken(one))  # type: ignore[method-assign,misc]
        assert one.take_slab() is None
    slabs.pop().release()
    assert [one.held for one, _ in late] == [SMALL, 0, 0, 0, 0]
    slabs.pop().release()
    assert [one.held for one, _ in late] == [SMALL, SMALL, 0, 0, 0]


def test_who_comes_late_does_not_overtake_those_who_wait() -> None:
    pool = small_pool(slabs=4, clock=Clock())
    first = [account(pool)[0] for _ in range(3)]
    slabs = [taken(one) for one in first]
    (waiting, holder) = account(pool)
    got: list[Slab] = []
    holder.resume_reading = lambda: got.append(taken(waiting))  # type: ignore[method-assign]
    assert waiting.take_slab() is None
    slabs.pop().release()
    assert len(got) == 1
    assert first[-1].take_slab() is None


def test_who_waits_for_a_turn_keeps_what_it_has() -> None:
    pool, _slabs = used_up(clock := Clock())
    late, _ = account(pool)
    block = copy(late, b"x")
    assert late.take_slab() is None
    assert late.paused
    assert not late.must_let_go
    block.release()
    assert clock.calls


# Stalls ------------------------------------------------------------------------------------------


def test_who_fills_a_slab_slowly_is_squeezed_when_others_wait() -> None:
    pool = small_pool(slabs=2, clock=(clock := Clock()))
    (slow, slow_holder), (late, late_holder) = account(pool), account(pool)
    slow_holder.slab = taken(slow)
    assert late.take_slab() is None
    clock.tick()
    assert slow_holder.squeezed == 0  # it may have got its slab a moment ago
    assert late.take_slab() is None
    clock.tick()
    assert slow_holder.squeezed == 1
    assert not late_holder.paused


def test_who_fills_a_slab_quickly_is_not_squeezed() -> None:
    pool = small_pool(slabs=2, clock=(clock := Clock()))
    (quick, holder), (late, _) = account(pool), account(pool)
    holder.slab = taken(quick)
    assert late.take_slab() is None
    for _ in range(3):
        clock.tick()
        quick.is_moving = True
    assert holder.squeezed == 0


def test_only_who_fills_a_slab_is_squeezed() -> None:
    pool, _slabs = used_up(clock := Clock())
    (one, holder) = account(pool)
    one.filled()
    assert account(pool)[0].take_slab() is None
    clock.tick()
    clock.tick()
    assert holder.squeezed == 0


def test_who_waits_for_nothing_lets_go_of_what_it_has() -> None:
    pool, _slabs = used_up(clock := Clock())
    late, holder = account(pool)
    block = copy(late, b"x")
    assert late.take_slab() is None
    clock.tick()
    assert holder.squeezed == 1
    assert late.must_let_go
    block.release()
    assert not holder.paused  # and goes on, with nothing


def test_who_holds_nothing_goes_on_whatever_others_hold() -> None:
    pool, _slabs = used_up(clock := Clock())
    late, holder = account(pool)
    assert late.take_slab() is None
    assert holder.paused
    clock.tick()
    assert not holder.paused


def test_a_turn_ends_the_small_steps() -> None:
    pool, slabs = used_up(clock := Clock())
    late, _ = account(pool)
    late.take_slab()
    clock.tick()
    assert pool.is_stalled
    late.take_slab()
    slabs.pop().release()
    assert not pool.is_stalled


def test_small_steps_begin_when_nobody_had_a_turn() -> None:
    pool, slabs = used_up(clock := Clock())
    (first, holder), (second, _) = account(pool), account(pool)
    holder.resume_reading = lambda: slabs.append(taken(first))  # type: ignore[method-assign]
    for one in (first, second):
        assert one.take_slab() is None
    slabs.pop(0).release()
    first.filled()
    clock.tick()
    assert not pool.is_stalled
    clock.tick()
    assert pool.is_stalled


def test_nobody_looks_when_nothing_can_happen() -> None:
    pool, _slabs = used_up(clock := Clock())
    late, _ = account(pool)
    block = copy(late, b"x")
    late.take_slab()
    for _ in range(3):
        clock.tick()
    assert not clock.calls
    block.release()


def test_without_a_clock_nobody_waits_for_a_turn() -> None:
    pool = small_pool(slabs=2)
    _slab = taken(account(pool)[0])
    late, _ = account(pool)
    block = copy(late, b"x")
    late.take_slab()
    assert late.must_let_go
    block.release()
    assert not late.paused


# Ends --------------------------------------------------------------------------------------------


def test_a_closed_account_is_not_resumed() -> None:
    one, holder = account(limit=10)
    block = copy(one, bytes(11))
    one.close()
    holder.paused = False
    holder.resume_reading = pytest.fail  # type: ignore[method-assign]
    block.release()
    assert (one.held, one.pool.held, one.pool.waiting) == (0, 0, {})


def test_a_closed_account_is_not_squeezed() -> None:
    pool = small_pool(slabs=2)
    one, holder = account(pool)
    holder.slab = taken(one)
    one.close()
    block = copy(account(pool)[0], b"x")
    assert account(pool)[0].take_slab() is None
    assert holder.squeezed == 0
    block.release()


def test_a_budget_of_less_than_two_slabs_is_no_budget() -> None:
    with pytest.raises(ValueError, match="less than two slabs"):
        Pool(budget=2 * SLAB_SIZE - 1)


def test_a_forgotten_block_goes_back_where_it_disturbs_nobody() -> None:
    """The garbage collector may find it while the bytes of another one are taken apart."""
    soon: list[Callable[[], None]] = []
    pool = Pool(call_soon=soon.append)
    Block(account(pool)[0], [b"12"], 2)
    assert pool.held == 2
    soon.pop()()
    assert pool.held == 0


def test_a_block_that_outlives_its_loop_is_forgotten_in_silence() -> None:
    def closed(call: Callable[[], None]) -> None:
        raise RuntimeError("Event loop is closed")

    Block(account(Pool(call_soon=closed))[0], [b"12"], 2)
