"""How jobs ended in the window: by state, by verdict, and by hour or day."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, QuerySet

from jobs.models import Job
from jobs.states import JobState

from .expressions import Bucket
from .window import Window

ENDS = (JobState.SUCCEEDED.value, JobState.FAILED.value, JobState.CANCELLED.value)


def ends(ended: QuerySet[Job], within: Window) -> dict[str, Any]:
    """`{by_state, verdicts, buckets}`; a bucket is `{at, succeeded, failed, cancelled}`, and empty ones are there."""
    hourly = within.bucket == timedelta(hours=1)
    states: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    buckets = {at: dict.fromkeys(ENDS, 0) for at in within.buckets}
    grouped = (
        ended.order_by().annotate(at=Bucket("finished_at", hourly=hourly)).values_list("at", "state", "verdict_code")
    )
    for at, state, code, jobs in grouped.annotate(n=Count("pk")):
        states[state] += jobs
        verdicts.update({code: jobs} if code else {})
        if (counts := buckets.get(_moment(at))) is not None:
            counts[state] += jobs
    return {
        "by_state": {state: states[state] for state in ENDS},
        "verdicts": dict(verdicts.most_common()),
        "buckets": [{"at": at, **counts} for at, counts in buckets.items()],
    }


def _moment(bucket: str) -> datetime:
    return datetime.strptime(f"{bucket} 00"[:13], "%Y-%m-%d %H").replace(tzinfo=UTC)
