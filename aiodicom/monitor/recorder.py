"""Recorder: takes one process's events, as cheaply as that can be."""

from __future__ import annotations

import time
from bisect import bisect_left
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
    """

    def __init__(self, report: Mapping[str, Any] | None = None) -> None:
        report = report or {}
        self.is_listening = False
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

    def take(self, event: Event) -> None:
        """Take an event."""
        self._takes[event.__class__](event)

    # For each object: all of it stands here, because calls would cost more than what they do -----

    def _begun(self, event: RequestBegun) -> None:
        presence = self._present.get(id(event.association))
        if presence is not None:
            presence.running += 1
            presence.last = presence.coming = event

    def _ended(self, event: RequestEnded) -> None:
        request = event.request
        presence = self._present.get(id(request.association))
        dataset = request.dataset
        size = 0 if dataset is None else dataset.size
        begun = request.at
        now = begun + event.seconds
        second = int(now)
        rates, totals = self._rates, self._totals
        if second != rates.second:
            rates.turn(second)
        if presence is not None:
            presence.running -= 1
            if presence.coming is request:
                presence.coming = None
            new = size
            if presence.early:
                new -= presence.early.pop(request, 0)
                begun = max(begun, presence.heard_at)
            presence.heard_at = now
            presence.bytes += new
            if now >= presence.mark_after:
                presence.mark(now, new)
            totals.bytes += new
            if int(begun) == second:
                rates.bytes[second % SECONDS] += new
            else:
                rates.spread(new, begun)
        if event.status == 0 and dataset is not None:
            totals.successes += 1
        elif not self._is_stored(event):
            return
        totals.objects += 1
        sizes = totals.sizes
        sizes.counts[bisect_left(sizes.bounds, size)] += 1
        sizes.sum += size
        if event.settled is not None:
            settled = totals.settled
            settled.counts[bisect_left(settled.bounds, event.settled)] += 1
            settled.sum += event.settled
        rates.objects[rates.second % SECONDS] += 1
        if presence is not None:
            presence.objects += 1

    # Anything but an object that was simply stored -----------------------------------------------

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
        self._present[id(event.association)] = Presence(event.association, event.at)

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
        self._rates.turn(int(time.time()))
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

    @property
    def running(self) -> int:
        """How many requests have no answer yet."""
        return sum(presence.running for presence in self._present.values())

    def came(self) -> int:
        """Count what has come meanwhile of datasets that still come; return all bytes so far."""
        now = time.time()
        self._rates.turn(int(now))
        for presence in self._present.values():
            if presence.coming is not None:
                new, since = presence.take_early(now)
                self._totals.bytes += new
                self._rates.spread(new, since)
        return self._totals.bytes

    def report(self) -> dict[str, Any]:
        """Return all of it as plain values, which JSON can hold."""
        self.came()
        now = time.time()
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
