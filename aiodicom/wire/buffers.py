"""The memory that datasets arrive in: slabs, blocks, and who holds how much of them.

A `Slab` is a large buffer that the kernel fills and that is used again. A `Block` is a part of
a dataset: slices of slabs, or small copies. An `Account` is what one association holds, and a
`Pool` is what all of them hold together. Both are bounded: above a mark the association is
paused, and a pause asks its consumer to take what is there, so that memory which nobody reads
from the network is at least on its way out (design: "memory is bounded twice").

Everything here belongs to the event loop's thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

__all__ = ["SCRATCH_SIZE", "SLAB_SIZE", "Account", "Block", "Holder", "Pool", "Slab"]

SLAB_SIZE = 1 << 20
SCRATCH_SIZE = 1 << 16

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
        self, account: Account, views: list[Buffer], size: int, slab: Slab | None = None
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
            self.release()

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
    """

    __slots__ = ("held", "holder", "limit", "paused", "pool")

    def __init__(self, pool: Pool, holder: Holder, limit: int) -> None:
        self.pool = pool
        self.holder = holder
        self.limit = limit
        self.held = 0
        self.paused = False

    def take_slab(self) -> Slab | None:
        """Return a slab, or None (and pause the holder) where the budget has none left."""
        memory = self.pool.take()
        if memory is None:
            self._pause()
            return None
        self.pool.filling[self] = None
        self.hold(len(memory))
        return Slab(memory, self)

    def filled(self) -> None:
        """Say that no slab of this account is being filled any more."""
        self.pool.filling.pop(self, None)

    def give_slab(self, memory: bytearray, view: memoryview) -> None:
        """Take a slab back that nobody uses."""
        size = len(memory)
        self.pool.put(memory, view)
        self.give(size)

    def hold(self, count: int) -> None:
        """Count `count` bytes more."""
        self.held += count
        pool = self.pool
        pool.held += count
        if self.held > self.limit or (pool.held > pool.crowded and self._is_greedy()):
            self._pause()

    def give(self, count: int) -> None:
        """Count `count` bytes less."""
        self.held -= count
        self.pool.held -= count
        if self.paused:
            self._resume_if_possible()
        self.pool.resume_waiting()

    def close(self) -> None:
        """Forget the holder, who is gone; what it held is given back as it is released."""
        self.paused = False
        self.pool.waiting.pop(self, None)
        self.filled()

    def _is_greedy(self) -> bool:
        pool = self.pool
        return pool.held > pool.budget or self.held > pool.crowded // max(len(pool.filling), 1)

    def _pause(self) -> None:
        if self.paused:
            return
        self.paused = True
        self.pool.waiting[self] = None
        self.holder.pause_reading()

    def _resume_if_possible(self) -> None:
        pool = self.pool
        if self.held * 2 <= self.limit and (pool.held <= pool.crowded or not self.held):
            # Who holds nothing goes on as soon as there is room for one slab (`resume_waiting`).
            self.paused = False
            pool.waiting.pop(self, None)
            self.holder.resume_reading()


class Pool:
    """The slabs of all associations of a server, and the budget that they share.

    Parameters
    ----------
    budget : int
        Bytes that all associations together may hold before everybody is paused. From half of
        it on the greediest are.
    slab_size : int
        Capacity of a slab in bytes.
    spare : int
        Slabs that are kept for the next dataset when nobody needs them.
    """

    def __init__(self, budget: int = 256 << 20, slab_size: int = SLAB_SIZE, spare: int = 8) -> None:
        if budget < 2 * slab_size:
            raise ValueError(f"a budget of {budget} bytes holds less than two slabs")
        self.budget = budget
        self.crowded = budget // 2
        self.held = 0
        self.scratch = memoryview(bytearray(SCRATCH_SIZE))
        self.waiting: dict[Account, None] = {}
        self.filling: dict[Account, None] = {}
        self._slab_size = slab_size
        self._spare = spare
        self._free: list[bytearray] = []

    def take(self) -> bytearray | None:
        """Return a slab's memory, or None where the budget is used up."""
        if self.held + self._slab_size > self.budget:
            self._squeeze()
            if self.held + self._slab_size > self.budget:
                return None
        return self._free.pop() if self._free else bytearray(self._slab_size)

    def put(self, memory: bytearray, view: memoryview) -> None:
        """Keep a slab for the next dataset, unless a view of it is still alive somewhere."""
        if _try_release(view) and len(self._free) < self._spare and not _is_exported(memory):
            self._free.append(memory)

    def resume_waiting(self) -> None:
        """Let those go on who were paused, the longest waiting first, while there is room."""
        if not self.waiting or self.held + self._slab_size > self.budget:
            return
        for account in list(self.waiting):
            account._resume_if_possible()

    def _squeeze(self) -> None:
        """Get back what slow senders have begun to fill."""
        filling: Sequence[Account] = list(self.filling)
        for account in filling:
            account.holder.squeeze()


def _is_exported(memory: bytearray) -> bool:
    """Tell whether a view of `memory` is alive: then its size cannot be changed."""
    try:
        last = memory.pop()
    except BufferError:
        return True
    memory.append(last)
    return False
