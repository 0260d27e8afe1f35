"""The states of jobs and attempts, and every legal way from one to another. Pure.

`jobs.moves.move` is the only writer of `state`; the CHECK constraints in the models list the same values.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import TextChoices


class JobState(TextChoices):
    QUEUED = "queued"
    ASSIGNED = "assigned"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AttemptState(TextChoices):
    ASSIGNED = "assigned"
    STARTING = "starting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


State = JobState | AttemptState

FINAL_JOB = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})
FINAL_ATTEMPT = frozenset(
    {AttemptState.SUCCEEDED, AttemptState.FAILED, AttemptState.CANCELLED, AttemptState.LOST},
)
ACTIVE_ATTEMPT = frozenset(AttemptState) - FINAL_ATTEMPT

# A job goes back to `queued` when its attempt is over and another one is due: by the retry policy, or by hand.
JOB_MOVES: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.ASSIGNED, JobState.FAILED, JobState.CANCELLED}),
    JobState.ASSIGNED: frozenset({JobState.RUNNING, JobState.QUEUED, *FINAL_JOB}),
    JobState.RUNNING: frozenset({JobState.QUEUED, *FINAL_JOB}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.CANCELLED: frozenset({JobState.QUEUED}),
}
ATTEMPT_MOVES: Mapping[AttemptState, frozenset[AttemptState]] = {
    AttemptState.ASSIGNED: frozenset({AttemptState.STARTING, *FINAL_ATTEMPT}) - {AttemptState.SUCCEEDED},
    AttemptState.STARTING: frozenset({AttemptState.RUNNING, *FINAL_ATTEMPT}),
    AttemptState.RUNNING: FINAL_ATTEMPT,
    **{state: frozenset() for state in FINAL_ATTEMPT},
}


def sources(to: State) -> frozenset[State]:
    """The states from which `to` may be reached."""
    moves: Mapping[State, frozenset[State]] = JOB_MOVES if isinstance(to, JobState) else ATTEMPT_MOVES  # type: ignore[assignment]
    return frozenset(origin for origin, targets in moves.items() if to in targets)
