"""All figures together: a handful of queries, each along an index or over at most one row an attempt."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Count

from jobs.models import Attempt, Job, JobQuerySet
from jobs.states import FINAL_JOB, JobState

from .durations import durations
from .ends import ends
from .output import output
from .window import Window


def figures(within: Window, user: User | AnonymousUser | None = None) -> dict[str, Any]:
    """Of the jobs that `user` may see, None: of all. Shaped as `GET /stats/` answers; times are datetimes."""
    jobs = Job.objects.all() if user is None else Job.objects.visible_to(user)
    attempts = (
        Attempt.objects.filter(job__in=jobs.order_by().values("pk")) if jobs.query.where else Attempt.objects.all()
    )
    ended = jobs.filter(finished_at__gte=within.since, finished_at__lte=within.until)
    how = ends(ended, within)
    finished = sum(how["by_state"].values())
    took = durations(ended)
    return {
        "window": {"seconds": int(within.length.total_seconds()), "since": within.since, "until": within.until},
        "queue": _queue(jobs),
        "throughput": {
            "submitted": jobs.filter(created_at__gte=within.since).count(),
            "finished": finished,
            "per_hour": round(finished / (within.length.total_seconds() / 3600), 3),
            "by_state": how["by_state"],
            "bucket_seconds": int(within.bucket.total_seconds()),
            "buckets": how["buckets"],
        },
        "wait_seconds": took["wait"],
        "run_seconds": took["run"],
        "verdicts": how["verdicts"],
        "logs": output(attempts, within),
    }


def _queue(jobs: JobQuerySet) -> dict[str, Any]:
    """As it is now. What the placement has not looked at yet waits for capacity, as far as anybody knows."""
    under_way = jobs.filter(state__in=set(JobState) - FINAL_JOB).order_by().values_list("state").annotate(n=Count("pk"))
    states = dict(under_way)
    waiting = jobs.filter(state=JobState.QUEUED).order_by().values_list("waiting_reason").annotate(n=Count("pk"))
    reasons: dict[str, int] = {}
    for reason, n in waiting.order_by("-n", "waiting_reason"):
        reasons[reason or "capacity"] = reasons.get(reason or "capacity", 0) + n
    return {**{state: states.get(state, 0) for state in ("queued", "assigned", "running")}, "by_reason": reasons}
