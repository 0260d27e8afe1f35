"""Recovery: compare what the database says with who is alive, and put right what a crash left. Any process, any number at once."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import DateTimeField, Q

from jobs.clock import Now
from jobs.models import Attempt, Job
from jobs.moves import move, record
from jobs.services import cancelled_by
from jobs.states import ACTIVE_ATTEMPT, AttemptState, JobState
from jobs.verdicts import Verdict

from . import claims
from .ending import Ending, finish
from .models import Worker, adoption_grace, lease
from .placing import place_waiting

log = logging.getLogger(__name__)
MOST = 500
LONG_AGO = timedelta(minutes=5)  # a lease that ended before then was never seen to end
LOOK_GAP = timedelta(seconds=30)  # between two rounds, at the slowest: the timer alone makes one every 10 s


@dataclass
class Done:
    """How many of each one round put right."""

    cancelled: int = 0
    handed_over: int = 0
    lost: int = 0
    placed: int = 0


def reconcile() -> Done:
    """One round. Every step is a conditional write: who comes second changes nothing."""
    done = Done(cancelled=_cancel_waiting())
    _adopt_orphans(done)
    done.placed = place_waiting(thorough=True)
    return done


def _cancel_waiting() -> int:
    """Jobs whose end was asked for while an attempt had them, and that wait again by now."""
    ended = 0
    for job in Job.objects.filter(state=JobState.QUEUED, cancel_requested_at__isnull=False)[:MOST]:
        verdict = cancelled_by(job.cancel_requested_by)
        end: dict[str, Any] = {"verdict": verdict.as_json(), "verdict_code": verdict.code}
        ended += move(job, JobState.CANCELLED, where={"cancel_requested_at__isnull": False}, **end)
    return ended


def _adopt_orphans(done: Done) -> None:
    """Attempts that nobody keeps: hand them to a live worker on the same engine; after the grace they are lost.

    What nobody ever claimed has no container to wait for, and is placed anew at once.
    """
    alive = list(Worker.objects.alive())
    for attempt in _orphans(alive):
        heir = _heir(attempt, alive)
        if heir is None:
            unbegun = attempt.claimed_at is None
            done.lost += (unbegun or _watched_for(attempt, adoption_grace())) and _declare_lost(attempt)
        elif not _may_be_kept(attempt, heir) or _watched_for(attempt, lease()):
            done.handed_over += claims.hand_over(attempt, heir.name)


def _orphans(alive: list[Worker]) -> list[Attempt]:
    """The lease is over, or ends when none can; or its worker was started anew, so that who had it is certainly gone."""
    stale = Q(lease_until__lt=Now()) | Q(lease_until=None) | Q(lease_until__gt=Now() + 2 * lease())
    for worker in alive:
        stale |= Q(worker=worker.name) & ~Q(boot__in=["", worker.boot])
    found = Attempt.objects.select_related("job").filter(stale, state__in=ACTIVE_ATTEMPT)
    return list(found.annotate(clock=Now(output_field=DateTimeField()))[:MOST])


def _may_be_kept(attempt: Attempt, heir: Worker) -> bool:
    """Whether it looks abandoned only because the database's clock was set: who has it renews it with its next beat."""
    if heir.name == attempt.worker:
        return attempt.boot == heir.boot
    clock: datetime = attempt.clock  # type: ignore[attr-defined]  # annotated
    until = attempt.lease_until
    return until is not None and not clock - LONG_AGO < until < clock + 2 * lease()


def _heir(attempt: Attempt, alive: list[Worker]) -> Worker | None:
    """Who reaches the attempt's engine: its own worker first, else the one with least to do.

    A suspect is the last resort of what has a container, and out of the question for what can begin elsewhere.
    """
    able = [
        worker
        for worker in alive
        if any(engine["id"] == attempt.engine for engine in worker.engines)
        and (attempt.claimed_at or not worker.suspect_since)
    ]

    def unfit(worker: Worker) -> tuple[bool, bool, int]:
        return worker.suspect_since is not None, worker.name != attempt.worker, worker.running.count()

    return min(able, key=unfit, default=None)


def _watched_for(attempt: Attempt, span: timedelta) -> bool:
    """Whether somebody was there to see, so long and without a break, that nobody keeps it.

    The lease's end alone says too little: after the whole platform was down, whoever reconciles first would declare lost
    what the run worker, still starting, is about to adopt. Who saw it in the future saw it before the clock was put back.
    """
    this = Attempt.objects.filter(pk=attempt.pk, fence=attempt.fence)
    seen = Q(orphan_seen_at__gt=Now() - max(lease(), LOOK_GAP), orphan_seen_at__lte=Now())
    with transaction.atomic():
        watched = this.filter(seen).update(orphan_seen_at=Now())
        if not watched and this.exclude(seen).update(orphaned_at=Now(), orphan_seen_at=Now()):
            record(attempt, "heartbeat_missed", data={"worker": attempt.worker, "grace_seconds": span.total_seconds()})
    return this.filter(orphaned_at__lte=Now() - span).exists()


def _declare_lost(attempt: Attempt) -> bool:
    begun = attempt.claimed_at is not None
    verdict = Verdict(
        "worker_lost",
        "The worker that ran it is gone, and nobody else reaches its engine."
        if begun
        else "It never began: its worker did not take it, and nobody else reaches the engine.",
        (
            f"worker {attempt.worker}",
            f"engine {attempt.engine}",
            f"lease ended {attempt.lease_until:%Y-%m-%d %H:%M:%S} UTC",
        ),
        "Start the worker again. With retry.max_attempts above 1 the job is tried again by itself."
        if begun
        else "Nothing has to be done: the job is queued again, and this was no try.",
    )
    lost = finish(attempt, attempt.fence, Ending(AttemptState.LOST, None, verdict, log_complete=not begun))
    if lost:
        log.warning("%s is lost: %s", attempt, verdict.summary)
    return lost
