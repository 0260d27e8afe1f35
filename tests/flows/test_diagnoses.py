"""What was wrong with an attempt, and what was like it: over REST and in the terminal, of what the caller may see."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from rest_framework.test import APIClient

from jobs.models import Attempt, Job
from jobs.states import AttemptState
from tests.trace_builder import Built, stored, traced
from tracing.models import Span

from .conftest import Manage, client_of, make_job, make_worker
from .ended import ended

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _room() -> None:
    make_worker(slots=500)


def diagnosed(client: APIClient, attempt: Attempt, query: str = "") -> dict[str, Any]:
    answer = client.get(f"/api/v1/jobs/{attempt.job_id}/diagnosis/{query}")
    assert answer.status_code == 200, answer.json()
    return dict(answer.json())


def test_a_healthy_run_has_nothing_to_tell(api: APIClient, alice: User, manage: Manage) -> None:
    attempt = ended(alice)
    traced(attempt.job)
    shown = diagnosed(api, attempt)
    assert (shown["anomalies"], shown["root_cause"], shown["note"]) == ([], None, "")
    assert (shown["attempt"], shown["execution_id"]) == (1, attempt.pk)
    code, out, _ = manage("diagnose", str(attempt.job_id))
    assert (code, "no root cause" in out) == (0, True)


def test_a_failure_is_told_by_its_verdict(api: APIClient, alice: User, manage: Manage) -> None:
    attempt = ended(alice, failed=True)
    traced(attempt.job)
    shown = diagnosed(api, attempt)
    assert {(one["operation"], one["status"]) for one in shown["anomalies"]} == {
        ("attempt", "failed"), ("execute", "failed"),
    }  # fmt: skip
    assert "exit_code" in shown["root_cause"]["evidence"]
    assert (shown["root_cause"]["service"], shown["root_cause"]["operation"]) == ("container", "execute")
    assert shown["root_cause"]["recommendation"] == "Look at its output."
    code, out, _ = manage("diagnose", str(attempt.job_id))
    assert code == 0
    assert "It failed at container execute: exit_code: It ended with 3." in out
    assert "→ Look at its output." in out
    assert json.loads(manage("diagnose", str(attempt.job_id), "--json")[1]) == shown


def test_a_hole_is_named(api: APIClient, alice: User, manage: Manage) -> None:
    attempt = ended(alice)
    built = traced(attempt.job)
    about = {"job_id": str(attempt.job_id), "execution_id": attempt.pk}
    more = Built(built.trace_id, built.began, {"model_id": None, "region": None, **about})
    more.span("late", "worker", 30, 1, built.named("run"))
    stored(more)
    found = diagnosed(api, attempt)["anomalies"]
    assert [one["operation"] for one in found] == ["remove"]
    assert found[0]["gap_after_ms"] > 20_000
    assert re.search(
        r"engine +remove +50 ms +2\d\.\d s +completed +nothing for", manage("diagnose", str(attempt.job_id))[1]
    )


def test_a_job_without_a_trace_still_has_its_verdict(api: APIClient, alice: User, manage: Manage) -> None:
    attempt = ended(alice, failed=True)
    shown = diagnosed(api, attempt)
    assert (shown["trace_id"], shown["anomalies"]) == (None, [])
    assert "It ended with 3." in shown["root_cause"]["evidence"]
    assert "ENABLE_DB_TRACING=true" in shown["note"]
    assert manage("diagnose", str(attempt.job_id))[0] == 0
    healthy = ended(alice)
    code, out, err = manage("diagnose", str(healthy.job_id))
    assert (code, out, "ENABLE_DB_TRACING=true" in err) == (1, "", True)


def test_each_attempt_has_its_own_diagnosis(api: APIClient, alice: User) -> None:
    attempt = ended(alice, failed=True)
    second = Attempt.objects.create(job=attempt.job, number=2, worker="run@one", runtime="docker")
    assert second.state == AttemptState.ASSIGNED
    assert diagnosed(api, attempt)["root_cause"] is None
    assert diagnosed(api, attempt, "?attempt=1")["root_cause"] is not None
    for query, status in (("?attempt=3", 404), ("?attempt=0", 400), ("?attempt=1e3", 400), ("?limit=3", 400)):
        assert api.get(f"/api/v1/jobs/{attempt.job_id}/diagnosis/{query}").status_code == status


def test_a_job_that_was_never_tried_has_a_diagnosis(api: APIClient, alice: User) -> None:
    job = make_job(alice)
    shown = api.get(f"/api/v1/jobs/{job.pk}/diagnosis/").json()
    assert (shown["attempt"], shown["root_cause"]) == (None, None)
    assert "not been tried" in shown["note"]
    assert api.get(f"/api/v1/jobs/{job.pk}/similar/").json()["results"] == []


def test_similar_runs_are_those_that_failed_alike(api: APIClient, alice: User, manage: Manage) -> None:
    failed = [ended(alice, failed=True, name=f"job {n}") for n in range(3)]
    good = ended(alice, name="good")
    for attempt in (*failed, good):
        traced(attempt.job)
    shown = api.get(f"/api/v1/jobs/{failed[0].job_id}/similar/?limit=3").json()
    assert [one["similarity"] for one in shown["results"]][:2] == [1.0, 1.0]
    assert {one["execution_id"] for one in shown["results"][:2]} == {failed[1].pk, failed[2].pk}
    assert shown["results"][2]["execution_id"] == good.pk
    assert shown["results"][0]["failure_point"]
    assert {one["job_name"] for one in shown["results"][:2]} == {"job 1", "job 2"}
    assert json.loads(manage("similar", str(failed[0].job_id), "--limit", "3", "--json")[1]) == shown
    code, out, _ = manage("similar", str(failed[0].job_id))
    assert (code, "100%" in out, "job 2" in out) == (0, True, True)


def test_others_runs_are_not_similar_ones(alice: User, bob: User) -> None:
    for attempt in [ended(alice, failed=True) for _ in range(7)]:
        traced(attempt.job)
    mine, other = ended(bob, failed=True), ended(bob)
    for attempt in (mine, other):
        traced(attempt.job)
    found = client_of(bob).get(f"/api/v1/jobs/{mine.job_id}/similar/").json()["results"]
    assert [one["execution_id"] for one in found] == [other.pk]
    for what in ("similar", "diagnosis"):
        assert client_of(alice).get(f"/api/v1/jobs/{mine.job_id}/{what}/").status_code == 404


def test_another_systems_execution_is_not_taken_for_the_run_that_has_its_number(alice: User, root: User) -> None:
    mine, untraced = ended(alice, failed=True), ended(alice, failed=True)
    traced(mine.job)
    theirs = Span.objects.filter(execution_id=mine.pk, operation="execute").get()
    theirs.pk, theirs.execution_id, theirs.job_id = None, untraced.pk, "batch-9"
    theirs.save()
    path = f"/api/v1/jobs/{mine.job_id}/similar/"
    assert client_of(alice).get(path).json()["results"] == []
    (found,) = client_of(root).get(path).json()["results"]
    assert (found["execution_id"], found["job_id"]) == (untraced.pk, None)


@pytest.mark.parametrize("query", ["limit=0", "limit=51", "limit=x", "limit=%00", "attempt=-1", "q=1"])
def test_similar_runs_are_asked_for_rightly_or_not_at_all(api: APIClient, alice: User, query: str) -> None:
    answer = api.get(f"/api/v1/jobs/{make_job(alice).pk}/similar/?{query}")
    assert (answer.status_code, len(answer.json()["errors"])) == (400, 1)


def test_a_run_without_spans_says_why_nothing_is_like_it(api: APIClient, alice: User, manage: Manage) -> None:
    job = ended(alice).job
    traced(job)
    Span.objects.all().delete()
    assert "TOWLINE_TRACE_KEEP_DAYS" in api.get(f"/api/v1/jobs/{job.pk}/similar/").json()["note"]
    assert "TOWLINE_TRACE_KEEP_DAYS" in api.get(f"/api/v1/jobs/{job.pk}/diagnosis/").json()["note"]
    assert manage("similar", str(job.pk))[0] == 1
    assert manage("similar", str(job.pk), "--limit", "0")[0] == 2


@pytest.mark.parametrize("what", ["diagnosis", "similar", "changes", "trace"])
def test_questions_of_a_store_that_is_gone_are_problems(
    api: APIClient,
    alice: User,
    manage: Manage,
    what: str,
) -> None:
    job = ended(alice).job
    traced(job)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE trace_spans RENAME TO trace_spans_away")
    try:
        answer = api.get(f"/api/v1/jobs/{job.pk}/{what}/")
        command = {"diagnosis": "diagnose"}.get(what, what)
        code, _, err = manage(command, str(job.pk))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE trace_spans_away RENAME TO trace_spans")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:towline:problem:trace-store")
    assert (code, "manage.py migrate" in err) == (1, True)
    assert Job.objects.filter(pk=job.pk).exists()
