"""Spans of OpenTelemetry: which there are, what they say, and where they go."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from aiodicom import AssociationRejected, Refused, Status, StoreRequest
from aiodicom.monitor import exporting, tracing
from aiodicom.monitor.exporting import ExportError, provider_maker
from aiodicom.monitor.tracing import Tracing
from aiodicom.requests import AssociationInfo
from tests.peer import CT, Peer, ct_dataset
from tests.serving import Keeper, discard, empty, happens, serving


class Spans:
    """Keeps the spans that have ended."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracing = Tracing(self.provider)

    def named(self, name: str) -> Sequence[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def one(self, name: str) -> tuple[ReadableSpan, Mapping[str, object]]:
        (span,) = self.named(name)
        assert span.attributes is not None
        return span, span.attributes


async def test_an_object_is_a_child_of_its_association() -> None:
    spans, data = Spans(), ct_dataset("1.2.3")
    watchers = [spans.tracing]
    async with serving(store=discard, watchers=watchers) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.store("1.2.3", data, message_id=7)
        await peer.echo()
        await peer.release()
    association, of_association = spans.one("DICOM association")
    store, of_store = spans.one("C-STORE")
    assert association.parent is None
    assert store.parent is not None
    assert store.parent.span_id == association.context.span_id
    assert of_association["dicom.calling_ae_title"] == "PEER"
    assert of_association["network.peer.address"] == "127.0.0.1"
    assert of_association["dicom.association.end"] == "released"
    assert of_store["dicom.sop_class_uid"] == CT
    assert (of_store["dicom.sop_instance_uid"], of_store["dicom.message_id"]) == ("1.2.3", 7)
    assert (of_store["dicom.status"], of_store["dicom.dataset.size"]) == (0, len(data))
    assert of_store["dicom.answered"] is True
    assert {span.status.status_code for span in (association, store)} == {StatusCode.UNSET}
    times = (association.start_time, store.start_time, store.end_time, association.end_time)
    assert list(times) == sorted(time or 0 for time in times)


async def test_an_object_that_is_refused_is_an_error() -> None:
    async def refuses(request: StoreRequest) -> int:
        raise Refused(Status.OUT_OF_RESOURCES, "no room")

    spans = Spans()
    watchers = [spans.tracing]
    async with serving(store=refuses, watchers=watchers) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.store("1.2.3")
    span, attributes = spans.one("C-STORE")
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "no room")
    assert attributes["dicom.status"] == 0xA700


async def test_a_warning_is_no_error() -> None:
    async def warns(request: StoreRequest) -> int:
        request.dataset.discard()
        return 0xB007

    spans = Spans()
    watchers = [spans.tracing]
    async with serving(store=warns, watchers=watchers) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.store("1.2.3")
    span, _ = spans.one("C-STORE")
    assert span.status.status_code is StatusCode.UNSET


async def test_an_association_that_breaks_off_and_its_object() -> None:
    spans, keeper = Spans(), Keeper()
    watchers = [spans.tracing]
    async with serving(store=keeper, watchers=watchers) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.begin_store("1.2.3", b"abcd")
        await happens(keeper.entered)
        await peer.abort()
        await empty(server)
    store, of_store = spans.one("C-STORE")
    association, of_association = spans.one("DICOM association")
    assert store.status.status_code is association.status.status_code is StatusCode.ERROR
    assert of_association["dicom.association.end"] == "aborted"
    assert "dicom.status" not in of_store
    assert (of_store["dicom.answered"], of_store["dicom.dataset.size"]) == (False, 4)


async def test_a_rejection_is_a_span() -> None:
    async def no(info: AssociationInfo) -> None:
        raise AssociationRejected("not you", 1, 1, 3)

    spans = Spans()
    watchers = [spans.tracing]
    async with serving(authorize=no, watchers=watchers) as server, Peer(server.port) as peer:
        await peer.rejected()
    span, attributes = spans.one("DICOM association")
    assert attributes["dicom.association.end"] == "rejected"
    assert attributes["dicom.reject.reason"] == 3
    assert span.status.description == "not you"


async def test_a_handler_s_own_span_is_a_child_of_the_object_s() -> None:
    spans = Spans()
    tracer = trace.get_tracer("handler", tracer_provider=spans.provider)

    async def store(request: StoreRequest) -> int:
        with (
            trace.use_span(spans.tracing.span(request)),
            tracer.start_as_current_span("own"),
        ):
            return await discard(request)

    watchers = [spans.tracing]
    async with serving(store=store, watchers=watchers) as server, Peer(server.port) as peer:
        await peer.associate()
        await peer.store("1.2.3")
    own, (store_span, _) = spans.named("own")[0], spans.one("C-STORE")
    assert own.parent is not None
    assert own.parent.span_id == store_span.context.span_id


async def test_a_span_that_is_current_elsewhere_is_no_parent() -> None:
    spans = Spans()
    tracer = trace.get_tracer("program", tracer_provider=spans.provider)
    with tracer.start_as_current_span("program"):
        async with serving(watchers=[spans.tracing]) as server, Peer(server.port) as peer:
            await peer.associate()
    span, _ = spans.one("DICOM association")
    assert span.parent is None


async def test_without_a_provider_nothing_comes_of_it() -> None:
    watcher = Tracing(trace.NoOpTracerProvider())
    async with serving(store=discard, watchers=[watcher]) as server, Peer(server.port) as peer:
        await peer.associate()
        assert await peer.store("1.2.3") == Status.SUCCESS
    assert not watcher._traces


def test_the_api_alone_is_enough() -> None:
    program = """
import sys
sys.modules["opentelemetry.sdk"] = None
from aiodicom.monitor.tracing import Tracing
from aiodicom.monitor.exporting import ExportError, provider_maker
Tracing()
try:
    provider_maker()
except ExportError as error:
    assert "pip install 'aiodicom[otel]'" in str(error)
else:
    raise SystemExit("an SDK was found")
"""
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0


# Where they go -----------------------------------------------------------------------------------


class Slow:
    """A provider whose end takes its time."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.ended_in: threading.Thread | None = None

    def get_tracer(self, *names: object, **more: object) -> trace.Tracer:
        return trace.NoOpTracer()

    def shutdown(self) -> None:
        self.ended_in = threading.current_thread()
        self.may_end.wait(10)

    def end(self) -> None:
        """Let it end, and wait until its thread has: no test has the thread of another one."""
        self.may_end.set()
        assert self.ended_in is not None
        self.ended_in.join(10)


async def test_spans_are_sent_at_the_end_without_blocking_the_loop() -> None:
    slow = Slow()
    async with Tracing(make_provider=lambda: slow) as watcher:
        assert isinstance(watcher._tracer, trace.Tracer)
        asyncio.get_running_loop().call_later(0.05, slow.may_end.set)
    assert slow.ended_in not in (None, threading.main_thread())


async def test_a_collector_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tracing, "PATIENCE", 0.05)
    slow = Slow()
    async with Tracing(make_provider=lambda: slow):
        begun = time.monotonic()
    assert time.monotonic() - begun < 20
    assert "Spans are not sent" in caplog.text
    slow.end()


def test_a_collector_that_answers_after_the_end_of_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracing, "PATIENCE", 0.05)
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    slow = Slow()

    async def leave() -> None:
        async with Tracing(make_provider=lambda: slow):
            pass

    asyncio.run(leave())
    slow.end()
    assert not failed


async def test_a_provider_whose_end_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ValueError("no shutdown")

    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    slow = Slow()
    monkeypatch.setattr(slow, "shutdown", fail)
    async with Tracing(make_provider=lambda: slow):
        pass
    assert "no shutdown" in caplog.text
    assert not failed


@pytest.mark.parametrize(
    ("environment", "remedy"),
    [
        ({}, "pip install opentelemetry-exporter-otlp"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_TRACES_EXPORTER=console"),
        ({"OTEL_TRACES_EXPORTER": "nowhere"}, "'nowhere'"),
    ],
)
def test_an_exporter_that_is_not_installed(
    environment: dict[str, str], remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "entry_points", lambda **wanted: ())
    with pytest.raises(ExportError, match=remedy):
        provider_maker(environment)


def test_which_exporter_of_otlp_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def found(*, group: str, name: str) -> tuple[()]:
        asked.append(name)
        return ()

    monkeypatch.setattr(exporting, "entry_points", found)
    for protocol in ("grpc", "http/protobuf", ""):
        with pytest.raises(ExportError):
            provider_maker({"OTEL_EXPORTER_OTLP_PROTOCOL": protocol})
    assert asked == ["otlp_proto_grpc", "otlp_proto_http", "otlp_proto_http", "otlp_proto_grpc"]


def test_no_exporter_at_all() -> None:
    provider = provider_maker({"OTEL_TRACES_EXPORTER": "none"})()
    provider.shutdown()
    assert provider.resource.attributes["service.name"] == "aiodicom"
