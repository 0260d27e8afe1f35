"""After a crash anywhere no span stays open: what a gone process did is lost, and what it did not tell of others is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from jobs.models import Attempt, Job
from jobs.moves import move
from jobs.states import AttemptState, JobState
from tests.otlp_receiver import Receiver, in_table, otlp_receiver
from tests.stack import ROOT, eventually
from towline.celery import app
from tracing import reaper, running
from tracing.columns import values_of
from tracing.marks import Mark
from tracing.models import Span, Writer
from tracing.presence import BEAT_SECONDS
from tracing.table import write
from tracing.writer import Writer as Thread
from workers import reaping

from .conftest import make_attempt
from .tracing_cast import closed, opened, row_of

pytestmark = pytest.mark.django_db(transaction=True)
GONE = timedelta(seconds=4 * BEAT_SECONDS)
DIES = """
import sys, time, django
django.setup()
from tests.flows.tracing_cast import closed, opened
from tracing.writer import Writer
writer = Writer("doomed")
for _ in range(30):
    writer.put(opened())
    writer.put(closed())
    writer.put(opened(shared=True))
writer.settle()
print("open", flush=True)
while True:
    record = opened()
    writer.put(record)
    time.sleep(0.001)
    writer.put(closed(record))
"""


def age(seconds: float, **which: Any) -> None:
    """Of writers: as if that time had gone by since."""
    past = timedelta(seconds=seconds)
    Writer.objects.filter(**which).update(seen_at=F("seen_at") - past, started_at=F("started_at") - past)


def a_gone_writer(count: int = 1, process: str = "run one 1") -> tuple[Writer, list[Span]]:
    """With so many open spans."""
    now = datetime.now(UTC)
    gone = Writer.objects.create(
        id=uuid4(), process=process, started_at=now - timedelta(hours=1), seen_at=now - timedelta(minutes=1)
    )
    records = [opened(started_ns=int((now.timestamp() - 90) * 1e9)) for _ in range(count)]
    write([values_of(record, gone.id) for record in records])
    return gone, [row_of(record) for record in records]


def child(code: str) -> subprocess.Popen[str]:
    """On the database of this test."""
    here = str(connection.settings_dict["NAME"])
    name = f"from django.conf import settings; settings.DATABASES['default']['NAME'] = {here!r}\n"
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "towline.settings"}
    return subprocess.Popen([sys.executable, "-c", name + code], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)


def test_what_a_killed_process_had_open_is_lost_and_nothing_else() -> None:
    with child(DIES) as dying:
        assert dying.stdout is not None and dying.stdout.readline() == "open\n"
        eventually(lambda: Span.objects.filter(status="completed").count() > 100)
        dying.send_signal(signal.SIGKILL)
        assert dying.wait() == -signal.SIGKILL
    assert Span.objects.filter(status="started", metadata__writer__isnull=False).count() >= 30
    assert reaper.reap() == 0, "it may live"
    age(60)
    completed = Span.objects.filter(status="completed").count()
    assert reaper.reap() >= 30
    assert not Span.objects.filter(status="started", metadata__writer__isnull=False).exists()
    assert Span.objects.filter(status="completed").count() == completed
    assert Span.objects.filter(status="started").count() == 30, "what is shared is not for the process to lose"


def test_a_lost_span_ends_when_its_process_was_last_heard_of_and_says_so() -> None:
    gone, (span,) = a_gone_writer()
    assert reaper.reap() == 1
    row = Span.objects.get()
    assert (row.status, row.completed_at, row.error_type) == ("lost", gone.seen_at, "lost")
    assert row.error_message == "run one 1 was not heard of any more"
    assert row.completed_at is not None
    assert row.duration_ms == (row.completed_at - row.started_at) // timedelta(milliseconds=1)
    assert row.metadata is not None and "writer" not in row.metadata
    assert (row.pk, row.created_at, row.job_id, row.region) == (span.pk, span.created_at, span.job_id, span.region)
    assert Writer.objects.get().stopped_at == gone.seen_at


def test_it_never_ends_before_it_began() -> None:
    gone, _ = a_gone_writer()
    Writer.objects.filter(pk=gone.pk).update(seen_at=F("seen_at") - timedelta(minutes=5))
    reaper.reap()
    row = Span.objects.get()
    assert (row.completed_at, row.duration_ms) == (row.started_at, 0)


def test_who_lives_or_ended_in_order_loses_nothing() -> None:
    a_gone_writer()
    Writer.objects.update(stopped_at=F("seen_at"))
    a_gone_writer()
    Writer.objects.filter(stopped_at=None).update(seen_at=datetime.now(UTC))
    assert reaper.reap() == 0


def test_who_was_only_held_up_has_the_last_word() -> None:
    """Taken for dead, and then it goes on."""
    thread, begun = Thread("slow"), opened()
    thread.put(begun)
    assert thread.settle()
    age(60)
    assert reaper.reap() == 1
    thread.put(closed(begun))
    thread.put(opened())
    assert thread.settle()
    assert row_of(begun).status == "completed"
    thread._presence.beat(2, 0)
    assert Writer.objects.get().stopped_at is None
    thread.stop()


def test_many_are_closed_in_bounded_steps() -> None:
    a_gone_writer(150)
    with CaptureQueriesContext(connection) as asked:
        assert reaper.reap(window=40) == 150
    assert sum("INSERT INTO trace_spans" in query["sql"] for query in asked) in (4, 5)


def test_two_at_once_close_each_once() -> None:
    for n in range(6):
        a_gone_writer(20, f"run {n}")
    at_once, counted = threading.Barrier(2), []

    def run() -> None:
        at_once.wait()
        counted.append(reaper.reap())
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reaper.reap() + sum(counted) == 120
    assert not Span.objects.exclude(status="lost").exists()


# --- lives ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with otlp_receiver() as made:
        yield made


@pytest.fixture
def traced_here(settings: Any, receiver: Receiver) -> Iterator[None]:
    said = {"ENABLE_DB_TRACING": True, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
    settings.TOWLINE = settings.TOWLINE.model_copy(update=said)
    running.begin("test")
    yield
    running.end()


def a_finished_attempt(**end: Any) -> Attempt:
    """Of a job that is over, too; long enough ago."""
    attempt = make_attempt(labels={"model": "bert"})
    said = {"verdict": {"code": "exit_code", "summary": "exit code 3"}, **end}
    assert move(attempt, AttemptState.FAILED, **said)
    assert move(attempt.job, JobState.FAILED, verdict_code="exit_code", **said)
    running_writer = running.writer()
    assert running_writer is not None and running_writer.settle()
    ago = timedelta(minutes=1)
    Attempt.objects.update(finished_at=F("finished_at") - ago, created_at=F("created_at") - ago)
    Job.objects.update(finished_at=F("finished_at") - ago, created_at=F("created_at") - ago)
    looked_through_until(datetime.now(UTC) - timedelta(hours=6))
    return Attempt.objects.select_related("job").get(pk=attempt.pk)


def looked_through_until(moment: datetime) -> None:
    mark = Mark("reaper")
    mark._make()
    Writer.objects.filter(pk=mark.id).update(seen_at=moment)


def reap() -> None:
    reaping.reap()
    writer = running.writer()
    assert writer is not None and writer.settle()


def trace_of(attempt: Attempt) -> UUID:
    found = attempt.job.trace_id
    assert found is not None
    return found


def crashed_before_the_ends_were_written(keep: str = "open") -> None:
    """As if whoever ended it had died right after its commit."""
    if keep == "none":
        Span.objects.all().delete()
    Span.objects.filter(service="job").update(
        status="started", completed_at=None, duration_ms=None, error_type=None, error_message=None
    )


@pytest.mark.parametrize("keep", ["open", "none"])
def test_what_is_over_by_the_database_is_over_in_its_trace(traced_here: None, keep: str) -> None:
    attempt = a_finished_attempt()
    whole = {row.operation: row for row in Span.objects.filter(service="job")}
    assert {"job", "queue", "attempt"} == set(whole)
    crashed_before_the_ends_were_written(keep)
    reap()
    rows = {row.operation: row for row in Span.objects.filter(service="job")}
    assert {name for name in whole if name != "queue"} <= set(rows)
    assert not Span.objects.filter(status="started").exists()
    for name in ("job", "attempt"):
        row = rows[name]
        assert (row.status, row.error_type, row.error_message) == ("failed", "exit_code", "exit code 3")
        assert (row.span_id, row.parent_span_id) == (whole[name].span_id, whole[name].parent_span_id)
    assert (rows["attempt"].execution_id, rows["attempt"].model_id) == (attempt.pk, "bert")
    assert rows["attempt"].completed_at == attempt.finished_at
    if keep == "open":
        assert (rows["queue"].status, rows["queue"].completed_at) == (
            "completed",
            max(attempt.created_at, rows["queue"].started_at),
        )


def test_who_is_silent_as_everybody_is_after_an_outage_is_not_gone_yet(traced_here: None) -> None:
    writer, (span,) = a_gone_writer()
    for _ in range(3):
        assert reaper.reap(certain_seconds=60) == 0
    Writer.objects.filter(pk=writer.pk).update(seen_at=datetime.now(UTC))
    assert reaper.reap(certain_seconds=0) == 0
    age(60, pk=writer.pk)
    assert reaper.reap(certain_seconds=0) == 1
    span.refresh_from_db()
    assert span.status == "lost"


def test_a_store_that_is_away_is_told_of_once(traced_here: None, caplog: pytest.LogCaptureFixture) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE trace_writers RENAME TO trace_writers_away")
    try:
        for _ in range(3):
            reaping.try_to_reap()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE trace_writers_away RENAME TO trace_writers")
    reaping.try_to_reap()
    assert [record.getMessage().split(",")[0] for record in caplog.records if record.name == "workers.reaping"] == [
        "traces are put right later"
    ]


def test_lost_ones_reach_the_collector_too(traced_here: None, receiver: Receiver) -> None:
    attempt = a_finished_attempt()
    _gone, (span,) = a_gone_writer()
    reaper.reap()
    reap()
    running.end()
    came = receiver.trace(span.trace_id)
    assert came == in_table(span.trace_id)
    assert [(seen.status, seen.service) for seen in came.values()] == [("lost", "engine")]
    assert receiver.trace(trace_of(attempt)) == in_table(trace_of(attempt))


def test_what_goes_on_is_left_alone(traced_here: None) -> None:
    make_attempt()
    writer = running.writer()
    assert writer is not None and writer.settle()
    before = list(Span.objects.order_by("pk").values())
    reap()
    assert list(Span.objects.order_by("pk").values()) == before


def test_a_long_time_without_anybody_is_caught_up_with(traced_here: None) -> None:
    attempt = a_finished_attempt()
    Attempt.objects.update(finished_at=F("finished_at") - timedelta(hours=5))
    Job.objects.update(finished_at=F("finished_at") - timedelta(hours=5))
    crashed_before_the_ends_were_written()
    reap()
    assert not Span.objects.filter(status="started").exists()
    with CaptureQueriesContext(connection) as asked:
        reaping.reap()
    assert len(asked) < 15
    assert attempt.finished_at is not None


def test_nothing_is_done_where_nothing_is_traced(settings: Any) -> None:
    a_gone_writer()
    app.loader.import_default_modules()
    with CaptureQueriesContext(connection) as asked:
        app.tasks["workers.reap_traces"]()
    assert len(asked) == 0
    assert "reap traces" not in app.conf.beat_schedule
