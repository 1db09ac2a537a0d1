"""What happens in a server, as values: for metrics, logs, traces, and whatever else watches.

A *watcher* is called with each event, in the event loop's thread, right when it happens. It
returns at once. What it raises is logged and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from aiodicom.dataset import DatasetStream
from aiodicom.requests import AssociationInfo
from aiodicom.wire.dimse import CommandSet, Tag
from aiodicom.wire.negotiation import PresentationContext

__all__ = [
    "AssociationAccepted",
    "AssociationEnded",
    "ConnectionRefused",
    "Event",
    "How",
    "ProposalRejected",
    "Refusal",
    "RequestBegun",
    "RequestEnded",
    "ServerListening",
    "ServerStopping",
    "Watcher",
]


Refusal = Literal["silent", "address", "too many", "tls", "no proposal", "protocol", "unanswered"]
"""Why a connection has come to no association; see `ConnectionRefused`."""

How = Literal["released", "aborted", "lost", "violated", "handler", "stopped", "failed"]
"""How an association has ended; see `AssociationEnded`."""


@dataclass(frozen=True, slots=True)
class ServerListening:
    """A server accepts connections from now on.

    Parameters
    ----------
    ae_title : str
        Its own AE title.
    addresses : tuple of (str, int)
        The addresses and ports that it listens on.
    buffered : callable
        Tells at any time how many bytes of datasets are in memory.
    """

    ae_title: str
    addresses: tuple[tuple[str, int], ...]
    buffered: Callable[[], int] = lambda: 0


@dataclass(frozen=True, slots=True)
class ServerStopping:
    """A server accepts no connection any more; what runs has still its grace."""


@dataclass(frozen=True, slots=True)
class ConnectionRefused:
    """A connection has ended, and no proposal of an association was answered.

    Parameters
    ----------
    address : str
        The peer's IP address; empty where it had gone before anybody asked.
    reason : str
        ``"address"``: nobody is let in from there. ``"too many"``: there were as many as may be.
        ``"tls"``: the handshake failed. ``"silent"``: it was closed without a byte, as probes
        do. ``"no proposal"``: no A-ASSOCIATE-RQ came in time, or at all, though bytes did.
        ``"protocol"``: what came was no A-ASSOCIATE-RQ. ``"unanswered"``: one came, and before
        it was answered its peer had gone, the server stopped, or `authorize` aborted.
    text : str
        The same in words, for people.
    """

    address: str
    reason: Refusal
    text: str


@dataclass(frozen=True, slots=True)
class ProposalRejected:
    """An association was asked for, and A-ASSOCIATE-RJ was the answer (PS3.8 9.3.4).

    Parameters
    ----------
    association : AssociationInfo
        Who asked.
    result, source, reason : int
        As they were sent (PS3.8 table 9-21).
    text : str
        The same in words.
    """

    association: AssociationInfo
    result: int
    source: int
    reason: int
    text: str


@dataclass(frozen=True, slots=True)
class AssociationAccepted:
    """An association was established.

    Parameters
    ----------
    association : AssociationInfo
        Whose.
    at : float
        When, in seconds since the epoch.
    """

    association: AssociationInfo
    at: float


@dataclass(frozen=True, slots=True)
class AssociationEnded:
    """An association that was accepted has ended, and so has its last handler.

    Parameters
    ----------
    association : AssociationInfo
        Whose.
    how : str
        ``"released"``; ``"aborted"`` by its peer; ``"lost"``: the connection has gone, or a
        deadline has passed; ``"violated"``: the peer broke the protocol; ``"handler"``: a handler
        wanted its end; ``"stopped"``: the server stops; ``"failed"``: a bug of ours.
    text : str
        Why, in words; empty for a release.
    seconds : float
        How long there was one.
    """

    association: AssociationInfo
    how: How
    text: str
    seconds: float


@dataclass(slots=True, eq=False)
class RequestBegun:
    """A request has come, C-STORE and C-ECHO and what is refused alike; its dataset may follow.

    It may wait for its turn before a handler hears of it. Responses, C-CANCEL and what cannot be
    answered (without a Message ID, or in a context that was never proposed) are no requests.

    Parameters
    ----------
    association : AssociationInfo
        Whose.
    context : PresentationContext
        The presentation context it came in.
    command : CommandSet
        The command set.
    dataset : DatasetStream or None
        The dataset: its ``size`` is what has come of it so far.
    at : float
        When, in seconds since the epoch.
    """

    association: AssociationInfo
    context: PresentationContext
    command: CommandSet
    dataset: DatasetStream | None
    at: float
    # Of the monotonic clock, for whoever tells of it: when it began and when all had come.
    since: float = field(init=False, repr=False)
    completed: float | None = field(init=False, repr=False)

    @property
    def operation(self) -> str:
        """What is asked for, as ``C-STORE-RQ``."""
        return self.command.name

    @property
    def message_id(self) -> int:
        """Message ID (0000,0110)."""
        return self.command.number(Tag.MESSAGE_ID) or 0

    @property
    def sop_class_uid(self) -> str:
        """Affected SOP Class UID (0000,0002)."""
        return self.command.uid(Tag.AFFECTED_SOP_CLASS_UID)

    @property
    def sop_instance_uid(self) -> str:
        """Affected SOP Instance UID (0000,1000)."""
        return self.command.uid(Tag.AFFECTED_SOP_INSTANCE_UID)

    @property
    def transfer_syntax_uid(self) -> str:
        """The transfer syntax of the context."""
        return self.context.transfer_syntax

    @property
    def size(self) -> int:
        """Bytes of the dataset that have come so far."""
        return 0 if self.dataset is None else self.dataset.size


@dataclass(slots=True, eq=False)
class RequestEnded:
    """A request was answered, or never will be.

    Parameters
    ----------
    request : RequestBegun
        Which; the same object as when it began.
    status : int or None
        What it came to; None where the association ended before. A success means that the handler
        has done what it promises, also where nobody could be told of it any more.
    comment : str
        Error Comment (0000,0902) of the answer, or why there is none.
    seconds : float
        From its beginning to the answer.
    settled : float or None
        Seconds from the last fragment of its dataset to the answer: what a sender waits for a
        success to be durable. None without a dataset, or where its end had not come by then.
    answered : bool
        Whether `status` was sent: the association may have ended meanwhile.
    """

    request: RequestBegun
    status: int | None
    comment: str
    seconds: float
    settled: float | None
    answered: bool = True


Event = (
    ServerListening
    | ServerStopping
    | ConnectionRefused
    | ProposalRejected
    | AssociationAccepted
    | AssociationEnded
    | RequestBegun
    | RequestEnded
)

Watcher = Callable[[Event], None]
"""Is told of everything that happens."""
