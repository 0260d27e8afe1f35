"""Ends that a node had a part in: its kubelet, its container runtime, its clock."""

from __future__ import annotations

import pytest

from tests.unit.drivers.kubernetes.test_judge import KILLING, code_of, disrupted, ended, seen
from workers.drivers.kubernetes.judge import judge
from workers.drivers.kubernetes.manifest import ASKED

SANDBOX = {"reason": "SandboxChanged", "message": "Pod sandbox changed, it will be killed and re-created."}


def test_255_of_a_runtime_that_was_restarted_is_not_the_programs_own() -> None:
    """What containerd says of a container that ran when the machine was reset."""
    verdict = judge(seen(ended(255, reason="Unknown")))
    assert verdict is not None
    assert (verdict.code, verdict.retryable) == ("node_lost", True)
    assert code_of(seen(ended(255, reason="Error"))) == "exit_code"


@pytest.mark.parametrize("code", [137, 143])
def test_what_the_kubelet_ended_without_a_reason_was_ended_by_the_node(code: int) -> None:
    verdict = judge(seen(ended(code), [SANDBOX, KILLING]))
    assert verdict is not None
    assert verdict.code == "evicted_node"
    assert "SandboxChanged" in verdict.evidence[0]


def test_what_ended_by_itself_or_by_us_was_not_ended_by_the_node() -> None:
    assert code_of(seen(ended(137), [SANDBOX])) == "killed_by_signal"
    assert code_of(seen(ended(3), [KILLING])) == "exit_code"
    assert code_of(seen(ended(143, annotations={ASKED: "true"}), [KILLING])) == "killed_by_signal"


@pytest.mark.parametrize(("code", "verdict"), [(137, "preempted"), (143, "preempted"), (42, "exit_code"), (0, None)])
def test_the_clock_of_a_node_may_be_behind_that_of_the_cluster(code: int, verdict: str | None) -> None:
    """Killed at 12:00:10 by the node's clock, sent away at 12:00:15 by the scheduler's."""
    assert code_of(seen(ended(code, status=disrupted("PreemptionByScheduler", at="2026-11-22T12:00:15Z")))) == verdict
    told = {"deletionTimestamp": "2026-11-22T12:00:45Z", "deletionGracePeriodSeconds": 30}
    assert code_of(seen(ended(code, **told))) == (verdict and verdict.replace("preempted", "container_vanished"))


def test_who_was_sent_away_long_after_the_end_is_not_blamed_on_it() -> None:
    assert code_of(seen(ended(137, status=disrupted("PreemptionByScheduler", at="2026-11-22T12:01:00Z")))) == (
        "killed_by_signal"
    )


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("Evicted", "Pod was rejected: The node had condition: [DiskPressure]. "),
        ("OutOfcpu", "Pod was rejected: Node didn't have enough resource: cpu, requested: 500, used: 1, capacity: 400"),
        ("SupplementalGroupsPolicyNotSupported", "Pod was rejected: SupplementalGroupsPolicy=Strict is not supported"),
        ("AReasonOfTomorrow", "Pod was rejected: for a reason of tomorrow"),
    ],
)
def test_what_a_node_turned_away_never_ran_there(reason: str, message: str) -> None:
    verdict = judge(seen(ended(status={"reason": reason, "message": message}), error=message))
    assert verdict is not None
    assert (verdict.code, "turned" in verdict.summary) == ("evicted_node", True)
    assert message.strip() in verdict.evidence[0]


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        ("The node was low on resource: memory. Threshold quantity: 100Mi, available: 9Mi. ", "evicted_node", "memory"),
        ("Pod was terminated in response to imminent node shutdown.", "node_lost", "shut down"),
        ("Preempted in order to admit critical pod", "preempted", "priority"),
        ("", "evicted_node", "evicted"),
    ],
)
def test_the_kubelets_own_condition_says_why_when_the_pods_reason_is_lost(message: str, code: str, words: str) -> None:
    status = disrupted("TerminationByKubelet")
    status["conditions"][0]["message"] = message
    verdict = judge(seen(ended(137, status=status)))
    assert verdict is not None
    assert (verdict.code, words in verdict.summary) == (code, True)


@pytest.mark.parametrize(
    ("message", "summary", "remedy"),
    [
        (
            "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ",
            "It used more disk than its limit of 10Mi, and was evicted.",
            "`disk`",
        ),
        (
            'Container job exceeded its local ephemeral storage limit "1.5Gi". ',
            "It used more disk than its limit of 1.5Gi, and was evicted.",
            "`disk`",
        ),
        (
            'Usage of EmptyDir volume "tmp" exceeds the limit "1Gi". ',
            "It used more disk in /tmp than its limit of 1Gi, and was evicted.",
            "TOWLINE_KUBERNETES_SCRATCH_BYTES",
        ),
        (
            'Usage of EmptyDir volume "shm" exceeds the limit "64Mi". ',
            "It used more disk in /dev/shm than its limit of 64Mi, and was evicted.",
            "`shm`",
        ),
        (
            "Container job exceeded its local ephemeral storage limit",
            "It used more disk than it had asked for, and was evicted.",
            "`disk`",
        ),
    ],
)
def test_an_eviction_over_a_limit_of_its_own_names_it(message: str, summary: str, remedy: str) -> None:
    verdict = judge(seen(ended(137, status={"reason": "Evicted", "message": message})))
    assert verdict is not None
    assert (verdict.summary, remedy in verdict.remedy) == (summary, True)
