"""Traces in the shape that a job's has, with times as a test wants them: pure rows, and put into the table.

built = of_job(job_id, [Try(execution_id=7, run=2.0, failed=("oom_killed", "Out of memory."))])
built.rows                 # for the questions
stored(built)              # as rows of the table
traced(job, run=2.0)       # of a job in the database: its attempts, its traceparent
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from jobs.models import Job
from jobs.states import JobState
from tracing.identity import Parent, as_uuid
from tracing.models import Span, Status
from tracing.rows import FIELDS, Row

Failure = tuple[str, str]  # error_type, error_message
NONE_FAILED: Failure = ("", "")


def an_hour_ago() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


@dataclass(frozen=True)
class Try:
    """An attempt: how many seconds each part of it took."""

    execution_id: int = 1
    queue: float = 0.5
    place: float = 0.02
    send: float = 0.03
    resolve: float = 0.1
    pull: float = 0.0
    create: float = 0.1
    start: float = 0.2
    run: float = 2.0
    collect: float = 0.1
    remove: float = 0.05
    worker: str = "run@one"
    runtime: str = "docker"
    digest: str = "sha256:" + "a" * 64
    failed: Failure = NONE_FAILED
    status: Status = Status.FAILED  # of one that failed


@dataclass
class Built:
    """Spans of one trace, in the order in which they were made."""

    trace_id: UUID = field(default_factory=lambda: as_uuid(random.getrandbits(128) or 1))
    began: datetime = field(default_factory=an_hour_ago)
    about: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    first_id: int = field(default_factory=lambda: (random.getrandbits(43) + 1) << 20)

    def span(
        self,
        operation: str,
        service: str,
        at: float,
        seconds: float | None,
        parent: Row | None = None,
        failed: Failure = NONE_FAILED,
        status: Status | None = None,
        about: dict[str, Any] | None = None,
        **attributes: Any,
    ) -> Row:
        """`at`: seconds since the trace began; `seconds` None: it is open. `about`: job_id, execution_id, …"""
        start = self.began + timedelta(seconds=at)
        over = status or (Status.FAILED if failed[0] else Status.COMPLETED)
        made = Row(
            trace_id=self.trace_id,
            span_id=as_uuid(self._next_span_id()),
            parent_span_id=parent.span_id if parent else None,
            service=service,
            operation=operation,
            started_at=start,
            completed_at=None if seconds is None else start + timedelta(seconds=seconds),
            duration_ms=None if seconds is None else int(seconds * 1000),
            status=Status.STARTED if seconds is None else over,
            metadata={"attributes": attributes} if attributes else {},
            error_message=failed[1] or None,
            error_type=failed[0] or None,
            **{**self.about, **(about or {})},
        )
        self.rows.append(made)
        return made

    def _next_span_id(self) -> int:
        """Rising, so that spans that begin at the same moment have one order in every trace."""
        return self.first_id + len(self.rows)

    def named(self, operation: str) -> Row:
        """The last one of that name."""
        return next(row for row in reversed(self.rows) if row.operation == operation)


def of_job(job_id: str, tries: Sequence[Try] = (Try(),), began: datetime | None = None, **about: Any) -> Built:
    """A whole trace: the request, the job, its waiting and its attempts. `about`: model_id, region."""
    built = Built(began=began or an_hour_ago(), about={"model_id": None, "region": None, **about})
    ends, at = sum(map(_length, tries)), 0.02
    root = built.span("POST api/v1/jobs/", "web", 0, 0.02, about={"model_id": None, "region": None})
    last = tries[-1].failed if tries else NONE_FAILED
    status = tries[-1].status if last[0] else None
    job = built.span("job", "job", at, ends, root, last, status, {"job_id": job_id}, name="train", image="busybox:1.36")
    for number, one in enumerate(tries, 1):
        _waited(built, job, job_id, one, number, at)
        _tried(built, job, job_id, one, number, at + one.queue)
        at += _length(one)
    return built


def _length(one: Try) -> float:
    return one.queue + _taken(one)


def _taken(one: Try) -> float:
    parts = (one.place, one.send, one.resolve, one.pull, one.create, one.start, one.run, one.collect, one.remove)
    return sum(parts)


def _waited(built: Built, job: Row, job_id: str, one: Try, number: int, at: float) -> None:
    built.span("queue", "job", at, one.queue, job, about={"job_id": job_id}, number=number, reason="capacity")


def _tried(built: Built, job: Row, job_id: str, one: Try, number: int, at: float) -> None:
    about = {"job_id": job_id, "execution_id": one.execution_id}
    known: dict[str, Any] = {"about": about}
    over: dict[str, Any] = {**known, "failed": one.failed, "status": one.status if one.failed[0] else None}
    attempt = built.span(
        "attempt", "job", at, _taken(one), job, number=number, worker=one.worker, runtime=one.runtime, **over
    )
    built.span("place", "control", at, one.place, attempt, **known)
    at += one.place
    built.span("send", "control", at, one.send, attempt, **known)
    at += one.send
    run = built.span("run", "worker", at, _taken(one) - one.place - one.send, built.rows[-1], **known)
    image = built.span(
        "resolve image", "engine", at, one.resolve + one.pull, run, cache_hit=not one.pull, digest=one.digest, **known
    )
    if one.pull:
        built.span("pull", "engine", at + one.resolve, one.pull, image, bytes=1024, **known)
    at += one.resolve + one.pull
    for operation, seconds in (("create", one.create), ("start", one.start)):
        built.span(operation, "engine", at, seconds, run, **known)
        at += seconds
    built.span("execute", "container", at, one.run, attempt, **over)
    built.span("follow", "worker", at, one.run, run, **known)
    at += one.run
    built.span("collect", "worker", at, one.collect, run, verdict=one.failed[0], **known)
    built.span("remove", "engine", at + one.collect, one.remove, run, **known)


def stored(built: Built) -> Built:
    """As rows of the table."""
    Span.objects.bulk_create([Span(**{name: getattr(row, name) for name in FIELDS}) for row in built.rows])
    return built


def traced(job: Job, began: datetime | None = None, **parts: Any) -> Built:
    """A trace of a job that is in the database, with as many attempts as it has; `parts` are those of each `Try`."""
    failed: Failure = NONE_FAILED
    if job.state in (JobState.FAILED, JobState.CANCELLED) and job.verdict:
        failed = (job.verdict["code"], job.verdict["summary"])
    attempts = list(job.attempts.order_by("number"))
    tries = [
        Try(**{"execution_id": one.pk, "worker": one.worker, "runtime": one.runtime, "failed": failed, **parts})
        for one in attempts
    ]
    built = stored(of_job(str(job.pk), tries, began, model_id=job.labels.get("model"), region=job.spec.get("region")))
    place = Parent(int(built.trace_id), int(built.named("job").span_id))
    Job.objects.filter(pk=job.pk).update(traceparent=str(place))
    job.traceparent = str(place)
    return built
