"""Spans in the admin, over Django's client: the list of all, a trace that is no job's, and how the store fares."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.trace_builder import Built, Try, of_job, stored, traced
from tracing.identity import as_uuid, span_hex, trace_hex
from tracing.models import Span, Writer

from .test_admin import ended_job, page, staff, waiting_job
from .test_trace_pages import boss, broken, default_project, line, words

pytestmark = pytest.mark.django_db
__all__ = ["boss", "broken", "default_project"]  # fixtures


def test_a_trace_is_shown_whole_whosever_it_is(boss: Client) -> None:
    job, other = ended_job(), waiting_job()
    built = traced(job)
    theirs = Built(built.trace_id, built.began, {"job_id": str(other.pk)})
    row = theirs.span("job", "job", 0, 1, built.rows[0])
    stored(theirs)
    whole = boss.get(page("tracing_span_trace", trace_hex(built.trace_id))).content.decode()
    assert line(row) in whole and line(built.named("job")) in whole
    assert boss.get("/admin/tracing/span/trace/nonsense/").status_code == 404


def test_whoever_may_view_spans_sees_those_of_every_job() -> None:
    User.objects.create_superuser("boss")
    built = traced(ended_job())
    alice, bob = staff("alice", "view_span"), staff("bob", "view_job")
    for name, *args in (("trace", trace_hex(built.trace_id)), ("health",), ("changelist",)):
        where = page(f"tracing_span_{name}", *args)
        assert (alice.get(where).status_code, bob.get(where).status_code) == (200, 403), name


def test_spans_are_found_by_trace_job_execution_and_operation(boss: Client) -> None:
    job = ended_job()
    built = traced(job)
    stored(of_job("00000000-0000-0000-0000-000000000001", [Try(execution_id=10**9)]))
    about = [row for row in built.rows if row.job_id == str(job.pk)]
    ran = [row for row in built.rows if row.execution_id]
    asked = {
        trace_hex(built.trace_id): len(built.rows),
        str(built.trace_id): len(built.rows),
        str(job.pk): len(about),
        str(ran[0].execution_id): len(ran),
        "pull": 0,
        "collect": 2,
        "nothing of the kind": 0,
    }
    for term, count in asked.items():
        answer = boss.get(page("tracing_span_changelist"), {"q": term})
        assert answer.context["cl"].result_count == count, term


def test_spans_are_listed_by_service_and_status_and_lead_to_their_trace(boss: Client) -> None:
    built = traced(ended_job())
    html = boss.get(page("tracing_span_changelist"), {"service": "job", "status": "failed"}).content.decode()
    failed = [row for row in built.rows if row.service == "job" and row.status == "failed"]
    links = re.findall(rf"/trace/{trace_hex(built.trace_id)}/\?span=(\w+)", html)
    assert sorted(links) == sorted(span_hex(row.span_id) for row in failed)


def test_nobody_changes_a_span_by_hand(boss: Client) -> None:
    traced(ended_job())
    span = Span.objects.latest("pk")
    where = page("tracing_span_change", span.pk)
    assert boss.get(where).status_code == 200
    assert boss.post(where, {"operation": "other"}).status_code == 403
    assert boss.get("/admin/tracing/span/add/").status_code == 403


def test_the_stores_page_tells_what_is_in_it_and_who_writes(boss: Client) -> None:
    built = traced(ended_job())
    Writer.objects.create(id=as_uuid(1), process="web here 7", written=15, dropped=3)
    told = words(boss.get(page("tracing_span_health")).content.decode())
    failed = sum(row.status == "failed" for row in built.rows)
    for part in (f"{len(built.rows)} in 1 trace", f"failed {failed},", "web here 7 alive", "3 records were dropped"):
        assert part in told, part


@pytest.mark.usefixtures("broken")
def test_a_store_that_fails_says_so_and_what_is_switched_on(boss: Client) -> None:
    told = words(boss.get(page("tracing_span_health")).content.decode())
    assert "can't be read just now" in told
    assert "What is switched on" in told
