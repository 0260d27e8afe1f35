"""Traces with a span that failed, that was slow, or of some service: the newest first.

Walks back over the index of `started_at`, a part at a time, and never over more than `LOOKED_AT` spans.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from tracing.models import Span
from tracing.rows import FIELDS, Row

from .reading import trace
from .shown import hex_or_none, row_shown, summary
from .sight import Sight

LOOKED_AT = 100_000  # spans of the window, the newest
MATCHES_AT_ONCE = 200
MATCHES_MOST = 5_000  # spans that fit, and may be of traces that are known or not to be seen


@dataclass(frozen=True)
class Wanted:
    """What one span of the trace must be: all of it at once. None: anything."""

    since: datetime
    until: datetime
    status: str | None = None
    service: str | None = None
    operation: str | None = None
    slower_than_ms: int | None = None
    job: UUID | None = None
    execution: int | None = None

    def spans(self) -> QuerySet[Span]:
        asked = {
            "status": self.status,
            "service": self.service,
            "operation": self.operation,
            "duration_ms__gt": self.slower_than_ms,
            "job_id": str(self.job) if self.job else None,
            "execution_id": self.execution,
        }
        found = Span.objects.filter(started_at__gte=self._edge(), started_at__lt=self.until)
        return found.filter(**{name: value for name, value in asked.items() if value is not None})

    def _edge(self) -> datetime:
        """What began before it is not looked at. Of a job or an execution there is an index."""
        if self.job or self.execution:
            return self.since
        window = Span.objects.filter(started_at__gte=self.since, started_at__lt=self.until)
        starts = window.order_by("-started_at").values_list("started_at", flat=True)
        return next(iter(starts[LOOKED_AT : LOOKED_AT + 1]), self.since)


def traces(wanted: Wanted, sight: Sight, limit: int) -> list[dict[str, Any]]:
    """A summary of each, with the newest span of it that fits as `match`."""
    found: dict[UUID, dict[str, Any]] = {}
    for row in _visible_matches(wanted, sight):
        if row.trace_id not in found and (seen := trace(row.trace_id, sight)):
            trace_id = hex_or_none(row.trace_id)
            found[row.trace_id] = {"trace_id": trace_id, **summary(seen.rows), "match": row_shown(row)}
        if len(found) >= limit:
            break
    return list(found.values())


def _visible_matches(wanted: Wanted, sight: Sight) -> Iterator[Row]:
    """To who does not see all, spans of no job are none."""
    spans = wanted.spans().order_by("-started_at", "-id").values_list(*FIELDS)
    for start in range(0, MATCHES_MOST, MATCHES_AT_ONCE):
        rows = [Row(*values) for values in spans[start : start + MATCHES_AT_ONCE]]
        seen = set() if sight.sees_all else sight.jobs_seen({row.job_id for row in rows if row.job_id})
        yield from (row for row in rows if sight.sees_all or row.job_id in seen)
        if len(rows) < MATCHES_AT_ONCE:
            return
