"""Every pair of states: the legal ones and no other."""

from __future__ import annotations

import pytest

from jobs.states import ATTEMPT_MOVES, FINAL_ATTEMPT, FINAL_JOB, JOB_MOVES, AttemptState, JobState, sources

JOB_LEGAL = {
    ("queued", "assigned"), ("queued", "failed"), ("queued", "cancelled"),
    ("assigned", "running"), ("assigned", "queued"), ("assigned", "succeeded"), ("assigned", "failed"), ("assigned", "cancelled"),
    ("running", "queued"), ("running", "succeeded"), ("running", "failed"), ("running", "cancelled"),
    ("failed", "queued"), ("cancelled", "queued"),
}  # fmt: skip
ATTEMPT_LEGAL = {
    ("assigned", "starting"), ("assigned", "failed"), ("assigned", "cancelled"), ("assigned", "lost"),
    ("starting", "running"), ("starting", "succeeded"), ("starting", "failed"), ("starting", "cancelled"), ("starting", "lost"),
    ("running", "succeeded"), ("running", "failed"), ("running", "cancelled"), ("running", "lost"),
}  # fmt: skip


@pytest.mark.parametrize("origin", JobState)
@pytest.mark.parametrize("to", JobState)
def test_a_job_moves_only_as_the_table_says(origin: JobState, to: JobState) -> None:
    assert ((origin.value, to.value) in JOB_LEGAL) == (to in JOB_MOVES[origin]) == (origin in sources(to))


@pytest.mark.parametrize("origin", AttemptState)
@pytest.mark.parametrize("to", AttemptState)
def test_an_attempt_moves_only_as_the_table_says(origin: AttemptState, to: AttemptState) -> None:
    assert ((origin.value, to.value) in ATTEMPT_LEGAL) == (to in ATTEMPT_MOVES[origin]) == (origin in sources(to))


def test_the_end_of_an_attempt_is_final_and_success_stays() -> None:
    assert all(not ATTEMPT_MOVES[state] for state in FINAL_ATTEMPT)
    assert not JOB_MOVES[JobState.SUCCEEDED]
    assert {state for state in JobState if JOB_MOVES[state] <= {JobState.QUEUED}} == FINAL_JOB
