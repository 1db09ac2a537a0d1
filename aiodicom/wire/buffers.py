"""The memory that datasets arrive in: slabs, blocks, and who holds how much of them.

A `Slab` is a large buffer that the kernel fills and that is used again. A `Block` is a part of
a dataset: slices of slabs, or small copies. An `Account` is what one association holds, and a
`Pool` is what all of them hold together. Both are bounded: above a mark the association is
paused. One that holds too much has its consumer take what is there, so that memory which nobody
reads from the network is at least on its way out; one that holds little waits for its turn.

Everything here belongs to the event loop's thread.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

__all__ = ["SCRATCH_SIZE", "SLAB_SIZE", "Account", "Block", "Holder", "Pool", "Slab"]

SLAB_SIZE = 1 << 20
SCRATCH_SIZE = 1 << 16

PATIENCE = 0.2
"""Seconds that associations wait for their turn before small steps are better than none."""

Buffer = bytes | bytearray | memoryview


class Holder(Protocol):
    """The association behind an account, as the account sees it."""

    def pause_reading(self) -> None:
        """Stop taking bytes from the peer."""

    def resume_reading(self) -> None:
        """Go on taking bytes from the peer."""

    def squeeze(self) -> None:
        """Let go of a slab that is still being filled and have the consumer take its part."""


class Slab:
    """One reusable buffer, with a count of who still needs it."""

    __slots__ = ("_account", "_memory", "_references", "view")

    def __init__(self, memory: bytearray, account: Account) -> None:
        self._memory = memory
        self._account = account
        self._references = 1
        self.view = memoryview(memory)

    def share(self) -> Slab:
        """Count one more user."""
        self._references += 1
        return self

    def release(self) -> None:
        """Count one user less; the last one gives the slab back."""
        self._references -= 1
        if not self._references:
            self._account.give_slab(self._memory, self.view)


class _Shared:
    """A block that several others are the bytes of; the last one releases it."""

    __slots__ = ("_block", "_references")

    def __init__(self, block: Block, references: int) -> None:
        self._block = block
        self._references = references

    def release(self) -> None:
        """Count one of them less."""
        self._references -= 1
        if not self._references:
            self._block.release()


class Block:
    """A part of a dataset, in memory that goes back when it is released.

    Attributes
    ----------
    views : list
        The bytes, in order, as buffers. They are valid until `release`.
    size : int
        Their number.
    """

    __slots__ = ("_account", "_copied", "_slabs", "size", "views")

    def __init__(
        self, account: Account, views: list[Buffer], size: int, slab: Slab | _Shared | None = None
    ) -> None:
        self._account = account
        self.views = views
        self.size = size
        self._slabs = [slab] if slab else []
        self._copied = 0 if slab else size
        if self._copied:
            account.hold(self._copied)

    def __del__(self) -> None:
        if self._slabs or self._copied:  # whoever had it forgot to: it must not stay counted
            self._account.pool.take_back(self)

    def __bytes__(self) -> bytes:
        return b"".join(self.views)

    def __enter__(self) -> Block:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()

    def absorb(self, other: Block) -> None:
        """Append the bytes of `other`, and take over what it holds."""
        last = self.views[-1] if self.views else None
        if isinstance(last, bytearray) and len(last) + other.size <= SCRATCH_SIZE:
            # One-byte fragments must not cost an object each.
            last += b"".join(other.views)
        else:
            self.views += other.views
        self.size += other.size
        self._slabs += other._slabs
        self._copied += other._copied
        other._slabs, other._copied = [], 0

    def share(self, count: int) -> list[Block]:
        """Return `count` blocks of the same bytes, in place of this one.

        What is small is copied: fragments of a byte each must go on growing together.
        """
        account, views, size = self._account, self.views, self.size
        if self.is_small_copy:
            copies = [Block(account, [bytearray().join(views)], size) for _ in range(count)]
            self.release()
            if account.paused and account.must_let_go:
                account.holder.squeeze()  # perhaps nothing is being read, and nobody else looks
            return copies
        shared = _Shared(self, count)
        return [
            Block(account, [memoryview(view) for view in views], size, shared) for _ in range(count)
        ]

    @property
    def is_small_copy(self) -> bool:
        """Whether this is one buffer of our own that may still grow."""
        return not self._slabs and self.size < SCRATCH_SIZE // 2

    def release(self) -> None:
        """Give the memory back. Views of `views` that outlive this call keep their slab."""
        views, self.views = self.views, []
        for view in views:
            if isinstance(view, memoryview):
                _try_release(view)
        slabs, self._slabs = self._slabs, []
        for slab in slabs:
            slab.release()
        copied, self._copied = self._copied, 0
        if copied:
            self._account.give(copied)


def _try_release(view: memoryview) -> bool:
    try:
        view.release()
    except BufferError:  # somebody made an array of it
        return False
    return True


class Account:
    """What one association holds, in bytes of capacity.

    Parameters
    ----------
    pool : Pool
        What all associations share.
    holder : Holder
        Who is paused and resumed.
    limit : int
        Above this many bytes the holder is paused; it goes on below half of it.

    Attributes
    ----------
    is_moving : bool
        Whether a slab of it was read into lately.
    """

    __slots__ = ("held", "holder", "is_moving", "limit", "paused", "pool")

    def __init__(self, pool: Pool, holder: Holder, limit: int) -> None:
        self.pool = pool
        self.holder = holder
        self.limit = limit
        self.held = 0
        self.paused = False
        self.is_moving = False

    @property
    def has_room(self) -> bool:
        """Whether there is a slab for this account.

        Who holds slabs already may only double what they are: something is always left for those
        who come later.
        """
        pool = self.pool
        return self._claim + pool.held <= pool.roomy

    @property
    def is_near_limit(self) -> bool:
        """Whether a slab would pause the holder: nobody lets go of one that is not read into."""
        return self.held + self.pool.slab_size > self.limit

    @property
    def must_let_go(self) -> bool:
        """Whether to get rid of what is held, instead of waiting for room for more."""
        return self.paused and (self.pool.is_stalled or self not in self.pool.waiting)

    def take_slab(self) -> Slab | None:
        """Return a slab, or None (and pause the holder) where there is no room for one."""
        if not self.has_room:
            self.pause()
            return None
        pool = self.pool
        memory = pool.take()
        pool.filling[self] = None
        self.is_moving = True
        self.count(len(memory))
        if self.held > self.limit:
            self.pause()
        return Slab(memory, self)

    def filled(self) -> None:
        """Say that no slab of this account is being filled any more."""
        self.pool.filling.pop(self, None)

    def give_slab(self, memory: bytearray, view: memoryview) -> None:
        """Take a slab back that nobody uses."""
        size = len(memory)
        self.pool.put(memory, view)
        self.give(size)

    def count(self, count: int) -> None:
        """Count `count` bytes more, whatever that comes to."""
        self.held += count
        self.pool.held += count

    def count_unfinished(self, change: int, *, may_wait: bool) -> None:
        """Count what has begun to come and is no dataset: it can only become whole, not let go.

        So it is no part of `held`: who waits until less is held would wait for ever.
        """
        pool = self.pool
        pool.held += change
        if change < 0:
            if pool.waiting:
                pool.resume_waiting()
        elif may_wait and pool.held > pool.budget:
            self.pause()

    def hold(self, count: int) -> None:
        """Count `count` bytes more, and pause the holder where that is too much."""
        self.held += count
        pool = self.pool
        pool.held += count
        # Up to half of the budget nobody's share is too large: what one holds all hold.
        if self.held > self.limit or (
            pool.held > pool.half and self._claim + pool.held > pool.budget
        ):
            self.pause()

    def give(self, count: int) -> None:
        """Count `count` bytes less."""
        self.held -= count
        pool = self.pool
        pool.held -= count
        if self.paused and self._may_wait():
            pool.waiting[self] = None
        if pool.waiting:
            pool.resume_waiting()
            if self.paused and pool.is_stalled and not self.held:
                self.go_on()

    def close(self) -> None:
        """Forget the holder, who is gone; what it held is given back as it is released."""
        self.paused = False
        self.pool.waiting.pop(self, None)
        self.filled()

    def _may_wait(self) -> bool:
        """Tell whether nothing but room is needed: who waits must never keep others waiting."""
        if self.held * 2 > self.limit:
            return False
        return not self._claim or (not self.pool.waiting and self.has_room)

    @property
    def _claim(self) -> int:
        """What is held in slabs, about: less than one is nobody's wealth."""
        return self.held if self.held >= self.pool.slab_size else 0

    def pause(self) -> None:
        """Pause the holder until there is room for it."""
        if self.paused:
            return
        self.paused = True
        self.holder.pause_reading()
        if self._may_wait():
            self.pool.waiting[self] = None
            self.pool.watch()

    def go_on(self) -> None:
        """Let the holder go on."""
        self.pool.waiting.pop(self, None)
        self.paused = False
        self.holder.resume_reading()


class Pool:
    """The slabs of all associations of a server, and the budget that they share.

    Where it is used up associations wait in a queue, and as many go on as there is room for
    slabs: the longest waiting first. So a slow disk gets slabs, not crumbs, and everybody has
    their turn. Where nobody had one for a while (`PATIENCE`) the memory is with those who do
    nothing with it. Then the others go on in small steps, whatever is held already.

    Parameters
    ----------
    budget : int
        Bytes that all associations together may hold before everybody is paused. An eighth of it
        is for what needs no slab.
    slab_size : int
        Capacity of a slab in bytes.
    spare : int
        Slabs that are kept for the next dataset when nobody needs them.
    call_later : callable, optional
        Calls a function after some seconds. Without it nobody waits for a slab: they always go on
        in small steps.
    call_soon : callable, optional
        Calls a function in the event loop's thread, soon, whichever thread asks for it. Without it
        what was forgotten goes back at once.
    """

    def __init__(
        self,
        budget: int = 256 << 20,
        slab_size: int = SLAB_SIZE,
        spare: int = 8,
        call_later: Callable[[float, Callable[[], None]], object] | None = None,
        call_soon: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        if budget < 2 * slab_size:
            raise ValueError(f"a budget of {budget} bytes holds less than two slabs")
        self.budget = budget
        self.ample = budget - budget // 8
        self.roomy = self.ample - slab_size
        self.half = budget // 2
        self.held = 0
        self.scratch = memoryview(bytearray(SCRATCH_SIZE))
        self.waiting: OrderedDict[Account, None] = OrderedDict()
        self.filling: dict[Account, None] = {}
        self.slab_size = slab_size
        self.is_stalled = call_later is None
        self._call_later = call_later
        self._call_soon = call_soon
        self._is_watching = False
        self._has_granted = False
        self._spare = spare
        self._free: list[bytearray] = []

    @property
    def has_room(self) -> bool:
        """Whether there is room for one more slab."""
        return self.held <= self.roomy

    def take(self) -> bytearray:
        """Return a slab's memory."""
        return self._free.pop() if self._free else bytearray(self.slab_size)

    def put(self, memory: bytearray, view: memoryview) -> None:
        """Keep a slab for the next dataset, unless a view of it is still alive somewhere."""
        if _try_release(view) and len(self._free) < self._spare and not _is_exported(memory):
            self._free.append(memory)

    def take_back(self, block: Block) -> None:
        """Release a block that was forgotten, but not now.

        The garbage collector finds it in any thread, and in the middle of anything: to let others
        go on there could give an association a slab while its bytes are taken apart.
        """
        if self._call_soon is None:
            block.release()
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits
            self._call_soon(block.release)

    def resume_waiting(self) -> None:
        """Let those go on who wait, the longest waiting first, while there is room."""
        waiting = self.waiting
        while waiting and self.has_room:
            self._has_granted = True
            self.is_stalled = self._call_later is None
            account, _ = waiting.popitem(last=False)
            account.go_on()
        if waiting:
            self.watch()

    def watch(self) -> None:
        """Look after a while whether those who wait had a turn."""
        if self._call_later is not None and not self._is_watching:
            self._is_watching = True
            self._call_later(PATIENCE, self._look)

    def _look(self) -> None:
        self._is_watching = False
        if not self.waiting:
            return
        if self.filling:
            self._squeeze()
            self.watch()
        if self._has_granted:
            self._has_granted = False
            self.watch()
        else:
            self.is_stalled = True
            self._go_on_in_small_steps()

    def _squeeze(self) -> None:
        """Get back what slow senders have begun to fill."""
        for account in list(self.filling):
            if account.is_moving:
                account.is_moving = False
            else:
                account.holder.squeeze()

    def _go_on_in_small_steps(self) -> None:
        for account in list(self.waiting):
            if account.held:
                account.holder.squeeze()
            elif account.paused:
                account.go_on()


def _is_exported(memory: bytearray) -> bool:
    """Tell whether a view of `memory` is alive: then its size cannot be changed."""
    try:
        last = memory.pop()
    except BufferError:
        return True
    memory.append(last)
    return False
