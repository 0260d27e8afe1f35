"""A span as it is read back: what the questions are asked of. Questions are pure; this is where their rows come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet

from .models import Span, Status
from .services import JOB

ATTEMPT = (JOB, "attempt")  # the span of one of ours
FIELDS = (
    "trace_id", "span_id", "parent_span_id", "service", "operation", "started_at", "completed_at", "duration_ms",
    "status", "job_id", "execution_id", "model_id", "region", "metadata", "error_message", "error_type",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """Times are aware. `metadata["attributes"]` are the span's own; see `tracing.records`."""

    trace_id: UUID
    span_id: UUID
    parent_span_id: UUID | None
    service: str
    operation: str
    started_at: datetime
    completed_at: datetime | None = None
    duration_ms: int | None = None
    status: str = Status.COMPLETED
    job_id: str | None = None
    execution_id: int | None = None
    model_id: str | None = None
    region: str | None = None
    metadata: dict[str, Any] | None = field(default=None, hash=False)
    error_message: str | None = None
    error_type: str | None = None

    @property
    def attributes(self) -> dict[str, Any]:
        found = (self.metadata or {}).get("attributes")
        return found if isinstance(found, dict) else {}

    def end(self, now: datetime) -> datetime:
        """Of one that is open still: now."""
        return self.completed_at or max(now, self.started_at)

    def seconds(self, now: datetime) -> float:
        return (self.end(now) - self.started_at) / timedelta(seconds=1)


def rows_of(spans: QuerySet[Span]) -> list[Row]:
    """By start. Of a span that is there twice, as two processes wrote it at once, the one that closed."""
    return sorted(_once(Row(*values) for values in spans.order_by("id").values_list(*FIELDS)), key=_by_start)


def of_execution(execution_id: int) -> list[Row]:
    return rows_of(Span.objects.filter(execution_id=execution_id))


def of_attempt(execution_id: int, job_id: str | None = None) -> list[Row]:
    """Other systems count their executions, too: without those of theirs that have the same number.

    `job_id` None: of whatever job has an attempt of that number here; where none has, all there is.
    """
    found = Span.objects.filter(execution_id=execution_id)
    job = job_id or _job_of(found)
    return rows_of(found.filter(job_id=job) if job else found)


def _job_of(execution: QuerySet[Span]) -> str | None:
    service, operation = ATTEMPT
    attempts = execution.filter(service=service, operation=operation).exclude(job_id="").exclude(job_id=None)
    first = attempts.order_by("started_at", F("parent_span_id").desc(nulls_first=True), "span_id")
    return first.values_list("job_id", flat=True).first()


def _once(rows: Iterable[Row]) -> Iterator[Row]:
    kept: dict[UUID, Row] = {}
    for row in rows:
        before = kept.get(row.span_id)
        if before is None or before.completed_at is None:
            kept[row.span_id] = row
    yield from kept.values()


def _by_start(row: Row) -> tuple[datetime, bool, UUID]:
    return row.started_at, row.parent_span_id is not None, row.span_id
