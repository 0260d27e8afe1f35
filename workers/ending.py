"""How an attempt ends: the verdict, the job's next state, and whether it is tried again. One transaction, fenced."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction

from jobs.clock import Now
from jobs.failpoints import reach
from jobs.hints import hand_over
from jobs.logs.store import sealing
from jobs.models import Attempt, Job
from jobs.moves import move
from jobs.services import cancelled_by, finish_job
from jobs.spec import Retry
from jobs.states import AttemptState, JobState
from jobs.verdicts import Kind, Verdict

from .drivers.protocol import Driver, Observation, Phase

PUNCTUAL_SECONDS = 60.0  # a hint is held that long at most; what is due later, the timer places


@dataclass(frozen=True)
class Ending:
    """`verdict` None: it succeeded."""

    state: AttemptState
    exit_code: int | None = None
    verdict: Verdict | None = None
    log_complete: bool = True  # False: there may have been output that nobody can read any more


def judge(attempt: Attempt, seen: Observation, driver: Driver) -> Ending:
    """What we did to it ourselves is said first: an exit code after our own kill says nothing about the program."""
    if attempt.stop_code:
        return _stopped(attempt, seen)
    if seen.phase is Phase.GONE:
        return Ending(AttemptState.FAILED, None, vanished(attempt), log_complete=False)
    verdict = driver.judge(seen)
    if verdict is None:
        return Ending(AttemptState.SUCCEEDED, seen.exit_code)
    return Ending(AttemptState.FAILED, seen.exit_code, verdict)


def _stopped(attempt: Attempt, seen: Observation) -> Ending:
    evidence = (f"stop asked for: {attempt.stop_detail or attempt.stop_code}", *_how_it_went(attempt, seen))
    if attempt.stop_code == "cancelled":
        by = cancelled_by(attempt.job.cancel_requested_by)
        verdict = Verdict(by.code, by.summary, evidence, by.remedy)
        return Ending(AttemptState.CANCELLED, seen.exit_code, verdict, log_complete=seen.phase is not Phase.GONE)
    field = attempt.stop_code.removeprefix("timeout_")
    verdict = Verdict(attempt.stop_code, attempt.stop_detail, evidence, f"Give it longer in timeouts.{field}.")
    return Ending(AttemptState.FAILED, seen.exit_code, verdict, log_complete=seen.phase is not Phase.GONE)


def _how_it_went(attempt: Attempt, seen: Observation) -> tuple[str, ...]:
    if seen.phase is Phase.GONE:
        return ("the container is gone",)
    how = "killed when the grace was over" if attempt.killed_at else "ended within the grace"
    return (f"{how}, exit code {seen.exit_code}",)


def vanished(attempt: Attempt) -> Verdict:
    name = (attempt.handle or {}).get("name", "?")
    return Verdict(
        "container_vanished",
        "The container was removed by somebody else while the job ran.",
        (f"container {name} on engine {attempt.engine} is gone",),
        "Find out what removes containers there (docker prune, a clean-up script), then submit it again.",
    )


def mistake(error: Exception) -> Ending:
    """The end of an attempt that we ourselves can't go on with."""
    verdict = Verdict(
        "internal_error",
        "Towline made a mistake while running the job.",
        (f"{type(error).__name__}: {str(error)[:500]}",),
        "Report it with the worker's log; submit the job again.",
    )
    return Ending(AttemptState.FAILED, None, verdict, log_complete=False)


def finish(attempt: Attempt, fence: int, ending: Ending, usage: dict[str, Any] | None = None) -> bool:
    """Store the end of the attempt, and of the job unless it is tried again. False: fenced off, nothing was written."""
    job = attempt.job
    verdict = ending.verdict.as_json() if ending.verdict else None
    # Before the transaction: it reads the whole log, and SQLite has one writer. A line stored meanwhile makes it void.
    lines, seal = sealing(attempt)
    with transaction.atomic():
        if not move(
            attempt,
            ending.state,
            where={"fence": fence, "log_lines": lines},
            actor=attempt.worker,
            data={"exit_code": ending.exit_code, "verdict": ending.verdict.code if ending.verdict else None},
            exit_code=ending.exit_code,
            verdict=verdict,
            usage=usage or attempt.usage,
            progress=None,
            lease_until=None,
            log_complete=ending.log_complete,
            **seal,
        ):
            return False
        job.refresh_from_db(fields=["cancel_requested_at", "cancel_requested_by"])
        # Never claimed means never begun: that is no try, and nobody's policy has to allow the next.
        unbegun = ending.state is AttemptState.LOST and attempt.claimed_at is None
        delay = 0.0 if unbegun else retry_delay(job, attempt.number, ending.verdict)
        if job.cancel_requested_at:
            delay = None
        if delay is not None:
            _queue_again(job, attempt, delay)
        else:
            _end_job(job, attempt, ending)
        reach("finish_before_commit")
    return True


def retry_delay(job: Job, number: int, verdict: Verdict | None) -> float | None:
    """Seconds until the next try by the job's policy; None: there is none. Jitter of a tenth keeps herds apart."""
    policy = Retry.model_validate(job.spec["retry"])
    if verdict is None or number >= policy.max_attempts or verdict.kind is Kind.CANCELLED:
        return None
    if verdict.code not in policy.on and verdict.kind.value not in policy.on:
        return None
    delay = min(policy.backoff * policy.factor ** (number - 1), policy.max_backoff)
    return delay * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, not a secret


def _queue_again(job: Job, attempt: Attempt, delay: float) -> None:
    queue_seconds = job.spec["timeouts"]["queue"]
    if delay <= PUNCTUAL_SECONDS:
        hand_over("workers.place", countdown=delay + 0.05)
    move(
        job,
        JobState.QUEUED,
        where={"attempts_count": attempt.number},
        actor="retry policy",
        data={"after_seconds": round(delay, 1)},
        queued_at=Now(),
        not_before=Now() + timedelta(seconds=delay),
        queue_until=Now() + timedelta(seconds=delay + queue_seconds) if queue_seconds else None,
        waiting_reason="backoff",
        waiting_detail=f"Attempt {attempt.number} ended, the next is due in {delay:.0f} s.",
    )


JOB_STATE = {
    AttemptState.SUCCEEDED: JobState.SUCCEEDED,
    AttemptState.FAILED: JobState.FAILED,
    AttemptState.CANCELLED: JobState.CANCELLED,
    AttemptState.LOST: JobState.FAILED,
}


def _end_job(job: Job, attempt: Attempt, ending: Ending) -> None:
    to, verdict = JOB_STATE[ending.state], ending.verdict
    if ending.state is AttemptState.LOST and job.cancel_requested_at:
        to, verdict = JobState.CANCELLED, cancelled_by(job.cancel_requested_by)
    finish_job(
        job,
        attempt,
        to,
        exit_code=ending.exit_code,
        verdict=verdict.as_json() if verdict else None,
        verdict_code=verdict.code if verdict else "",
    )
