"""Everything that is fuzzed: where inputs go, and how they are changed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.fuzzing.acceptor import acceptor
from tests.fuzzing.decoding import commands, elements, file_heads, pdus
from tests.fuzzing.framing import upper_layer
from tests.fuzzing.mutation import Mutate, mutate, mutate_bytes, mutate_command, mutate_conversation
from tests.fuzzing.requestor import requestor
from tests.fuzzing.texts import names, texts

__all__ = ["CORPUS", "TARGETS", "Target"]

CORPUS: Final = Path(__file__).parent / "corpus"
"""Inputs that are kept: a folder for each target."""


@dataclass(frozen=True, slots=True)
class Target:
    """Something that is given bytes, and raises nothing.

    Parameters
    ----------
    name : str
        Its own, and that of its folder in the corpus.
    make : callable
        Returns a context manager, whose value is called with inputs.
    mutate : callable
        Changes inputs.
    share : int
        Its part of the time.
    """

    name: str
    make: Callable[[], AbstractContextManager[Callable[[bytes], None]]]
    mutate: Mutate
    share: int = 1

    @property
    def folder(self) -> Path:
        """Where the inputs are that are kept for it."""
        return CORPUS / self.name

    def inputs(self) -> list[Path]:
        """Return the inputs that are kept for it."""
        return sorted(self.folder.iterdir())


TARGETS: Final = {
    target.name: target
    for target in (
        Target("acceptor", acceptor, mutate_conversation, 8),
        Target("requestor", requestor, mutate_conversation, 6),
        Target("upper-layer", upper_layer, mutate_conversation, 4),
        Target("pdus", pdus, mutate_conversation, 2),
        Target("commands", commands, mutate_command),
        Target("elements", elements, mutate),
        Target("file-heads", file_heads, mutate_bytes),
        Target("texts", texts, mutate_bytes),
        Target("names", names, mutate_bytes),
    )
}
