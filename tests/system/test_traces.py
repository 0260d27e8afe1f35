"""The trace of a job, as the API tells it: one, whole, and of everything that was done for it, whatever ended it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.stack import RunningStack, eventually, run_stack

Span = dict[str, Any]
REGION, MODEL = "eu-1", "llama"
OF_A_JOB = {"job", "queue"}
OF_AN_ATTEMPT = {
    "attempt",
    "place",
    "send",
    "run",
    "create",
    "start",
    "follow",
    "drain logs",
    "collect",
    "remove",
    "execute",
}
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def traced() -> Iterator[RunningStack]:
    quick = {"TOWLINE_HEARTBEAT_SECONDS": "0.5", "TOWLINE_LEASE_SECONDS": "1.5"}
    with run_stack("process", ENABLE_DB_TRACING="1", TOWLINE_REGION=REGION, **quick) as running:
        yield running


def trace(stack: RunningStack, job: dict[str, Any]) -> list[Span]:
    return list(stack.http.get(f"/jobs/{job['id']}/trace/").json()["spans"])


def settled(stack: RunningStack, job: dict[str, Any], seconds: float = 20) -> list[Span]:
    """Its spans, once none is open: with its container's removal, the last thing done for it."""

    def look() -> list[Span]:
        spans = trace(stack, job)
        over = spans and all(span["status"] != "started" for span in spans)
        return spans if over and (not named(spans, "run") or named(spans, "remove")) else []

    return eventually(look, seconds)


def named(spans: list[Span], operation: str) -> list[Span]:
    return [span for span in spans if span["operation"] == operation]


def above(spans: list[Span], span: Span) -> list[str]:
    """The operations from the root down to its parent."""
    by_id = {one["span_id"]: one for one in spans}
    names: list[str] = []
    while (parent := by_id.get(span["parent_span_id"])) is not None:
        names.insert(0, parent["operation"])
        span = parent
    return names


def test_one_trace_from_the_request_to_the_removal(traced: RunningStack) -> None:
    job = traced.run("echo", "hi", labels={"model": MODEL})
    spans = settled(traced, job)
    assert traced.http.get(f"/jobs/{job['id']}/trace/").json()["trace_id"] == job["trace_id"]
    assert {span["operation"] for span in spans} == {"POST api/v1/jobs/"} | OF_A_JOB | OF_AN_ATTEMPT
    assert {span["status"] for span in spans} == {"completed"}
    assert above(spans, named(spans, "collect")[0]) == ["POST api/v1/jobs/", "job", "attempt", "send", "run"]
    assert above(spans, named(spans, "execute")[0]) == ["POST api/v1/jobs/", "job", "attempt"]
    assert above(spans, named(spans, "queue")[0]) == ["POST api/v1/jobs/", "job"]


def test_every_span_says_what_it_is_about(traced: RunningStack) -> None:
    job = traced.run("true", labels={"model": MODEL})
    spans = settled(traced, job)
    assert {span["job_id"] for span in spans} == {job["id"]}
    assert {span["model_id"] for span in spans if span["service"] != "web"} == {MODEL}
    of_the_attempt = [span for span in spans if span["operation"] in OF_AN_ATTEMPT]
    assert {span["region"] for span in of_the_attempt} == {REGION}
    assert len({span["execution_id"] for span in of_the_attempt}) == 1 and of_the_attempt[0]["execution_id"]
    assert all(span["duration_ms"] is not None and span["completed_at"] for span in spans)


def test_retries_are_siblings_in_one_trace(traced: RunningStack) -> None:
    job = traced.run("sh", "-c", "exit 3", retry={"max_attempts": 2, "backoff": 0.1, "on": ["exit_code"]})
    spans = settled(traced, job)
    attempts = named(spans, "attempt")
    assert [(one["status"], one["error_message"] is not None) for one in attempts] == [("failed", True)] * 2
    assert len({one["parent_span_id"] for one in attempts}) == 1
    assert len(named(spans, "queue")) == len(named(spans, "execute")) == len(named(spans, "run")) == 2


def test_tried_again_by_hand_it_lives_anew_in_the_same_trace(traced: RunningStack) -> None:
    job = traced.run("sh", "-c", "exit 3")
    settled(traced, job)
    assert traced.http.post(f"/jobs/{job['id']}/retry/").status_code == 202
    eventually(lambda: len(named(trace(traced, job), "attempt")) == 2)
    traced.wait(job)
    spans = settled(traced, job)
    assert [one["status"] for one in named(spans, "job")] == ["failed", "failed"]


def test_who_traces_already_finds_the_job_in_their_own_trace(traced: RunningStack) -> None:
    answer = traced.try_submit({"command": ["true"]}, traceparent=CALLER).json()
    assert answer["trace_id"] == CALLER.split("-")[1]
    traced.wait(answer)
    request = named(settled(traced, answer), "POST api/v1/jobs/")[0]
    assert request["parent_span_id"] == CALLER.split("-")[2]


@pytest.mark.parametrize(
    ("spec", "status"), [({"timeouts": {"run": 0.5, "grace": 0.1}}, "timeout"), ({"working_dir": "/missing"}, "failed")]
)
def test_whatever_ends_it_nothing_stays_open(traced: RunningStack, spec: dict[str, Any], status: str) -> None:
    spans = settled(traced, traced.run("sleep", "30", **spec))
    assert named(spans, "job")[0]["status"] == named(spans, "attempt")[0]["status"] == status


def test_a_cancelled_one_is_closed_whether_it_waited_or_ran(traced: RunningStack) -> None:
    waits = traced.submit("true", run_at="2099-01-01T00:00:00Z")
    runs = traced.submit("sleep", "60", timeouts={"grace": 0.1})
    traced.until(runs, lambda job: job["state"] == "running")
    for job in (waits, runs):
        traced.http.post(f"/jobs/{job['id']}/cancel/")
        traced.wait(job)
        assert named(settled(traced, job), "job")[0]["error_message"].startswith("Cancelled by")
    assert [one["status"] for one in named(trace(traced, waits), "queue")] == ["failed"]


def test_a_killed_worker_leaves_a_whole_waterfall(traced: RunningStack) -> None:
    job = traced.submit("sh", "-c", "echo up; sleep 3")
    eventually(lambda: named(trace(traced, job), "follow"))
    os.kill(traced.pid_of("run"), signal.SIGKILL)
    assert traced.wait(job, 60)["state"] == "succeeded"
    spans = settled(traced, job, 60)
    first, second = named(spans, "run")
    assert (first["status"], second["status"]) == ("lost", "completed")
    assert first["error_message"] and first["completed_at"] <= second["completed_at"]
    assert [one["status"] for one in named(spans, "execute")] == ["completed"], "the program itself was never lost"


def test_a_store_that_is_gone_ends_no_job_and_is_told_once(traced: RunningStack) -> None:
    job = traced.submit("sh", "-c", "sleep 1")
    rename(traced, "trace_spans", "trace_spans_away")
    try:
        assert traced.wait(job)["state"] == "succeeded"
        assert traced.run("true")["state"] == "succeeded"
        assert traced.http.get(f"/jobs/{job['id']}/trace/").status_code == 503
    finally:
        rename(traced, "trace_spans_away", "trace_spans")
    settled(traced, job, 60)
    logs = [(traced.data_dir / "logs" / f"{role}.log").read_text() for role in ("web", "run")]
    assert [log.count("spans wait") for log in logs] == [1, 1]


def test_without_the_flag_there_is_nothing(stack: RunningStack) -> None:
    def rows() -> list[str]:
        look = "from tracing.models import Span, Writer; print(Span.objects.count(), Writer.objects.count())"
        told = stack.manage("shell", "-c", look)
        assert told.returncode == 0, told.stderr
        return told.stdout.split()[-2:]

    before = rows()  # others have put traces there to look at
    job = stack.run("true")
    assert (job["state"], job["trace_id"]) == ("succeeded", None)
    assert rows() == before


def test_what_it_used_is_sampled_while_it_runs(traced: RunningStack) -> None:
    job = traced.run("sh", "-c", "timeout 5 sh -c 'while :; do :; done'; true", resources={"cpus": 1, "memory": "64Mi"})
    told = traced.http.get(f"/jobs/{job['id']}/usage/").json()
    assert len(told["samples"]) >= 2 and told["memory_peak_bytes"]
    assert told["samples"][-1]["cpus"] > 0.3 and told["samples"][-1]["memory_bytes"] > 0


def rename(stack: RunningStack, old: str, new: str) -> None:
    """The table, by whoever has the database's password."""
    code = f"from django.db import connection; connection.cursor().execute('ALTER TABLE {old} RENAME TO {new}')"
    done = stack.manage("shell", "-c", code)
    assert done.returncode == 0, done.stderr


def test_a_job_that_was_cancelled_before_it_began_lives_anew_when_it_is_tried_again(traced: RunningStack) -> None:
    job = traced.submit("true", run_at="2099-01-01T00:00:00Z")
    traced.http.post(f"/jobs/{job['id']}/cancel/")
    traced.wait(job)
    settled(traced, job)
    assert traced.http.post(f"/jobs/{job['id']}/retry/").status_code == 202
    traced.until(job, lambda shown: shown["state"] == "succeeded")
    eventually(lambda: named(trace(traced, job), "remove"))
    spans = settled(traced, job)
    assert [one["status"] for one in named(spans, "job")] == ["failed", "completed"]
    assert [one["status"] for one in named(spans, "queue")] == ["failed", "completed"]
    assert named(spans, "attempt")[0]["parent_span_id"] == named(spans, "job")[1]["span_id"]


def test_strangers_fill_no_table(traced: RunningStack) -> None:
    answer = httpx.post(
        f"{traced.url}/api/v1/jobs/", json={"image": "x"}, headers={"traceparent": CALLER.replace("0af7", "0bad")}
    )
    assert answer.status_code == 401
    traced.run("true")  # written behind it
    assert traced.http.get(f"/traces/{CALLER.split('-')[1].replace('0af7', '0bad')}/").status_code == 404
