"""What users do with jobs: submit, cancel, try again. Each is one transaction, and its hints go out after the commit."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import F

from jobs.clock import Now
from tracing import spans
from tracing.services import COMMAND

from . import traced
from .failpoints import reach
from .hints import hand_over
from .models import Attempt, Dependency, Job, Project
from .moves import move, record
from .needs import Needs
from .outlook import outlook
from .secrets import keeping
from .secrets.references import SecretReference
from .spec import JobSpec
from .states import JobState
from .verdicts import Verdict
from .volumes import Volume, objections
from .waiting import WAITS_FOR_OTHERS


class Rejected(Exception):
    """The request is understood and refused: by field, with the remedy."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(str(errors))
        self.errors = errors


class KeyReused(Exception):
    """The same Idempotency-Key came with another body."""


class QueueFull(Exception):
    """More jobs wait than the installation allows."""


class NotTriedAgain(Exception):
    """Only what failed or was cancelled is tried again; the message says how the job stands."""


def submit(spec: JobSpec, owner: User | None, *, idempotency_key: str | None = None) -> tuple[Job, bool]:
    """Store the job and hint that there is work. With the key of an earlier job, and its body: that job and False."""
    body = spec.model_dump(mode="json")
    digest = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
    if idempotency_key and (first := _submitted_before(owner, idempotency_key, digest)):
        return first, False
    project = check(spec, owner)
    _check_room()
    try:
        with _in_a_trace(), transaction.atomic():
            job = _store(spec, body, project, owner, idempotency_key, digest)
    except IntegrityError:
        # Sent twice at the same moment: the other one is in.
        if idempotency_key and (first := _submitted_before(owner, idempotency_key, digest)):
            return first, False
        raise
    return job, True


def _in_a_trace() -> AbstractContextManager[object]:
    """That of the request around; a job that no request asks for begins one."""
    return nullcontext() if spans.here() else spans.span("submit", COMMAND, root=True)


def check(spec: JobSpec, owner: User | None) -> Project:
    """The project it goes to, if it may be submitted as things are here. Raises Rejected."""
    project = _open_project(spec.project, owner)
    _check_network(spec.network)
    _check_after(spec.after, owner)
    _check_volumes(spec.volumes)
    _check_secrets(spec.secrets, project)
    return project


def _store(
    spec: JobSpec,
    body: dict[str, Any],
    project: Project,
    owner: User | None,
    idempotency_key: str | None,
    digest: str,
) -> Job:
    needs = Needs.of(body)
    reason, detail = _first_reason(spec, needs)
    job = Job.objects.create(
        owner=owner,
        project=project,
        spec=body,
        name=spec.name,
        image=spec.image,
        runtime=spec.runtime or "",
        priority=spec.priority,
        labels=spec.labels,
        run_at=spec.run_at,
        needs=needs.as_json(),
        shape=needs.shape,
        concurrency_group=f"{project.pk}:{spec.concurrency.key}" if spec.concurrency.key else "",
        concurrency_limit=spec.concurrency.limit or 1,
        waiting_reason=reason,
        waiting_detail=detail[:500],
        not_before=spec.run_at,
        queue_until=_queue_until(spec.timeouts.queue),
        idempotency_key=idempotency_key,
        idempotency_digest=digest if idempotency_key else "",
        traceparent=str(spans.here() or ""),
    )
    traced.submitted(job)
    spans.about(traced.subject_of(job))
    Dependency.objects.bulk_create(Dependency(job=job, on_id=on) for on in spec.after)
    transaction.on_commit(lambda: reach("submit_before_hint"))
    record(job, "submitted", actor=owner.get_username() if owner else "")
    hand_over("workers.place")
    reach("submit_before_commit")
    return job


def _first_reason(spec: JobSpec, needs: Needs) -> tuple[str, str]:
    """Why it waits, as far as that is plain already; the placement, a moment later, finds the rest."""
    if spec.run_at is not None and spec.run_at > datetime.now(UTC):
        return "run_at", f"Runs at {spec.run_at.isoformat(timespec='seconds')}."
    if spec.after:
        return "dependency", WAITS_FOR_OTHERS
    return outlook(needs) or ("", "")


def _submitted_before(owner: User | None, key: str, digest: str) -> Job | None:
    first = Job.objects.filter(owner=owner, idempotency_key=key).first()
    if first and first.idempotency_digest != digest:
        raise KeyReused
    return first


def _open_project(name: str, owner: User | None) -> Project:
    project = Project.objects.open_to(owner).filter(name=name).first()
    if project is None:
        raise Rejected({"project": [f"no project {name[:63]!r} that you may use: ask for one, or leave it out"]})
    return project


def _check_network(name: str) -> None:
    """A network of the engine's may reach what jobs must not, the platform's own database for one."""
    allowed = ("bridge", "none", *settings.TOWLINE.TOWLINE_NETWORKS)
    if name not in allowed:
        raise Rejected(
            {"network": [f"choose one of {', '.join(allowed)}; an operator may allow more (TOWLINE_NETWORKS)"]}
        )


def _check_after(after: list[UUID], owner: User | None) -> None:
    if not after:
        return
    seen = Job.objects.visible_to(owner) if owner else Job.objects.all()
    unknown = set(after) - set(seen.filter(pk__in=after).values_list("pk", flat=True))
    if unknown:
        raise Rejected({"after": [f"no job {pk} that you may see: submit that one first" for pk in sorted(unknown)]})


def _check_volumes(volumes: list[Volume]) -> None:
    if wrong := objections(volumes, settings.TOWLINE.TOWLINE_VOLUMES):
        raise Rejected(wrong)


def _check_secrets(references: list[SecretReference], project: Project) -> None:
    if references and (wrong := keeping.unknown(references, project)):
        raise Rejected(wrong)


def _check_room() -> None:
    limit = settings.TOWLINE.TOWLINE_MAX_QUEUED
    # Counting stops at the limit: the answer to "is it full" must not cost more the fuller it is.
    if Job.objects.filter(state=JobState.QUEUED).order_by()[: limit + 1].count() >= limit:
        raise QueueFull


def cancel(job: Job, actor: str) -> bool:
    """Ask for the job's end, durably. False: it was over already, nothing changed.

    A job that waits ends here and never starts; one that an attempt has is ended by the worker that has it, now or
    when one is back.
    """
    spans.about(traced.subject_of(job))
    with transaction.atomic():
        asked = Job.objects.filter(pk=job.pk, finished_at__isnull=True, cancel_requested_at__isnull=True).update(
            cancel_requested_at=Now(), cancel_requested_by=actor[:150]
        )
        if asked:
            transaction.on_commit(lambda: reach("cancel_before_hint"))
            record(job, "cancel_requested", actor=actor)
        verdict = cancelled_by(actor)
        end: dict[str, Any] = {"verdict": verdict.as_json(), "verdict_code": verdict.code}
        if not move(job, JobState.CANCELLED, actor=actor, where={"state": JobState.QUEUED}, **end):
            hand_over("workers.carry_out_cancel", str(job.pk))
        reach("cancel_before_commit")
    job.refresh_from_db()
    return bool(asked)


def retry(job: Job, actor: str) -> None:
    """Let a failed or cancelled job try once more, as a new attempt. Raises NotTriedAgain of any other."""
    spans.about(traced.subject_of(job))
    with transaction.atomic():
        again = move(
            job,
            JobState.QUEUED,
            where={"finished_at__isnull": False},
            actor=actor,
            data={"after_seconds": 0, "by_hand": True},
            attempts_before=F("attempts_count"),
            lives=F("lives") + 1,
            queued_at=Now(),
            queue_until=_queue_until(job.spec["timeouts"]["queue"]),
            not_before=None,
            started_at=None,
            finished_at=None,
            exit_code=None,
            verdict=None,
            verdict_code="",
            waiting_reason="",
            waiting_detail="",
            cancel_requested_at=None,
            cancel_requested_by="",
        )
        if again:
            job.dependencies.exclude(on__state=JobState.SUCCEEDED).update(settled=False)
            hand_over("workers.place")
    job.refresh_from_db()
    if not again:
        raise NotTriedAgain(f"The job is {job.state}: only a failed or cancelled one is tried again.")


def _queue_until(seconds: float | None) -> Any:
    return Now() + timedelta(seconds=seconds) if seconds else None


def cancelled_by(actor: str) -> Verdict:
    who = actor or "somebody"
    return Verdict("cancelled", f"Cancelled by {who}.", remedy="Submit it again if it should run after all.")


def finish_job(job: Job, attempt: Attempt, to: JobState, **changes: Any) -> bool:
    """Bring the job to its end as its attempt ended; an attempt that is no longer the newest changes nothing."""
    return move(job, to, where={"attempts_count": attempt.number}, actor=attempt.worker, **changes)
