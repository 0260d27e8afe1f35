"""A trace's page that is asked for again while the job runs: nothing is drawn that looks as before."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from jobs.admin.traces.standing import standing
from jobs.models import Job, Project
from tests.trace_builder import Built, stored, traced
from tracing.identity import Parent, span_hex
from tracing.models import Span, Status

from .test_admin import ended_job, page, waiting_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss(client: Client) -> Client:
    Project.objects.get_or_create(name="default")
    client.force_login(User.objects.create_superuser("boss"))
    return client


@pytest.fixture
def going(boss: Client) -> Built:
    """A trace whose last span is open, of a job that is over."""
    job = ended_job()
    built = traced(job, began=datetime.now(UTC) - timedelta(days=300))
    more = Built(built.trace_id, built.began, {"job_id": str(job.pk)})
    more.span("upload", "trainer", 3, None, built.named("execute"))
    stored(more)
    return built


def asked(client: Client, mark: str, **query: Any) -> HttpResponse:
    answer: Any = client.get(page("jobs_job_trace", Job.objects.get().pk), query, headers={"If-None-Match": mark})
    return answer


def mark_in(answer: HttpResponse) -> str | None:
    found = re.search('data-renew="([^"]+)"', answer.content.decode())
    return found[1].replace("&quot;", '"') if found else None


def test_a_trace_that_goes_on_is_drawn_anew_once_it_looks_different(boss: Client, going: Built) -> None:
    mark = mark_in(asked(boss, ""))
    assert mark and asked(boss, mark).status_code == 304
    more = Built(going.trace_id, going.began, {"job_id": str(Job.objects.get().pk)})
    more.span("step", "trainer", 1, 1, going.named("execute"))
    stored(more)
    grown = asked(boss, mark)
    assert grown.status_code == 200 and "step" in grown.content.decode()
    mark = mark_in(grown) or ""
    assert asked(boss, mark).status_code == 304
    Span.objects.filter(operation="upload").update(status=Status.LOST, completed_at=datetime.now(UTC))
    changed = asked(boss, mark)
    assert changed.status_code == 200
    assert mark_in(changed) is None  # it is over: nobody asks again


def test_that_nothing_changed_is_known_without_reading_a_span(boss: Client, going: Built) -> None:
    mark = mark_in(asked(boss, "")) or ""
    with CaptureQueriesContext(connection) as queries:
        assert asked(boss, mark).status_code == 304
    assert len(queries) <= 10
    assert not [query["sql"] for query in queries if "metadata" in query["sql"]]


def test_a_trace_that_is_over_is_not_asked_for_again(boss: Client) -> None:
    traced(ended_job())
    assert mark_in(asked(boss, "")) is None


def test_a_traced_job_without_a_span_yet_is_asked_for_until_there_is_one(boss: Client) -> None:
    job = waiting_job()
    assert mark_in(asked(boss, "")) is None  # not traced: nothing will come
    Job.objects.filter(pk=job.pk).update(traceparent=str(Parent(5, 5)))
    mark = mark_in(asked(boss, ""))
    assert mark and asked(boss, mark).status_code == 304
    built = Built(about={"job_id": str(job.pk)})
    built.trace_id = Job.objects.get().trace_id  # type: ignore[assignment]
    built.span("job", "job", 0, None)
    stored(built)
    assert 'role="row"' in asked(boss, mark).content.decode()


def test_the_longer_a_trace_goes_on_the_more_it_grows_until_it_is_drawn_anew(going: Built) -> None:
    spans, now = Span.objects.filter(trace_id=going.trace_id), datetime.now(UTC)

    def marks(seconds: float, step: float) -> int:
        moments = [going.began + timedelta(seconds=seconds + step * number) for number in range(10)]
        return len({standing(spans, None, [], moment).mark for moment in moments})

    assert marks(60, 2) == 10
    assert marks(3600, 2) <= 2
    assert marks(3600, 60) == 10
    assert standing(spans, None, [], now).goes_on


def test_folds_that_are_open_on_the_page_are_drawn_open(boss: Client, going: Built) -> None:
    more = Built(going.trace_id, going.began, {"job_id": str(Job.objects.get().pk)})
    rows = [more.span(f"step {number}", "trainer", 1, 0.1, going.named("execute")) for number in range(40)]
    stored(more)
    closed = asked(boss, "").content.decode()
    assert "data-unfolded" not in closed and f'id="s-{span_hex(rows[7].span_id)}"' not in closed
    first, any_other = span_hex(rows[0].span_id), span_hex(rows[20].span_id)
    for wanted in (first, f"zz {any_other} {'9' * 40}"):
        opened = asked(boss, "", open=wanted).content.decode()
        assert re.findall('id="f-([0-9a-f]+)"[^>]* aria-expanded="true" data-unfolded', opened) == [first]
        levels = [re.search(f'id="s-{span_hex(row.span_id)}"[^>]*aria-level="(\\d+)"', opened) for row in rows]
        assert len({level[1] for level in levels if level}) == 1 and all(levels)
    assert "data-unfolded" not in asked(boss, "", open="1 2 3").content.decode()
