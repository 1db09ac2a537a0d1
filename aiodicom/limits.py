"""What peers may cost, and how long they are waited for."""

from __future__ import annotations

from dataclasses import dataclass

from aiodicom.wire.buffers import SLAB_SIZE

__all__ = ["Limits", "Timeouts"]

_LEAST = {
    "associations": 1,
    "connections": 1,
    "buffered_bytes": 2 * SLAB_SIZE,
    "association_bytes": 1,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What peers may cost, all of them together unless it says otherwise.

    Parameters
    ----------
    associations : int
        Associations at a time; one more is rejected as transient (PS3.8 table 9-21: 2, 3, 2).
    connections : int
        Connections at a time, those included that have not asked for an association yet; one
        more is closed at once.
    buffered_bytes : int
        Bytes of memory that datasets may occupy. Where they are used up senders wait for their
        turn; nobody is rejected.
    association_bytes : int
        Bytes of memory that the datasets of one association may occupy; above it that
        association is not read from.

    Raises
    ------
    ValueError
        Where a limit would let nobody in.
    """

    associations: int = 10_000
    connections: int = 12_000
    buffered_bytes: int = 256 << 20
    association_bytes: int = 4 << 20

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be {least} or more")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a peer is waited for, in seconds; None is for ever.

    Parameters
    ----------
    association : float or None
        From the connection to the last byte of the A-ASSOCIATE-RQ: ARTIM (PS3.8 9.1.5). A
        requestor's: for the answers to A-ASSOCIATE-RQ and A-RELEASE-RQ.
    dimse : float or None
        Between two fragments of a message. A requestor's: for a response.
    network : float or None
        Without a byte, and for the peer to take ours.
    closing : float
        For the peer to close the connection after release, rejection or abort.
    connection : float or None
        For a connection to be made, TLS included; a requestor's only.

    Raises
    ------
    ValueError
        Where a time is not more than 0.
    """

    association: float | None = 30
    dimse: float | None = None
    network: float | None = 60
    closing: float = 5
    connection: float | None = None

    def __post_init__(self) -> None:
        for name in ("association", "dimse", "network", "closing", "connection"):
            seconds = getattr(self, name)
            if seconds is None and name != "closing":
                continue
            if seconds is None or not seconds > 0:
                raise ValueError(f"{name} is {seconds}: it must be more than 0 s")

    @property
    def message(self) -> float | None:
        """What holds within a message: the shorter one of `dimse` and `network`."""
        return min((t for t in (self.dimse, self.network) if t is not None), default=None)
