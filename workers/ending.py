"""How an attempt ends: the verdict, the job's next state, and whether it is tried again. One transaction, fenced."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction
from django.db.models import F

from jobs.failpoints import reach
from jobs.logs.store import Tally, sealing
from jobs.models import Attempt, Event, Job
from jobs.moves import move
from jobs.secrets.mask import Mask
from jobs.services import cancelled_by, finish_job
from jobs.states import AttemptState, JobState
from jobs.verdicts import Verdict

from . import retrying
from .drivers.protocol import Driver, Observation, Phase
from .evidence import sentences
from .masking import hide_verdict

NO_MASK = Mask()


@dataclass(frozen=True)
class Ending:
    """`verdict` None: it succeeded."""

    state: AttemptState
    exit_code: int | None = None
    verdict: Verdict | None = None
    log_complete: bool = True  # False: there may have been output that nobody can read any more


def judge(attempt: Attempt, seen: Observation, driver: Driver, mask: Mask = NO_MASK) -> Ending:
    """What we did to it ourselves is said first: an exit code after our own kill says nothing about the program."""
    if attempt.stop_code:
        return _stopped(attempt, seen)
    if seen.phase is Phase.GONE:
        return Ending(AttemptState.FAILED, None, _of_gone(attempt, seen, driver), log_complete=False)
    verdict = driver.judge(seen)
    if verdict is None:
        return Ending(AttemptState.SUCCEEDED, seen.exit_code)
    verdict = hide_verdict(mask, verdict)
    if verdict.code == "engine_unavailable":
        verdict = replace(verdict, evidence=(*outages(attempt), *verdict.evidence))
    return Ending(AttemptState.FAILED, seen.exit_code, verdict)


def _of_gone(attempt: Attempt, seen: Observation, driver: Driver) -> Verdict:
    """A runtime may know more of what became of it than that it is gone."""
    return (driver.judge(seen) if seen.raw else None) or vanished(attempt)


def never_began(attempt: Attempt) -> Ending:
    """Of one whose container was taken back in time."""
    if attempt.stop_verdict:
        return Ending(AttemptState.FAILED, None, Verdict.from_json(attempt.stop_verdict))
    return Ending(AttemptState.CANCELLED, None, cancelled_by(attempt.job.cancel_requested_by))


def outages(attempt: Attempt) -> tuple[str, ...]:
    """When the engine was seen to be away while the attempt ran."""
    seen = Event.objects.filter(attempt=attempt, kind__in=("engine_away", "engine_back")).order_by("id")
    said = {"engine_away": "did not answer from", "engine_back": "answered again at"}
    return tuple(
        f"the engine {said[kind]} {at:%Y-%m-%d %H:%M:%S} UTC" for kind, at in seen.values_list("kind", "created_at")
    )


def _stopped(attempt: Attempt, seen: Observation) -> Ending:
    evidence = (
        f"stop asked for: {attempt.stop_detail or attempt.stop_code}",
        *_how_it_went(attempt, seen),
        *sentences(attempt),
    )
    if attempt.stop_code == "cancelled":
        by = cancelled_by(attempt.job.cancel_requested_by)
        verdict = Verdict(by.code, by.summary, evidence, by.remedy)
        return Ending(AttemptState.CANCELLED, seen.exit_code, verdict, log_complete=seen.phase is not Phase.GONE)
    if attempt.stop_verdict:
        known = Verdict.from_json(attempt.stop_verdict)
        known = replace(known, evidence=(*known.evidence, *evidence))
        return Ending(AttemptState.FAILED, seen.exit_code, known, log_complete=seen.phase is not Phase.GONE)
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


def mistake(error: Exception, mask: Mask = NO_MASK) -> Ending:
    """The end of an attempt that we ourselves can't go on with."""
    verdict = Verdict(
        "internal_error",
        "Towline made a mistake while running the job.",
        (f"{type(error).__name__}: {mask.hide_text(str(error))[:500]}",),
        "Report it with the worker's log; submit the job again.",
    )
    return Ending(AttemptState.FAILED, None, verdict, log_complete=False)


def finish(
    attempt: Attempt, fence: int, ending: Ending, usage: dict[str, Any] | None = None, tally: Tally | None = None
) -> bool:
    """Store the end of the attempt, and of the job unless it is tried again. False: fenced off, nothing was written.

    `tally`: of what this process has stored of its log.
    """
    job = attempt.job
    verdict = ending.verdict.as_json() if ending.verdict else None
    # Before the transaction: it may read the whole log, and SQLite has one writer. A line stored meanwhile makes it void.
    lines, seal = sealing(attempt, tally)
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
            secrets=b"",
            # Whoever still had a lost one has it no longer, and must not take this end for its own.
            fence=F("fence") + int(ending.state is AttemptState.LOST),
            **{"log_complete": ending.log_complete, **seal},
        ):
            return False
        job.refresh_from_db(fields=["cancel_requested_at", "cancel_requested_by"])
        # Never claimed means never begun: that is no try, and nobody's policy has to allow the next.
        unbegun = ending.state is AttemptState.LOST and attempt.claimed_at is None
        delay = 0.0 if unbegun else retrying.delay_of(job, retrying.tries_of(attempt), ending.verdict)
        if delay is None or job.cancel_requested_at:
            _end_job(job, attempt, ending)
        else:
            retrying.queue_again(job, attempt, delay, ending.verdict)
        reach("finish_before_commit")
    return True


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
