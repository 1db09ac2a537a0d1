"""Metrics: names, types and units as Prometheus wants them and its own parsers read them."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as older_text

from aiodicom.events import ConnectionRefused, ProposalRejected, ServerListening
from aiodicom.monitor import Monitor
from aiodicom.monitor.prometheus import exposition
from tests.monitor.happening import Happening, who

OPEN = "application/openmetrics-text; version=1.0.0"

SECRETS = ("SECRET", "10.9.8.7", "Doe")


def monitor() -> Monitor:
    """One that has seen something of everything."""
    watcher = Monitor()
    watcher(ServerListening("TITLE", (("127.0.0.1", 104),)))
    watcher(ConnectionRefused("10.9.8.7", "too many", "Doe"))
    info = who("SECRET", "10.9.8.7")
    watcher(ProposalRejected(info, 1, 1, 7, "Doe"))
    peer = Happening(watcher, info)
    peer.store(3000)
    peer.store(10, status=0xA700, comment="Doe")
    peer.store(10, status=None)
    peer.leave("lost", "Doe")
    return watcher


def families(accept: str = OPEN) -> Iterable[Metric]:
    body, _ = exposition(monitor().snapshot(), accept)
    parse = open_metrics if accept == OPEN else older_text
    return list(parse(body.decode()))


def values() -> dict[str, float]:
    return {
        s.name + "".join(f" {value}" for _, value in sorted(s.labels.items())): s.value
        for family in families()
        for s in family.samples
    }


@pytest.mark.parametrize("accept", [OPEN, "text/plain"])
def test_it_is_what_the_client_asks_for_and_prometheus_can_read(accept: str) -> None:
    _, kind = exposition(monitor().snapshot(), accept)
    assert kind.startswith(accept.partition(";")[0])
    assert families(accept)


def test_what_has_happened_is_in_it() -> None:
    told = values()
    expected = {
        "aiodicom_objects_stored_total": 1,
        "aiodicom_received_bytes_total": 3020,
        "aiodicom_requests_total C-STORE 0x0000": 1,
        "aiodicom_requests_total C-STORE 0xA700": 1,
        "aiodicom_requests_interrupted_total C-STORE": 1,
        "aiodicom_associations_accepted_total": 1,
        "aiodicom_associations_ended_total lost": 1,
        "aiodicom_associations_ended_total released": 0,
        "aiodicom_associations_rejected_total 7 1 1": 1,
        "aiodicom_connections_refused_total too many": 1,
        "aiodicom_worker_restarts_total": 0,
        "aiodicom_associations": 0,
        "aiodicom_listening": 1,
        "aiodicom_store_latency_seconds_count": 1,
        "aiodicom_store_latency_seconds_bucket 0.0025": 0,
        "aiodicom_store_latency_seconds_bucket 0.005": 1,
        "aiodicom_object_size_bytes_sum": 3000,
        "aiodicom_association_duration_seconds_count": 1,
    }
    assert {name: told[name] for name in expected} == expected


def test_no_label_says_who_sent_what() -> None:
    body, _ = exposition(monitor().snapshot(), OPEN)
    assert not any(secret in body.decode() for secret in SECRETS)


def test_names_are_as_prometheus_wants_them() -> None:
    for family in families():
        assert re.fullmatch(r"aiodicom(_[a-z]+)+", family.name)
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge", "histogram")
        if family.type == "histogram":
            assert family.name.endswith(("_seconds", "_bytes"))
        assert not re.search(r"_(ms|milliseconds|kb|mb|count|sum|bucket|total)$", family.name)


def test_buckets_grow_to_all_of_them() -> None:
    for family in families():
        if family.type == "histogram":
            counts = [s.value for s in family.samples if s.name.endswith("_bucket")]
            (count,) = (s.value for s in family.samples if s.name.endswith("_count"))
            assert counts == sorted(counts)
            assert counts[-1] == count
