"""What a cluster does to pods: nodes go dark, pods are deleted, evicted, preempted. Told as it was, and tried again by policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.stack import RunningStack, eventually, run_stack
from tests.system.cluster import (
    Ground,
    attempts,
    begun,
    cancel,
    counted,
    counting,
    ground,
    passes,
    waiting,
)

pytestmark = [pytest.mark.filterwarnings("ignore::ResourceWarning"), pytest.mark.timeout(180)]
LOST_SECONDS, MARKED_SECONDS = 1, 12
AGAIN = {"max_attempts": 2, "on": ["platform"], "backoff": 0}
SECOND_ENDS = ("sh", "-c", 'echo begun; [ "$TOWLINE_ATTEMPT" = 2 ] || sleep 60')
FULL_DISK = "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. "


@pytest.fixture(scope="module")
def field() -> Iterator[Ground]:
    with ground("--lost-seconds", str(LOST_SECONDS), "--evict-seconds", str(MARKED_SECONDS)) as chosen:
        _ = chosen.breakable
        yield chosen


@pytest.fixture(scope="module")
def stack(field: Ground) -> Iterator[RunningStack]:
    with run_stack("kubernetes", **field.environment) as running:
        running.image = field.image
        yield running


def pod_of(field: Ground, job: dict[str, Any]) -> dict[str, str]:
    """Its name and place, as actions on it want them."""
    (pod,) = field.pods(job)
    return {"namespace": field.namespace, "name": pod["metadata"]["name"]}


def succeeded(stack: RunningStack, job: dict[str, Any], lines: int) -> None:
    ended = stack.wait(job, 60)
    assert (ended["state"], ended["attempts_count"]) == ("succeeded", 1), ended["verdict"]
    assert stack.output(ended) == counted(lines)


def failed_once_then_ran(stack: RunningStack, field: Ground, job: dict[str, Any], code: str) -> None:
    """Its first attempt ended so, the second succeeded, each in a pod that was started once."""
    assert stack.wait(job, 60)["state"] == "succeeded"
    first, second = attempts(stack, job)
    assert (first["verdict"]["code"], first["verdict"]["kind"]) == (code, "platform"), first["verdict"]
    assert second["state"] == "succeeded"
    assert [len(uids) for uids in field.begun(job).values()] == [1, 1]


def test_what_is_out_of_sight_is_said_to_be_and_nothing_is_lost(stack: RunningStack, field: Ground) -> None:
    job = begun(stack, *counting(100))
    field.breakable.do("stop_kubelet")
    try:
        eventually(lambda: "out_of_sight" in stack.events(job), 20)
        assert stack.job(job["id"])["state"] == "running"
    finally:
        field.breakable.do("start_kubelet")
    eventually(lambda: "back_in_sight" in stack.events(job), 20)
    succeeded(stack, job, 100)


def test_a_kubelet_that_is_restarted_changes_nothing(stack: RunningStack, field: Ground) -> None:
    ends, goes_on = begun(stack, *counting(10)), begun(stack, *counting(60))
    field.breakable.do("stop_kubelet")
    later = stack.submit(*counting(3))
    field.breakable.do("start_kubelet")
    for job, lines in ((ends, 10), (goes_on, 60), (later, 3)):
        succeeded(stack, job, lines)
    assert "out_of_sight" not in stack.events(goes_on)


def test_a_pod_of_a_lost_node_is_tried_again_once_it_is_certainly_gone(stack: RunningStack, field: Ground) -> None:
    """Given up by the cluster is a verdict, and not gone: its program may still run, so the next try waits, and says so."""
    job = begun(stack, *SECOND_ENDS, retry=AGAIN, timeouts={"grace": 1, "start": 8})
    (old,) = field.pods(job)
    field.breakable.do("stop_kubelet")
    try:
        eventually(lambda: "deletionTimestamp" in field.pods(job)[0]["metadata"], MARKED_SECONDS + 20)
        assert "out_of_sight" in stack.events(job)
        assert "attempt 1" in waiting(stack, job, "unschedulable", 60)
        assert [one["verdict"] and one["verdict"]["code"] for one in attempts(stack, job)] == ["node_lost", None]
        eventually(passes(9), 12)  # longer than a start may take
        assert [pod["metadata"]["uid"] for pod in field.pods(job)] == [old["metadata"]["uid"]]
        assert stack.job(job["id"])["state"] == "assigned"
    finally:
        field.breakable.do("start_kubelet")
    failed_once_then_ran(stack, field, job, "node_lost")


def test_a_pod_that_is_forced_off_a_lost_node_is_tried_again_when_there_is_a_node(
    stack: RunningStack, field: Ground
) -> None:
    """Whoever forces it off says that the machine is off; what comes next waits, and is told to."""
    job = begun(stack, *SECOND_ENDS, retry=AGAIN)
    field.breakable.do("stop_kubelet")
    try:
        eventually(lambda: "deletionTimestamp" in field.pods(job)[0]["metadata"], MARKED_SECONDS + 20)
        field.breakable.do("delete", **pod_of(field, job), grace=0)
        assert "taint" in waiting(stack, job, "unschedulable")
        assert attempts(stack, job)[0]["verdict"]["code"] == "node_lost"
    finally:
        field.breakable.do("start_kubelet")
    failed_once_then_ran(stack, field, job, "node_lost")


def test_a_cancel_of_what_is_out_of_sight_is_carried_out_when_it_is_back(stack: RunningStack, field: Ground) -> None:
    job = begun(stack, "sh", "-c", "echo begun; sleep 60")
    field.breakable.do("stop_kubelet")
    try:
        eventually(lambda: "out_of_sight" in stack.events(job), 20)
        stack.http.post(f"/jobs/{job['id']}/cancel/")
        eventually(lambda: "deletionTimestamp" in field.pods(job)[0]["metadata"], MARKED_SECONDS + 20)
        assert stack.job(job["id"])["state"] == "running"
    finally:
        field.breakable.do("start_kubelet")
    assert stack.wait(job, 40)["state"] == "cancelled"
    eventually(lambda: not field.pods(job), 20)


def test_a_pod_that_somebody_deletes_has_vanished(stack: RunningStack, field: Ground) -> None:
    job = begun(stack, *counting(600))
    field.breakable.do("delete", **pod_of(field, job), grace=1)
    ended = stack.wait(job)
    assert (ended["state"], ended["verdict"]["code"]) == ("failed", "container_vanished"), ended["verdict"]
    output = stack.output(ended)
    assert output
    assert output == counted(output.count(b"\n"))


def test_what_a_node_short_of_memory_evicts_is_tried_again(stack: RunningStack, field: Ground) -> None:
    job = begun(stack, *SECOND_ENDS, retry=AGAIN)
    field.breakable.do("evict", **pod_of(field, job))
    failed_once_then_ran(stack, field, job, "evicted_node")


def test_what_uses_more_disk_than_it_asked_for_is_its_own_doing(stack: RunningStack, field: Ground) -> None:
    job = begun(stack, *SECOND_ENDS, retry=AGAIN)
    field.breakable.do("evict", **pod_of(field, job), message=FULL_DISK)
    ended = stack.wait(job)
    assert (ended["verdict"]["code"], ended["attempts_count"]) == ("evicted_storage", 1), ended["verdict"]


def test_what_gives_way_to_a_higher_priority_is_tried_again(stack: RunningStack, field: Ground) -> None:
    job = begun(stack, *SECOND_ENDS, retry=AGAIN)
    field.breakable.do("preempt", **pod_of(field, job))
    failed_once_then_ran(stack, field, job, "preempted")


def test_who_has_no_retry_left_is_told_who_took_the_place(stack: RunningStack, field: Ground) -> None:
    job = begun(stack, "sh", "-c", "echo begun; sleep 60")
    field.breakable.do("preempt", **pod_of(field, job))
    ended = stack.wait(job)
    assert (ended["state"], ended["verdict"]["code"], ended["attempts_count"]) == ("failed", "preempted", 1)


@pytest.mark.parametrize(("spec", "reason"), [
    ({"resources": {"cpus": 4000, "memory": "16Mi"}}, "unschedulable"), ({"image": "localhost:1/no/such:1"}, "image"),
])  # fmt: skip
def test_what_is_cancelled_before_it_began_never_begins(
    spec: dict[str, Any], reason: str, stack: RunningStack, field: Ground
) -> None:
    job = stack.submit("echo", "begun", **spec)
    assert waiting(stack, job, reason)
    ended = cancel(stack, job)
    assert (ended["state"], ended["verdict"]["code"]) == ("cancelled", "cancelled")
    assert (stack.output(ended), field.begun(job)) == (b"", {})
    eventually(lambda: not field.pods(job), 20)
