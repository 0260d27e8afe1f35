"""Finding a job, or its trace, by its id, the beginning or the end of it."""

from __future__ import annotations

import re
from uuid import UUID

from django.core.management.base import CommandError

from jobs.models import Job, JobQuerySet
from jobs.traces.reading import Trace, trace, trace_of_job
from jobs.traces.sight import Sight

from .words import safe

FEWEST = 4  # characters: fewer name a job by accident
SHOWN = 5


def find_job(text: str) -> Job:
    """The one job meant; CommandError says what else it could be."""
    jobs = candidates(text)
    found = list(jobs.select_related("project", "owner")[: SHOWN + 1])
    if not found:
        raise CommandError(f"no job has the id {text!r}, or one that begins or ends so: `manage.py jobs` lists them")
    if len(found) > 1:
        raise CommandError(_ambiguous(text, found))
    return found[0]


def find_trace(text: str) -> Trace:
    """The trace of the one job meant, or the one with this id."""
    digits = text.strip().lower().replace("-", "")
    if re.fullmatch(r"[0-9a-f]{32}", digits) and not candidates(text).exists():
        if found := trace(UUID(digits), Sight()):
            return found
        raise CommandError(f"no job and no trace has the id {text!r}: `manage.py jobs` lists jobs")
    return trace_of_job(find_job(text), Sight())


def candidates(text: str) -> JobQuerySet:
    digits = text.strip().lower().replace("-", "")
    if not re.fullmatch(r"[0-9a-f]{1,32}", digits):
        raise CommandError(f"{text!r} is no job id: give all of one, or its first or last characters (0-9, a-f)")
    if len(digits) == 32:
        return Job.objects.filter(pk=UUID(digits))
    if len(digits) < FEWEST:
        raise CommandError(f"{text!r} is too short: give at least {FEWEST} characters of the id")
    return Job.objects.filter(pk__startswith=_dashed(digits)) | Job.objects.filter(pk__endswith=_dashed_end(digits))


def _dashed(digits: str) -> str:
    """As an id begins: databases with a UUID type compare it with its dashes."""
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "-".join(part for part in parts if part)


def _dashed_end(digits: str) -> str:
    """As an id ends."""
    padded = digits.rjust(32)
    return _dashed(padded).strip(" -")


def _ambiguous(text: str, found: list[Job]) -> str:
    lines = [f"  {job.pk}  {job.state:<9}  {safe(job.name or job.image)[:40]}" for job in found[:SHOWN]]
    more = "\n  …" if len(found) > SHOWN else ""
    return f"{text!r} could be more than one job, give more of its id:\n" + "\n".join(lines) + more
