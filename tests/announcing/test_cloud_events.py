"""What is sent: CloudEvents 1.0 in JSON, and nothing of patients but UIDs."""

from __future__ import annotations

import json
import re

from aiodicom.announcing import cloud_event
from aiodicom.announcing.cloud_events import encode
from tests.announcing.values import announced, quiet, stored
from tests.peer import CT

UNTELLING = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What the strings of an event may not have in them (CloudEvents 3.1)."""


def test_object_as_an_event() -> None:
    assert cloud_event(announced("1.2.3")) == {
        "specversion": "1.0",
        "id": "id-1.2.3",
        "source": "/aiodicom/test",
        "type": "org.aiodicom.object.stored",
        "subject": "1.2.3",
        "time": "2023-11-14T22:13:20.500Z",
        "datacontenttype": "application/json",
        "data": {
            "sop_class_uid": CT,
            "sop_instance_uid": "1.2.3",
            "study_instance_uid": "1.2.9",
            "series_instance_uid": "1.2.9.1",
            "transfer_syntax_uid": "1.2.840.10008.1.2.1",
            "size": 500,
            "calling_ae_title": "PEER",
            "called_ae_title": "HERE",
            "address": "192.0.2.1",
        },
    }


def test_study_as_an_event() -> None:
    event = cloud_event(quiet())
    assert (event["type"], event["subject"]) == ("org.aiodicom.study.quiet", "1.2.9")
    assert event["time"] == "2023-11-14T22:14:20.500Z"
    assert event["data"] == {
        "study_instance_uid": "1.2.9",
        "series_instance_uids": ["1.2.9.1", "1.2.9.2"],
        "objects": 3,
        "size": 1500,
        "first": "2023-11-14T22:13:10.500Z",
        "last": "2023-11-14T22:13:20.500Z",
        "senders": [
            {"calling_ae_title": "PEER", "called_ae_title": "HERE"},
            {"calling_ae_title": "OTHER", "called_ae_title": "HERE"},
        ],
        "reason": "quiet",
    }


def test_paths_are_told_only_when_asked_for() -> None:
    assert "Doe" not in json.dumps([cloud_event(announced()), cloud_event(quiet())])
    told = cloud_event(announced(), paths=True)["data"], cloud_event(quiet(), paths=True)["data"]
    assert isinstance(told[0], dict)
    assert isinstance(told[1], dict)
    assert told[0]["path"] == "/in/Doe_20240101/CT.1.2.3"
    assert told[1]["folder"] == "/in/Doe_20240101"


def test_what_a_peer_makes_up_is_no_control_character_and_no_broken_text() -> None:
    evil = "1\x00\n\x85\udcff\N{PILE OF POO}\\"
    values = dict.fromkeys(
        ("sop_instance_uid", "sop_class_uid", "calling_ae_title", "called_ae_title", "name"), evil
    )
    last = stored("1", evil, series_instance_uid=evil, **values)
    for announcement in (announced(study=evil, **values), quiet(last)):
        event = json.loads(encode(announcement, paths=True))
        assert not UNTELLING.search(json.dumps(event, ensure_ascii=False))
        assert event["subject"].startswith("1\\x00\\n\\x85")
