"""`move`: the only writer of `state`. One conditional UPDATE and an event, in one transaction; losing is a return value."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction

from jobs.clock import Now

from . import traced
from .hints import announce
from .models import Attempt, Event, Job
from .states import FINAL_ATTEMPT, FINAL_JOB, JobState, State, sources


def move(
    row: Job | Attempt,
    to: State,
    *,
    actor: str = "",
    data: dict[str, Any] | None = None,
    where: dict[str, Any] | None = None,
    **changes: Any,
) -> bool:
    """Bring `row` to `to` if the database still has it in a state from which that is legal, and as `where` says.

    `where` carries the fence or the attempt's number. `changes` are written with it. False: somebody else was first,
    nothing was written. `row` itself is left as it was: read it again for the new values.
    """
    if to in FINAL_JOB or to in FINAL_ATTEMPT:
        changes.setdefault("finished_at", Now())
    if isinstance(to, JobState) and to is not JobState.QUEUED:
        changes = {"waiting_reason": "", "waiting_detail": "", **changes}
        if code := changes.get("verdict_code"):  # the row may forget it, when the job is tried again by hand
            data = {"verdict": code, **(data or {})}
    # In a caller's transaction no savepoint: nobody goes on after an error in here.
    with transaction.atomic(savepoint=False):
        table = type(row).objects.filter(pk=row.pk, state__in=sources(to), **(where or {}))
        if not table.update(state=to, **changes):
            return False
        record(row, to.value, actor=actor, data=data)
        traced.moved(row, to, changes)
    return True


def record(row: Job | Attempt, kind: str, *, actor: str = "", data: dict[str, Any] | None = None) -> None:
    """Put one entry on the job's time-line and, once it is committed, tell who follows the job."""
    attempt = row if isinstance(row, Attempt) else None
    job_id: UUID = row.job_id if isinstance(row, Attempt) else row.pk
    name = f"attempt_{kind}" if attempt and kind in FINAL_ATTEMPT | FINAL_JOB | {"assigned", "running"} else kind
    Event.objects.create(job_id=job_id, attempt=attempt, kind=name, actor=actor, data=data or {})
    over = attempt is None and kind in FINAL_JOB
    transaction.on_commit(lambda: announce(job_id, end=over))
