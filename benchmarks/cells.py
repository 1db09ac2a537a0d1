"""The cells: what is measured of each receiver."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["CELLS", "ON_DISK", "QUICK", "Cell", "Kind", "named"]


class Kind(enum.Enum):
    """What a cell is about."""

    ECHO = "echo"
    """C-ECHOs, one after the other."""
    STORE = "store"
    """Objects, on associations that stay."""
    EACH_ALONE = "each"
    """One association and connection for each object."""
    MIXED = "mixed"
    """Small objects on some associations, large ones on others."""
    BESIDE_IDLE = "beside"
    """One sender beside idle associations, and the same one alone."""
    IDLE = "idle"
    """Idle associations, and nothing else."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What is measured.

    Attributes
    ----------
    kind : Kind
        What it is about.
    associations : int
        How many at a time.
    size : int
        Bytes of each object, about.
    objects : int
        How many objects are measured at least, in each round.
    idle : int
        How many idle associations there are besides.
    only : tuple of str
        The keys of the receivers that take part; empty: whoever can.
    """

    kind: Kind
    associations: int = 1
    size: int = 0
    objects: int = 1
    idle: int = 0
    only: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What it is called on the command line and in the results."""
        match self.kind:
            case Kind.ECHO:
                return f"echo-{self.associations}"
            case Kind.STORE:
                return f"{self.amount}-{self.associations}"
            case Kind.EACH_ALONE:
                return f"each-{self.associations}"
            case Kind.MIXED:
                return f"mixed-{self.associations}"
            case Kind.BESIDE_IDLE | Kind.IDLE:
                return f"{self.kind.value}-{self.idle}"

    @property
    def amount(self) -> str:
        """The size of its objects as people write it, such as ``530kB``."""
        units = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"), (1, "B"))
        if not self.size:
            return ""
        return next(f"{self.size / unit:g}{name}" for unit, name in units if self.size >= unit)

    @property
    def title(self) -> str:
        """What it is called in the tables."""
        amount = self.amount.replace("kB", " kB").replace("MB", " MB").replace("GB", " GB")
        match self.kind:
            case Kind.ECHO:
                return f"C-ECHO, {_associations(self.associations)}"
            case Kind.STORE:
                return f"{amount}, {_associations(self.associations)}"
            case Kind.EACH_ALONE:
                return f"{amount}, an association for each object, {self.associations} at a time"
            case Kind.MIXED:
                small = self.associations - MIXED_LARGE
                return f"{amount} on {small} associations beside 100 MB on {MIXED_LARGE}"
            case Kind.BESIDE_IDLE:
                return f"{amount}, 1 association beside {self.idle:,} idle ones"
            case Kind.IDLE:
                return f"{self.idle:,} idle associations"


MIXED_LARGE = 2
"""How many associations of a mixed cell send large objects."""

MIXED_LARGE_SIZE = 100_000_000

_FEW = ("ours", "ours-none", "ours-2", "ours-2-none", "pynetdicom", "dcmtk-fork", "null", "files")
"""Who is measured once more on 8 associations, and with the largest objects."""

CELLS = (
    Cell(Kind.ECHO),
    *(
        Cell(Kind.STORE, count, size, only=_FEW if count == 8 else ())
        for size in (6_000, 130_000, 530_000)
        for count in (1, 8, 16, 64, 256)
    ),
    Cell(Kind.EACH_ALONE, 8, 6_000, only=_FEW),
    Cell(Kind.EACH_ALONE, 16, 6_000),
    Cell(Kind.STORE, 1, 100_000_000, objects=5),
    Cell(Kind.STORE, 1, 1_000_000_000, objects=2, only=(*_FEW, "dcmtk")),
    Cell(Kind.MIXED, 8, 6_000),
    Cell(Kind.BESIDE_IDLE, 1, 6_000, idle=500),
    Cell(Kind.IDLE, 0, idle=10_000),
)

ON_DISK = ("6kB-1", "6kB-16", "130kB-16", "530kB-1", "530kB-16")
"""The cells of a run on a filesystem that has a disk below it: what durability costs."""

QUICK = ("echo-1", "6kB-1", "6kB-8", "6kB-16", "530kB-1", "530kB-16", "each-16")
"""The cells of a quick run."""


def named(key: str) -> Cell:
    """Return the cell of that name."""
    return next(cell for cell in CELLS if cell.key == key)


def _associations(count: int) -> str:
    return f"{count} association{'s' if count != 1 else ''}"
