"""Placing for real: what `placement` decides, read from and written to the database. Any process may, at any time."""

from __future__ import annotations

import uuid
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from celery.utils.nodenames import worker_direct
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, Window
from django.db.models.functions import RowNumber

from jobs import traced
from jobs.clock import Now
from jobs.failpoints import reach
from jobs.hints import hand_over
from jobs.models import Attempt, Job, JobQuerySet
from jobs.moves import move, record
from jobs.needs import Needs
from jobs.states import JobState
from jobs.verdicts import Verdict
from tracing import spans
from tracing.services import CONTROL

from . import dependencies
from .floor import read_floor
from .models import lease
from .placement import Assignment, Floor, Plan, Waiting, place, why_none

LOCK = 0x70_77_6C  # any number that nothing else in the database locks
FEW = 200  # waiting jobs looked at first: mostly those at the head are all that can start
MOST = 2000  # and in each go after that
PAGES = 10  # goes at most: each leaves out what those before found no room for, so that nobody hides those behind

Told = tuple[str, str]  # reason and sentence


def place_waiting(*, thorough: bool = False) -> int:
    """Assign what can be assigned now and say of the rest why not. Returns how many were assigned.

    `thorough`: look again at those that were told why they wait though nothing is free, as workers come and go.
    """
    if not Job.objects.filter(state=JobState.QUEUED).exists():
        # Without the lock: a job stored just now brings a hint of its own.
        return 0
    with transaction.atomic():
        _one_at_a_time()
        dependencies.settle()
        _expire_queued()
        assigned = _Round(read_floor()).run(thorough=thorough)
        if assigned:
            reach("place_before_commit")
    return assigned


def _one_at_a_time() -> None:
    """Placements of two processes come one after the other. SQLite's IMMEDIATE transactions do so by themselves."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def _expire_queued() -> None:
    for job in Job.objects.filter(state=JobState.QUEUED, queue_until__lt=Now())[:MOST]:
        verdict = queued_too_long(job)
        end: dict[str, Any] = {"verdict": verdict.as_json(), "verdict_code": verdict.code}
        move(job, JobState.FAILED, where={"queue_until__lt": Now()}, **end)


def queued_too_long(job: Job) -> Verdict:
    return Verdict(
        "timeout_queue",
        f"Waited longer than its queue time-out of {job.spec['timeouts']['queue']:g} s.",
        (f"waiting: {job.waiting_reason or 'capacity'}", job.waiting_detail),
        "Give it longer in timeouts.queue, or add workers.",
    )


class _Round:
    """One placement, in the transaction and under the lock of its caller."""

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self.began = datetime.now(UTC)
        # What this round found no room for, and what is told of it: by shape of needs, and by concurrency group.
        self.shapes: dict[str, Told] = {}
        self.groups: dict[tuple[str, int], Told] = {}

    def run(self, *, thorough: bool) -> int:
        self._look_at_groups()
        assigned = 0
        for number in range(PAGES):
            jobs, more = self._page(MOST if number else FEW)
            plan = place([_as_waiting(job) for job in jobs], self.floor)
            assigned += self._carry_out(plan, {job.pk: job for job in jobs})
            if not more or not plan.reasons:
                break
        if thorough and not self.floor.free_slots:
            self._look_at_every_sort()
        if assigned:
            self._look_at_groups()  # some may have filled up after jobs of theirs were looked at
        self._explain()
        return assigned

    def _page(self, most: int) -> tuple[list[Job], bool]:
        """Those to look at, and whether there are more: of each project no more than could start, if they are many."""
        free = self.floor.free_slots
        most = min(MOST, max(most, 4 * free))
        jobs = (self._open() if free else self._open().filter(self._unexplained())).defer("spec")
        page = list(jobs.in_placing_order()[:most])
        if len(page) < most or not free or len(jobs.order_by().values("project").distinct()[:2]) < 2:
            return page, len(page) == most
        turn = Window(RowNumber(), partition_by=["project", "priority"], order_by=["queued_at", "pk"])
        return list(jobs.annotate(turn=turn).filter(turn__lte=free).in_placing_order()[:most]), True

    def _open(self) -> JobQuerySet:
        """Those that may start, but for what has no room."""
        return _eligible().exclude(shape__in=list(self.shapes)).exclude(self._held())

    def _held(self) -> Q:
        """Those whose concurrency group is full, as far as this round knows."""
        held = Q(pk__in=[])
        for limit in {limit for _, limit in self.groups}:
            full = [group for group, its in self.groups if its == limit]
            held |= Q(concurrency_group__in=full, concurrency_limit=limit)
        return held

    def _unexplained(self) -> Q:
        """Who has not been told why it waits, or was told what is over by now: with no room anywhere that costs little."""
        over = Q(waiting_reason__in=("run_at", "backoff", "dependency"))
        return Q(waiting_reason="") | over | (Q(waiting_reason="concurrency") & ~self._held())

    def _carry_out(self, plan: Plan, jobs: dict[UUID, Job]) -> int:
        for pk, told in plan.reasons.items():
            job = jobs[pk]
            if told[0] == "concurrency":
                self.groups[job.concurrency_group, job.concurrency_limit] = told
            else:
                self.shapes[job.shape] = told
        return sum(_assign(jobs[one.job], one, self.began) for one in plan.assignments)

    def _look_at_every_sort(self) -> None:
        """One of each sort of job, however many there are of it."""
        sorts = self._open().order_by().values_list("shape", "needs", "concurrency_group", "concurrency_limit")
        for shape, needs, group, limit in sorts.distinct()[:MOST]:
            if held := self.floor.why_held(group, limit):
                self.groups[group, limit] = held
            else:
                self.shapes[shape] = why_none(Needs.from_json(needs), self.floor.sites)

    def _look_at_groups(self) -> None:
        """Which concurrency groups are full."""
        if not self.floor.groups:
            return
        grouped = _eligible().exclude(concurrency_group="").order_by()
        for group, limit in grouped.values_list("concurrency_group", "concurrency_limit").distinct()[:MOST]:
            if held := self.floor.why_held(group, limit):
                self.groups[group, limit] = held

    def _explain(self) -> None:
        """One UPDATE for all that are told the same; who knows already is left alone."""
        by_told: dict[Told, list[str]] = defaultdict(list)
        for shape, told in self.shapes.items():
            by_told[told].append(shape)
        for told, shapes in by_told.items():
            _tell(_eligible().filter(shape__in=shapes).exclude(self._held()), told)
        for (group, limit), told in self.groups.items():
            _tell(_eligible().filter(concurrency_group=group, concurrency_limit=limit), told)


def _eligible() -> JobQuerySet:
    """Those that wait for nothing but room: their time has come, and what they come after has succeeded."""
    held_up = Exists(dependencies.unsettled().filter(job=OuterRef("pk")))
    return Job.objects.filter(~held_up, Q(not_before=None) | Q(not_before__lte=Now()), state=JobState.QUEUED)


def _tell(jobs: JobQuerySet, told: Told) -> None:
    reason, detail = told[0], told[1][:500]
    jobs.exclude(waiting_reason=reason, waiting_detail=detail).update(waiting_reason=reason, waiting_detail=detail)


def _as_waiting(job: Job) -> Waiting:
    needs = Needs.from_json(job.needs)
    return Waiting(job.pk, job.project_id, job.priority, needs, job.concurrency_group, job.concurrency_limit)


def _assign(job: Job, chosen: Assignment, began: datetime) -> bool:
    number = job.attempts_count + 1
    if not move(
        job,
        JobState.ASSIGNED,
        where={"attempts_count": job.attempts_count, "cancel_requested_at": None},
        actor="placement",
        attempts_count=number,
        not_before=None,
    ):
        return False
    attempt = Attempt.objects.create(
        job=job,
        number=number,
        worker=chosen.site.worker,
        runtime=chosen.site.runtime,
        engine=chosen.site.engine,
        region=chosen.site.region,
        memory_bytes=job.needs.get("memory_bytes"),
        task_id=str(uuid.uuid4()),
        lease_until=Now() + lease(),
    )
    record(attempt, "assigned", actor="placement", data={"worker": attempt.worker, "runtime": attempt.runtime})
    traced.assigned(attempt)
    transaction.on_commit(lambda: _trace_placing(attempt, began), robust=True)
    transaction.on_commit(lambda: reach("place_before_hint"))
    hint_to_run(attempt, attempt.task_id)
    return True


def hint_to_run(attempt: Attempt, task_id: str | None = None) -> None:
    """Tell the attempt's worker, on its own queue, that there is work; again when the first hint may be lost.

    Each time under another id: of a revoked one, or one that Celery gave up, it would not hear again.
    """
    hand_over(
        "workers.run",
        attempt.pk,
        str(attempt.job_id),
        queue=worker_direct(attempt.worker),
        task_id=task_id,
        ignore_result=False,
        trace=(traced.place_of_attempt(attempt), traced.subject_of_attempt(attempt)) if spans.on() else None,
    )


def _trace_placing(attempt: Attempt, began: datetime) -> None:
    """The round that found room for it, in its own trace."""
    if spans.on() and (place := traced.place_of_attempt(attempt)):
        with spans.span(
            "place", CONTROL, parent=place, subject=traced.subject_of_attempt(attempt), start=began
        ) as doing:
            doing.set(worker=attempt.worker, engine=attempt.engine)
