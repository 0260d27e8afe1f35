"""Traces with a span that failed, that was slow, or of some service: the newest first, page by page.

Walks back over the index of `started_at`, a part at a time, and never over more than `LOOKED_AT` spans. A trace stands where
the newest of its spans that fit does, so it is on one page only; what is written after the first page is on none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from tracing.models import Span
from tracing.rows import FIELDS, Row

from .reading import trace
from .shown import hex_or_none, row_shown, summary
from .sight import Sight

LOOKED_AT = 100_000  # spans of the window, the newest
MATCHES_AT_ONCE = 200
MATCHES_MOST = 5_000  # spans that fit, and may be of traces that are known or not to be seen: then the page ends
CURSOR = r"^[0-9]{1,17}-[0-9]{1,18}-[0-9]{1,17}-[0-9]{1,18}\Z"
EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


@dataclass(frozen=True)
class Place:
    """Where a span stands in the list."""

    started_at: datetime
    span: int  # the row's id

    def behind(self) -> Q:
        """Spans that come later in the list: they began earlier."""
        same = Q(started_at=self.started_at, id__lt=self.span)
        return Q(started_at__lte=self.started_at) & (Q(started_at__lt=self.started_at) | same)

    def until(self) -> Q:
        """Spans up to it, itself among them."""
        same = Q(started_at=self.started_at, id__gte=self.span)
        return Q(started_at__gte=self.started_at) & (Q(started_at__gt=self.started_at) | same)


@dataclass(frozen=True)
class Begun:
    """When a list began, and the newest span that there was. `behind`: where it goes on; None: it begins. A cursor, as text."""

    at: datetime
    newest: int
    behind: Place | None = None

    @classmethod
    def now(cls) -> Begun:
        return cls(datetime.now(UTC), Span.objects.order_by("-id").values_list("id", flat=True).first() or 0)

    @classmethod
    def parse(cls, cursor: str) -> Begun:
        """Of four whole numbers that `CURSOR` matches."""
        at, newest, started, span = map(int, cursor.split("-"))
        return cls(EPOCH + at * MICROSECOND, newest, Place(EPOCH + started * MICROSECOND, span))

    def cursor(self, behind: Place) -> str:
        at, started = ((moment - EPOCH) // MICROSECOND for moment in (self.at, behind.started_at))
        return f"{at}-{self.newest}-{started}-{behind.span}"


@dataclass(frozen=True)
class Wanted:
    """What one span of the trace must be: all of it at once. None: anything."""

    since: datetime
    until: datetime
    begun: Begun
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
        found = Span.objects.filter(started_at__gte=self._edge(), started_at__lt=self.until, id__lte=self.begun.newest)
        return found.filter(**{name: value for name, value in asked.items() if value is not None})

    def _edge(self) -> datetime:
        """What began before it is not looked at. Of a job or an execution there is an index."""
        if self.job or self.execution:
            return self.since
        window = Span.objects.filter(started_at__gte=self.since, started_at__lt=self.until)
        starts = window.order_by("-started_at").values_list("started_at", flat=True)
        return next(iter(starts[LOOKED_AT : LOOKED_AT + 1]), self.since)


@dataclass
class Page:
    """A summary of each trace, with the newest span of it that fits as `match`. `behind`: where there may be more."""

    results: list[dict[str, Any]] = field(default_factory=list)
    behind: Place | None = None


def traces(wanted: Wanted, sight: Sight, limit: int) -> Page:
    page = Page()
    known: set[UUID] = set()
    last: Place | None = None
    for place, row in _visible_matches(wanted, sight):
        if row is None:
            page.behind = place
        elif row.trace_id not in known:
            if len(known) == limit:
                page.behind = last
                break
            known.add(row.trace_id)
            last = place
            page.results += _shown(row, sight)
    return page


def _shown(match: Row, sight: Sight) -> list[dict[str, Any]]:
    """Its trace; none where that was removed meanwhile."""
    found = trace(match.trace_id, sight)
    if found is None:
        return []
    return [{"trace_id": hex_or_none(match.trace_id), **summary(found.rows), "match": row_shown(match)}]


def _visible_matches(wanted: Wanted, sight: Sight) -> Iterator[tuple[Place, Row | None]]:
    """Of traces that no earlier page had. At last, where so many were looked at that the page ends, the place without a row."""
    spans, at = wanted.spans(), wanted.begun.behind
    for _ in range(0, MATCHES_MOST, MATCHES_AT_ONCE):
        rest = spans.filter(at.behind()) if at else spans
        some = rest.order_by("-started_at", "-id").values_list("id", *FIELDS)[:MATCHES_AT_ONCE]
        rows = [(number, Row(*values)) for number, *values in some]
        sees = _sees((row.job_id for _, row in rows), sight)
        had = _had(spans, wanted.begun.behind, {row.trace_id for _, row in rows}, sight)
        for number, row in rows:
            at = Place(row.started_at, number)
            if sees(row.job_id) and row.trace_id not in had:
                yield at, row
        if len(rows) < MATCHES_AT_ONCE:
            return
    if at:
        yield at, None


def _sees(job_ids: Iterable[str | None], sight: Sight) -> Callable[[str | None], bool]:
    """Whether somebody sees a span of this job. To who does not see all, spans of no job are none."""
    seen = set() if sight.sees_all else sight.jobs_seen({job_id for job_id in job_ids if job_id})
    return lambda job_id: sight.sees_all or job_id in seen


def _had(spans: QuerySet[Span], behind: Place | None, trace_ids: Collection[UUID], sight: Sight) -> set[UUID]:
    """Those of these traces that stand on an earlier page: a span that fits and may be seen lies before this one's begin."""
    if behind is None:
        return set()
    before = (
        spans.filter(behind.until(), trace_id__in=trace_ids).order_by().values_list("trace_id", "job_id").distinct()
    )
    pairs = list(before)
    sees = _sees((job_id for _, job_id in pairs), sight)
    return {trace_id for trace_id, job_id in pairs if sees(job_id)}
