"""What peers may cost, and how long they are waited for."""

from __future__ import annotations

from dataclasses import dataclass

from aiodicom.wire.buffers import SLAB_SIZE
from aiodicom.wire.upper_layer import MAXIMUM_ASSOCIATE_LENGTH, MAXIMUM_COMMAND_LENGTH, Sizes

__all__ = ["Limits", "Timeouts"]

_LEAST = {
    "associations": 1,
    "connections": 1,
    "buffered_bytes": 2 * SLAB_SIZE,
    "association_bytes": 1,
    "request_bytes": 512,
    "command_bytes": 512,
}

_LEAST_OR_NONE = (
    *("associations_per_address", "associations_per_title", "connections_per_address"),
    *("object_bytes", "least_rate"),
)


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
    associations_per_address, associations_per_title : int or None
        Associations at a time of one IP address, and of one calling AE title; one more is
        rejected as transient (2, 3, 2). None is as many as there may be.
    connections_per_address : int or None
        Connections at a time of one IP address; one more is closed at once.
    request_bytes : int
        Bytes of an A-ASSOCIATE-RQ; a longer one is aborted.
    command_bytes : int
        Bytes of a command set; a longer one aborts the association.
    object_bytes : int or None
        Bytes of the dataset of a C-STORE. A longer one is answered 0xA700 as soon as that many
        have come: whoever reads it is raised `Refused`, and the rest is dropped.
    least_rate : float or None
        Bytes a second, on average over ``Timeouts.rate``, that a peer delivers in the middle of
        a message. Who is slower is aborted; what we keep waiting is not.

    Raises
    ------
    ValueError
        Where a limit would let nobody in.
    """

    associations: int = 12_000
    connections: int = 14_000
    buffered_bytes: int = 256 << 20
    association_bytes: int = 4 << 20
    # Less than all: one address, hostile or broken, leaves room for the others.
    associations_per_address: int | None = 10_500
    associations_per_title: int | None = None
    connections_per_address: int | None = 12_250
    request_bytes: int = MAXIMUM_ASSOCIATE_LENGTH
    command_bytes: int = MAXIMUM_COMMAND_LENGTH
    object_bytes: int | None = None
    least_rate: float | None = 100

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be {least} or more")
        for name in _LEAST_OR_NONE:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}: it must be more than 0, or None")

    @property
    def sizes(self) -> Sizes:
        """What the upper layer reads of a PDU or a command set."""
        return Sizes(self.request_bytes, self.command_bytes)


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
    rate : float
        Over which a peer's rate is measured: ``Limits.least_rate``; an acceptor's only.

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
    rate: float = 60

    def __post_init__(self) -> None:
        for name in ("association", "dimse", "network", "closing", "connection", "rate"):
            seconds = getattr(self, name)
            if seconds is None and name not in ("closing", "rate"):
                continue
            if seconds is None or not seconds > 0:
                raise ValueError(f"{name} is {seconds}: it must be more than 0 s")

    @property
    def message(self) -> float | None:
        """What holds within a message: the shorter one of `dimse` and `network`."""
        return min((t for t in (self.dimse, self.network) if t is not None), default=None)
