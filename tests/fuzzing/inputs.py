"""What an input is: a head that settles the surroundings, and what a peer says."""

from __future__ import annotations

import random
from typing import TypeVar

__all__ = ["HEAD", "Settings", "pieces_of"]

HEAD = 6
"""Bytes of the head: four that settings are taken from, two for chance. All zero: what is usual."""

_SETTINGS = 4

T = TypeVar("T")


class Settings:
    """An input, taken apart.

    Attributes
    ----------
    chance : random.Random
        Where the input is cut, and what happens between its pieces.
    stream : bytes
        What a peer says, or what is read.
    """

    def __init__(self, data: bytes) -> None:
        self._left = int.from_bytes(data[:_SETTINGS], "little")
        self.chance = random.Random(int.from_bytes(data[_SETTINGS:HEAD], "little"))
        self.stream = data[HEAD:]

    def one_of(self, *choices: T) -> T:
        """Take the next setting; of an input whose head is zero, the first choice."""
        self._left, number = divmod(self._left, len(choices))
        return choices[number]


def pieces_of(rng: random.Random, data: bytes) -> list[bytes]:
    """Cut at random: now into a few pieces, now into many."""
    if len(data) < 2 or rng.random() < 0.2:
        return [data]
    if rng.random() < 0.05 and len(data) < 500:
        return [data[n : n + 1] for n in range(len(data))]
    cuts = sorted(rng.randrange(1, len(data)) for _ in range(rng.randrange(1, 12)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]
