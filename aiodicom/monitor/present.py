"""The associations that there are now: who sends what, at which rate."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Any

from aiodicom.describe import escape, uid_name
from aiodicom.events import RequestBegun
from aiodicom.requests import AssociationInfo

__all__ = ["LONGEST_TITLE", "MOST_LISTED", "Presence", "busiest", "listed"]

MOST_LISTED = 100
"""Associations that are listed, the busiest ones: all are counted."""

LONGEST_TITLE = 16
"""Characters of an AE title (PS3.5 6.2); what is longer is cut."""

STRETCH = 2.0
"""Seconds that a rate is measured over, at least: up to twice that."""

QUIET = 5.0
"""Seconds without anything after which an association sends nothing."""


class Presence:
    """One association that there is. Its recorder writes its attributes: a call would cost more.

    Parameters
    ----------
    info : AssociationInfo
        Whose.
    at : float
        Since when, in seconds since the epoch.

    Attributes
    ----------
    objects : int
        Objects that were stored.
    running : int
        Requests that have no answer yet.
    bytes : int
        Bytes of datasets that have come and were counted.
    early : dict of RequestBegun to int
        Of datasets that still come: how much of them was counted already.
    last : RequestBegun or None
        The last one that has begun.
    coming : RequestBegun or None
        The same while it has not ended: datasets come one after the other.
    heard_at : float
        When a request last ended, or was looked at while it came.
    mark_after : float
        When `mark` is due.
    """

    __slots__ = (
        *("_at", "_info", "_marks", "bytes", "coming", "early", "heard_at"),
        *("last", "mark_after", "objects", "running"),
    )

    def __init__(self, info: AssociationInfo, at: float) -> None:
        self._info = info
        self._at = at
        self._marks = ((at, 0), (at, 0))  # when there were how many bytes: an older, a newer one
        self.objects = self.running = self.bytes = 0
        self.early: dict[RequestBegun, int] = {}
        self.last: RequestBegun | None = None
        self.coming: RequestBegun | None = None
        self.heard_at = at
        self.mark_after = at + STRETCH

    def mark(self, now: float, new: int) -> None:
        """Keep how many bytes there are now, to measure a rate from: `new` came just now."""
        before = self._marks[1]
        if now - before[0] > 2 * STRETCH + 1:  # after a silence, which is not averaged over
            self._marks = (now, self.bytes - new), (now, self.bytes - new)
        else:
            self._marks = before, (now, self.bytes)
        self.mark_after = now + STRETCH

    def take_early(self, now: float) -> tuple[int, float]:
        """Return what has come of the dataset that comes just now, and since when."""
        request = self.coming
        if request is None or request.dataset is None:
            return 0, now
        size, since = request.dataset.size, max(request.at, self.heard_at)
        new = size - self.early.get(request, 0)
        self.early[request] = size
        self.bytes += new
        self.heard_at = now
        if now >= self.mark_after:
            self.mark(now, new)
        return new, since

    def is_quiet(self, now: float) -> bool:
        """Tell whether nothing has come for some time."""
        return not self.running and now - self.heard_at > QUIET

    def rate(self, now: float) -> float:
        """Return the bytes a second of the last seconds."""
        if now < self._marks[1][0]:  # the clock was put back: measure anew
            self._marks = ((now, self.bytes), (now, self.bytes))
            self.mark_after = now + STRETCH
        since, then = self._marks[0] if now - self._marks[1][0] < STRETCH else self._marks[1]
        return max(self.bytes - then, 0) / max(now - since, 0.25)

    def values(self, now: float, rate: float) -> dict[str, Any]:
        """Return it as plain values; what the peer says is escaped and cut."""
        info, last = self._info, self.last
        return {
            "calling_ae_title": escape(info.calling_ae_title, LONGEST_TITLE),
            "called_ae_title": escape(info.called_ae_title, LONGEST_TITLE),
            "address": info.address,
            "port": info.port,
            "since": self._at,
            "objects": self.objects,
            "bytes": self.bytes,
            "bytes_per_second": round(rate),
            "running": self.running,
            "sop_class": "" if last is None else uid_name(last.sop_class_uid),
        }


def listed(present: Iterable[Presence], now: float) -> list[dict[str, Any]]:
    """Return the busiest associations of one process as plain values, those first."""
    busy: list[tuple[float, int, Presence]] = []
    quiet: list[Presence] = []
    for each in present:
        if each.is_quiet(now):
            if len(quiet) < MOST_LISTED:
                quiet.append(each)
        else:
            busy.append((each.rate(now), id(each), each))
    chosen = [(presence, rate) for rate, _, presence in heapq.nlargest(MOST_LISTED, busy)]
    chosen += [(presence, 0.0) for presence in quiet]
    return [presence.values(now, rate) for presence, rate in chosen[:MOST_LISTED]]


def busiest(several: Iterable[Iterable[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the busiest associations of several processes."""
    every = (each for values in several for each in values)
    return heapq.nlargest(MOST_LISTED, every, key=lambda each: each["bytes_per_second"])
