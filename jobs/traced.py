"""The life of a job in its trace: itself, each time it waits, each attempt, each program; as spans that no process owns.

Where they lie follows from ids alone, so that whoever makes a move may close what somebody else opened. All of it is told
after the commit. Work that begins and ends in one process is traced where it is done, with `tracing.spans`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from tracing import spans
from tracing.identity import Parent, span_id_of
from tracing.services import CONTAINER, JOB
from tracing.spans import Life, Status, Subject, Value

from .models import Attempt, Event, Job
from .states import FINAL_ATTEMPT, FINAL_JOB, AttemptState, JobState, State

MODEL_LABEL = "model"
TRY, PROGRAM = "attempt", "execute"
Told = tuple[Status, str, str]  # the status, the error's type, its message
Ended = tuple[Life, datetime, Status, str, str]  # as `spans.closed` takes it


def place_of_attempt(attempt: Attempt) -> Parent | None:
    """Of its span, for what goes on below it; None: its job is not traced."""
    root = Parent.parse(attempt.job.traceparent)
    return root and root.at(_attempt_span(attempt))


def place_of_container(attempt: Attempt) -> Parent | None:
    """What the program in the container has as `TRACEPARENT`."""
    root = Parent.parse(attempt.job.traceparent)
    return root and root.at(_container_span(attempt))


def subject_of(job: Job) -> Subject:
    return Subject(str(job.pk), None, job.labels.get(MODEL_LABEL, ""), job.needs.get("region") or "")


def subject_of_attempt(attempt: Attempt) -> Subject:
    job = attempt.job
    region = attempt.region or job.needs.get("region") or ""
    return Subject(str(job.pk), attempt.pk, job.labels.get(MODEL_LABEL, ""), region)


def submitted(job: Job) -> None:
    """In the transaction that stores it."""
    if (root := Parent.parse(job.traceparent)) and spans.on():
        _then(lambda: _open(_life_of(job, root), _wait_of(job, root, job.created_at)))


def assigned(attempt: Attempt) -> None:
    """In the transaction that makes it."""
    if (root := Parent.parse(attempt.job.traceparent)) and spans.on():
        _then(lambda: _open(_try_of(attempt, root)))


def moved(row: Job | Attempt, to: State, changes: Mapping[str, Any]) -> None:
    """In the transaction of the move. `row` is as it was before."""
    if not spans.on():
        return
    job = row if isinstance(row, Job) else row.job
    if root := Parent.parse(job.traceparent):
        now = datetime.now(UTC)
        if isinstance(row, Job):
            _then(lambda: _job_moved(row, root, to, changes, now))
        else:
            _then(lambda: _attempt_moved(row, root, to, changes, now))


def ended_with_attempt(attempt: Attempt) -> list[Ended]:
    """What was over when it was, as it is told by who ends it. For those who find that nobody did."""
    root = Parent.parse(attempt.job.traceparent)
    if root is None or not root.sampled or attempt.finished_at is None:
        return []
    told = _told(AttemptState(attempt.state), {"verdict": attempt.verdict})
    return _ends_of(attempt, root, attempt.exit_code, attempt.finished_at, told)


def ended_with_job(job: Job) -> list[Ended]:
    """The same of a job: its own span."""
    root = Parent.parse(job.traceparent)
    if root is None or not root.sampled or job.finished_at is None:
        return []
    return [(_life_of(job, root), job.finished_at, *_told(JobState(job.state), {"verdict": job.verdict}))]


def ids_of_lives(job: Job) -> set[int]:
    """Of all spans that the platform makes, or will make with the next attempt, of this job's own lives."""
    found = {_job_span(job, life) for life in range(job.lives + 2)}
    for number in range(job.attempts_count + 2):
        found |= {_wait_span(job, life, number) for life in range(job.lives + 2)}
        found |= {span_id_of(job.pk, number, what) for what in (TRY, PROGRAM)}
    return found


def _then(tell: Callable[[], None]) -> None:
    """What goes wrong in telling is logged, and changes nothing."""
    transaction.on_commit(tell, robust=True)


def _job_moved(job: Job, root: Parent, to: State, changes: Mapping[str, Any], now: datetime) -> None:
    if to == JobState.ASSIGNED:
        spans.closed(_wait_of(job, root, job.queued_at), now)
    elif to == JobState.QUEUED:
        life = job.lives + int("lives" in changes)
        if life > job.lives:  # tried again by hand
            _open(_life_of(job, root, life, now))
        _open(_wait_of(job, root, now, life))
    elif to in FINAL_JOB:
        told = _told(to, changes)
        if job.state == JobState.QUEUED:
            spans.closed(_wait_of(job, root, job.queued_at), now, *told)
        spans.closed(_life_of(job, root), now, *told)


def _attempt_moved(attempt: Attempt, root: Parent, to: State, changes: Mapping[str, Any], now: datetime) -> None:
    if to == AttemptState.RUNNING:
        _open(_program_of(attempt, root, now, str(changes.get("image_digest") or "")))
    elif to in FINAL_ATTEMPT:
        for ended in _ends_of(attempt, root, changes.get("exit_code"), now, _told(to, changes)):
            spans.closed(*ended)


def _ends_of(attempt: Attempt, root: Parent, exit_code: int | None, at: datetime, told: Told) -> list[Ended]:
    """Its program's, if that began, and its own."""
    found: list[Ended] = []
    if attempt.started_at:
        program = _program_of(attempt, root, attempt.started_at, attempt.image_digest, exit_code)
        found.append((program, attempt.exited_at or at, *told))
    return [*found, (_try_of(attempt, root), at, *told)]


def _open(*lives: Life) -> None:
    for life in lives:
        spans.opened(life)


def _told(to: State, changes: Mapping[str, Any]) -> Told:
    """How it ended, in a trace's words."""
    if to.value == "succeeded":
        return Status.COMPLETED, "", ""
    verdict: dict[str, Any] = changes.get("verdict") or {}
    code, summary = str(verdict.get("code", to.value)), str(verdict.get("summary", ""))
    if to == AttemptState.LOST:
        return Status.LOST, code, summary
    return Status.TIMEOUT if code.startswith("timeout_") else Status.FAILED, code, summary


def _life_of(job: Job, root: Parent, number: int | None = None, start: datetime | None = None) -> Life:
    """`number`: how often it was tried again by hand before; each time it lives anew."""
    number = job.lives if number is None else number
    known: dict[str, Value] = {"name": job.name, "image": job.image, "priority": job.priority}
    begun = start or (_tried_again_at(job) if number else job.created_at)
    return Life(root, _job_span(job, number), "job", JOB, subject_of(job), begun, known)


def _tried_again_at(job: Job) -> datetime:
    by_hand = Event.objects.filter(job=job, kind=JobState.QUEUED.value, data__by_hand=True)
    at: datetime | None = by_hand.order_by("-id").values_list("created_at", flat=True).first()
    return at or job.created_at


def _wait_of(job: Job, root: Parent, start: datetime, life: int | None = None) -> Life:
    life = job.lives if life is None else life
    above = root.at(_job_span(job, life))
    known: dict[str, Value] = {"number": job.attempts_count + 1}
    if job.waiting_reason:
        known["waiting.reason"] = job.waiting_reason
    return Life(above, _wait_span(job, life, job.attempts_count), "queue", JOB, subject_of(job), start, known)


def _try_of(attempt: Attempt, root: Parent) -> Life:
    job = attempt.job
    above = root.at(_job_span(job, job.lives if attempt.number > job.attempts_before else max(0, job.lives - 1)))
    known: dict[str, Value] = {"number": attempt.number, "worker": attempt.worker, "runtime": attempt.runtime}
    subject = subject_of_attempt(attempt)
    return Life(above, _attempt_span(attempt), TRY, JOB, subject, attempt.created_at, known)


def _program_of(attempt: Attempt, root: Parent, start: datetime, image: str, exit_code: int | None = None) -> Life:
    known: dict[str, Value] = {"image.digest": image}
    if exit_code is not None:
        known["exit_code"] = exit_code
    if attempt.node:
        known["node"] = attempt.node
    above, subject = root.at(_attempt_span(attempt)), subject_of_attempt(attempt)
    return Life(above, _container_span(attempt), PROGRAM, CONTAINER, subject, start, known)


def _job_span(job: Job, life: int) -> int:
    return span_id_of(job.pk, "job", life)


def _wait_span(job: Job, life: int, attempts: int) -> int:
    return span_id_of(job.pk, "queue", life, attempts)


def _attempt_span(attempt: Attempt) -> int:
    return span_id_of(attempt.job_id, attempt.number, TRY)


def _container_span(attempt: Attempt) -> int:
    return span_id_of(attempt.job_id, attempt.number, PROGRAM)
