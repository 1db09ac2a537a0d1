"""Recorder: takes one process's events, as cheaply as that can be."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from aiodicom.describe import escape
from aiodicom.events import (
    AssociationAccepted,
    AssociationEnded,
    ConnectionRefused,
    Event,
    ProposalRejected,
    RequestBegun,
    RequestEnded,
    ServerListening,
    ServerStopping,
)
from aiodicom.monitor.present import LONGEST_TITLE, Presence, listed
from aiodicom.monitor.problems import Problems
from aiodicom.monitor.rates import SECONDS, Rates
from aiodicom.monitor.totals import DIED, Totals
from aiodicom.requests import AssociationInfo
from aiodicom.wire.dimse import Status

__all__ = ["Recorder", "without_present"]

LONGEST_TEXT = 160
"""Characters of what is told of a problem."""

_USUAL_ENDS = ("released", "stopped")


class Recorder:
    """Counts what happens in this process.

    Parameters
    ----------
    report : mapping, optional
        What to go on from: the last `report` of a process that this one replaces.

    Attributes
    ----------
    is_listening : bool
        Whether a server accepts connections here.
    running : int
        Requests that have no answer yet.
    """

    def __init__(self, report: Mapping[str, Any] | None = None) -> None:
        report = report or {}
        self.is_listening = False
        self.running = 0
        self._ae_title: str = report.get("ae_title", "")
        self._addresses: list[list[Any]] = report.get("addresses", [])
        self._since: float | None = report.get("since")
        self._buffered: Callable[[], int] = lambda: 0
        self._totals = Totals(report.get("totals"))
        self._rates = Rates(report.get("rates"))
        self._problems = Problems(report.get("problems", ()))
        self._present: dict[int, Presence] = {}
        self._takes: Mapping[type, Callable[[Any], None]] = {
            ServerListening: self._listening,
            ServerStopping: self._stopping,
            ConnectionRefused: self._refused,
            ProposalRejected: self._rejected,
            AssociationAccepted: self._accepted,
            AssociationEnded: self._association_ended,
            RequestBegun: self._begun,
            RequestEnded: self._ended,
        }

    def __call__(self, event: Event) -> None:
        """Take an event."""
        self._takes[type(event)](event)

    # For each object -----------------------------------------------------------------------------

    def _begun(self, event: RequestBegun) -> None:
        self.running += 1
        presence = self._present.get(id(event.association))
        if presence is not None:
            presence.begin(event, time.monotonic())

    def _ended(self, event: RequestEnded) -> None:
        now = time.monotonic()
        request, totals = event.request, self._totals
        size = request.size
        presence = self._present.get(id(request.association))
        if presence is not None:
            presence.end(request, size)
            self._settle(presence, now)
        else:
            self._rates.turn(int(now))
        self.running -= 1
        if event.status != 0 or request.dataset is None:
            if not self._is_stored(event):
                return
        else:
            totals.successes += 1
        totals.objects += 1
        totals.sizes.observe(size)
        if event.settled is not None:
            totals.settled.observe(event.settled)
        self._rates.objects[self._rates.second % SECONDS] += 1
        if presence is not None:
            presence.objects += 1

    def _settle(self, presence: Presence, now: float) -> None:
        """Count what has come over an association."""
        rates, second = self._rates, int(now)
        if second != rates.second:
            rates.turn(second)
        new, since = presence.settle(now)
        self._totals.bytes += new
        if int(since) == second:
            rates.bytes[second % SECONDS] += new
        else:
            rates.spread(new, since)

    def _is_stored(self, event: RequestEnded) -> bool:
        """Count the end of anything but an object that was simply stored; tell whether one was."""
        request = event.request
        operation = request.operation.removesuffix("-RQ")
        if event.status is None:
            self._totals.interrupted.add(operation)
            return False
        self._totals.requests.add(f"{operation} 0x{event.status:04X}")
        if Status.is_success(event.status):
            return request.dataset is not None
        self._fail()
        text = f"{operation} was answered 0x{event.status:04X}"
        self._problem("failed", request.association, text, event.comment)
        return False

    # For each association ------------------------------------------------------------------------

    def _accepted(self, event: AssociationAccepted) -> None:
        self._totals.accepted += 1
        presence = Presence(event.association, event.at, time.monotonic())
        self._present[id(event.association)] = presence

    def _association_ended(self, event: AssociationEnded) -> None:
        self._present.pop(id(event.association), None)
        self._totals.ended.add(event.how)
        self._totals.lasted.observe(event.seconds)
        if event.how not in _USUAL_ENDS:
            self._fail()
            self._problem("ended", event.association, f"Association {event.how}", event.text)

    def _rejected(self, event: ProposalRejected) -> None:
        self._totals.rejected.add(f"{event.result} {event.source} {event.reason}")
        self._fail()
        triple = f"({event.result}, {event.source}, {event.reason})"
        self._problem("rejected", event.association, f"Association rejected {triple}", event.text)

    def _refused(self, event: ConnectionRefused) -> None:
        self._totals.refused.add(event.reason)
        if event.reason == "silent":  # a probe: nobody has failed
            return
        self._fail()
        text = escape(event.text or event.reason, LONGEST_TEXT)
        self._problems.add(time.time(), "refused", "", event.address, text)

    def _fail(self) -> None:
        self._rates.turn(int(time.monotonic()))
        self._rates.failures[self._rates.second % SECONDS] += 1

    def _problem(self, kind: str, info: AssociationInfo, text: str, why: str) -> None:
        who = escape(info.calling_ae_title, LONGEST_TITLE)
        text = f"{text}: {escape(why, LONGEST_TEXT)}" if why else text
        self._problems.add(time.time(), kind, who, info.address, text)

    # For each server -----------------------------------------------------------------------------

    def _listening(self, event: ServerListening) -> None:
        self.is_listening = True
        self._ae_title = event.ae_title
        self._addresses = [[host, port] for host, port in event.addresses]
        self._buffered = event.buffered
        if self._since is None:
            self._since = time.time()

    def _stopping(self, event: ServerStopping) -> None:
        self.is_listening = False

    # Asked ---------------------------------------------------------------------------------------

    def came(self) -> int:
        """Count what has come meanwhile of datasets that still come; return all bytes so far."""
        if self.running:
            now = time.monotonic()
            for presence in self._present.values():
                if presence.running:
                    self._settle(presence, now)
        return self._totals.bytes

    def report(self) -> dict[str, Any]:
        """Return all of it as plain values, which JSON can hold."""
        self.came()
        now = time.monotonic()
        self._rates.turn(int(now))
        return {
            "is_listening": self.is_listening,
            "ae_title": self._ae_title,
            "addresses": self._addresses,
            "since": self._since,
            "totals": self._totals.values(),
            "rates": self._rates.values(),
            "problems": self._problems.values(),
            "associations": len(self._present),
            "running": self.running,
            "buffered": self._buffered(),
            "listed": listed(self._present.values(), now),
        }


def without_present(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report of a process that has died: what it had then has ended."""
    totals = Totals(report["totals"])
    if report["associations"]:
        totals.ended.add(DIED, report["associations"])
    if report["running"]:
        totals.interrupted.add("C-STORE", report["running"])
    gone = {"is_listening": False, "associations": 0, "running": 0, "buffered": 0, "listed": []}
    return {**report, **gone, "totals": totals.values()}
