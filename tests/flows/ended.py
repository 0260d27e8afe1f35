"""Attempts that are over, with their logs, as old as a test wants them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from jobs.clock import Now
from jobs.logs.store import Position, append
from jobs.models import Attempt, Job, LogChunk, Project
from jobs.moves import move
from jobs.states import AttemptState, JobState
from jobs.verdicts import Verdict
from workers.ending import Ending, finish

from .conftest import make_attempt

FAILED = Verdict("exit_code", "It ended with 3.", (), "Look at its output.")


def ended(
    owner: User | None = None,
    *,
    lines: int = 3,
    failed: bool = False,
    days: float = 0,
    packed: int | None = None,
    project: str = "default",
    **spec: Any,
) -> Attempt:
    """`days`: since its end. `packed`: its log lies in the storage, as an object of so many bytes."""
    Project.objects.get_or_create(name=project)
    attempt = make_attempt(owner, project=project, **spec)
    if lines:
        text = [(f"line {n} of {attempt.pk}\n".encode(), "stdout", n * 10**9) for n in range(1, lines + 1)]
        append(attempt, attempt.fence, Position(), text, "end")
    for row, state in (
        (attempt, AttemptState.STARTING),
        (attempt, AttemptState.RUNNING),
        (attempt.job, JobState.RUNNING),
    ):
        assert move(row, state, started_at=Now())
    how = Ending(AttemptState.FAILED, 3, FAILED) if failed else Ending(AttemptState.SUCCEEDED, 0)
    assert finish(attempt, attempt.fence, how)
    if packed is not None:
        pack(attempt, packed)
    age(attempt, days)
    return Attempt.objects.select_related("job").get(pk=attempt.pk)


def pack(attempt: Attempt, size: int) -> None:
    """Only what retention sees of it."""
    name = storages["logs"].save(f"{attempt.pk}.log", ContentFile(b"x" * size))
    Attempt.objects.filter(pk=attempt.pk).update(log_object=name, log_object_bytes=size, log_packed_at=Now())
    LogChunk.objects.filter(attempt=attempt).delete()


def age(attempt: Attempt, days: float) -> None:
    ago = Now() - timedelta(days=days, minutes=1)
    Attempt.objects.filter(pk=attempt.pk).update(finished_at=ago, log_sealed_at=ago)
    Job.objects.filter(pk=attempt.job_id).update(finished_at=ago)


def keep(settings: LazySettings, **values: int) -> None:
    """`days`, `days_failed`, `bytes`; what is not given is kept for ever."""
    limits = {"TOWLINE_LOG_KEEP_DAYS": 0, "TOWLINE_LOG_KEEP_DAYS_FAILED": 0, "TOWLINE_LOG_KEEP_BYTES": 0}
    limits |= {f"TOWLINE_LOG_KEEP_{name.upper()}": value for name, value in values.items()}
    settings.TOWLINE = settings.TOWLINE.model_copy(update=limits)
