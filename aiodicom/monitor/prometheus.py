"""A snapshot as Prometheus metrics: names and units after its conventions, finite labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from aiodicom.monitor.totals import BOUNDS

__all__ = ["exposition"]


def exposition(snapshot: Mapping[str, Any], accept: str) -> tuple[bytes, str]:
    """Return a snapshot as metrics, and the type of that.

    Parameters
    ----------
    snapshot : mapping
        What `Monitor.snapshot` has returned.
    accept : str
        What a client takes (RFC 9110 12.5.1): OpenMetrics, or Prometheus's older text.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(snapshot))
    encode, kind = choose_encoder(accept)
    return encode(registry), kind


class _Collector(Collector):
    def __init__(self, snapshot: Mapping[str, Any]) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        yield from _counters(self._snapshot)
        yield from _gauges(self._snapshot)
        yield from _histograms(self._snapshot["totals"])


def _counters(snapshot: Mapping[str, Any]) -> Iterator[Metric]:
    totals = snapshot["totals"]
    for name, text, key, labels in _COUNTERS:
        counter = CounterMetricFamily(f"aiodicom_{name}", text, labels=labels)
        if not labels:
            counter.add_metric([], totals[key])
        else:
            for kind, count in sorted(totals[key].items()):
                counter.add_metric(_values(kind, len(labels)), count)
        yield counter
    text = "Worker processes that had died and were replaced."
    yield CounterMetricFamily("aiodicom_worker_restarts", text, snapshot["restarts"])


def _values(kind: str, count: int) -> list[str]:
    """Return the values of labels: a kind is as many words; the rest share one name."""
    words = kind.split() if count > 1 else [kind]
    return words if len(words) == count else [kind] * count


def _gauges(snapshot: Mapping[str, Any]) -> Iterator[Metric]:
    for name, text, ask in _GAUGES:
        value = ask(snapshot)
        if value is not None:
            yield GaugeMetricFamily(f"aiodicom_{name}", text, value)
    info = GaugeMetricFamily("aiodicom_build_info", "Always 1; its label is the version.",
                             labels=["version"])  # fmt: skip
    info.add_metric([snapshot["version"]], 1)
    yield info


def _histograms(totals: Mapping[str, Any]) -> Iterator[Metric]:
    for name, text, key in _HISTOGRAMS:
        values = totals[key]
        bounds = [*(str(float(bound)) for bound in BOUNDS[key]), "+Inf"]
        buckets = list(zip(bounds, accumulate(values["counts"]), strict=True))
        yield HistogramMetricFamily(f"aiodicom_{name}", text, buckets, values["sum"])


_COUNTERS: tuple[tuple[str, str, str, list[str]], ...] = (
    ("objects_stored", "Objects whose C-STORE was answered with success or a warning.", "objects",
     []),
    ("received_bytes", "Bytes of datasets that have come, stored or not.", "bytes", []),
    ("requests", "Requests that were answered, by operation and status.", "requests",
     ["operation", "status"]),
    ("requests_interrupted", "Requests whose association ended before they were answered.",
     "interrupted", ["operation"]),
    ("associations_accepted", "Associations that were established.", "accepted", []),
    ("associations_ended", "Associations that were established and have ended, by how.", "ended",
     ["how"]),
    ("associations_rejected",
     "Associations that were rejected, by the numbers of the A-ASSOCIATE-RJ (PS3.8 table 9-21).",
     "rejected", ["result", "source", "reason"]),
    ("connections_refused", "Connections that came to no association, by reason.", "refused",
     ["reason"]),
)  # fmt: skip

_Ask = Callable[[Mapping[str, Any]], float | None]


def _of_storage(key: str) -> _Ask:
    """Return what asks for a value of the storage, which may be unknown."""
    return lambda snapshot: snapshot["storage"] and snapshot["storage"][key]


_GAUGES: tuple[tuple[str, str, _Ask], ...] = (
    ("listening", "Whether connections are accepted.",
     lambda s: float(s["server"]["is_listening"])),
    ("start_time_seconds", "When it began to listen, in seconds since the epoch.",
     lambda s: s["server"]["since"]),
    ("associations", "Associations that there are.", lambda s: s["associations"]),
    ("requests_running", "Requests that have no answer yet.", lambda s: s["running"]),
    ("buffered_bytes", "Bytes of datasets that are in memory.", lambda s: s["buffered_bytes"]),
    ("storage_free_bytes", "Free bytes where objects are stored.", _of_storage("free_bytes")),
    ("storage_size_bytes", "All bytes of that file system.", _of_storage("total_bytes")),
    ("storage_free_inodes", "Free inodes where objects are stored.", _of_storage("free_inodes")),
    ("storage_inodes", "All inodes of that file system; 0 where they are not counted.",
     _of_storage("total_inodes")),
    ("workers", "Processes that serve.", lambda s: len(s["workers"])),
)  # fmt: skip

_HISTOGRAMS = (
    ("store_latency_seconds",
     "From the last fragment of an object to the answer that it is stored.", "settled"),
    ("object_size_bytes", "Datasets of stored objects.", "sizes"),
    ("association_duration_seconds", "How long associations lasted.", "lasted"),
)  # fmt: skip
