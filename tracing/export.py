"""The way of spans out, by OTLP over HTTP as `OTEL_…` says, and from a record back to a span. Nothing waits for a dead endpoint."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from . import models
from .records import Record

log = logging.getLogger(__name__)
END_SECONDS = 2.0
# They tell each try of each batch, and each span that finds no room; what there is to say, `_Once` says.
TALKATIVE = ("opentelemetry.exporter.otlp.proto.http", "opentelemetry.sdk._shared_internal")
SCOPE = "towline"
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class _Once(SpanExporter):
    """Says when nothing gets out any more, and when it does again."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        failing = result is not SpanExportResult.SUCCESS
        if failing and not self._failing:
            log.warning("spans are not exported: OTEL_EXPORTER_OTLP_ENDPOINT does not take them, or does not answer")
        if self._failing and not failing:
            log.warning("spans are exported again")
        self._failing = failing
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class Export:
    """A processor for every provider, and its end. `endpoint` is what all of OTLP goes below, `http://host:4318`."""

    def __init__(self, endpoint: str, seconds: float = END_SECONDS) -> None:
        for name in TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._seconds = seconds
        self.processor: SpanProcessor = BatchSpanProcessor(_Once(OTLPSpanExporter(_traces_of(endpoint))))
        self._ending = threading.Event()
        # Begun now, as at the end of a process there are no new threads any more.
        self._end = threading.Thread(target=self._shut_down, name="span-export-end", daemon=True)
        self._end.start()

    def _shut_down(self) -> None:
        self._ending.wait()
        self.processor.shutdown()

    def put(self, record: Record) -> None:
        """One that is over."""
        self.processor.on_end(span_of(record))

    def stop(self) -> None:
        """What waits still goes, if that takes no more than END_SECONDS."""
        self._ending.set()
        self._end.join(self._seconds)


def _traces_of(endpoint: str) -> str | None:
    """None: as the environment says, which may have one for traces alone."""
    return None if os.environ.get(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT) else f"{endpoint.rstrip('/')}/v1/traces"


@lru_cache(maxsize=1000)
def resource_of(service: str) -> Resource:
    return Resource.create({"service.name": service, "service.namespace": "towline"})


def span_of(record: Record) -> ReadableSpan:
    """As OpenTelemetry's SDK would have it."""
    said = record.metadata
    return ReadableSpan(
        name=record.operation,
        context=_place(record.trace_id, record.span_id),
        parent=_place(record.trace_id, record.parent_span_id) if record.parent_span_id else None,
        resource=resource_of(record.service),
        attributes=said.get("attributes", {}),
        events=[Event(one["name"], one.get("attributes"), one["time_ns"]) for one in said.get("events", [])],
        links=[_link(one) for one in said.get("links", [])],
        kind=SpanKind[said["kind"].upper()] if said.get("kind") else SpanKind.INTERNAL,
        status=_status(record),
        start_time=record.started_ns,
        end_time=record.ended_ns,
        instrumentation_scope=InstrumentationScope(SCOPE),
    )


def _place(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=_SAMPLED)


def _link(said: Mapping[str, Any]) -> Link:
    place = SpanContext(int(said["trace_id"], 16), int(said["span_id"], 16), is_remote=True)
    return Link(place, said.get("attributes"))


def _status(record: Record) -> Status:
    if record.status == models.Status.COMPLETED:
        return Status(StatusCode.UNSET)
    return Status(StatusCode.ERROR, record.error_message)
