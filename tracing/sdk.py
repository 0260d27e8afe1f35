"""OpenTelemetry's SDK behind `tracing.spans`: one provider a service, all with the same writer and exporter behind them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanKind, StatusCode

from .export import SCOPE, Export, resource_of
from .models import Status
from .records import ERROR_TYPE, STATUS, Noted, Record, columns_of
from .services import SERVICES
from .spans import Life, _context, _ns

_fixed: ContextVar[int | None] = ContextVar("span_id", default=None)


class Sink(Protocol):
    """Where records go, see `tracing.writer`. Never blocks, never raises."""

    def put(self, given: Record | Noted) -> None: ...


class _Ids(RandomIdGenerator):
    def generate_span_id(self) -> int:
        return _fixed.get() or super().generate_span_id()


class _ToTable(SpanProcessor):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if _fixed.get() is None:  # a life was written when it opened
            self._sink.put(Noted(span))

    def on_end(self, span: ReadableSpan) -> None:
        self._sink.put(Noted(span, shared=_fixed.get() is not None))


class _Passing(trace.NoOpTracer):
    """Of a service that is switched off. What is below has the span above for its parent; with none above, a trace begins still.

    `unseen` makes spans that nobody is told of, of traces that the sampler has chosen as it does any other.
    """

    def __init__(self, unseen: trace.Tracer) -> None:
        self._unseen = unseen

    def start_span(self, name: str, context: Context | None = None, *args: Any, **facts: Any) -> trace.Span:
        found = super().start_span(name, context)
        return found if found.get_span_context().is_valid else self._unseen.start_span(name, context)


class Backend:
    """See `tracing.spans.Backend`. `services`: those that are traced; empty: all."""

    def __init__(self, sink: Sink | None, export: Export | None = None, services: Iterable[str] = ()) -> None:
        self._sink, self._export = sink, export
        self._processors = [*([_ToTable(sink)] if sink else []), *([export.processor] if export else [])]
        self._services = frozenset(services)
        self._tracers: dict[str, trace.Tracer] = {}

    def prepare(self) -> None:
        """All that is made of settings, now. Raises ValueError for those that the SDK can't go by."""
        for service in SERVICES:
            self.tracer(service)

    def tracer(self, service: str) -> trace.Tracer:
        if (found := self._tracers.get(service)) is None:
            found = self._tracers[service] = self._made(service)
        return found

    def _made(self, service: str) -> trace.Tracer:
        provider = TracerProvider(resource=resource_of(service), id_generator=_Ids(), shutdown_on_exit=False)
        if self._services and service not in self._services:
            return _Passing(provider.get_tracer(SCOPE))
        for processor in self._processors:
            provider.add_span_processor(processor)
        return provider.get_tracer(SCOPE)

    def opened(self, life: Life) -> None:
        if self._sink is None or (self._services and life.service not in self._services):
            return
        attributes = {**life.subject.attributes(), **life.attributes}
        self._sink.put(
            Record(
                life.parent.trace_id,
                life.span_id,
                life.parent.span_id,
                life.service,
                life.operation,
                _ns(life.start),
                **columns_of(attributes),
                metadata={"attributes": attributes},
                shared=True,
            )
        )

    def closed(self, life: Life, end: datetime, status: Status, error_type: str, error_message: str) -> None:
        attributes = {**life.subject.attributes(), **life.attributes}
        with _fixed_id(life.span_id):
            span = self.tracer(life.service).start_span(
                life.operation, _context(life.parent, None), SpanKind.INTERNAL, attributes, start_time=_ns(life.start)
            )
        if error_type:
            span.set_attribute(ERROR_TYPE, error_type)
        if status is not Status.COMPLETED:
            span.set_attribute(STATUS, status.value)
            span.set_status(StatusCode.ERROR, error_message)
        with _fixed_id(life.span_id):
            span.end(max(_ns(end), _ns(life.start)))

    def received(self, records: Sequence[Record]) -> None:
        """Spans of somebody else, that are over: into the table, and out as they came. They may come twice."""
        for record in records:
            if self._sink is not None:
                self._sink.put(replace(record, shared=True))
        self.export(records)

    def export(self, records: Iterable[Record]) -> None:
        """What the table has already."""
        if self._export is not None:
            for record in records:
                self._export.put(record)


@contextmanager
def _fixed_id(span_id: int) -> Iterator[None]:
    token = _fixed.set(span_id)
    try:
        yield
    finally:
        _fixed.reset(token)
