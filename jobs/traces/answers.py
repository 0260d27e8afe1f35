"""What REST and `--json` answer about one attempt of a job: plain values, with the same beginning each time."""

from __future__ import annotations

from typing import Any

from django.http import Http404

from jobs.models import Attempt, Job
from tracing.questions.compare import PhaseDifference
from tracing.questions.differences import Difference

from .changed import Changes, Window
from .reading import why_untraced
from .shown import hex_or_none


class NoSuchAttempt(Http404):
    """The job has none of that number."""


def attempt_of(job: Job, number: int | None) -> Attempt | None:
    """Of that number, or the newest; None: the job never had one."""
    attempts = job.attempts.select_related("job__project").order_by("-number")
    found = attempts.first() if number is None else attempts.filter(number=number).first()
    if found is None and number is not None:
        raise NoSuchAttempt(f"the job has no attempt {number}")
    return found


def opening(job: Job, attempt: Attempt | None, *notes: str) -> dict[str, Any]:
    """`trace_id` is null where the job is not traced; then the note says why, and what to set."""
    untraced = why_untraced(job) if job.trace_id is None else ""
    return {
        "trace_id": hex_or_none(job.trace_id),
        "attempt": attempt.number if attempt else None,
        "execution_id": attempt.pk if attempt else None,
        "note": " ".join(filter(None, [untraced, *notes, "" if attempt else "It has not been tried yet."])),
    }


def changes_shown(found: Changes, job: Job, window: Window) -> dict[str, Any]:
    same = found.same
    return {
        **opening(job, found.attempt, *found.notes),
        "same": {"by": same.by, "project": same.project, "name": same.name, "image": same.image},
        "compared_with": _base_shown(found.base) if found.base else None,
        "spec": [change.as_json() for change in found.spec],
        "phases": {"successes": found.successes, "differences": [phase_shown(each) for each in found.phases]},
        "attributes": {
            "days": window.days,
            "failing": found.failing,
            "passing": found.passing,
            "note": found.few,
            "differences": [_attribute_shown(each) for each in found.attributes],
        },
    }


def comparison_shown(found: Changes, job: Job) -> dict[str, Any]:
    return {
        **opening(job, found.attempt, *found.notes),
        "compared_with": _base_shown(found.base) if found.base else None,
        "spec": [change.as_json() for change in found.spec],
        "phases": [phase_shown(each) for each in found.phases],
    }


def _base_shown(base: Attempt) -> dict[str, Any]:
    return {
        "job_id": str(base.job_id),
        "attempt": base.number,
        "execution_id": base.pk,
        "finished_at": base.finished_at,
    }


def phase_shown(each: PhaseDifference) -> dict[str, Any]:
    return {
        "service": each.service,
        "operation": each.operation,
        "seconds": _rounded(each.seconds),
        "usual_seconds": _rounded(each.usual_seconds),
        "difference_seconds": _rounded(each.difference_seconds),
        "ratio": _rounded(each.ratio),
        "runs": each.runs,
    }


def _attribute_shown(each: Difference) -> dict[str, Any]:
    return {
        "attribute": each.attribute,
        "value": each.value,
        "failing": each.failing,
        "passing": each.passing,
        "failing_share": _rounded(each.failing_share),
        "passing_share": _rounded(each.passing_share),
        "failure_rate": _rounded(each.failure_rate),
        "chance": each.chance,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
