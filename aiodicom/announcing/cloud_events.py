"""Announcements as CloudEvents 1.0, in the JSON format's structured mode."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from aiodicom.announcing.announcements import Announcement, ObjectStored
from aiodicom.describe import escape, escape_path
from aiodicom.storage.stored import EndedStudy, StoredObject

__all__ = ["CONTENT_TYPE", "OBJECT_STORED", "STUDY_QUIET", "cloud_event", "encode", "type_of"]

CONTENT_TYPE = "application/cloudevents+json"
"""The media type of one event in JSON (CloudEvents JSON format, 3)."""

OBJECT_STORED = "org.aiodicom.object.stored"
"""The type of an event: an object is durable."""

STUDY_QUIET = "org.aiodicom.study.quiet"
"""The type of an event: nothing has come of a study for a while."""


def type_of(announcement: Announcement) -> str:
    """Return the type that an announcement has as an event."""
    return OBJECT_STORED if isinstance(announcement, ObjectStored) else STUDY_QUIET


def cloud_event(announcement: Announcement, *, paths: bool = False) -> dict[str, object]:
    """Return an announcement as a CloudEvent: a dict of plain JSON values.

    What a peer has chosen is escaped where it is not printable, since an event's attributes may
    have no control characters.

    Parameters
    ----------
    announcement : ObjectStored or StudyQuiet
        What is announced.
    paths : bool
        Whether it says where the files are. A folder may be called by a patient's name; all else
        in it is UIDs, AE titles, addresses, sizes and times.
    """
    if isinstance(announcement, ObjectStored):
        uid, data = announcement.stored.sop_instance_uid, _object(announcement.stored, paths)
    else:
        uid, data = announcement.study.study_instance_uid, _study(announcement.study, paths)
    return {
        "specversion": "1.0",
        "id": announcement.id,
        "source": announcement.source,
        "type": type_of(announcement),
        "subject": escape(uid),
        "time": _time(announcement.at),
        "datacontenttype": "application/json",
        "data": data,
    }


def encode(announcement: Announcement, *, paths: bool = False) -> bytes:
    """Return an announcement as what is sent; see `cloud_event`."""
    return json.dumps(cloud_event(announcement, paths=paths)).encode("ascii")


def _object(stored: StoredObject, paths: bool) -> dict[str, object]:
    data: dict[str, object] = {
        "sop_class_uid": escape(stored.sop_class_uid),
        "sop_instance_uid": escape(stored.sop_instance_uid),
        "study_instance_uid": escape(stored.study_instance_uid),
        "series_instance_uid": escape(stored.series_instance_uid),
        "transfer_syntax_uid": escape(stored.transfer_syntax_uid),
        "size": stored.size,
        "calling_ae_title": escape(stored.calling_ae_title),
        "called_ae_title": escape(stored.called_ae_title),
        "address": stored.address,
    }
    if paths:
        data["path"] = escape_path(stored.path)
    return data


def _study(study: EndedStudy, paths: bool) -> dict[str, object]:
    data: dict[str, object] = {
        "study_instance_uid": escape(study.study_instance_uid),
        "series_instance_uids": [escape(uid) for uid in study.series_instance_uids],
        "objects": study.objects,
        "size": study.size,
        "first": _time(study.first_at),
        "last": _time(study.last.at),
        "senders": [
            {"calling_ae_title": escape(calling), "called_ae_title": escape(called)}
            for calling, called in study.senders
        ],
        "reason": study.reason,
    }
    if paths:
        data["folder"] = escape_path(study.folder)
    return data


def _time(seconds: float) -> str:
    """Return a time as RFC 3339 writes it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
