"""Traces over REST and in the terminal: whole, in order, and nothing of what belongs to somebody else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Permission, User
from rest_framework.renderers import JSONRenderer
from rest_framework.test import APIClient

from jobs.api.trace_serializers import TraceSerializer
from jobs.models import Job
from tests.trace_builder import Built, Try, of_job, stored, traced
from tracing.identity import Parent, trace_hex
from tracing.models import Span, Status

from .conftest import client_of, make_attempt, make_job, make_worker
from .ended import ended

API = "/api/v1"
KEYS = {
    "span_id", "parent_span_id", "service", "operation", "started_at", "completed_at", "duration_ms", "status", "job_id",
    "execution_id", "model_id", "region", "metadata", "error_message", "depth", "critical",
}  # fmt: skip


def spans_of(api: APIClient, path: str) -> list[dict[str, Any]]:
    answer = api.get(f"{API}{path}")
    assert answer.status_code == 200, answer.json()
    return list(answer.json()["spans"])


def in_trace_of(built: Built, job: Job) -> None:
    """As who submits with the `traceparent` of somebody else's trace."""
    place = Parent(int(built.trace_id), int(built.rows[0].span_id))
    Job.objects.filter(pk=job.pk).update(traceparent=str(place))
    other = Built(trace_id=built.trace_id, began=built.began, about={"model_id": None, "region": None})
    other.span("job", "job", 0.5, 1.0, built.rows[0], about={"job_id": str(job.pk)})
    stored(other)


def test_a_job_has_the_waterfall_of_its_life(api: APIClient, alice: User) -> None:
    make_worker(region="eu")
    attempt = ended(alice, failed=True, labels={"model": "llama"}, region="eu")
    built = traced(attempt.job, pull=3.0)
    shown = api.get(f"{API}/jobs/{attempt.job_id}/trace/").json()
    assert (shown["trace_id"], shown["note"], shown["more"]) == (trace_hex(built.trace_id), "", False)
    drawn = [(step["depth"], step["operation"]) for step in shown["spans"]]
    assert drawn[:7] == [
        (0, "POST api/v1/jobs/"), (1, "job"), (2, "queue"), (2, "attempt"), (3, "place"), (3, "send"), (4, "run"),
    ]  # fmt: skip
    assert (6, "pull") in drawn
    execute = next(step for step in shown["spans"] if step["operation"] == "execute")
    assert set(execute) >= KEYS
    # What is answered is what the schema describes, though it does not go through the serializer.
    assert json.loads(JSONRenderer().render(TraceSerializer(shown).data)) == shown
    assert (execute["execution_id"], execute["job_id"]) == (attempt.pk, str(attempt.job_id))
    assert (execute["model_id"], execute["region"], execute["duration_ms"]) == ("llama", "eu", 2000)
    assert (execute["status"], execute["error_type"], execute["error_message"]) == (
        "failed", "exit_code", "It ended with 3.",
    )  # fmt: skip
    assert (len(execute["span_id"]), len(execute["parent_span_id"])) == (16, 16)
    assert shown["summary"]["spans"] == len(built.rows)
    assert (shown["summary"]["failed"], shown["summary"]["status"]) == (3, "failed")
    critical = {step["operation"] for step in shown["spans"] if step["critical"]}
    assert {"job", "queue", "place", "pull", "create", "start", "execute", "collect", "remove"} <= critical
    assert "follow" not in critical


@pytest.mark.parametrize("form", [trace_hex, str, lambda trace_id: trace_hex(trace_id).upper()])
def test_a_trace_is_found_by_its_id_in_both_forms(api: APIClient, alice: User, form: Any) -> None:
    built = traced(ended(alice).job)
    assert len(spans_of(api, f"/traces/{form(built.trace_id)}/")) == len(built.rows)


def test_an_open_span_has_no_duration(api: APIClient, alice: User) -> None:
    attempt = make_attempt(alice)
    built = Built(about={"job_id": str(attempt.job_id), "model_id": None, "region": None})
    built.span("job", "job", 0, None)
    in_its_own_trace(built, attempt.job)
    shown = api.get(f"{API}/jobs/{attempt.job_id}/trace/").json()
    assert (shown["spans"][0]["status"], shown["spans"][0]["duration_ms"]) == ("started", None)
    assert (shown["summary"]["status"], shown["summary"]["completed_at"]) == ("started", None)


def in_its_own_trace(built: Built, job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(traceparent=str(Parent(int(built.trace_id), int(built.rows[0].span_id))))
    stored(built)


@pytest.mark.parametrize(
    ("traceparent", "tracing", "said"),
    [
        ("", False, "ENABLE_DB_TRACING=true"),
        ("", True, "while tracing was off"),
        (str(Parent(5, 5, sampled=False)), True, "OTEL_TRACES_SAMPLER"),
    ],
)
def test_a_job_without_a_trace_says_why(
    api: APIClient, alice: User, settings: Any, traceparent: str, tracing: bool, said: str
) -> None:
    settings.TOWLINE = settings.TOWLINE.model_copy(update={"ENABLE_DB_TRACING": tracing})
    job = make_job(alice)
    Job.objects.filter(pk=job.pk).update(traceparent=traceparent)
    shown = api.get(f"{API}/jobs/{job.pk}/trace/").json()
    assert (shown["trace_id"], shown["spans"], shown["summary"]) == (None, [], None)
    assert said in shown["note"]


def test_a_traced_job_whose_spans_are_gone_says_so(api: APIClient, alice: User) -> None:
    job = ended(alice).job
    built = traced(job)
    Span.objects.all().delete()
    shown = api.get(f"{API}/jobs/{job.pk}/trace/").json()
    assert (shown["trace_id"], shown["spans"]) == (trace_hex(built.trace_id), [])
    assert "TOWLINE_TRACE_KEEP_DAYS" in shown["note"]


@pytest.mark.parametrize("what", ["trace", "changes"])
def test_what_somebody_may_not_see_is_not_there(alice: User, bob: User, what: str) -> None:
    attempt = ended(alice)
    built = traced(attempt.job)
    for path in (f"/jobs/{attempt.job_id}/{what}/", f"/traces/{trace_hex(built.trace_id)}/"):
        assert client_of(alice).get(f"{API}{path}").status_code == 200
        assert client_of(bob).get(f"{API}{path}").status_code == 404
        assert APIClient().get(f"{API}{path}").status_code == 401


def test_joining_a_trace_shows_nothing_of_it(alice: User, bob: User) -> None:
    built = traced(ended(alice, name="secret").job)
    intruder = ended(bob).job
    in_trace_of(built, intruder)
    for path in (f"/jobs/{intruder.pk}/trace/", f"/traces/{trace_hex(built.trace_id)}/"):
        seen = spans_of(client_of(bob), path)
        assert {span["job_id"] for span in seen} == {str(intruder.pk)}
        assert len(seen) == 1
    listed = client_of(bob).get(f"{API}/traces/").json()["results"]
    assert [(one["job_id"], one["spans"]) for one in listed] == [(str(intruder.pk), 1)]


def test_who_is_joined_still_sees_their_own_trace(alice: User, bob: User) -> None:
    attempt = ended(alice)
    built = traced(attempt.job)
    in_trace_of(built, ended(bob).job)
    seen = spans_of(client_of(alice), f"/jobs/{attempt.job_id}/trace/")
    assert {span["job_id"] for span in seen} == {str(attempt.job_id)}
    assert len(seen) == len(built.rows) - 1  # the request is of no job, and there are others' below it


def test_jobs_that_share_a_trace_are_shown_one_by_one(api: APIClient, alice: User) -> None:
    attempt = ended(alice)
    built = traced(attempt.job)
    in_trace_of(built, ended(alice).job)
    seen = spans_of(api, f"/jobs/{attempt.job_id}/trace/")
    assert [span["operation"] for span in seen[:2]] == ["POST api/v1/jobs/", "job"]
    assert len(seen) == len(built.rows)
    assert len(spans_of(api, f"/traces/{trace_hex(built.trace_id)}/")) == len(built.rows) + 1


@pytest.mark.parametrize("codename", ["view_job", "view_span"])
def test_who_may_view_all_sees_every_trace(alice: User, bob: User, codename: str) -> None:
    built = traced(ended(alice).job)
    nobodys = Built(about={"model_id": None, "region": None})
    nobodys.span("GET api/v1/jobs/", "web", 0, 1.5)
    stored(nobodys)
    bob.user_permissions.add(Permission.objects.get(codename=codename))
    client = client_of(User.objects.get(pk=bob.pk))
    assert len(spans_of(client, f"/traces/{trace_hex(built.trace_id)}/")) == len(built.rows)
    assert len(spans_of(client, f"/traces/{trace_hex(nobodys.trace_id)}/")) == 1
    assert client_of(alice).get(f"{API}/traces/{trace_hex(nobodys.trace_id)}/").status_code == 404


@pytest.mark.parametrize(
    "trace_id",
    ["0" * 32, "x" * 32, "4bf92f35", "%00" * 32, "{" + "a" * 32 + "}", "urn:uuid:" + "a" * 32, "9" * 400, "-" * 36],
)
def test_a_trace_id_that_is_none_is_not_found(api: APIClient, trace_id: str) -> None:
    assert api.get(f"{API}/traces/{trace_id}/").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=101", "limit=ten", "days=0", "days=1000000", "days=-1", "status=nice", "slower_than_ms=-1",
        "slower_than_ms=99999999999999999999", "job=7", "execution=0", "execution=99999999999999999999", "service=%00",
        "service=" + "x" * 51, "operation=%FF%00", "unknown=1", "cursor=x", "cursor=1-2-3", "cursor=1-2-3-4-5",
        "cursor=%D9%A3-1-1-1", "cursor=1-1-1-9999999999999999999",
    ],
)  # fmt: skip
def test_a_list_of_traces_is_asked_for_rightly_or_not_at_all(api: APIClient, query: str) -> None:
    answer = api.get(f"{API}/traces/?{query}")
    assert (answer.status_code, len(answer.json()["errors"])) == (400, 1)


def test_failures_are_listed_the_newest_first_and_ten_by_default(api: APIClient, alice: User) -> None:
    make_worker(slots=50)
    now = datetime.now(UTC)
    failed = [traced(ended(alice, failed=True).job, now - timedelta(hours=hours)) for hours in range(1, 13)]
    traced(ended(alice).job)
    found = api.get(f"{API}/traces/?status=failed").json()["results"]
    assert [one["trace_id"] for one in found] == [trace_hex(built.trace_id) for built in failed[:10]]
    assert {one["status"] for one in found} == {"failed"}
    assert found[0]["match"]["error_type"] == "exit_code"
    assert (found[0]["operation"], found[0]["spans"], found[0]["failed"]) == (
        "POST api/v1/jobs/", len(failed[0].rows), 3,
    )  # fmt: skip


def test_a_list_knows_what_was_slow_and_where(api: APIClient, alice: User) -> None:
    make_worker(slots=50)
    slow, quick = ended(alice), ended(alice)
    pulled = traced(slow.job, pull=1.5, run=0.2)
    traced(quick.job, run=0.2)
    asked = f"{API}/traces/?slower_than_ms=1000&service=engine"
    found = api.get(asked).json()["results"]
    assert [one["trace_id"] for one in found] == [trace_hex(pulled.trace_id)]
    assert found[0]["match"]["operation"] in ("pull", "resolve image")
    assert api.get(f"{API}/traces/?slower_than_ms=1500&operation=pull").json()["results"] == []
    by_execution = api.get(f"{API}/traces/?execution={slow.pk}").json()["results"]
    assert [one["job_id"] for one in by_execution] == [str(slow.job_id)]
    assert api.get(f"{API}/traces/?job={uuid4()}").json()["results"] == []


def test_a_list_of_traces_reads_no_more_with_many_spans(
    api: APIClient, alice: User, django_assert_max_num_queries: Any
) -> None:
    about = {"model_id": None, "region": None, "job_id": str(ended(alice).job_id)}
    built = Built(about=about)
    for number in range(1500):
        built.span("step", "container", number / 100, 0.005, failed=("E", "no"))
    stored(built)
    with django_assert_max_num_queries(40):
        assert len(api.get(f"{API}/traces/?status=failed").json()["results"]) == 1


def test_odd_spans_are_shown_like_others(api: APIClient, alice: User) -> None:
    """Whatever a program sent: its own parent, a ring, no parent that is known, an end before its start."""
    attempt = ended(alice)
    built = Built(about={"job_id": str(attempt.job_id), "execution_id": attempt.pk, "model_id": None, "region": None})
    first = built.span("a\x1b[31m", "s" * 50, 0, 1)
    built.span("lost", "container", 0.5, -0.2, first)
    in_its_own_trace(built, attempt.job)
    Span.objects.filter(operation="lost").update(parent_span_id=UUID(int=77), metadata={"attributes": [1]})
    Span.objects.exclude(operation="lost").update(parent_span_id=first.span_id, metadata=None, status=Status.LOST)
    assert len(spans_of(api, f"/jobs/{attempt.job_id}/trace/")) == 2
    assert api.get(f"{API}/jobs/{attempt.job_id}/changes/").status_code == 200


def test_the_builder_makes_what_a_retried_job_looks_like() -> None:
    built = of_job("j", [Try(execution_id=1, failed=("oom_killed", "Out of memory.")), Try(execution_id=2)])
    tries = [row for row in built.rows if row.operation == "attempt"]
    assert [row.status for row in tries] == ["failed", "completed"]
    assert {row.parent_span_id for row in tries} == {built.named("job").span_id}
    assert built.named("job").status == "completed"
