"""One job, from REST to the container and back, on a real platform with plain processes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest

from tests.stack import RunningStack, eventually


def test_a_job_runs_and_keeps_what_it_said(stack: RunningStack) -> None:
    job = stack.run("sh", "-c", "echo out; echo err >&2; printf tail")
    assert (job["state"], job["exit_code"], job["verdict"]) == ("succeeded", 0, None)
    output = stack.output(job)
    assert sorted(output.splitlines()) == [b"err", b"out", b"tail"]
    assert job["log"] == {
        "lines": 3, "bytes": len(output), "sha256": hashlib.sha256(output).hexdigest(), "complete": True, "gaps": [],
        "dropped_at": None,
    }  # fmt: skip
    assert {(line["stream"], line["text"]) for line in stack.lines(job)} >= {("stderr", "err"), ("stdout", "out")}


def test_the_exit_code_is_kept_and_explained(stack: RunningStack) -> None:
    job = stack.run("sh", "-c", "exit 42")
    assert (job["state"], job["exit_code"]) == ("failed", 42)
    assert (job["verdict"]["code"], job["verdict"]["kind"]) == ("exit_code", "user")
    assert job["verdict"]["remedy"]


def test_a_command_that_is_not_there_is_named(stack: RunningStack) -> None:
    job = stack.run("no-such-program-here")
    assert (job["state"], job["exit_code"], job["verdict"]["code"]) == ("failed", 127, "command_not_found")
    assert "no-such-program-here" in job["verdict"]["summary"]


def test_every_job_of_a_crowd_ends_as_it_should_and_runs_once(stack: RunningStack) -> None:
    def one(number: int) -> tuple[int, dict[str, object], bytes]:
        job = stack.run("sh", "-c", f"echo {number}; exit {number % 5}")
        return number, job, stack.output(job)

    with ThreadPoolExecutor(10) as crowd:
        for number, job, output in crowd.map(one, range(30)):
            assert (job["exit_code"], output, job["attempts_count"]) == (number % 5, f"{number}\n".encode(), 1)


def test_output_is_live(stack: RunningStack, tmp_path: object) -> None:
    job = stack.submit("sh", "-c", "echo first; sleep 30")
    assert eventually(lambda: stack.output(job)) == b"first\n"
    assert stack.job(job["id"])["state"] == "running"
    stack.http.post(f"/jobs/{job['id']}/cancel/")
    assert stack.wait(job)["state"] == "cancelled"


def test_a_running_job_is_cancelled_and_says_by_whom(stack: RunningStack) -> None:
    job = stack.submit("sh", "-c", "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done")
    eventually(lambda: stack.output(job))
    assert stack.http.post(f"/jobs/{job['id']}/cancel/").status_code == 202
    ended = stack.wait(job)
    assert (ended["state"], ended["verdict"]["code"]) == ("cancelled", "cancelled")
    assert "admin" in ended["verdict"]["summary"]
    assert stack.output(job) == b"up\nbye\n"
    kinds = [kind for kind in stack.events(job) if kind in {"cancel_requested", "signalled", "cancelled"}]
    assert kinds == ["cancel_requested", "signalled", "cancelled"]
    assert stack.http.post(f"/jobs/{job['id']}/cancel/").status_code == 200


def test_who_ignores_the_asking_is_killed_after_the_grace(stack: RunningStack) -> None:
    job = stack.submit("sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done", timeouts={"grace": 0.5})
    eventually(lambda: stack.output(job))
    stack.http.post(f"/jobs/{job['id']}/cancel/")
    ended = stack.wait(job, 15)
    assert (ended["state"], ended["exit_code"]) == ("cancelled", 137)


@pytest.mark.parametrize(
    ("timeouts", "code"),
    [({"run": 0.6, "grace": 1}, "timeout_run"), ({"idle": 0.6, "grace": 1}, "timeout_idle")],
)
def test_a_timeout_ends_the_job_and_has_its_own_verdict(
    stack: RunningStack, timeouts: dict[str, float], code: str
) -> None:
    ended = stack.run("sleep", "60", timeouts=timeouts)
    assert (ended["state"], ended["verdict"]["code"], ended["verdict"]["kind"]) == ("failed", code, "timeout")


def test_a_job_that_no_worker_could_run_says_so(stack: RunningStack) -> None:
    job = stack.submit("true", requires={"disk": "unobtainium"})
    waiting = stack.until(job, lambda shown: shown["waiting"]["reason"] == "no_worker")["waiting"]
    assert "disk=unobtainium" in waiting["detail"]
    assert stack.http.post(f"/jobs/{job['id']}/cancel/").status_code == 202
    assert stack.job(job["id"])["state"] == "cancelled"
    assert stack.events(job) == ["submitted", "cancel_requested", "cancelled"]


def test_a_queue_timeout_ends_the_waiting(stack: RunningStack) -> None:
    ended = stack.run("true", requires={"disk": "unobtainium"}, timeouts={"queue": 0.5})
    assert (ended["state"], ended["verdict"]["code"]) == ("failed", "timeout_queue")


def test_a_failing_job_is_tried_again_by_its_policy_and_keeps_each_log(stack: RunningStack) -> None:
    counter = stack.data_dir / "counter"
    script = f"echo x >> {counter}; n=$(wc -l < {counter}); echo try $n; [ $n -ge 3 ]"
    job = stack.run("sh", "-c", script, retry={"max_attempts": 3, "backoff": 0.1, "on": ["exit_code"]})
    assert (job["state"], job["attempts_count"], job["attempt"]) == ("succeeded", 3, 3)
    attempts = stack.http.get(f"/jobs/{job['id']}/attempts/").json()["results"]
    assert [one["state"] for one in attempts] == ["failed", "failed", "succeeded"]
    assert [stack.output(job, attempt=n) for n in (1, 2, 3)] == [b"try 1\n", b"try 2\n", b"try 3\n"]


def test_the_result_is_kept_by_django_celery_results(stack: RunningStack) -> None:
    job = stack.run("sh", "-c", "echo kept")
    attempt = stack.http.get(f"/jobs/{job['id']}/attempts/1/").json()
    look = (
        "from django_celery_results.models import TaskResult as T\n"
        f"r = T.objects.filter(task_id={attempt['task_id']!r}).first()\n"
        "print(r.status, r.worker, r.result) if r else print('')"
    )
    told = eventually(lambda: stack.manage("shell", "-v", "0", "-c", look).stdout.strip())
    assert told.startswith("SUCCESS")
    assert job["worker"] in told
    assert '"last_lines": ["kept"]' in told


def test_a_retry_is_tried_when_its_backoff_is_over(stack: RunningStack) -> None:
    job = stack.run("false", retry={"max_attempts": 2, "backoff": 0.5, "on": ["user"]})
    first, second = stack.http.get(f"/jobs/{job['id']}/attempts/").json()["results"]
    waited = datetime.fromisoformat(second["created_at"]) - datetime.fromisoformat(first["finished_at"])
    assert 0.4 < waited.total_seconds() < 3


def test_a_chunked_body_is_read(stack: RunningStack) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"image": "towline/demo:1", '
        yield b'"command": ["true"], "runtime": "process"}'

    headers = {"Content-Type": "application/json"}
    assert stack.http.post("/jobs/", content=pieces(), headers=headers).status_code == 201
    big = (b" " * 100_000 for _ in range(60))
    assert stack.http.post("/jobs/", content=big, headers=headers).status_code == 413


def test_an_address_without_its_slash_is_told_so_and_not_redirected(stack: RunningStack) -> None:
    answer = stack.http.post("/jobs", json={"image": "towline/demo:1"})
    assert (answer.status_code, "slash" in answer.json()["detail"]) == (404, True)


def test_script_stdin_and_environment_reach_the_program(stack: RunningStack) -> None:
    job = stack.run(script='#!/bin/sh\necho "$GREETING"; cat\n', env={"GREETING": "héllo 👋"}, stdin="from stdin\n")
    assert stack.output(job).decode() == "héllo 👋\nfrom stdin\n"


def test_priority_goes_first_when_slots_are_scarce(stack: RunningStack) -> None:
    slots = stack.http.get("/workers/").json()["results"][0]["slots"]
    fillers = [stack.submit("sleep", "2") for _ in range(slots)]
    low = stack.submit("true", priority=-1)
    high = stack.submit("true", priority=5)
    for job in (low, high, *fillers):
        stack.wait(job)

    def placed_at(job: dict[str, Any]) -> str:
        """Two that are placed at once start in either order."""
        at: str = stack.http.get(f"/jobs/{job['id']}/attempts/").json()["results"][0]["created_at"]
        return at

    assert placed_at(high) <= placed_at(low)
