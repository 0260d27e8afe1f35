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
