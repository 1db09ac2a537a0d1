"""Whether files, JSON log, events and senders agree, object for object."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from aiodicom.events import (
    AssociationAccepted,
    AssociationEnded,
    ConnectionRefused,
    Event,
    ProposalRejected,
    RequestBegun,
    RequestEnded,
)
from tests.monitor.load import Seen
from tests.processes import dataset_of, unfinished, visible

Line = Mapping[str, Any]


class Totals:
    """A watcher that counts."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def __call__(self, event: Event) -> None:
        name = type(event).__name__
        if isinstance(event, RequestEnded):
            name += f" {event.status}"
            self.counts["bytes"] += event.request.size
        elif isinstance(event, ConnectionRefused):
            name += f" {event.reason}"
        elif not isinstance(
            event, (AssociationAccepted, AssociationEnded, ProposalRejected, RequestBegun)
        ):
            return
        self.counts[name] += 1


def lines_of(log: Path) -> list[Line]:
    return [json.loads(line) for line in log.read_text("utf-8").splitlines()]


def check(
    folder: Path, log: Path, counts: Mapping[str, int], seen: Seen, monitored: Mapping[str, Any]
) -> None:
    """Check that all of them tell of the same objects: `monitored` are a monitor's totals."""
    lines = lines_of(log)
    by_event: dict[str, list[Line]] = {}
    for line in lines:
        by_event.setdefault(line["event"], []).append(line)
    objects, associations = by_event["object"], by_event["association"]
    assert set(by_event) == {"object", "association", "rejection", "refusal"}
    _check_files(folder, objects)
    _check_answers(objects, seen)
    _check_events(by_event, counts)
    _check_associations(objects, associations)
    _check_metrics(by_event, monitored)
    assert len(associations) == seen.accepted
    assert len(by_event["rejection"]) == seen.rejected
    assert len(by_event["refusal"]) == seen.refused


def _check_files(folder: Path, objects: Iterable[Line]) -> None:
    stored = {o["sop_instance_uid"]: o["bytes"] for o in objects if o["outcome"] == "success"}
    files = {name.removeprefix("CT."): len(dataset_of(folder / name)) for name in visible(folder)}
    assert files == stored
    assert not unfinished(folder)


def _check_answers(objects: Iterable[Line], seen: Seen) -> None:
    told = Counter((o["sop_instance_uid"], o["status"]) for o in objects if o["answered"])
    unread = {key: count for key, count in told.items() if key[0] in seen.unread}
    assert told - Counter(unread) == seen.answers
    of_broken = {o["outcome"] for o in objects if o["sop_instance_uid"] in seen.broken}
    assert of_broken == {"none"}
    known = {o["sop_instance_uid"] for o in objects}
    answered = {uid for uid, _ in seen.answers}
    assert answered <= known <= answered | seen.unread | seen.broken
    assert known & seen.broken  # of those who are cut off some have not come so far


def _check_events(by_event: Mapping[str, list[Line]], counts: Mapping[str, int]) -> None:
    objects = by_event["object"]
    expected = Counter(f"RequestEnded {o['status']}" for o in objects)
    expected.update(f"ConnectionRefused {r['reason']}" for r in by_event["refusal"])
    expected["RequestBegun"] = len(objects)
    expected["bytes"] = sum(o["bytes"] for o in objects)
    expected["ProposalRejected"] = len(by_event["rejection"])
    for name in ("AssociationAccepted", "AssociationEnded"):
        expected[name] = len(by_event["association"])
    found = {name: count for name, count in counts.items() if "silent" not in name}
    assert found == expected


def _check_associations(objects: Iterable[Line], associations: Iterable[Line]) -> None:
    for each in associations:
        of_it = [o for o in objects if o["association"] == each["association"]]
        assert each["objects"] == len(of_it)
        assert each["bytes"] == sum(o["bytes"] for o in of_it)
        statuses = Counter("none" if o["status"] is None else f"{o['status']:04X}" for o in of_it)
        assert each["statuses"] == statuses


def _check_metrics(by_event: Mapping[str, list[Line]], monitored: Mapping[str, Any]) -> None:
    objects, associations = by_event["object"], by_event["association"]
    stored = [o["bytes"] for o in objects if o["outcome"] in ("success", "warning")]
    settled = [o["settled_seconds"] for o in objects if o["outcome"] in ("success", "warning")]
    assert monitored["objects"] == len(stored) == sum(monitored["sizes"]["counts"])
    assert monitored["sizes"]["sum"] == sum(stored)
    assert monitored["bytes"] == sum(o["bytes"] for o in objects)
    assert sum(monitored["settled"]["counts"]) == len(settled)
    assert abs(monitored["settled"]["sum"] - sum(settled)) < 1e-4 * len(objects)
    statuses = Counter(o["status"] for o in objects)
    interrupted = statuses.pop(None, 0)
    named = {f"C-STORE 0x{status:04X}": count for status, count in statuses.items()}
    assert {k: v for k, v in monitored["requests"].items() if v} == named
    assert monitored["interrupted"] == {"C-STORE": interrupted}
    assert monitored["accepted"] == len(associations) == sum(monitored["lasted"]["counts"])
    ended, refused = dict(monitored["ended"]), dict(monitored["refused"])
    assert {k: v for k, v in ended.items() if v} == Counter(a["end"] for a in associations)
    refused.pop("silent")
    assert {k: v for k, v in refused.items() if v} == Counter(
        r["reason"] for r in by_event["refusal"]
    )
    assert monitored["rejected"] == Counter(
        f"{r['result']} {r['source']} {r['reason']}" for r in by_event["rejection"]
    )
