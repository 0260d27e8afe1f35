"""Jobs in a cluster, from REST to the pod and back: what every runtime promises is promised here too."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.stack import RunningStack, eventually, run_stack
from tests.system.cluster import Ground, ground

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module")
def field() -> Iterator[Ground]:
    with ground() as chosen:
        yield chosen


@pytest.fixture(scope="module")
def stack(field: Ground) -> Iterator[RunningStack]:
    with run_stack("kubernetes", ENABLE_DB_TRACING="1", **field.environment) as running:
        running.image = field.image
        yield running


def running(stack: RunningStack, *command: str, **spec: Any) -> dict[str, Any]:
    return stack.until(stack.submit(*command, **spec), lambda shown: shown["state"] == "running")


def waiting(stack: RunningStack, job: dict[str, Any], reason: str) -> dict[str, Any]:
    """What it waits for, once that is told."""
    return dict(stack.until(job, lambda shown: (shown["waiting"] or {}).get("reason") == reason)["waiting"])


def cancel(stack: RunningStack, job: dict[str, Any]) -> dict[str, Any]:
    stack.http.post(f"/jobs/{job['id']}/cancel/")
    return stack.wait(job, 20)


def test_a_pod_has_a_trace_with_its_wait_for_a_node_and_the_node(stack: RunningStack) -> None:
    job = stack.run("true")

    def spans() -> dict[str, dict[str, Any]]:
        told = stack.http.get(f"/jobs/{job['id']}/trace/").json()["spans"]
        return {span["operation"]: span for span in told if span["status"] == "completed"}

    eventually(lambda: {"create", "start", "schedule", "follow", "remove", "job"} <= spans().keys())
    assert spans()["execute"]["metadata"]["attributes"]["node"]


def test_a_pod_runs_and_leaves_nothing_but_its_output(stack: RunningStack, field: Ground) -> None:
    job = stack.run("sh", "-c", "echo out; echo err >&2; printf 'no newline'")
    output = stack.output(job)
    assert (job["state"], job["exit_code"], job["runtime"]) == ("succeeded", 0, "kubernetes")
    assert sorted(output.split(b"\n")) == [b"err", b"no newline", b"out"]
    assert job["log"]["sha256"] == hashlib.sha256(output).hexdigest()
    assert job["log"]["complete"] is True
    eventually(lambda: not field.pods(job), 10)
    assert "removed" in stack.events(job)


def test_streams_that_the_cluster_does_not_tell_apart_are_not_guessed_at(stack: RunningStack) -> None:
    job = stack.run("sh", "-c", "echo out; echo err >&2")
    assert {line["stream"] for line in stack.lines(job)} == {"unknown"}
    assert stack.output(job, stream="unknown") == stack.output(job)
    ran = stack.manage("logs", job["id"])
    assert (sorted(ran.stdout.split()), ran.stderr) == (["err", "out"], "")


@pytest.mark.parametrize(
    ("spec", "exit_code", "code"),
    [
        ({"command": ["sh", "-c", "exit 42"]}, 42, "exit_code"),
        ({"command": ["no-such-program-here"]}, None, "command_not_found"),
        ({"command": ["/etc/passwd"]}, None, "command_not_executable"),
        ({"command": ["sh", "-c", "kill -9 $$"]}, 137, "killed_by_signal"),
        ({"command": ["sleep", "60"], "timeouts": {"run": 1, "grace": 1}}, None, "timeout_run"),
    ],
)
def test_every_end_has_its_verdict(
    stack: RunningStack, field: Ground, spec: dict[str, Any], exit_code: int | None, code: str
) -> None:
    job = stack.run(**spec)
    assert (job["state"], job["verdict"]["code"]) == ("failed", code), job["verdict"]
    assert exit_code in (None, job["exit_code"])
    assert all(job["verdict"][key] for key in ("summary", "evidence", "remedy"))
    eventually(lambda: not field.pods(job), 10)


def test_what_the_cluster_has_no_room_for_waits_and_says_which_dimension(stack: RunningStack) -> None:
    job = stack.submit("true", resources={"cpus": 4000, "memory": "16Mi"})
    told = waiting(stack, job, "unschedulable")
    assert (told["position"], "cpu" in told["detail"]) == (0, True)
    assert stack.job(job["id"])["state"] == "assigned"
    assert "held_up" in stack.events(job)
    ended = cancel(stack, job)
    assert (ended["state"], ended["waiting"], ended["attempts_count"]) == ("cancelled", None, 1)
    assert "attempt_running" not in stack.events(job)


def test_what_no_node_is_labelled_with_waits_by_selector(stack: RunningStack) -> None:
    job = stack.submit("true", requires={"disk": "of-gold"})
    assert "selector" in waiting(stack, job, "unschedulable")["detail"]
    assert cancel(stack, job)["state"] == "cancelled"


def test_the_start_time_out_ends_a_job_by_what_it_waited_for(stack: RunningStack, field: Ground) -> None:
    job = stack.run("true", resources={"gpus": 1, "memory": "16Mi"}, timeouts={"start": 2})
    assert (job["state"], job["verdict"]["code"]) == ("failed", "unschedulable")
    assert "gpu" in json.dumps(job["verdict"])
    assert "attempt_running" not in stack.events(job)
    eventually(lambda: not field.pods(job), 10)


def test_an_image_that_is_none_is_judged_and_one_that_can_not_be_had_waits(stack: RunningStack) -> None:
    job = stack.run("true", image="localhost:1/no/such:1", timeouts={"start": 8})
    assert (job["state"], job["verdict"]["kind"]) == ("failed", "image"), job["verdict"]
    assert "attempt_running" not in stack.events(job)


def test_a_secret_is_given_as_a_variable_and_as_a_file_and_stands_in_no_pod(stack: RunningStack, field: Ground) -> None:
    value = "hush-1234567890-hush"
    assert stack.manage("secret", "set", "TOKEN", "--project", "default", input=value).returncode == 0
    look = 'echo "$TOKEN" | md5sum; md5sum < /run/towline/secrets/TOKEN; echo "$TOKEN"; sleep 3'
    job = running(stack, "sh", "-c", look, secrets=["TOKEN"])
    assert value not in json.dumps(field.pods(job))
    ended = stack.wait(job)
    lines = stack.output(ended).decode().splitlines()
    digests = [hashlib.md5(text.encode()).hexdigest() for text in (f"{value}\n", value)]
    assert [line.split()[0] for line in lines[:2]] == digests
    assert (value in lines[2], len(lines)) == (False, 3)


def test_script_stdin_and_environment_arrive_as_they_are(stack: RunningStack) -> None:
    script = '#!/bin/sh\nset -eu\necho "$ODD"\nwc -c\n'
    odd = "$(HOME) $$(x) ü 'quoted' \"twice\""
    job = stack.run(script=script, stdin="12345", env={"ODD": odd})
    assert stack.output(job).decode().split("\n")[:2] == [odd, "5"]


def test_cancel_ends_the_pod_and_keeps_what_it_said(stack: RunningStack, field: Ground) -> None:
    job = running(stack, "sh", "-c", "trap 'echo asked; exit 3' TERM; echo ready; while :; do sleep 0.1; done")
    stack.until(job, lambda shown: shown["log"]["lines"] >= 1)
    ended = cancel(stack, job)
    assert (ended["state"], ended["verdict"]["code"], ended["exit_code"]) == ("cancelled", "cancelled", 3)
    assert stack.output(ended) == b"ready\nasked\n"
    eventually(lambda: not field.pods(job), 10)


def test_a_killed_worker_loses_neither_the_pod_nor_a_line(stack: RunningStack, field: Ground) -> None:
    job = running(stack, "sh", "-c", "for n in $(seq 1 80); do echo $n; sleep 0.1; done")
    (before,) = field.pods(job)
    stack.until(job, lambda shown: shown["log"]["lines"] > 5)
    os.kill(stack.pid_of("run"), signal.SIGKILL)
    ended = stack.wait(job, 60)
    assert (ended["state"], ended["attempts_count"]) == ("succeeded", 1)
    assert stack.output(ended) == b"".join(b"%d\n" % n for n in range(1, 81))
    assert "adopted" in stack.events(job)
    assert ended["log"]["complete"] is True
    eventually(lambda: not any(pod["metadata"]["uid"] == before["metadata"]["uid"] for pod in field.pods(job)), 10)


def test_a_flood_is_kept_to_the_byte(stack: RunningStack) -> None:
    job = stack.run("sh", "-c", "seq 1 50000")
    assert stack.output(job) == b"".join(b"%d\n" % n for n in range(1, 50001))


def test_twenty_pods_at_once_all_end_right(stack: RunningStack) -> None:
    def one(number: int) -> tuple[int, dict[str, Any], bytes]:
        job = stack.submit("sh", "-c", f"for i in 1 2 3; do echo {number}.$i; done; exit {number % 3}")
        job = stack.wait(job, 90)
        return number, job, stack.output(job)

    with ThreadPoolExecutor(20) as crowd:
        for number, job, output in crowd.map(one, range(20)):
            assert job["exit_code"] == number % 3
            assert output == "".join(f"{number}.{i}\n" for i in (1, 2, 3)).encode()


def test_what_would_be_asked_for_is_shown_and_nothing_is_stored(stack: RunningStack) -> None:
    import yaml

    count = len(stack.http.get("/jobs/").json()["results"])
    ran = stack.manage(
        "submit", "busybox:1.36", "--runtime", "kubernetes", "--dry-run", "-o", "yaml", "--", "echo", "hi"
    )
    (pod,) = yaml.safe_load_all(ran.stdout)
    container = pod["spec"]["containers"][0]
    assert (pod["kind"], pod["spec"]["restartPolicy"], container["args"]) == ("Pod", "Never", ["echo", "hi"])
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container["resources"]["requests"] == container["resources"]["limits"]
    assert len(stack.http.get("/jobs/").json()["results"]) == count


def test_the_suite_of_a_cluster_passes(stack: RunningStack) -> None:
    ran = stack.manage("suite", "kubernetes", "--json", timeout=200)
    told = json.loads(ran.stdout)
    assert [row for row in told["examples"] if not row["passed"]] == []
    assert (ran.returncode, len(told["examples"])) == (0, 7)


def test_doctor_finds_nothing_wrong_with_the_cluster(stack: RunningStack) -> None:
    found = [line for line in stack.manage("doctor").stdout.splitlines() if " kubernetes " in line]
    assert found and not [line for line in found if line.startswith("✗")]
