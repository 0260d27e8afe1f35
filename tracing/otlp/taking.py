"""Spans that somebody sent, as records for the table: any system's, or those of one attempt's container. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ..identity import Parent, span_hex, trace_hex
from ..models import Status
from ..records import EXECUTION, JOB, MODEL, REGION, Record
from ..services import CONTAINER, SERVICES
from ..spans import Subject
from .belonging import NAMES, columns_said, pass_down, text_of
from .outcomes import outcome
from .values import ATTRIBUTES, ITEMS, Values

SPANS = 20_000  # of one request
LONGEST_MS = 2**31 - 1  # what the column takes: 24 days
RESOURCE_BYTES = 4000
SERVICE = "service.name"
_KINDS = ("", "", "server", "client", "producer", "consumer")
_CLAIMS = frozenset({JOB, EXECUTION, MODEL, REGION})


@dataclass(frozen=True)
class Home:
    """Whose container it is that sends. `place`: the span that its own hang below; None: its job is not traced."""

    subject: Subject
    place: Parent | None = None


@dataclass
class Taken:
    """What was taken, and why the rest was not: a reason for each span."""

    records: list[Record] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def take(
    request: ExportTraceServiceRequest, now_ns: int, home: Home | None = None, hide: Callable[[str], str] = str
) -> Taken:
    """`now_ns`: the start of a span that says none. `hide` masks texts. Without a `home` spans say themselves what they are of."""
    taken, values = Taken(), Values(hide)
    for number, (span, resource) in enumerate(_spans(request, values)):
        if reason := "more than one request may have" if number >= SPANS else _unfit(span, home):
            taken.refused.append(reason)
            continue
        record = _record(span, resource, values, now_ns)
        if (record.duration_ms or 0) > LONGEST_MS:
            taken.refused.append("it lasted for more than 24 days")
        else:
            taken.records.append(_at_home(record, home) if home else record)
    if home is None:
        pass_down(taken.records)
    return taken


def _spans(request: ExportTraceServiceRequest, values: Values) -> Iterator[tuple[Span, dict[str, Any]]]:
    """Each with the attributes of who made it."""
    for group in request.resource_spans:
        resource = _short(values.attributes(group.resource.attributes))
        for scope in group.scope_spans:
            for span in scope.spans:
                yield span, resource


def _short(resource: dict[str, Any]) -> dict[str, Any]:
    """It is kept with each of the spans: a name, a version, whatever is not too long for that; first what columns take."""
    kept, left = {}, RESOURCE_BYTES
    for key, value in sorted(resource.items(), key=lambda item: item[0] not in (SERVICE, *NAMES)):
        size = len(key) + len(str(value))
        if size <= left:
            kept[key] = value
            left -= size
    return kept


def _unfit(span: Span, home: Home | None) -> str:
    if len(span.trace_id) != 16 or not any(span.trace_id):
        return "its trace_id is not 16 bytes, or all zero"
    if len(span.span_id) != 8 or not any(span.span_id):
        return "its span_id is not 8 bytes, or all zero"
    if home and not span.end_time_unix_nano:
        return "it has no end: a program's spans are sent when they are over"
    place = home.place if home else None
    if place and (place.trace_id, place.span_id) == (int.from_bytes(span.trace_id), int.from_bytes(span.span_id)):
        return "its span_id is that of the platform's own span, of TRACEPARENT"
    return ""


def _record(span: Span, resource: dict[str, Any], values: Values, now_ns: int) -> Record:
    attributes = values.attributes(span.attributes)
    events = [
        {
            "name": values.text(event.name),
            "time_ns": event.time_unix_nano,
            "attributes": values.attributes(event.attributes),
        }
        for event in span.events[:ITEMS]
    ]
    started = span.start_time_unix_nano or span.end_time_unix_nano or now_ns
    ended = max(started, span.end_time_unix_nano) if span.end_time_unix_nano else None
    status, error_type, error_message = outcome(span.status.code, values.text(span.status.message), attributes, events)
    service = text_of(resource.get(SERVICE)) or "unknown"
    return Record(
        int.from_bytes(span.trace_id),
        int.from_bytes(span.span_id),
        _parent(span),
        service[:50],
        values.text(span.name, 100) or "unknown",
        started,
        ended,
        status if ended else Status.STARTED,
        **columns_said(attributes, resource),
        metadata=_metadata(span, attributes, events, resource, values),
        error_message=error_message,
        error_type=error_type,
    )


def _parent(span: Span) -> int | None:
    """None of what is no id, or its own."""
    known = len(span.parent_span_id) == 8 and span.parent_span_id != span.span_id
    return int.from_bytes(span.parent_span_id) or None if known else None


def _metadata(
    span: Span, attributes: dict[str, Any], events: list[dict[str, Any]], resource: Mapping[str, Any], values: Values
) -> dict[str, Any]:
    """Only what there is."""
    links = [
        {
            "trace_id": trace_hex(int.from_bytes(link.trace_id)),
            "span_id": span_hex(int.from_bytes(link.span_id)),
            "attributes": values.attributes(link.attributes),
        }
        for link in span.links[:ITEMS]
        if len(link.trace_id) == 16 and len(link.span_id) == 8
    ]
    found = {
        "attributes": attributes,
        "kind": _KINDS[span.kind] if 0 <= span.kind < len(_KINDS) else "",
        "events": events,
        "links": links,
        "resource": {key: value for key, value in resource.items() if not key.startswith("telemetry.sdk.")},
        "dropped_attributes": span.dropped_attributes_count + max(0, len(span.attributes) - ATTRIBUTES),
    }
    return {key: value for key, value in found.items() if value}


def _at_home(record: Record, home: Home) -> Record:
    """Of the attempt, whatever it says of itself, and by none of the platform's own names."""
    place = home.place if home.place and home.place.trace_id == record.trace_id else None
    said = record.metadata.get("attributes", {})
    kept = {key: value for key, value in said.items() if key not in _CLAIMS}
    own = record.service not in {*SERVICES, "unknown"} and not record.service.startswith("unknown_service")
    return replace(
        record,
        parent_span_id=record.parent_span_id or (place.span_id if place else None),
        service=record.service if own else CONTAINER,
        job_id=home.subject.job_id,
        execution_id=home.subject.execution_id,
        model_id=home.subject.model_id or None,
        region=home.subject.region or None,
        metadata={**record.metadata, "attributes": {**kept, **home.subject.attributes()}},
    )
