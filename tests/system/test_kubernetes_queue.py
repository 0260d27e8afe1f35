"""A cluster that is full makes jobs wait, for as long as `timeouts.queue` allows: the time to start begins behind that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.stack import RunningStack, eventually, run_stack
from tests.system.cluster import Ground, ground

SMALL = json.dumps({"cpu": "1", "memory": "1Gi"})
WHOLE = {"cpus": 1, "memory": "64Mi"}


@pytest.fixture(scope="module")
def field() -> Iterator[Ground]:
    with ground("--room", SMALL) as chosen:
        if chosen.emulated is None:
            pytest.skip("kubernetes: a real cluster is not filled up")
        yield chosen


@pytest.fixture(scope="module")
def stack(field: Ground) -> Iterator[RunningStack]:
    with run_stack("kubernetes", **field.environment) as running:
        yield running


def held_up(stack: RunningStack, job: dict[str, Any]) -> dict[str, Any]:
    return dict(stack.until(job, lambda shown: (shown["waiting"] or {}).get("reason") == "unschedulable")["waiting"])


def test_a_full_cluster_is_waited_for_longer_than_a_start_may_take(stack: RunningStack, field: Ground) -> None:
    first = stack.submit("sleep", "6", resources=WHOLE)
    stack.until(first, lambda shown: shown["state"] == "running")
    second = stack.submit("echo", "at last", resources=WHOLE, timeouts={"start": 2})
    assert "cpu: short on 1 of 1 (asked 1" in held_up(stack, second)["detail"]
    ended = stack.wait(second, 40)
    assert (ended["state"], ended["attempts_count"], stack.output(ended)) == ("succeeded", 1, b"at last\n")
    assert stack.wait(first)["state"] == "succeeded"


def test_the_queue_time_out_counts_in_the_cluster_too(stack: RunningStack, field: Ground) -> None:
    first = stack.submit("sleep", "30", resources=WHOLE)
    stack.until(first, lambda shown: shown["state"] == "running")
    second = stack.run("true", resources=WHOLE, timeouts={"queue": 2})
    assert (second["state"], second["verdict"]["code"]) == ("failed", "timeout_queue")
    assert "unschedulable" in json.dumps(second["verdict"]["evidence"])
    stack.http.post(f"/jobs/{first['id']}/cancel/")
    assert stack.wait(first)["state"] == "cancelled"
    eventually(lambda: not field.pods(first) and not field.pods(second), 10)


def test_what_no_node_could_ever_hold_is_no_queue(stack: RunningStack) -> None:
    job = stack.run("true", resources={"cpus": 2, "memory": "64Mi"}, timeouts={"start": 2})
    assert (job["state"], job["verdict"]["code"]) == ("failed", "unschedulable")
