"""A span and what is around it: among the rows of a page, or asked of the table by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Min, Q, QuerySet

from tracing.models import Span
from tracing.rows import Row, rows_of


@dataclass(frozen=True)
class Around:
    """`begin`: of its trace. `below`: how many spans have it as their parent."""

    row: Row
    parent: Row | None
    begin: datetime
    below: int


def among(rows: Sequence[Row], span_id: UUID | None) -> Around | None:
    """None: there is no such span among them."""
    row = next((row for row in rows if row.span_id == span_id), None)
    if row is None:
        return None
    parent = next((other for other in rows if other.span_id == row.parent_span_id), None)
    begin = min(other.started_at for other in rows)
    return Around(row, parent, begin, sum(other.parent_span_id == row.span_id for other in rows))


def read(spans: QuerySet[Span], span_id: UUID | None) -> Around | None:
    """The same of a trace's spans, of which this one and its parent are read: a trace may have thousands."""
    row = next(iter(rows_of(spans.filter(span_id=span_id))), None) if span_id else None
    if row is None:
        return None
    above = rows_of(spans.filter(span_id=row.parent_span_id)) if row.parent_span_id else []
    below = Count("span_id", distinct=True, filter=Q(parent_span_id=span_id))
    counted = spans.aggregate(begin=Min("started_at"), below=below)
    return Around(row, next(iter(above), None), counted["begin"], counted["below"])
