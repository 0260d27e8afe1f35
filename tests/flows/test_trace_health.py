"""What is said of tracing's own state: figures as counted by hand, estimates named as such, and nobody's credentials."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from tracing import earlier, health, storage, switches
from tracing.health import Health
from tracing.models import Span, Status, Writer

NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)


def make_span(age: timedelta = timedelta(seconds=10), status: str = Status.COMPLETED, **facts: Any) -> Span:
    over = status != Status.STARTED
    defaults: dict[str, Any] = {
        "trace_id": uuid.uuid4(), "span_id": uuid.uuid4(), "service": "worker", "operation": "run",
        "started_at": NOW - age, "completed_at": NOW if over else None, "duration_ms": 100 if over else None,
        "created_at": NOW - age,
    }  # fmt: skip
    return Span.objects.create(status=status, **{**defaults, **facts})


def make_writer(seen: timedelta, **facts: Any) -> Writer:
    defaults: dict[str, Any] = {"id": uuid.uuid4(), "process": "run one 1", "started_at": NOW - timedelta(days=9)}
    return Writer.objects.create(seen_at=NOW - seen, **{**defaults, **facts})


def found() -> Health:
    return health.health(NOW)


def test_an_empty_store_is_all_noughts() -> None:
    store = found().store
    assert (store.total_spans, store.unique_traces, store.open_spans, store.avg_duration_ms) == (0, 0, 0, None)
    assert (store.oldest_at, found().services, found().writers, found().written) == (None, (), (), 0)


def test_the_figures_are_those_counted_by_hand() -> None:
    shared = uuid.uuid4()
    make_span(trace_id=shared, duration_ms=50)
    make_span(timedelta(minutes=5), Status.FAILED, trace_id=shared, duration_ms=150)
    make_span(timedelta(hours=2), Status.TIMEOUT)
    make_span(timedelta(days=3), Status.STARTED)
    store = found().store
    assert (store.total_spans, store.spans_last_24h, store.spans_last_hour) == (4, 3, 2)
    assert (store.unique_traces, store.avg_duration_ms) == (3, 100.0)
    assert (store.failed_spans, store.timeout_spans, store.open_spans, store.open_late_spans) == (1, 1, 1, 1)
    assert (store.oldest_at, store.oldest_open_at) == (NOW - timedelta(days=3), NOW - timedelta(days=3))
    assert (store.per_second_last_minute, store.per_second_last_hour) == (1 / 60, 2 / 3600)
    assert store.total_size_with_indexes > store.table_size > 0


def test_services_of_the_last_hour_come_with_their_failures() -> None:
    for status in (Status.COMPLETED, Status.FAILED, Status.LOST, Status.STARTED):
        make_span(status=status, service="engine")
    make_span(service="web", duration_ms=7)
    make_span(timedelta(hours=2), service="control")
    assert [(each.service, each.spans, each.failed, each.open) for each in found().services] == [
        ("engine", 4, 2, 1),
        ("web", 1, 0, 0),
    ]
    assert found().services[1].avg_duration_ms == 7.0


def test_of_a_large_store_figures_are_estimated_and_named() -> None:
    for number in range(40):
        make_span(timedelta(seconds=40 - number), Status.FAILED if number % 2 else Status.COMPLETED)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE trace_spans")
    looked = health.health(NOW, most=10)
    store, named = looked.store, looked.estimated
    assert (store.total_spans, store.failed_spans, store.unique_traces) == (40, 20, 40)
    assert {"total_spans", "failed_spans", "spans_last_hour"} <= named
    assert "open_spans" not in named


def test_who_fell_silent_is_told_from_who_ended_and_from_who_is_forgotten() -> None:
    make_writer(timedelta(seconds=1), process="fresh", written=5, dropped=1)
    make_writer(timedelta(minutes=5), process="silent", written=7)
    make_writer(timedelta(minutes=6), process="ended", stopped_at=NOW - timedelta(minutes=6), dropped=2)
    make_writer(timedelta(days=2), process="forgotten")
    make_writer(timedelta(minutes=1), process="reaping", stopped_at=NOW - timedelta(minutes=1))
    told = found()
    assert [writer.process for writer in told.silent] == ["silent"]
    assert (told.written, told.dropped) == (12, 3)
    assert [writer.process for writer in told.writers] == ["fresh", "silent", "ended", "forgotten"]


def test_an_endpoint_is_shown_without_its_credentials(settings: Any) -> None:
    where = "https://user:hush@collector:4318/otlp?key=hush"
    settings.TOWLINE = settings.TOWLINE.model_copy(update={"OTEL_EXPORTER_OTLP_ENDPOINT": where})
    assert switches.switches().endpoint == "https://collector:4318/otlp"


def test_what_is_missing_of_the_views_is_named() -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("DROP VIEW IF EXISTS trace_waterfall CASCADE")
    assert ("trace_waterfall" in storage.missing()) is (connection.vendor == "postgresql")


def test_writers_are_forgotten_and_what_they_wrote_is_not() -> None:
    for number in (1, 2):
        make_writer(timedelta(days=40), written=number, dropped=10 * number, stopped_at=NOW - timedelta(days=40))
        assert earlier.forget(Writer.objects.exclude(stopped_at=None)) == 1
    make_writer(timedelta(seconds=1), written=4)
    assert health.totals() == (7, 30)
    assert Writer.objects.count() == 2
    assert [writer.process for writer in found().writers] == ["run one 1"]
