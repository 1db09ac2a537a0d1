"""What a receiver is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.cells import Cell, Kind

__all__ = ["Receiver"]

SHIPPED_CELLS = ("echo-1", "6kB-1", "6kB-16", "530kB-1", "530kB-16")
"""Enough to see what the settings as shipped cost."""


def _nothing(_folder: Path, _port: int) -> None:
    """Prepare nothing."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """One receiver, with its options.

    Attributes
    ----------
    key : str
        What it is called on the command line and in the results.
    name : str
        What it is called in the tables.
    package : str
        What has to be there: a name of `packages`.
    command : tuple of str
        How it is started; ``{port}`` and ``{folder}`` are filled in. Of one that takes nothing from
        the network: ``{size}``, ``{seconds}`` and ``{objects}`` too.
    environment : mapping
        Environment variables that it needs.
    prepare : callable
        Writes what it needs into the folder, under names that begin with a full stop; is given the
        folder and the port.
    file_name : str
        What it calls an object, with ``{uid}`` in it; empty: anything, in folders.
    preserves_bytes : bool
        Whether it stores a dataset as it came, rather than encode it anew.
    stores : bool
        Whether it stores anything.
    writes_only : bool
        Whether it takes nothing from the network, and writes files of its own.
    most_associations, most_idle : int or None
        How many it can be measured with.
    why : str
        Why not with more.
    one_at_a_time : bool
        Whether it accepts an association only when the one before has ended.
    as_shipped : bool
        Whether it is there only to show what the settings of others are worth.
    """

    key: str
    name: str
    package: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Path, int], None] = _nothing
    file_name: str = "CT.{uid}"
    preserves_bytes: bool = True
    stores: bool = True
    writes_only: bool = False
    most_associations: int | None = None
    most_idle: int | None = None
    why: str = ""
    one_at_a_time: bool = False
    as_shipped: bool = False

    def cannot(self, cell: Cell) -> str | None:
        """Return why it does not take part in a cell, None if it does; empty if none need ask."""
        if cell.only and self.key not in cell.only:
            return ""
        if self.as_shipped and cell.key not in SHIPPED_CELLS:
            return ""
        if self.writes_only:
            return None if cell.kind is Kind.STORE else ""
        if not self.stores and cell.kind is Kind.MIXED:
            return ""
        if self.one_at_a_time and cell.kind in (Kind.MIXED, Kind.BESIDE_IDLE, Kind.IDLE):
            return "it serves one association after the other"
        most = self.most_associations
        if most is not None and cell.associations + cell.idle > most:
            return self.why
        if self.most_idle is not None and cell.idle > self.most_idle:
            return self.why
        return None
