"""Events for a monitor, by hand: what a server would tell of."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from aiodicom.dataset import DatasetStream
from aiodicom.events import (
    AssociationAccepted,
    AssociationEnded,
    How,
    RequestBegun,
    RequestEnded,
    Watcher,
)
from aiodicom.requests import AssociationInfo
from aiodicom.wire.dimse import CommandSet
from aiodicom.wire.negotiation import EXPLICIT_LITTLE, PresentationContext
from tests.peer import CT, CT_CONTEXT, association_request, echo_command, store_command

CONTEXT = PresentationContext(CT_CONTEXT, CT, EXPLICIT_LITTLE)


def who(title: str = "PEER", address: str = "127.0.0.1") -> AssociationInfo:
    """Somebody who associates."""
    return AssociationInfo(association_request(calling=title), address, 4711)


@dataclass
class Happening:
    """One association of which a watcher is told."""

    tell: Watcher
    info: AssociationInfo = field(default_factory=who)

    def __post_init__(self) -> None:
        self.tell(AssociationAccepted(self.info, time.time()))

    def begin(self, size: int = 1000) -> RequestBegun:
        """A C-STORE, of which so many bytes have come."""
        dataset = DatasetStream()
        dataset.size = size
        return self._begin(store_command("2.25.1"), dataset)

    def _begin(self, command: CommandSet, dataset: DatasetStream | None) -> RequestBegun:
        request = RequestBegun(self.info, CONTEXT, command, dataset, time.time())
        self.tell(request)
        return request

    def end(self, request: RequestBegun, status: int | None = 0, comment: str = "") -> None:
        """The answer to a request."""
        settled = None if request.dataset is None or status is None else 0.004
        seconds = time.time() - request.at
        self.tell(RequestEnded(request, status, comment, seconds, settled))

    def store(self, size: int = 1000, status: int | None = 0, comment: str = "") -> None:
        """A whole C-STORE."""
        self.end(self.begin(size), status, comment)

    def echo(self) -> None:
        """A C-ECHO."""
        self.end(self._begin(echo_command(), None))

    def leave(self, how: How = "released", text: str = "") -> None:
        """The end."""
        self.tell(AssociationEnded(self.info, how, text, 1.5))
