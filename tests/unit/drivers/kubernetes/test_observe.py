"""Where a pod is in its life, from the JSON of real ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.drivers.kubernetes.pods import RECORDINGS, final, pod, states
from workers.drivers.kubernetes.judge import judge
from workers.drivers.kubernetes.observe import gone, observe, trimmed
from workers.drivers.protocol import Handle, Observation, Phase

P, R, E = Phase.PENDING, Phase.RUNNING, Phase.EXITED
LATER = datetime(2026, 11, 21, 21, 46, 12, tzinfo=UTC)
SCENARIOS = sorted(path.stem for path in RECORDINGS.glob("*.json"))


def seen(status: dict[str, Any], now: datetime = LATER, **metadata: Any) -> Observation:
    return observe(pod(status, **metadata), "here/jobs", now=now)


def container(**state: Any) -> list[dict[str, Any]]:
    return [{"name": "job", "state": state, "imageID": ""}]


@pytest.mark.parametrize(
    ("scenario", "phases"),
    [
        ("succeeded", [P, P, P, P, R, R, R, E, E]),
        ("exit-42", [P, P, P, P, R, R, E, E]),
        ("command-not-found", [P, P, P, P, P, E, E]),
        ("deadline-exceeded", [P, P, P, P, R, R, E, E]),
        ("deleted-while-running", [P, P, P, P, R, R, R, E, E, E, E]),
        ("init-container-fails", [P, P, P, P, P, P, E, E]),
        ("unschedulable-cpu", [P, P, P]),
        ("image-pull-backoff", [P] * 7),
        ("node-lost", [P, P, P, P, R, R, R]),
    ],
)
def test_the_phases_of_recorded_lives(scenario: str, phases: list[Phase]) -> None:
    assert [observe(each, "here/jobs").phase for each in states(scenario)] == phases


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_life_goes_back(scenario: str) -> None:
    order = [Phase.PENDING, Phase.RUNNING, Phase.EXITED]
    ranks = [order.index(observe(each, "here/jobs").phase) for each in states(scenario)]
    assert ranks == sorted(ranks)


def test_an_end_has_its_code_and_its_times() -> None:
    ended = observe(final("exit-42"), "here/jobs")
    assert (ended.exit_code, ended.oom_killed, ended.error) == (42, False, "")
    assert ended.started_at == ended.finished_at == datetime(2026, 11, 21, 21, 46, 11, tzinfo=UTC)
    assert ended.created_at == datetime(2026, 11, 21, 21, 46, 10, tzinfo=UTC)
    assert ended.image_digest.startswith("sha256:608d79a4")


@pytest.mark.parametrize(("scenario", "code"), [("oom-init", 137), ("oom-child", 1)])
def test_running_out_of_memory_is_told_with_the_programs_own_code(scenario: str, code: int) -> None:
    ended = observe(final(scenario), "here/jobs")
    assert (ended.exit_code, ended.oom_killed) == (code, True)


def test_one_that_could_not_start_has_a_sentence_and_no_start() -> None:
    ended = observe(final("command-not-found"), "here/jobs")
    assert (ended.started_at, ended.exit_code) == (None, 128)
    assert "/no/such/binary" in ended.error
    assert ended.finished_at


def test_a_pod_behind_its_gate_was_never_started() -> None:
    gated = pod({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False"}]})
    gated["spec"]["schedulingGates"] = [{"name": "towline.io/consent"}]
    assert observe(gated, "here/jobs").phase is Phase.CREATED


def test_success_before_the_containers_end_is_waited_for_and_not_for_ever() -> None:
    status = {
        "phase": "Succeeded",
        "containerStatuses": container(running={"startedAt": "2026-11-21T21:46:07Z"}),
        "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-21T21:46:10Z"}],
    }
    assert seen(status).phase is Phase.RUNNING
    late = seen(status, LATER + timedelta(seconds=10))
    assert (late.phase, late.exit_code) == (Phase.EXITED, 0)


def test_failed_while_its_container_may_run_is_not_over() -> None:
    running = container(running={"startedAt": "2026-11-21T21:46:07Z"})
    assert seen({"phase": "Failed", "containerStatuses": running}).phase is Phase.RUNNING


def test_failed_without_ever_having_begun_is_over_and_says_why() -> None:
    ended = seen({"phase": "Failed", "reason": "OutOfcpu", "message": "Node didn't have enough resource: cpu"})
    assert (ended.phase, ended.exit_code, ended.started_at) == (Phase.EXITED, None, None)
    assert "enough resource" in ended.error


@pytest.mark.parametrize(
    ("container_id", "message", "began"),
    [
        ("", "The container could not be located when the pod was terminated", False),
        ("containerd://1", "The container could not be located when the pod was terminated", True),
        ("", "The container could not be located when the pod was deleted.  The container used to be Running", True),
    ],
)
def test_one_that_its_node_can_not_find_may_have_begun(container_id: str, message: str, *, began: bool) -> None:
    """Else it would be taken for one that may be run again."""
    lost = {"reason": "ContainerStatusUnknown", "message": message, "exitCode": 137}
    told = [{"name": "job", "containerID": container_id, "state": {"terminated": lost}}]
    status = {"phase": "Failed", "containerStatuses": told, "startTime": "2026-11-21T21:46:10Z"}
    assert bool(seen(status).started_at) is began
    waiting = {"phase": "Pending", "containerStatuses": [{**told[0], "state": {}, "lastState": told[0]["state"]}]}
    assert (seen(waiting).phase is Phase.RUNNING) is began


def test_a_lost_node_is_told_and_ends_nothing() -> None:
    *_, before, given_up, to_be_deleted = states("node-lost")
    assert observe(before, "here/jobs").unreachable == ""
    for each in (given_up, to_be_deleted):
        told = observe(each, "here/jobs")
        assert told.phase is Phase.RUNNING
        assert "node1" in told.unreachable


@pytest.mark.parametrize("scenario", [each for each in SCENARIOS if each != "node-lost"])
def test_of_no_other_life_is_said_that_it_is_out_of_sight(scenario: str) -> None:
    for each in states(scenario):
        now = datetime.fromisoformat(each["metadata"]["creationTimestamp"])
        assert observe(each, "here/jobs", now=now).unreachable == ""


def test_an_end_that_is_overdue_makes_its_node_suspect() -> None:
    status = {"phase": "Running", "containerStatuses": container(running={"startedAt": "2026-11-21T21:46:07Z"})}
    assert seen(status, deletionTimestamp="2026-11-21T21:46:00Z").unreachable == ""
    late = seen(status, LATER + timedelta(minutes=1), deletionTimestamp="2026-11-21T21:46:00Z")
    assert "node1" in late.unreachable


def test_the_nodes_own_condition_counts() -> None:
    status = {"phase": "Running", "containerStatuses": container(running={"startedAt": "2026-11-21T21:46:07Z"})}
    node = {"status": {"conditions": [{"type": "Ready", "status": "Unknown", "message": "Kubelet stopped posting."}]}}
    assert observe(pod(status), "here/jobs", node=node).unreachable == "Kubelet stopped posting."


@pytest.mark.parametrize(
    ("image", "told", "digest"),
    [
        ("busybox:1", "docker.io/library/busybox@sha256:aa", "docker.io/library/busybox@sha256:aa"),
        ("a/b", "docker-pullable://docker.io/a/b@sha256:aa", "docker.io/a/b@sha256:aa"),
        ("r.example:5000/a/b:1", "r.example:5000/a/b@sha256:aa", "r.example:5000/a/b@sha256:aa"),
        ("mine:1", "docker.io/library/other@sha256:aa", ""),
        ("mine:1", "sha256:aa", "sha256:aa"),
        ("mine:1", "", ""),
    ],
)
def test_an_image_is_pinned_by_its_own_name(image: str, told: str, digest: str) -> None:
    status = {"phase": "Running", "containerStatuses": [{"name": "job", "imageID": told, "state": {"running": {}}}]}
    asked = pod(status)
    asked["spec"]["containers"][0]["image"] = image
    assert observe(asked, "here/jobs").image_digest == digest


def test_no_environment_is_kept() -> None:
    whole = pod(managedFields=[{"manager": "kubelet"}])
    whole["spec"]["containers"][0]["env"] = [{"name": "TOKEN", "value": "hush"}]
    kept = trimmed(whole)
    assert "hush" not in str(kept)
    assert "managedFields" not in kept["metadata"]
    assert kept["spec"]["containers"][0]["image"] == "demo:1"
    assert trimmed(kept) == kept


def test_what_is_gone_keeps_what_was_last_seen_of_it() -> None:
    handle = Handle("kubernetes", "here-j1-a1", "u1", "here/jobs")
    told = gone(handle, final("preempted"), [{"reason": "Preempted"}])
    assert (told.phase, told.exit_code, told.handle) == (Phase.GONE, None, handle)
    assert told.raw["pod"]["metadata"]["name"] == "preempted"
    assert told.raw["events"] == [{"reason": "Preempted"}]


ENDED = {"exitCode": 3, "reason": "Error", "startedAt": "2026-11-21T21:46:07Z", "finishedAt": "2026-11-21T21:46:10Z"}


def test_a_program_is_over_though_what_a_cluster_put_beside_it_goes_on() -> None:
    proxy = {"name": "proxy", "state": {"running": {"startedAt": "2026-11-21T21:46:07Z"}}}
    status = {"phase": "Running", "containerStatuses": [*container(terminated=ENDED), proxy]}
    assert seen(status).phase is Phase.RUNNING
    late = seen(status, LATER + timedelta(seconds=10))
    assert (late.phase, late.exit_code) == (Phase.EXITED, 3)
    # While the pod is sent away, why is told once all of it has ended.
    assert seen(status, LATER + timedelta(seconds=10), deletionTimestamp="2026-11-21T21:46:40Z").phase is Phase.RUNNING
    told = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
    assert seen({**status, "conditions": [told]}, LATER + timedelta(seconds=10)).phase is Phase.RUNNING


def test_the_last_end_counts_where_its_node_has_lost_sight_of_it() -> None:
    states = [
        {"name": "job", "state": {"waiting": {"reason": "ContainerCreating"}}, "lastState": {"terminated": ENDED}}
    ]
    ended = seen({"phase": "Failed", "containerStatuses": states})
    verdict = judge(ended)
    assert verdict
    assert (ended.phase, ended.exit_code, verdict.code) == (Phase.EXITED, 3, "exit_code")
