"""Verdicts of the process runtime, from observations alone."""

from __future__ import annotations

from typing import Any

import pytest

from workers.drivers.process.judge import judge
from workers.drivers.protocol import Handle, Observation, Phase


def ended(exit_code: int | None, phase: Phase = Phase.EXITED, **others: Any) -> Observation:
    raw: dict[str, Any] = {key: others.pop(key) for key in ("cause", "signal") if key in others}
    return Observation(Handle("process", "a", "uid", "here"), phase, exit_code=exit_code, raw=raw, **others)


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (ended(0), None),
        (ended(1), "exit_code"),
        (ended(127), "exit_code"),  # the command's own: it was found
        (ended(127, cause="command_not_found"), "command_not_found"),
        (ended(126, cause="wrong_platform"), "wrong_platform"),
        (ended(137, signal=9), "killed_by_signal"),
        (ended(137, signal=9, oom_killed=True), "oom_killed"),
        (ended(143, signal=15), "killed_by_signal"),
        (ended(255), "exit_code"),
        (ended(None, error="the machine was restarted"), "container_vanished"),
        (ended(None, Phase.GONE), "container_vanished"),
        (ended(137, signal=9, cause="pids_exhausted"), "pids_exhausted"),
        (ended(126, cause="of another version"), "internal_error"),
    ],
)
def test_the_verdict_follows_from_what_was_seen(seen: Observation, code: str | None) -> None:
    verdict = judge(seen)
    assert (verdict and verdict.code) == code


def test_what_the_machine_said_is_the_first_evidence() -> None:
    verdict = judge(ended(126, cause="bad_user", error="unable to find user x"))
    assert verdict
    assert verdict.evidence[0] == "unable to find user x"


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.CREATED])
def test_what_is_not_over_is_not_judged(phase: Phase) -> None:
    with pytest.raises(ValueError):
        judge(ended(None, phase))
