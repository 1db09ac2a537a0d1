"""JsonLog: what happens in a server, as lines of JSON for other programs."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Any, Final, Self

from aiodicom.events import (
    AssociationAccepted,
    AssociationEnded,
    ConnectionRefused,
    Event,
    ProposalRejected,
    RequestEnded,
)
from aiodicom.monitor.line_file import AppendedFile, lines_of
from aiodicom.monitor.line_writer import LineWriter
from aiodicom.requests import AssociationInfo
from aiodicom.wire.dimse import CommandField, Status

__all__ = ["JsonLog"]

_C_STORE: Final = CommandField.C_STORE.value
_C_ECHO: Final = CommandField.C_ECHO.value

LONGEST: Final = 128
"""Characters of a text that are written: UIDs have 64, AE titles 16."""

MOST_STATUSES: Final = 16
"""Statuses that are told apart for one association; all others are one."""

_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(slots=True)
class _Tally:
    """What has come over an association so far."""

    name: str
    began: float
    objects: int = 0
    bytes: int = 0
    echoes: int = 0
    others: int = 0
    statuses: Counter[str] = field(default_factory=Counter)


class JsonLog:
    """A watcher that writes a line of JSON for each association and each object, at its end.

    The lines are in ``docs/events.md``. There is no patient data in them. A thread writes them,
    within a tenth of a second; where the disk is slow or full some are dropped, which is logged and
    said in the next line that can be written: nothing ever waits for this log. Several
    processes may append to one file.

    Parameters
    ----------
    target : path or file object
        A file, which is made where it is missing, appended to, and opened anew by `reload`
        (SIGHUP); or a stream that is open already.

    Raises
    ------
    OSError
        When the server starts, where the file cannot be opened.
    """

    def __init__(self, target: str | os.PathLike[str] | IO[bytes] | IO[str]) -> None:
        self._lines = lines_of(target)
        self._writer: LineWriter | None = None
        self._server = ""
        self._tallies: dict[int, _Tally] = {}
        self._is_worker = False
        self._index = 0
        self._gone: set[int] = set()
        self._tellers: dict[type, Callable[[Any], None]] = {
            AssociationAccepted: self._accepted,
            AssociationEnded: self._ended,
            RequestEnded: self._request_ended,
            ProposalRejected: self._rejected,
            ConnectionRefused: self._refused,
        }

    # The life of a server ------------------------------------------------------------------------

    def share(self, workers: int) -> None:
        """See whether the file can be opened: workers that cannot would go on without it.

        Raises
        ------
        OSError
            Where it cannot.
        """
        if workers > 1 and isinstance(self._lines, AppendedFile):
            self._lines.open()
            self._lines.close()

    def work(self, index: int) -> None:
        """Be in a worker's process."""
        self._is_worker, self._index = True, index

    def restarted(self, index: int) -> None:
        """Hear that a worker has died: the one that replaces it says so."""
        self._gone.add(index)

    async def __aenter__(self) -> Self:
        self._server = secrets.token_hex(4)
        self._tallies.clear()
        self._writer = LineWriter(self._lines, _dropped)
        await self._writer.start(must_open=not self._is_worker)
        if self._index in self._gone:
            self._put({"event": "worker_replaced", "time": _rfc3339(time.time()),
                       "worker": self._index + 1})  # fmt: skip
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._writer is not None:
            await self._writer.close()

    async def reload(self) -> str:
        """Open the file anew, as who has renamed it wants; return a line that says so.

        Raises
        ------
        OSError
            Where it cannot be opened; the one before stays.
        """
        if self._writer is not None:
            await self._writer.reopen()
        return f"JSON log {self._lines.name}"

    # Events --------------------------------------------------------------------------------------

    def __call__(self, event: Event) -> None:
        """Write the line of an event, where it has one."""
        teller = self._tellers.get(type(event))
        if teller is not None:
            teller(event)

    def _put(self, line: dict[str, object]) -> None:
        if self._writer is not None:
            self._writer.put(f"{_encode(line)}\n".encode("ascii"))

    def _accepted(self, event: AssociationAccepted) -> None:
        number = event.association.number
        self._tallies[number] = _Tally(f"{self._server}-{number}", event.at)

    def _ended(self, event: AssociationEnded) -> None:
        tally = self._tallies.pop(event.association.number, None)
        if tally is None:
            return
        self._put(
            {
                "event": "association",
                "time": _rfc3339(time.time()),
                "association": tally.name,
                **_who(event.association),
                "port": event.association.port,
                "began": _rfc3339(tally.began),
                "seconds": round(event.seconds, 6),
                "end": event.how,
                "text": _clipped(event.text),
                "objects": tally.objects,
                "bytes": tally.bytes,
                "statuses": dict(tally.statuses),
                "echoes": tally.echoes,
                "others": tally.others,
            }
        )

    def _request_ended(self, event: RequestEnded) -> None:
        request = event.request
        tally = self._tallies.get(request.association.number)
        if tally is None:
            return
        if request.command.field != _C_STORE:
            if request.command.field == _C_ECHO:
                tally.echoes += 1
            else:
                tally.others += 1
            return
        size, outcome = request.size, _outcome(event.status)
        tally.objects += 1
        tally.bytes += size
        _count(tally.statuses, "none" if event.status is None else f"{event.status:04X}")
        self._put(
            {
                "event": "object",
                "time": _rfc3339(time.time()),
                "association": tally.name,
                **_who(request.association),
                "message_id": request.message_id,
                "sop_class_uid": _clipped(request.sop_class_uid),
                "sop_instance_uid": _clipped(request.sop_instance_uid),
                "transfer_syntax_uid": _clipped(request.transfer_syntax_uid),
                "bytes": size,
                "outcome": outcome,
                "status": None if event.status is None else int(event.status),
                "answered": event.answered,
                "comment": _clipped(event.comment),
                "seconds": round(event.seconds, 6),
                "settled_seconds": None if event.settled is None else round(event.settled, 6),
            }
        )

    def _rejected(self, event: ProposalRejected) -> None:
        self._put(
            {
                "event": "rejection",
                "time": _rfc3339(time.time()),
                **_who(event.association),
                "port": event.association.port,
                "result": event.result,
                "source": event.source,
                "reason": event.reason,
                "text": _clipped(event.text),
            }
        )

    def _refused(self, event: ConnectionRefused) -> None:
        if event.reason == "silent":  # probes, every few seconds
            return
        self._put(
            {
                "event": "refusal",
                "time": _rfc3339(time.time()),
                "address": _clipped(event.address),
                "reason": event.reason,
                "text": _clipped(event.text),
            }
        )


def _dropped(count: int) -> bytes:
    line = {"event": "lines_dropped", "time": _rfc3339(time.time()), "lines": count}
    return f"{_encode(line)}\n".encode("ascii")


def _who(association: AssociationInfo) -> dict[str, object]:
    return {
        "calling_ae_title": _clipped(association.calling_ae_title),
        "called_ae_title": _clipped(association.called_ae_title),
        "address": _clipped(association.address),
    }


def _outcome(status: int | None) -> str:
    if status is None:
        return "none"
    if status == Status.SUCCESS:
        return "success"
    return "warning" if Status.is_success(status) else "failure"


def _count(statuses: Counter[str], status: str) -> None:
    if status not in statuses and len(statuses) >= MOST_STATUSES:
        status = "others"
    statuses[status] += 1


def _clipped(text: str) -> str:
    """Return the beginning of a text that can be written in UTF-8."""
    if len(text) > LONGEST:
        text = text[:LONGEST] + "..."
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _rfc3339(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
