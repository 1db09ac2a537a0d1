"""A watcher that keeps what it was told, and what must hold of that whatever has happened."""

from __future__ import annotations

from collections import Counter
from typing import TypeVar

from aiodicom.events import (
    AssociationAccepted,
    AssociationEnded,
    ConnectionRefused,
    Event,
    ProposalRejected,
    RequestBegun,
    RequestEnded,
)
from tests.serving import until

_Event = TypeVar("_Event")


class Heard:
    """Keeps every event, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def all(self, kind: type[_Event]) -> list[_Event]:
        return [event for event in self.events if isinstance(event, kind)]

    def one(self, kind: type[_Event]) -> _Event:
        """The only event of a kind."""
        (event,) = self.all(kind)
        return event

    async def until(self, kind: type[_Event], count: int = 1) -> list[_Event]:
        """Wait until so many events of a kind have been told."""
        await until(lambda: len(self.all(kind)) >= count)
        return self.all(kind)

    @property
    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def connections(self) -> int:
        """How many connections these events tell of; fails where one is told of twice or not."""
        self.check()
        ends = (ConnectionRefused, ProposalRejected, AssociationEnded)
        return sum(isinstance(event, ends) for event in self.events)

    def check(self) -> None:
        """Check that whatever has begun has ended once, and in order."""
        accepted = Counter(event.association.number for event in self.all(AssociationAccepted))
        ended = Counter(event.association.number for event in self.all(AssociationEnded))
        assert accepted == ended
        assert set(accepted.values()) <= {1}
        begun = Counter(map(id, self.all(RequestBegun)))
        assert begun == Counter(id(event.request) for event in self.all(RequestEnded))
        assert set(begun.values()) <= {1}
        self._check_order()

    def _check_order(self) -> None:
        present: set[int] = set()
        running: dict[int, set[int]] = {}
        for event in self.events:
            if isinstance(event, AssociationAccepted):
                present.add(event.association.number)
                running[event.association.number] = set()
            elif isinstance(event, AssociationEnded):
                present.remove(event.association.number)
                assert not running.pop(event.association.number)
            elif isinstance(event, RequestBegun):
                running[event.association.number].add(id(event))
            elif isinstance(event, RequestEnded):
                running[event.request.association.number].remove(id(event.request))
