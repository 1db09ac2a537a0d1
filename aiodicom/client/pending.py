"""The requests of one association that have no response yet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from aiodicom.errors import AssociationClosed, ProtocolError
from aiodicom.wire.dimse import RESPONSE, CommandSet, Tag

__all__ = ["Pending"]

logger = logging.getLogger("aiodicom.client")

_RESPONDED = Tag.MESSAGE_ID_BEING_RESPONDED_TO.value


@dataclass(slots=True)
class _Request:
    field: int
    response: asyncio.Future[CommandSet]
    deadline: asyncio.TimerHandle | None = None

    def stop_clock(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()


class Pending:
    """Requests by their Message IDs, each with its deadline.

    Parameters
    ----------
    timeout : float or None
        Seconds that a response may take, from `start_clock` on; None for any time.
    expired : callable
        Called with the reason where one takes longer.

    Attributes
    ----------
    last_id : int
        The Message ID that was given away last.
    """

    def __init__(self, timeout: float | None, expired: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        self._expired = expired
        self.last_id = 0
        self._requests: dict[int, _Request] = {}

    def __len__(self) -> int:
        return len(self._requests)

    def __contains__(self, message_id: object) -> bool:
        return message_id in self._requests

    def next_message_id(self) -> int:
        """Return a Message ID that no request has."""
        while True:
            self.last_id = self.last_id % 0xFFFF + 1
            if self.last_id not in self:
                return self.last_id

    def add(self, message_id: int, field: int) -> asyncio.Future[CommandSet]:
        """Take a request, by its Command Field; return its response, which is still to come."""
        request = self._requests[message_id] = _Request(field, self._loop.create_future())
        return request.response

    def start_clock(self, message_id: int) -> None:
        """Have a request expire in time, if it is not answered yet."""
        request = self._requests.get(message_id)
        if request is not None and self._timeout is not None:
            reason = f"no response within {self._timeout:g} s"
            request.deadline = self._loop.call_later(self._timeout, self._expired, reason)

    def answer(self, command: CommandSet) -> bool:
        """Take a response; tell whether it belongs to a request.

        Raises
        ------
        ProtocolError
            Where it is one to something else than was asked.
        """
        message_id = command.number(_RESPONDED)
        request = None if message_id is None else self._requests.get(message_id)
        if message_id is None or request is None:
            logger.warning("A response to no request of ours (Message ID %s)", message_id)
            return False
        if command.field != request.field | RESPONSE:
            raise ProtocolError(f"{command.name} is no response to what was asked")
        del self._requests[message_id]
        request.stop_clock()
        if not request.response.done():
            request.response.set_result(command)
        return True

    def fail(self, error: AssociationClosed) -> None:
        """Answer all requests with an error: the association has ended."""
        requests, self._requests = self._requests, {}
        for request in requests.values():
            request.stop_clock()
            if not request.response.done():
                request.response.set_exception(error)
                request.response.exception()  # it may be that nobody waits any more
