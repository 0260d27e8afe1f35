"""A span on its way into the table: from OpenTelemetry's spans, or from what a container sent. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from .identity import span_hex, trace_hex
from .models import Status

# Of the attributes, those that are columns.
JOB, EXECUTION, MODEL, REGION = "towline.job_id", "towline.execution_id", "towline.model_id", "towline.region"
STATUS = "towline.status"  # where OpenTelemetry's own word, an error or none, says too little: timeout, lost
ERROR_TYPE = "error.type"
TRIES = 3
Key = tuple[int, int]  # trace, span
_STATUSES = frozenset(Status.values)  # Django makes that list anew each time


@dataclass
class Record:
    """One span, as whoever traces it has it; see `tracing.columns` for what of it a column takes.

    Times are ns since 1970; `ended_ns` None: it has opened, and goes on. `shared`: another process may have written it, too.
    """

    trace_id: int
    span_id: int
    parent_span_id: int | None
    service: str
    operation: str
    started_ns: int
    ended_ns: int | None = None
    status: str = Status.STARTED
    job_id: str | None = None
    execution_id: int | None = None
    model_id: str | None = None
    region: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    error_message: str | None = None
    error_type: str | None = None
    shared: bool = False

    @property
    def key(self) -> Key:
        return self.trace_id, self.span_id

    def record(self) -> Record:
        return self

    @property
    def duration_ms(self) -> int | None:
        return None if self.ended_ns is None else max(0, self.ended_ns - self.started_ns) // 1_000_000


class Noted:
    """A span of this process, as it is taken down: who traces pays for no more. `record` makes one of it, in its own time."""

    __slots__ = ("_span", "ended_ns", "key", "shared")

    def __init__(self, span: ReadableSpan, *, shared: bool = False) -> None:
        context = span.get_span_context()
        if context is None:
            raise ValueError(f"the span {span.name} was never started")
        self.key: Key = (context.trace_id, context.span_id)
        self.ended_ns = span.end_time
        self.shared = shared
        self._span = span

    def record(self) -> Record:
        """One that was open when it was taken down is open in it; its end comes by itself."""
        made = self._made()
        if self.ended_ns is None:
            made.ended_ns, made.status = None, Status.STARTED
        return made

    def _made(self) -> Record:
        for _ in range(TRIES):
            try:
                return record_of(self._span, shared=self.shared)
            except RuntimeError:  # its attributes were added to meanwhile
                continue
        return record_of(self._span, shared=self.shared)


def record_of(span: ReadableSpan, *, shared: bool = False) -> Record:
    """As it is now: open, or closed."""
    context, attributes = span.get_span_context(), dict(span.attributes or {})
    if context is None or span.start_time is None:
        raise ValueError(f"the span {span.name} was never started")
    failed = span.status.status_code is StatusCode.ERROR
    over = Status.FAILED if failed else Status.COMPLETED
    if (said := attributes.get(STATUS)) in _STATUSES:
        over = Status(said)
    return Record(
        context.trace_id,
        context.span_id,
        span.parent.span_id if span.parent else None,
        str(span.resource.attributes.get("service.name", "unknown")),
        span.name,
        span.start_time,
        span.end_time,
        Status.STARTED if span.end_time is None else over,
        **columns_of(attributes),
        metadata=_metadata(span, attributes),
        error_message=span.status.description or None,
        error_type=_text(attributes.get(ERROR_TYPE)),
        shared=shared,
    )


def columns_of(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What it is about, for the columns of that name."""
    execution = attributes.get(EXECUTION)
    return {
        "job_id": _text(attributes.get(JOB)),
        "execution_id": execution if isinstance(execution, int) and not isinstance(execution, bool) else None,
        "model_id": _text(attributes.get(MODEL)),
        "region": _text(attributes.get(REGION)),
    }


def _text(value: object) -> str | None:
    return str(value) if value else None


def _metadata(span: ReadableSpan, attributes: dict[str, Any]) -> dict[str, Any]:
    """Only what there is."""
    found = {
        "attributes": {key: list(value) if isinstance(value, tuple) else value for key, value in attributes.items()},
        "kind": span.kind.name.lower() if span.kind is not SpanKind.INTERNAL else "",
        "events": [
            {"name": event.name, "time_ns": event.timestamp, "attributes": dict(event.attributes or {})}
            for event in span.events
        ],
        "links": [
            {
                "trace_id": trace_hex(link.context.trace_id),
                "span_id": span_hex(link.context.span_id),
                "attributes": dict(link.attributes or {}),
            }
            for link in span.links
        ],
    }
    return {key: value for key, value in found.items() if value}
