"""Who owns an attempt: claiming it, renewing the lease, handing it over. Each is one conditional UPDATE by the database's clock.

Every claim and every hand-over raises the fence, so that what the owner before still writes changes nothing.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet

from jobs.clock import Now
from jobs.failpoints import reach
from jobs.models import Attempt
from jobs.moves import move, record
from jobs.states import ACTIVE_ATTEMPT, AttemptState

from .models import lease
from .placing import hint_to_run


def claim(attempt_id: int, worker: str, boot: str, task_id: str = "") -> Attempt | None:
    """Take the attempt that is meant for this worker: to start it, or to go on with it. None: it is not ours (any more).

    `task_id` is Celery's, of who claims. The second delivery of one hint gets None, as this very process has it already.
    """
    # Read before the transaction: what comes to nothing should not take the write lock, of which SQLite has one.
    attempt = Attempt.objects.select_related("job").filter(pk=attempt_id).first()
    if attempt is None or attempt.is_final or attempt.worker != worker or attempt.boot:
        return None
    mine = {"worker": worker, "fence": attempt.fence, "boot": ""}
    taken: dict[str, Any] = {"fence": attempt.fence + 1, "boot": boot, "lease_until": Now() + lease()}
    taken["task_id"] = task_id or attempt.task_id
    with transaction.atomic():
        if attempt.state == AttemptState.ASSIGNED:
            won = move(attempt, AttemptState.STARTING, where=mine, actor=worker, claimed_at=Now(), **taken)
        else:
            won = bool(Attempt.objects.filter(pk=attempt.pk, state=attempt.state, **mine).update(**taken))
            if won:
                record(attempt, "adopted", actor=worker)
        if not won:
            return None
        reach("claim_before_commit")
        return Attempt.objects.select_related("job").get(pk=attempt.pk)


def renew(worker: str, boot: str) -> int:
    """All leases of this process, in one statement."""
    return _held_by(worker, boot).update(lease_until=Now() + lease(), orphan_seen_at=None)


def held(worker: str, boot: str) -> dict[int, tuple[int, bool]]:
    """What this process owns: fence, and whether the job's end was asked for, by attempt."""
    rows = _held_by(worker, boot).values_list("pk", "fence", "job__cancel_requested_at")
    return {pk: (fence, asked is not None) for pk, fence, asked in rows}


def offered(worker: str) -> dict[int, UUID]:
    """What is meant for this worker and no process has claimed: the job by attempt."""
    return dict(
        Attempt.objects.filter(worker=worker, boot="", state__in=ACTIVE_ATTEMPT).values_list("pk", "job_id"),
    )


def _held_by(worker: str, boot: str) -> QuerySet[Attempt]:
    return Attempt.objects.filter(worker=worker, boot=boot, state__in=ACTIVE_ATTEMPT)


def let_go(attempt: Attempt, fence: int) -> bool:
    """Give it up unfinished: its container runs on, and whoever reaches the engine goes on with it at once."""
    with transaction.atomic():
        freed = Attempt.objects.filter(pk=attempt.pk, fence=fence, state__in=ACTIVE_ATTEMPT).update(
            boot="", fence=F("fence") + 1, lease_until=Now(), orphan_seen_at=None
        )
        if freed:
            record(attempt, "detached", actor=attempt.worker)
            reach("let_go_before_commit")
    return bool(freed)


def hand_over(attempt: Attempt, worker: str) -> bool:
    """Make it this worker's, and tell it. The owner before is fenced off from here on."""
    with transaction.atomic():
        given = Attempt.objects.filter(
            pk=attempt.pk, fence=attempt.fence, worker=attempt.worker, boot=attempt.boot, state__in=ACTIVE_ATTEMPT
        ).update(worker=worker, boot="", fence=F("fence") + 1, lease_until=Now() + lease(), orphan_seen_at=None)
        if given:
            record(attempt, "handed_over", data={"from": attempt.worker, "to": worker})
            attempt.worker = worker
            transaction.on_commit(lambda: reach("hand_over_before_hint"))
            hint_to_run(attempt)
            reach("hand_over_before_commit")
    return bool(given)
