"""Placing for real: what `placement` decides, read from and written to the database. Any process may, at any time."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from datetime import datetime
from typing import Any
from uuid import UUID

from celery.utils.nodenames import worker_direct
from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import Q

from jobs.clock import Now
from jobs.failpoints import reach
from jobs.hints import hand_over
from jobs.models import Attempt, Job
from jobs.moves import move, record
from jobs.quantities import to_bytes
from jobs.states import ACTIVE_ATTEMPT, JobState
from jobs.verdicts import Verdict

from .models import Worker, WorkerState, lease
from .placement import Assignment, Needs, Plan, Room, Site, Waiting, place

LOCK = 0x70_77_6C  # any number that nothing else in the database locks
MOST = 2000  # waiting jobs looked at in one go
PAGES = 5  # so many goes while there is room: jobs that nobody can run must not hide those behind them


def place_waiting() -> int:
    """Assign what can be assigned now and say of the rest why not. Returns how many were assigned."""
    if not Job.objects.filter(state=JobState.QUEUED).exists():
        # Without the lock: a job stored just now brings a hint of its own.
        return 0
    with transaction.atomic():
        _one_at_a_time()
        _expire_queued()
        workers = list(Worker.objects.with_clock())
        sites = [site for worker in workers for site in _sites(worker)]
        rooms, under_way = _rooms(workers)
        assigned = looked_at = 0
        for _ in range(PAGES):
            has_room = any(room.slots > 0 for room in rooms.values())
            jobs = _waiting_jobs(after=looked_at) if has_room else _unexplained_jobs()
            waiting = [_as_waiting(job) for job in jobs]
            plan = place(waiting, sites, rooms, under_way)
            assigned += _carry_out(plan, {job.pk: job for job in jobs}, under_way)
            # Those that stay in the list: not who was assigned, nor who is held and knows so by now.
            looked_at += sum(not job.held for job in waiting) - len(plan.assignments)
            if not has_room or len(jobs) < MOST:
                break
        if assigned:
            reach("place_before_commit")
    return assigned


def _carry_out(plan: Plan, jobs: dict[UUID, Job], under_way: Counter[int]) -> int:
    assigned = 0
    for one in plan.assignments:
        assigned += _assign(jobs[one.job], one)
        under_way[jobs[one.job].project_id] += 1
    _explain(jobs, plan.reasons)
    return assigned


def _one_at_a_time() -> None:
    """Placements of two processes come one after the other. SQLite's IMMEDIATE transactions do so by themselves."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def _expire_queued() -> None:
    for job in Job.objects.filter(state=JobState.QUEUED, queue_until__lt=Now())[:MOST]:
        waited = job.spec["timeouts"]["queue"]
        verdict = Verdict(
            "timeout_queue",
            f"Waited longer than its queue time-out of {waited:g} s.",
            (f"waiting: {job.waiting_reason or 'capacity'}", job.waiting_detail),
            "Give it longer in timeouts.queue, or add workers.",
        )
        move(job, JobState.FAILED, verdict=verdict.as_json(), verdict_code=verdict.code, waiting_reason="")


def _waiting_jobs(*, after: int) -> list[Job]:
    """In order, behind the first `after`: those that may start now, and who is new and must hear why it may not."""
    held = Q(not_before__gt=Now()) & ~Q(waiting_reason="")
    return list(_queued().exclude(held)[after : after + MOST])


def _unexplained_jobs() -> list[Job]:
    """With no room anywhere only those that nobody has explained yet, or not since they may start: that costs little."""
    stale = Q(waiting_reason__in=("backoff", "run_at"), not_before__lte=Now())
    return list(_queued().filter(Q(waiting_reason="") | stale)[:MOST])


def _queued() -> models.QuerySet[Job]:
    jobs = Job.objects.filter(state=JobState.QUEUED).in_placing_order()
    return jobs.annotate(clock=Now(output_field=models.DateTimeField()))


def _as_waiting(job: Job) -> Waiting:
    return Waiting(job.pk, job.project_id, job.priority, needs_of(job.spec), _held(job))


def _held(job: Job) -> tuple[str, str] | None:
    clock: datetime = job.clock  # type: ignore[attr-defined]  # annotated
    if job.not_before is None or job.not_before <= clock:
        return None
    at = job.not_before.isoformat(timespec="seconds")
    return ("backoff", f"Tries again at {at}.") if job.attempts_count else ("run_at", f"Runs at {at}.")


def needs_of(spec: dict[str, Any]) -> Needs:
    resources = spec["resources"]
    return Needs(
        runtime=spec["runtime"],
        arch=spec["arch"],
        region=spec["region"],
        requires=frozenset(spec["requires"].items()),
        cpus=resources["cpus"],
        memory_bytes=to_bytes(resources["memory"]),
        gpus=resources["gpus"],
    )


def _sites(worker: Worker) -> list[Site]:
    return [
        Site(
            worker=worker.name,
            engine=engine["id"],
            runtime=engine["runtime"],
            arch=engine["arch"],
            cpus=engine["cpus"],
            memory_bytes=engine["memory_bytes"],
            gpus=engine["gpus"],
            region=worker.region,
            labels=worker.labels,
            available=worker.state == WorkerState.ONLINE,
            why_not=worker.state.value,
        )
        for engine in worker.engines
    ]


def _rooms(workers: list[Worker]) -> tuple[dict[str, Room], Counter[int]]:
    """What each worker has left, and how many jobs each project has under way."""
    overcommit = settings.TOWLINE.TOWLINE_CPU_OVERCOMMIT
    rooms = {}
    for worker in workers:
        has = worker.capacity
        slots = worker.slots if worker.state == WorkerState.ONLINE else 0
        rooms[worker.name] = Room(slots, has["cpus"] * overcommit, has["memory_bytes"], has["gpus"])
    under_way: Counter[int] = Counter()
    active = Attempt.objects.filter(state__in=ACTIVE_ATTEMPT).values_list("worker", "job__project_id", "job__spec")
    for name, project, spec in active:
        under_way[project] += 1
        if name in rooms:
            rooms[name].take(needs_of(spec))
    return rooms, under_way


def _assign(job: Job, chosen: Assignment) -> bool:
    number = job.attempts_count + 1
    if not move(
        job,
        JobState.ASSIGNED,
        where={"attempts_count": job.attempts_count, "cancel_requested_at": None},
        actor="placement",
        attempts_count=number,
        waiting_reason="",
        waiting_detail="",
        not_before=None,
    ):
        return False
    attempt = Attempt.objects.create(
        job=job,
        number=number,
        worker=chosen.site.worker,
        runtime=chosen.site.runtime,
        engine=chosen.site.engine,
        task_id=str(uuid.uuid4()),
        lease_until=Now() + lease(),
    )
    record(attempt, "assigned", actor="placement", data={"worker": attempt.worker, "runtime": attempt.runtime})
    transaction.on_commit(lambda: reach("place_before_hint"))
    hint_to_run(attempt)
    return True


def hint_to_run(attempt: Attempt) -> None:
    """Tell the attempt's worker, on its own queue, that there is work; again when the first hint may be lost."""
    hand_over(
        "workers.run",
        attempt.pk,
        str(attempt.job_id),
        queue=worker_direct(attempt.worker),
        task_id=attempt.task_id,
        ignore_result=False,
    )


def _explain(jobs: dict[UUID, Job], reasons: dict[UUID, tuple[str, str]]) -> None:
    """One UPDATE for all that are told the same; who knows already is left alone."""
    news: dict[tuple[str, str], list[UUID]] = defaultdict(list)
    for pk, (reason, detail) in reasons.items():
        told = (reason, detail[:500])
        if (jobs[pk].waiting_reason, jobs[pk].waiting_detail) != told:
            news[told].append(pk)
    for (reason, detail), pks in news.items():
        Job.objects.filter(pk__in=pks, state=JobState.QUEUED).update(waiting_reason=reason, waiting_detail=detail)
