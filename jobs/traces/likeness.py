"""Runs that are like one, as far as they may be seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.models import Attempt, Job
from tracing.models import Span
from tracing.questions.answers import find_similar_traces
from tracing.questions.similar import SimilarTrace

from .answers import opening
from .reading import NO_SPANS, has_spans
from .sight import Sight

LOOKED_AT = 100  # of the most similar, for those that may be seen


def similar(job: Job, attempt: Attempt | None, limit: int, sight: Sight) -> dict[str, Any]:
    """The most similar first. Runs whose jobs are gone are shown to who may see everything."""
    found = find_similar_traces(attempt.pk, limit if sight.sees_all else max(limit, LOOKED_AT)) if attempt else []
    gone = NO_SPANS if attempt and job.trace_id and not found and not has_spans(job.pk, attempt.pk) else ""
    return {**opening(job, attempt, gone), "results": list(_shown(found, sight))[:limit]}


def _shown(found: list[SimilarTrace], sight: Sight) -> Iterator[dict[str, Any]]:
    known = _attempts(found, sight)
    for each in found:
        attempt = known.get(each.similar_execution_id)
        if attempt or sight.sees_all:
            yield {**_run(each), **_job(attempt)}


def _attempts(found: list[SimilarTrace], sight: Sight) -> Mapping[int, Attempt]:
    """Without those whose number only another system's execution has."""
    ids = [each.similar_execution_id for each in found]
    known = Attempt.objects.filter(job__in=sight.jobs).select_related("job").in_bulk(ids)
    jobs = {str(attempt.job_id) for attempt in known.values()}
    spans = Span.objects.filter(execution_id__in=known, job_id__in=jobs).order_by()
    traced = set(spans.values_list("execution_id", "job_id").distinct())
    return {pk: attempt for pk, attempt in known.items() if (pk, str(attempt.job_id)) in traced}


def _run(each: SimilarTrace) -> dict[str, Any]:
    return {
        "execution_id": each.similar_execution_id,
        "similarity": round(each.similarity_score, 4),
        "status": each.status,
        "duration_ms": each.total_duration_ms,
        "failure_point": each.failure_point,
    }


def _job(attempt: Attempt | None) -> dict[str, Any]:
    return {
        "job_id": str(attempt.job_id) if attempt else None,
        "job_name": attempt.job.name if attempt else None,
        "attempt": attempt.number if attempt else None,
    }
