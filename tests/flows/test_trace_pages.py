"""Traces in the admin, over Django's client: what is drawn, what is said where nothing is, and who may look."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from itertools import pairwise
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from jobs.models import Attempt, Job, Project
from tests.trace_builder import Built, Try, of_job, stored, traced
from tracing.identity import Parent, as_uuid, span_hex
from tracing.models import Span

from .test_admin import NASTY, ended_job, page, staff, waiting_job
from .test_logs import numbered, write

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def default_project() -> None:
    Project.objects.get_or_create(name="default")


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def shown(client: Client, job: Job, **query: Any) -> str:
    answer = client.get(page("jobs_job_trace", job.pk), query)
    assert answer.status_code == 200
    return str(answer.content.decode())


def words(html: str) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", html)))


def line(row: Any) -> str:
    return f'id="s-{span_hex(row.span_id)}"'


# --- what is drawn --------------------------------------------------------------------------------------------------


def test_every_span_of_a_job_has_a_line_below_its_parent(boss: Client) -> None:
    job = ended_job()
    built = traced(job)
    html = shown(boss, job)
    assert all(line(row) in html for row in built.rows)
    levels = [int(level) for level in re.findall(r'aria-level="(\d+)"', html)]
    assert len(levels) == len(built.rows)
    assert levels[0] == 1 and max(levels) >= 5
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_a_job_and_its_attempt_link_to_the_trace(boss: Client) -> None:
    job = ended_job()
    where = page("jobs_job_trace", job.pk)
    assert f'href="{where}"' in boss.get(page("jobs_job_change", job.pk)).content.decode()
    attempt = job.attempts.get()
    assert f'href="{where}?attempt=1"' in boss.get(page("jobs_attempt_change", attempt.pk)).content.decode()


def retried() -> tuple[Job, Built]:
    job = ended_job()
    first = job.attempts.get()
    second = Attempt.objects.create(
        job=job, number=2, state="succeeded", worker="run@here", runtime="process", started_at=first.started_at,
        finished_at=first.finished_at,
    )  # fmt: skip
    built = stored(of_job(str(job.pk), [Try(execution_id=first.pk), Try(execution_id=second.pk)]))
    Job.objects.filter(pk=job.pk).update(traceparent=str(Parent(int(built.trace_id), 1)))
    return job, built


def test_one_attempt_is_shown_by_itself(boss: Client) -> None:
    job, built = retried()
    html = shown(boss, job, attempt=2)
    second = job.attempts.get(number=2).pk
    for row in built.rows:
        assert (line(row) in html) == (row.execution_id == second)


def test_below_one_span_the_axis_is_its_own(boss: Client) -> None:
    job = ended_job()
    built = traced(job)
    image = built.named("resolve image")
    html = shown(boss, job, under=span_hex(image.span_id))
    assert len(re.findall('role="row"', html)) == 1
    assert 'class="bar" x="0.000%" y="3" width="100.000%"' in html


def test_what_is_known_of_a_span_is_told_without_a_script_too(boss: Client) -> None:
    job = ended_job()
    built = traced(job)
    span = Span.objects.get(span_id=built.named("resolve image").span_id)
    span.metadata = {
        "attributes": {NASTY: NASTY, "bytes": 1024},
        "events": [{"name": "layer", "time_ns": 1, "attributes": {"n": 1}}, "nonsense"],
        "links": "nonsense",
    }
    span.error_type, span.error_message = "Boom", NASTY
    span.save()
    whole = shown(boss, job, span=span_hex(span.span_id))
    part = shown(boss, job, span=span_hex(span.span_id), part="details")
    for html in (whole, part):
        assert "<img" not in html
        for word in ("resolve image", "Boom", "bytes", "1024", "layer"):
            assert word in words(html)
    assert "<html" not in part


def test_what_is_folded_is_fetched_when_it_is_opened(boss: Client) -> None:
    job = ended_job()
    built = traced(job)
    execute = built.named("execute")
    more = Built(built.trace_id, built.began, {"job_id": str(job.pk)})
    rows = [more.span(f"step {number}", "trainer", 1, 0.1, execute) for number in range(100)]
    stored(more)
    html = shown(boss, job)
    (key,) = re.findall(r'id="f-(\w+)"', html)
    assert not any(line(row) in html for row in rows)
    fold = shown(boss, job, part="lines", fold=key)
    assert all(line(row) in fold for row in rows) and line(execute) not in fold
    for every in (shown(boss, job, part="lines"), shown(boss, job, all="on")):
        assert all(line(row) in every for row in [*rows, *built.rows])


def test_of_one_span_no_other_is_read_but_its_parent(boss: Client) -> None:
    job = ended_job()
    built = traced(job)
    execute = built.named("execute")
    more = Built(built.trace_id, built.began, {"job_id": str(job.pk)})
    for number in range(40):
        more.span("step", "trainer", number, 1, execute, batch=number)
    stored(more)
    whole = words(shown(boss, job, span=span_hex(execute.span_id)).split('id="details"')[1].split("</section>")[0])
    with CaptureQueriesContext(connection) as asked:
        part = words(shown(boss, job, span=span_hex(execute.span_id), part="details"))
    assert part.split("started")[1].strip() in whole
    assert "40 spans; parent attempt" in part
    reads = [query["sql"] for query in asked if "metadata" in query["sql"]]
    assert len(reads) == 2 and all('"span_id" = ' in sql for sql in reads)


def test_a_part_of_a_trace_without_a_span_is_not_found(boss: Client) -> None:
    job = promised(ended_job())
    for part in ("details", "lines"):
        assert boss.get(page("jobs_job_trace", job.pk), {"part": part}).status_code == 404


@pytest.mark.parametrize(
    "query", [{"part": "details", "span": "1"}, {"part": "lines", "fold": "1"}, {"part": "details"}]
)
def test_a_part_that_there_is_not_is_not_found(boss: Client, query: dict[str, str]) -> None:
    job = ended_job()
    traced(job)
    assert boss.get(page("jobs_job_trace", job.pk), query).status_code == 404


@pytest.mark.parametrize(
    "query",
    [{"attempt": "x"}, {"attempt": "9" * 30}, {"under": "zz"}, {"under": "1" * 40}, {"span": "-"}, {"attempt": "٣"}],
)
def test_an_address_that_asks_for_nonsense_shows_the_whole(boss: Client, query: dict[str, str]) -> None:
    job = ended_job()
    built = traced(job)
    assert all(line(row) in shown(boss, job, **query) for row in built.rows)


def test_the_log_is_drawn_on_the_same_axis_and_leads_to_its_line(boss: Client) -> None:
    job = ended_job()
    attempt = job.attempts.get()
    write(attempt, numbered(5))
    Attempt.objects.filter(pk=attempt.pk).update(log_lines=5, usage={"memory_peak_bytes": 2**20, "cpu_seconds": 2})
    traced(job)
    html = shown(boss, job)
    assert f'href="{page("jobs_job_change", job.pk)}?attempt=1#L1"' in html
    assert "5 lines of attempt 1, from line 1" in html
    assert "Attempt 1: 1.0 MiB, no limit at its peak" in html
    assert "CPUs on average" in html


def test_why_an_attempt_failed_stands_on_top(boss: Client) -> None:
    job = ended_job()
    traced(job)
    told = words(shown(boss, job)).split("Root cause")[1].split("Waterfall")[0]
    assert "execute" in told and "exit_code" in told and "Look at its output." in told


def test_what_took_far_longer_than_ever_is_marked_on_its_bar(boss: Client) -> None:
    for number in range(20):
        stored(of_job(str(as_uuid(number + 1)), [Try(execution_id=10**6 + number, run=1.0)]))
    job = ended_job("succeeded")
    built = traced(job, run=60.0)
    lines = {row.operation: shown(boss, job).split(line(row))[1].split('role="row"')[0] for row in built.rows}
    assert {name for name, html in lines.items() if "▲" in html} == {"attempt", "run", "execute", "follow"}
    assert "took 60,000 ms, its normal is 1,000 ms" in lines["execute"]


def test_nothing_is_marked_in_a_trace_like_all_before(boss: Client) -> None:
    for number in range(20):
        stored(of_job(str(as_uuid(number + 1)), [Try(execution_id=10**6 + number)]))
    job = ended_job("succeeded")
    traced(job)
    html = shown(boss, job)
    assert "▲" not in html and "Root cause" not in html


def test_of_a_request_for_many_jobs_a_job_shows_its_own(boss: Client) -> None:
    job, other = ended_job(), waiting_job()
    built = traced(job)
    theirs = Built(built.trace_id, built.began, {"job_id": str(other.pk)})
    row = theirs.span("job", "job", 0, 1, built.rows[0])
    stored(theirs)
    assert line(row) not in shown(boss, job)


def test_a_page_asks_the_database_no_more_for_more_spans(boss: Client) -> None:
    job = ended_job()
    built = traced(job)
    shown(boss, job)
    with CaptureQueriesContext(connection) as few:
        shown(boss, job)
    execute = built.named("execute")
    more = Built(built.trace_id, built.began, {"job_id": str(job.pk)})
    for number in range(300):
        more.span("step", "trainer", number, 1, execute)
    stored(more)
    with CaptureQueriesContext(connection) as many:
        shown(boss, job)
    assert len(many) == len(few)


# --- where there is no trace ----------------------------------------------------------------------------------------


def said(client: Client, job: Job) -> str:
    html = shown(client, job)
    assert 'role="row"' not in html
    return words(html.split('id="missing"')[1].split("</section>")[0])


def with_settings(given: Any, **changes: Any) -> None:
    given.TOWLINE = settings.TOWLINE.model_copy(update=changes)


def promised(job: Job, **changes: Any) -> Job:
    """Its trace has no span in the table."""
    Job.objects.filter(pk=job.pk).update(traceparent=str(Parent(5, 5)), **changes)
    return job


def test_an_untraced_job_says_how_to_switch_tracing_on(boss: Client, settings: Any) -> None:
    with_settings(settings, ENABLE_DB_TRACING=False, OTEL_EXPORTER_OTLP_ENDPOINT=None)
    assert "ENABLE_DB_TRACING=true" in said(boss, ended_job())


def test_a_job_from_before_says_that_it_was_not_traced(boss: Client, settings: Any) -> None:
    with_settings(settings, ENABLE_DB_TRACING=True)
    assert "Submit it again to trace it" in said(boss, ended_job())


def test_a_trace_that_was_removed_says_since_when(boss: Client, settings: Any) -> None:
    with_settings(settings, ENABLE_DB_TRACING=True, TOWLINE_TRACE_KEEP_DAYS=30)
    job = ended_job()
    promised(job, created_at=job.created_at - timedelta(days=40))
    assert "kept for 30 days" in said(boss, job)


def test_a_trace_that_is_elsewhere_says_where(boss: Client, settings: Any) -> None:
    with_settings(settings, ENABLE_DB_TRACING=False, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318")
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in said(boss, promised(ended_job()))


def test_a_trace_without_a_span_says_that_it_may_be_on_its_way(boss: Client, settings: Any) -> None:
    with_settings(settings, ENABLE_DB_TRACING=True)
    assert "on their way" in said(boss, promised(ended_job()))


@pytest.fixture
def broken() -> None:
    """A store that no query can be asked of."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE trace_spans RENAME TO trace_spans_away")


@pytest.mark.usefixtures("broken")
def test_a_store_that_fails_takes_no_page_down(boss: Client) -> None:
    job = promised(ended_job())
    assert "can't be read just now" in said(boss, job)
    assert boss.get(page("jobs_job_trace", job.pk), {"part": "details", "span": "1"}).status_code == 503
    assert boss.get(page("jobs_job_change", job.pk)).status_code == 200
    assert boss.get(page("jobs_attempt_change", job.attempts.get().pk)).status_code == 200


# --- who may look ---------------------------------------------------------------------------------------------------


def test_whoever_may_view_jobs_sees_their_traces_and_nobody_else() -> None:
    User.objects.create_superuser("boss")
    job = ended_job()
    traced(job)
    where = page("jobs_job_trace", job.pk)
    assert staff("alice", "view_job").get(where).status_code == 200
    assert staff("bob", "view_span").get(where).status_code == 403
    assert Client().get(where).status_code == 302


def test_a_job_that_there_is_not_is_not_found(boss: Client) -> None:
    assert boss.get(page("jobs_job_trace", as_uuid(7))).status_code == 404
