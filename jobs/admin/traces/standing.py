"""How a trace stands: whether it goes on, and a mark that changes when its picture does. Counted; no span is read for it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Min, Q, QuerySet

from jobs.models import Attempt, Job
from tracing.models import Span, Status

GROWN = 1.01  # an axis that is longer by as much is drawn anew


@dataclass(frozen=True)
class Standing:
    """`mark`: an entity tag, of the same picture the same."""

    goes_on: bool
    mark: str


def standing(spans: QuerySet[Span], job: Job | None, attempts: Sequence[Attempt], now: datetime) -> Standing:
    counted = spans.aggregate(
        all=Count("id"),
        last=Max("id"),
        closed=Count("id", filter=Q(completed_at__isnull=False)),
        well=Count("id", filter=Q(status=Status.COMPLETED)),
        end=Max("completed_at"),
        begin=Min("started_at"),
    )
    has_open = counted["all"] > counted["closed"]
    is_to_come = job is not None and job.trace_id is not None and not job.is_final
    known = (
        *counted.values(),
        _length(counted["begin"], now) if has_open else 0,
        job.state if job else "",
        *((attempt.number, attempt.state) for attempt in attempts),
    )
    return Standing(has_open or is_to_come, f'W/"{hashlib.sha256(repr(known).encode()).hexdigest()[:32]}"')


def _length(begin: datetime, now: datetime) -> int:
    """Of an axis until now, in steps that nobody sees: the longer it is, the longer they are."""
    return int(math.log(max(1.0, (now - begin).total_seconds()), GROWN))
