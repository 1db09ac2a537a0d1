"""Tells other programs of what was stored: hooks, commands, and URLs by HTTP."""

from __future__ import annotations

from aiodicom.announcing.announcements import Announcement, ObjectStored, StudyQuiet
from aiodicom.announcing.announcer import Announcer
from aiodicom.announcing.cloud_events import cloud_event
from aiodicom.announcing.command import Command
from aiodicom.announcing.http_post import HttpPost
from aiodicom.announcing.outbox import Counts, Sink
from aiodicom.announcing.retries import Retries, TryAgain, Undeliverable

__all__ = [
    "Announcement",
    "Announcer",
    "Command",
    "Counts",
    "HttpPost",
    "ObjectStored",
    "Retries",
    "Sink",
    "StudyQuiet",
    "TryAgain",
    "Undeliverable",
    "cloud_event",
]
