"""A receiver of OTLP over HTTP on loopback, as a collector is one, that keeps what it was sent. Made from the official protobuf."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tracing import models

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
KINDS = {Span.SPAN_KIND_SERVER: "server", Span.SPAN_KIND_CLIENT: "client", Span.SPAN_KIND_PRODUCER: "producer",
         Span.SPAN_KIND_CONSUMER: "consumer"}  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What a collector and the table both have of a span, in the words of the table."""

    trace_id: UUID
    span_id: UUID
    parent_span_id: UUID | None
    service: str
    operation: str
    kind: str
    started_at: datetime
    completed_at: datetime | None
    status: str
    error_type: str | None
    error_message: str | None
    attributes: dict[str, Any] = field(hash=False)


def in_table(trace_id: UUID) -> dict[UUID, Seen]:
    """By span, what the table has of that trace. Each span is there once."""
    rows = list(models.Span.objects.filter(trace_id=trace_id))
    found = {row.span_id: _seen_in_table(row) for row in rows}
    assert len(found) == len(rows), "a span is there twice"
    return found


def _seen_in_table(row: models.Span) -> Seen:
    said = row.metadata or {}
    return Seen(
        row.trace_id, row.span_id, row.parent_span_id, row.service, row.operation, said.get("kind", ""), row.started_at,
        row.completed_at, row.status, row.error_type, row.error_message, said.get("attributes", {}),
    )  # fmt: skip


@dataclass
class Receiver:
    """`requests` are whole; `refuse` is the answer to all that follow, if it is not 0."""

    url: str = ""
    refuse: int = 0
    requests: list[ExportTraceServiceRequest] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def spans(self) -> Iterator[tuple[dict[str, Any], Span]]:
        """Each with the attributes of its resource."""
        for request in list(self.requests):
            for resource in request.resource_spans:
                facts = _attributes(resource.resource.attributes)
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        yield facts, span

    def trace(self, trace_id: UUID) -> dict[UUID, Seen]:
        """By span, what came of that trace. Each span came once."""
        came = [(facts, span) for facts, span in self.spans() if span.trace_id == trace_id.bytes]
        found = {_span_id(span.span_id): _seen(facts, span) for facts, span in came}
        assert len(found) == len(came), "a span came twice"
        return found


def _seen(facts: dict[str, Any], span: Span) -> Seen:
    attributes = _attributes(span.attributes)
    failed = span.status.code == Status.STATUS_CODE_ERROR
    return Seen(
        UUID(bytes=span.trace_id),
        _span_id(span.span_id),
        _span_id(span.parent_span_id) if span.parent_span_id else None,
        facts["service.name"],
        span.name,
        KINDS.get(span.kind, ""),
        _moment(span.start_time_unix_nano),
        _moment(span.end_time_unix_nano),
        attributes.get("towline.status", "failed" if failed else "completed"),
        attributes.get("error.type"),
        span.status.message or None,
        attributes,
    )


def _span_id(digits: bytes) -> UUID:
    return UUID(bytes=bytes(8) + digits)


def _moment(ns: int) -> datetime:
    return EPOCH + timedelta(microseconds=ns // 1000)


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs if isinstance(pair, KeyValue)}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind) if kind else None


@contextmanager
def otlp_receiver() -> Iterator[Receiver]:
    """`OTEL_EXPORTER_OTLP_ENDPOINT` is its `url`."""
    receiver = Receiver()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if receiver.refuse or self.path != "/v1/traces":
                self.send_error(receiver.refuse or 404)
                return
            receiver.headers.append(dict(self.headers))
            receiver.requests.append(ExportTraceServiceRequest.FromString(body))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
