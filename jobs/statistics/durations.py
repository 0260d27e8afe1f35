"""How long jobs waited and ran: percentiles over those that ended in the window, the newest SAMPLE_MOST of them.

A wait is from when it was queued last (not before its `run_at`, or the end of a retry's backoff) to its last start.
PostgreSQL computes percentiles itself; for SQLite the same is done here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.db.models import Count, F, Max, QuerySet
from django.db.models.functions import Coalesce, Greatest

from jobs.models import Job

from .expressions import PercentileCont, Seconds

SAMPLE_MOST = 100_000
SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
KINDS = ("wait", "run")


def durations(ended: QuerySet[Job]) -> dict[str, dict[str, Any]]:
    """`{wait: {jobs, p50, p90, p95, p99, max}, run: …}` in seconds; null where no job had one."""
    ready = Greatest("queued_at", Coalesce("not_before", "queued_at"))
    sample = (
        ended.filter(started_at__isnull=False)
        .order_by("-finished_at")
        .annotate(wait=Seconds(ready, F("started_at")), run=Seconds(F("started_at"), F("finished_at")))
        .values("wait", "run")[:SAMPLE_MOST]
    )
    if connection.vendor == "postgresql":
        return _in_the_database(sample)
    rows = list(sample.values_list("wait", "run"))
    return {kind: _here(sorted(row[n] for row in rows)) for n, kind in enumerate(KINDS)}


def _in_the_database(sample: QuerySet[Any, Any]) -> dict[str, dict[str, Any]]:
    wanted: dict[str, Any] = {}
    for kind in KINDS:
        wanted |= {f"{kind}_{name}": PercentileCont(kind, share) for name, share in SHARES.items()}
        wanted |= {f"{kind}_jobs": Count(kind), f"{kind}_max": Max(kind)}
    found = sample.aggregate(**wanted)
    names = ("jobs", *SHARES, "max")
    return {kind: {name: _rounded(found[f"{kind}_{name}"]) for name in names} for kind in KINDS}


def _here(seconds: Sequence[float]) -> dict[str, Any]:
    if not seconds:
        return {"jobs": 0, **dict.fromkeys((*SHARES, "max"))}
    found = {name: _rounded(percentile(seconds, share)) for name, share in SHARES.items()}
    return {"jobs": len(seconds), **found, "max": _rounded(seconds[-1])}


def percentile(ordered: Sequence[float], share: float) -> float:
    """As PostgreSQL's PERCENTILE_CONT."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _rounded(seconds: float | None) -> float | None:
    return round(seconds, 3) if isinstance(seconds, float) else seconds
