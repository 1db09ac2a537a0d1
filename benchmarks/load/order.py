"""What the load generator is told, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Order", "Outcome"]


@dataclass(frozen=True, slots=True)
class Order:
    """What to send.

    Attributes
    ----------
    receiver, port : int
        The receiver's process, and where it listens on 127.0.0.1.
    dataset : str
        A file that holds the dataset of object number 0; empty: C-ECHOs are sent.
    associations : int
        How many at a time; 0 where there are idle ones only.
    objects : int
        How many on each of them.
    seconds : float
        After so long no association begins another object; each sends one at least. Idle ones
        alone are watched for so long.
    patience : float
        Seconds without any answer after which the receiver counts as hung.
    first : int
        The number of the first object.
    together : bool
        Whether all associations begin together, when the last of them has been accepted; else
        each one begins when it has been.
    each_alone : bool
        Whether each object has an association, and a connection, of its own.
    idle : int
        How many associations are open besides, and say nothing.
    """

    receiver: int
    port: int
    dataset: str
    associations: int
    objects: int
    seconds: float
    patience: float = 10.0
    first: int = 0
    together: bool = True
    each_alone: bool = False
    idle: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back.

    Attributes
    ----------
    acknowledged : list of int
        How many objects of each association were answered 0x0000. Association ``i`` of ``n`` sends
        the numbers ``first + i``, ``first + i + n``, ``first + i + 2 * n`` and so on.
    seconds : float
        From the first byte of the first object to the last answer.
    p50, p99 : float
        Seconds from an object's first byte to its answer; of an object with an association of its
        own, from the connection to its end.
    generator, receiver : float
        Seconds of processor time of the generator itself, and of the receiver.
    peak : int
        The receiver's peak memory in bytes, while it has all its associations.
    idle_memory : float
        Bytes that the receiver has taken for each idle association.
    idle_share : float
        What part of one core it takes while it has nothing but idle ones.
    error : str
        What went wrong, or an empty string.
    """

    acknowledged: list[int] = field(default_factory=list)
    seconds: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    generator: float = 0.0
    receiver: float = 0.0
    peak: int = 0
    idle_memory: float = 0.0
    idle_share: float = 0.0
    error: str = ""

    @property
    def objects(self) -> int:
        """How many were acknowledged on all associations."""
        return sum(self.acknowledged)
