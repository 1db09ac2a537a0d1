"""Where spans go: what the variables OTEL_* of the environment say, by the SDK."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

__all__ = ["ExportError", "provider_maker"]

GROUP = "opentelemetry_traces_exporter"
"""The entry points of exporters."""

_OTLP = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
"""Those of OTLP, by what ``OTEL_EXPORTER_OTLP_PROTOCOL`` may say; preferred ones first."""


class ExportError(Exception):
    """Spans cannot be exported as the environment says; the text has the remedy."""


def provider_maker(
    environment: Mapping[str, str] = os.environ,
) -> Callable[[], Any]:
    """Return what makes a ``TracerProvider`` as the environment wants it.

    ``OTEL_TRACES_EXPORTER`` names exporters: ``otlp`` (the default), ``console``, ``none``, or
    whatever else is installed. All other variables are the SDK's and the exporters' own.

    Raises
    ------
    ExportError
        Where the SDK, or an exporter, is not installed.
    """
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ExportError(
            "the SDK of OpenTelemetry is not installed: pip install 'aiodicom[otel]'"
        ) from None
    exporters = [_loaded(name, environment) for name in _names(environment)]
    named = environment.get("OTEL_SERVICE_NAME") or "service.name" in environment.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    attributes = {} if named else {"service.name": "aiodicom"}

    def make() -> Any:
        provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
        for exporter in exporters:
            provider.add_span_processor(BatchSpanProcessor(exporter()))
        return provider

    return make


def _names(environment: Mapping[str, str]) -> Iterator[str]:
    said = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    for name in dict.fromkeys(name.strip() for name in said.split(",")):
        if name and name != "none":
            yield name


def _loaded(name: str, environment: Mapping[str, str]) -> Callable[[], Any]:
    found = _found(name, environment)
    if found is None and name == "otlp":
        raise ExportError(
            "no exporter for OTLP is installed: pip install opentelemetry-exporter-otlp, or say "
            "OTEL_TRACES_EXPORTER=console"
        )
    if found is None:
        raise ExportError(f"OTEL_TRACES_EXPORTER is {name!r}, and no such exporter is installed")
    try:
        exporter: Callable[[], Any] = found.load()
    except ImportError as error:
        raise ExportError(f"the exporter {name!r} cannot be loaded: {error}") from None
    return exporter


def _found(name: str, environment: Mapping[str, str]) -> EntryPoint | None:
    names = [name]
    if name == "otlp":
        protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environment.get(
            "OTEL_EXPORTER_OTLP_PROTOCOL"
        )
        names = [_OTLP.get(protocol, protocol)] if protocol else list(_OTLP.values())
    for each in names:
        for found in entry_points(group=GROUP, name=each):
            return found
    return None
