"""Ends that a node had a part in: its kubelet, its container runtime, its clock."""

from __future__ import annotations

import pytest

from tests.unit.drivers.kubernetes.test_judge import KILLING, code_of, ended, seen
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
