"""The chosen jobs, one after another, and how much they have to tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.db.models import QuerySet, Sum

from jobs.models import Attempt, Job

PAGE = 50
Tell = Callable[[int], None]  # how many bytes of logs were written since the last time


class ExportBroken(Exception):
    """What was written so far is not whole, and nothing more will come. The message is for users."""


def each(jobs: QuerySet[Job]) -> Iterator[Job]:
    """Oldest first, a page at a time: each page is a query of its own, nothing stays open between."""
    found = Job.objects.filter(pk__in=jobs.order_by().values("pk")).order_by("pk")
    found = found.select_related("project", "owner").prefetch_related("attempts")
    last: dict[str, Any] = {}
    while page := list(found.filter(**last)[:PAGE]):
        yield from page
        last = {"pk__gt": page[-1].pk}


def attempts_of(job: Job) -> list[Attempt]:
    return sorted(job.attempts.all(), key=lambda attempt: attempt.number)


def bytes_of(jobs: QuerySet[Job]) -> int:
    """Of all their logs that are there."""
    kept = Attempt.objects.filter(job__in=jobs.order_by().values("pk"), log_dropped_at=None)
    return kept.aggregate(n=Sum("log_bytes"))["n"] or 0
