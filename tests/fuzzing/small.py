"""Buffers so small that a short input crosses every boundary of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

from aiodicom.storage import files
from aiodicom.wire import upper_layer
from aiodicom.wire.buffers import Pool

__all__ = ["SLAB", "small_boundaries", "small_buffers", "small_pool"]

SCRATCH, SLAB = 256, 1024


def small_pool(slabs: int = 8, call_later: Callable[..., Any] | None = None) -> Pool:
    """Return a pool of a few small slabs."""
    pool = Pool(slabs * SLAB, SLAB, call_later=call_later)
    pool.scratch = memoryview(bytearray(SCRATCH))
    return pool


@contextlib.contextmanager
def small_boundaries() -> Iterator[None]:
    """Make the constants fit such a pool."""
    with (
        patch.multiple(upper_layer, SHORT_FRAGMENT=16, SLAB_TAIL=64, MAXIMUM_COMMAND_LENGTH=300),
        patch.object(files, "ENOUGH", SLAB - 100),
    ):
        yield


@contextlib.contextmanager
def small_buffers() -> Iterator[Pool]:
    """Make every boundary of the buffers one that a short input crosses."""
    with small_boundaries():
        yield small_pool()
