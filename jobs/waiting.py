"""Why jobs wait, how many are before each, and which jobs they wait for: for a page of them in a handful of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import F, Window
from django.db.models.functions import RowNumber

from .models import Dependency, Job
from .states import JobState

BLOCKERS_MOST = 20
WAITS_FOR_OTHERS = "Starts when the jobs that it comes after have succeeded."


def waiting(job: Job) -> dict[str, Any] | None:
    """`{reason, detail, position, blocked_by}`; None of a job that does not wait.

    One that a cluster has, and has not begun, waits too: nobody is before it then, its position is 0.
    """
    if job.state == JobState.ASSIGNED and job.waiting_reason:
        return {"reason": job.waiting_reason, "detail": job.waiting_detail, "position": 0, "blocked_by": []}
    if job.state != JobState.QUEUED:
        return None
    told: dict[str, Any] | None = getattr(job, "told_waiting", None)
    return told or explain([job])[job.pk]


def explained(jobs: Iterable[Job]) -> list[Job]:
    """The same jobs, with what `waiting` says of them looked up at once."""
    found = list(jobs)
    facts = explain(found)
    for job in found:
        job.told_waiting = facts.get(job.pk)  # type: ignore[attr-defined]
    return found


def explain(jobs: Iterable[Job]) -> dict[UUID, dict[str, Any]]:
    """By id, of those that wait."""
    queued = [job for job in jobs if job.state == JobState.QUEUED]
    places = _positions([job.pk for job in queued])
    blockers = {**_dependencies(queued), **_holders(queued)}
    return {
        job.pk: {
            "reason": job.waiting_reason or "capacity",
            "detail": job.waiting_detail or "Not yet looked at by the placement.",
            "position": places.get(job.pk, 1),
            "blocked_by": blockers.get(job.pk, []),
        }
        for job in queued
    }


def _positions(ids: list[UUID]) -> Mapping[UUID, int]:
    """From 1, in the order of placing, over all that wait; one pass over them, whatever their number."""
    if not ids:
        return {}
    order = Window(RowNumber(), order_by=[F("priority").desc(), F("queued_at").asc(), F("pk").asc()])
    everybody = Job.objects.filter(state=JobState.QUEUED).order_by().annotate(place=order).values_list("pk", "place")
    sql, params = everybody.query.sql_with_params()
    key = Job._meta.pk
    mine = [key.get_db_prep_value(pk, connection) for pk in ids]
    # Django would filter before it numbers: the numbering is made a table of its own.
    marks = ", ".join(["%s"] * len(mine))
    with connection.cursor() as cursor:
        numbered = f"WITH queue (pk, place) AS ({sql}) SELECT * FROM queue WHERE pk IN ({marks})"  # noqa: S608  # nosec B608
        cursor.execute(numbered, [*params, *mine])
        return {key.to_python(pk): place for pk, place in cursor.fetchall()}


def _dependencies(queued: list[Job]) -> dict[UUID, list[UUID]]:
    ids = [job.pk for job in queued if job.waiting_reason == "dependency"]
    found: dict[UUID, list[UUID]] = defaultdict(list)
    if ids:
        still = Dependency.objects.filter(job__in=ids, settled=False).exclude(on__state=JobState.SUCCEEDED)
        for pk, on in still.order_by("on").values_list("job", "on"):
            found[pk].append(on)
    return found


def _holders(queued: list[Job]) -> dict[UUID, list[UUID]]:
    """Of jobs that wait for their concurrency key: those that hold it."""
    groups = {job.concurrency_group for job in queued if job.waiting_reason == "concurrency"}
    if not groups:
        return {}
    holders: dict[str, list[UUID]] = defaultdict(list)
    active = Job.objects.filter(concurrency_group__in=groups, finished_at=None).exclude(state=JobState.QUEUED)
    for pk, group in active.order_by("pk").values_list("pk", "concurrency_group"):
        holders[group].append(pk)
    return {
        job.pk: holders[job.concurrency_group][:BLOCKERS_MOST] for job in queued if job.waiting_reason == "concurrency"
    }
