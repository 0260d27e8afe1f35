"""Is tracing well? What is in the store, how fast it grows, what was dropped, and who writes.

Read by `doctor`, the admin and `/metrics`. Bounded: of a store with more than EXACT_MOST spans, the newest EXACT_MOST are
counted, and what is said of all of them is an estimate; `Health.estimated` names such figures. Sizes are in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Avg, Count, Min, Q, Sum
from django.utils import timezone

from . import storage
from .earlier import EARLIER
from .models import Span, Status, Writer
from .switches import Switches, switches

EXACT_MOST = 100_000
SILENT_AFTER = timedelta(seconds=60)
FORGOTTEN_AFTER = timedelta(days=1)  # what fell silent before that is not news any more
LATE_AFTER = timedelta(hours=1)
SCALED = ("unique_traces", "failed_spans", "timeout_spans")
SERVICES_OF_LATE = """
SELECT service, COUNT(*), SUM(CASE WHEN status IN ('failed', 'timeout', 'lost') THEN 1 ELSE 0 END),
       SUM(CASE WHEN status = 'started' THEN 1 ELSE 0 END), AVG(duration_ms)
FROM (SELECT service, status, duration_ms FROM trace_spans WHERE created_at >= %s ORDER BY created_at DESC LIMIT %s) AS late
GROUP BY service ORDER BY 2 DESC, 1"""
HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)


@dataclass(frozen=True)
class Store:
    """The first nine are those of the view `trace_spans_health`. Of spans that are open, the newest EXACT_MOST are looked at."""

    total_spans: int
    spans_last_24h: int
    spans_last_hour: int
    table_size: int
    total_size_with_indexes: int
    unique_traces: int
    avg_duration_ms: float | None
    failed_spans: int
    timeout_spans: int
    oldest_at: datetime | None
    newest_at: datetime | None
    per_second_last_minute: float
    per_second_last_hour: float
    open_spans: int
    open_late_spans: int
    oldest_open_at: datetime | None


@dataclass(frozen=True)
class Service:
    """Of the last hour, at most its newest EXACT_MOST spans."""

    service: str
    spans: int
    failed: int
    open: int
    avg_duration_ms: float | None


@dataclass(frozen=True)
class Scribe:
    """One writing process. `silent`: it ought to be writing, and was not heard of for SILENT_AFTER."""

    id: UUID
    process: str
    started_at: datetime
    seen_at: datetime
    stopped_at: datetime | None
    written: int
    dropped: int
    silent: bool


@dataclass(frozen=True)
class Health:
    at: datetime
    switches: Switches
    store: Store
    services: tuple[Service, ...]
    writers: tuple[Scribe, ...]
    written: int
    dropped: int
    estimated: frozenset[str]

    @property
    def silent(self) -> tuple[Scribe, ...]:
        return tuple(writer for writer in self.writers if writer.silent)


def health(now: datetime | None = None, most: int = EXACT_MOST) -> Health:
    """As it is now; `most` spans are counted one by one. Raises what the database raises where there is no table."""
    at = now or timezone.now()
    look = _Look(at, most)
    store = look.store()
    written, dropped = totals()
    return Health(at, switches(), store, look.services(), writers(at), written, dropped, frozenset(look.estimated))


def totals() -> tuple[int, int]:
    """Spans written, and records dropped, by all processes there ever were."""
    found = Writer.objects.aggregate(written=Sum("written"), dropped=Sum("dropped"))
    return found["written"] or 0, found["dropped"] or 0


def writers(now: datetime, most: int = 100) -> tuple[Scribe, ...]:
    """Who was heard of last comes first."""
    recent = Writer.objects.filter(Q(stopped_at=None) | Q(stopped_at__gt=now - DAY)).exclude(pk=EARLIER)
    # Rows that stopped without a span are no writers, but keep how far the reaper has come.
    rows = recent.exclude(written=0, dropped=0, stopped_at__isnull=False).order_by("-seen_at")[:most]
    return tuple(
        Scribe(
            row.id,
            row.process,
            row.started_at,
            row.seen_at,
            row.stopped_at,
            row.written,
            row.dropped,
            row.stopped_at is None and SILENT_AFTER < now - row.seen_at < FORGOTTEN_AFTER,
        )
        for row in rows
    )


class _Look:
    """One look at the store; `estimated` gathers the names of what was not counted."""

    def __init__(self, now: datetime, most: int) -> None:
        self.now = now
        self.most = most
        self.estimated: set[str] = set()

    def store(self) -> Store:
        total = self._counted("total_spans")
        hour = self._counted("spans_last_hour", HOUR)
        sizes = storage.sizes(total)
        self.estimated |= {"table_size", "total_size_with_indexes"} if sizes.estimated else set()
        return Store(
            total_spans=total,
            spans_last_24h=self._counted("spans_last_24h", DAY),
            spans_last_hour=hour,
            table_size=sizes.table,
            total_size_with_indexes=sizes.with_indexes,
            **self._of_all(total),
            oldest_at=_edge("created_at"),
            newest_at=_edge("-created_at"),
            per_second_last_minute=self._counted("per_second_last_minute", MINUTE) / 60,
            per_second_last_hour=hour / 3600,
        )

    def _counted(self, name: str, newer_than: timedelta | None = None) -> int:
        """Exactly, up to `most`."""
        spans = Span.objects.order_by()
        spans = spans.filter(created_at__gte=self.now - newer_than) if newer_than else spans
        found = spans[: self.most + 1].count()
        if found <= self.most:
            return found
        self.estimated.add(name)
        return max(found, storage.estimate(spans))

    def _of_all(self, total: int) -> dict[str, Any]:
        """What takes a look at each span: at the newest, and scaled up to all."""
        started = Q(status=Status.STARTED)
        found: dict[str, Any] = Span.objects.order_by("-pk")[: self.most].aggregate(
            spans=Count("pk"),
            unique_traces=Count("trace_id", distinct=True),
            avg_duration_ms=Avg("duration_ms"),
            failed_spans=Count("pk", filter=Q(status=Status.FAILED)),
            timeout_spans=Count("pk", filter=Q(status=Status.TIMEOUT)),
            open_spans=Count("pk", filter=started),
            open_late_spans=Count("pk", filter=started & Q(started_at__lt=self.now - LATE_AFTER)),
            oldest_open_at=Min("started_at", filter=started),
        )
        looked_at = found.pop("spans")
        if total > looked_at > 0:
            self.estimated |= {"avg_duration_ms", *SCALED}
            found |= {name: round(found[name] * total / looked_at) for name in SCALED}
        return found

    def services(self) -> tuple[Service, ...]:
        """The busiest first."""
        since = connection.ops.adapt_datetimefield_value(self.now - HOUR)
        with connection.cursor() as cursor:
            cursor.execute(SERVICES_OF_LATE, [since, self.most])
            rows = cursor.fetchall()
        return tuple(
            Service(name, spans, failed, opened, None if average is None else float(average))
            for name, spans, failed, opened, average in rows
        )


def _edge(order: str) -> datetime | None:
    return Span.objects.order_by(order).values_list("created_at", flat=True).first()
