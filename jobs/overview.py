"""The numbers of the admin's first page that are about jobs. A handful of indexed queries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count
from django.db.models.functions import TruncHour
from django.utils import timezone

from jobs.models import Job
from jobs.states import FINAL_JOB, JobState

HOURS = 24
LISTED = 8
CHART_HEIGHT = 100  # in units of the SVG's viewBox
_FOUND = (
    "pk",
    "name",
    "image",
    "state",
    "created_at",
    "started_at",
    "finished_at",
    "verdict",
    "verdict_code",
    "exit_code",
)


@dataclass(frozen=True)
class Piece:
    """One state's part of an hour's column, in the SVG's units."""

    state: str
    jobs: int
    y: float
    height: float


@dataclass(frozen=True)
class Column:
    hour: datetime
    jobs: int
    x: int
    pieces: tuple[Piece, ...]


def jobs_overview() -> dict[str, Any]:
    now = timezone.now()
    by_hour = _by_hour(now)
    under_way = _counted("state", state__in=set(JobState) - FINAL_JOB)
    lately = {state: sum(counts.get(state, 0) for counts in by_hour.values()) for state in JobState.values}
    return {
        "states": [
            {"state": state, "jobs": under_way.get(state, 0), "when": "now"}
            for state in ("queued", "assigned", "running")
        ]
        + [
            {"state": state, "jobs": lately[state], "when": "submitted in 24 h"}
            for state in ("succeeded", "failed", "cancelled")
        ],
        "waiting": _waiting(),
        "columns": columns(by_hour, now),
        "submitted": sum(lately.values()),
        "failures": list(Job.objects.filter(state=JobState.FAILED).only(*_FOUND)[:LISTED]),
        "running": list(Job.objects.filter(state=JobState.RUNNING).only(*_FOUND)[:LISTED]),
    }


def _counted(field: str, **which: Any) -> dict[str, int]:
    return dict(Job.objects.filter(**which).order_by().values_list(field).annotate(n=Count("*")))


def _waiting() -> list[dict[str, Any]]:
    counts = _counted("waiting_reason", state=JobState.QUEUED)
    for reason, jobs in _counted("waiting_reason", state=JobState.ASSIGNED).items():
        counts[reason] = counts.get(reason, 0) + (jobs if reason else 0)
    ranked = sorted(counts.items(), key=lambda item: -item[1])
    most = ranked[0][1] if ranked else 1
    return [{"reason": reason, "jobs": jobs, "most": most} for reason, jobs in ranked]


def _by_hour(now: datetime) -> dict[datetime, dict[str, int]]:
    """Jobs by the hour of their submit, then by state, over the last HOURS."""
    rows = (
        # Naming every state lets the index on state and time answer alone.
        Job.objects.filter(state__in=JobState.values, created_at__gte=_first_hour(now))
        .order_by()
        .annotate(hour=TruncHour("created_at"))
        .values_list("hour", "state")
        .annotate(n=Count("*"))
    )
    found: dict[datetime, dict[str, int]] = {}
    for hour, state, count in rows:
        found.setdefault(hour, {})[state] = count
    return found


def _first_hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)


def columns(by_hour: dict[datetime, dict[str, int]], now: datetime) -> list[Column]:
    """A stacked column an hour, the oldest first; the highest is CHART_HEIGHT."""
    most = max((sum(counts.values()) for counts in by_hour.values()), default=0) or 1
    hours = [_first_hour(now) + timedelta(hours=n) for n in range(HOURS)]
    return [
        Column(hour, sum(by_hour.get(hour, {}).values()), x, tuple(stack(by_hour.get(hour, {}), most)))
        for x, hour in enumerate(hours)
    ]


def stack(counts: dict[str, int], most: int) -> list[Piece]:
    """One column, the last state at the bottom."""
    pieces, top = [], float(CHART_HEIGHT)
    for state in JobState.values[::-1]:
        if counts.get(state):
            height = round(counts[state] / most * CHART_HEIGHT, 2)
            top -= height
            pieces.append(Piece(state, counts[state], round(top, 2), height))
    return pieces
