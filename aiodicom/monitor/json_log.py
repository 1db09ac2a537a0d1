"""JsonLog: what happens in a server, as lines of JSON for other programs."""

from __future__ import annotations

import functools
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
    """What has come over an association so far; `who` begins each of its lines."""

    who: str
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
    said in the next line that can be written: nothing ever waits for this log. It has one server;
    several logs and processes may append to one file.

    Parameters
    ----------
    target : path or file object
        A file, which is made where it is missing, appended to, and opened anew by `reload`
        (SIGHUP); or a stream that is open already.

    Raises
    ------
    OSError
        When the server starts, where the file cannot be opened.
    RuntimeError
        When the server starts, where another one has this log.
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
        if self._writer is not None:
            text = "a JSON log has one server: give each one its own, they may append to one file"
            raise RuntimeError(text)
        self._server = secrets.token_hex(4)
        self._tallies.clear()
        self._writer = LineWriter(self._lines, _dropped)
        try:
            await self._writer.start(must_open=not self._is_worker)
        except BaseException:
            self._writer = None
            raise
        if self._index in self._gone:
            self._put({"event": "worker_replaced", "time": _rfc3339(time.time()),
                       "worker": self._index + 1})  # fmt: skip
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._writer is not None:
            try:
                await self._writer.close()
            finally:
                self._writer = None

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
        self._write(_encode(line))

    def _write(self, line: str) -> None:
        if self._writer is not None:
            self._writer.put(f"{line}\n".encode("ascii"))

    def _accepted(self, event: AssociationAccepted) -> None:
        info = event.association
        who = {"association": f"{self._server}-{info.number}", **_who(info)}
        self._tallies[info.number] = _Tally(_encode(who)[1:-1], event.at)

    def _ended(self, event: AssociationEnded) -> None:
        tally = self._tallies.pop(event.association.number, None)
        if tally is None:
            return
        rest = {
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
        self._write(
            f'{{"event":"association","time":"{_rfc3339(time.time())}",{tally.who},'
            f"{_encode(rest)[1:]}"
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
        size, status, settled = request.size, event.status, event.settled
        tally.objects += 1
        tally.bytes += size
        _count(tally.statuses, "none" if status is None else f"{status:04X}")
        # Not a dictionary: this is done for each object, and costs a third like this.
        self._write(
            f'{{"event":"object","time":"{_rfc3339(time.time())}",{tally.who},'
            f'"message_id":{request.message_id},'
            f'"sop_class_uid":{_known_text(request.sop_class_uid)},'
            f'"sop_instance_uid":{_text(request.sop_instance_uid)},'
            f'"transfer_syntax_uid":{_known_text(request.transfer_syntax_uid)},'
            f'"bytes":{size},"outcome":"{_outcome(status)}",'
            f'"status":{"null" if status is None else int(status)},'
            f'"answered":{"true" if event.answered else "false"},'
            f'"comment":{_known_text(event.comment)},"seconds":{event.seconds:.6f},'
            f'"settled_seconds":{"null" if settled is None else f"{settled:.6f}"}}}'
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


def _text(text: str) -> str:
    return _encode(_clipped(text))


_known_text = functools.lru_cache(maxsize=64)(_text)


def _rfc3339(moment: float) -> str:
    return f"{_second(int(moment))}.{int(moment % 1 * 1000):03}Z"


@functools.lru_cache(maxsize=4)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
