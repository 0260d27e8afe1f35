"""The workers on the admin's first page."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from jobs.models import Attempt
from jobs.states import ACTIVE_ATTEMPT
from workers.models import Worker, WorkerState

LISTED = 12


def with_used(workers: QuerySet[Worker]) -> QuerySet[Worker]:
    """With `used`: slots taken by active attempts."""
    active = Attempt.objects.filter(worker=OuterRef("name"), state__in=ACTIVE_ATTEMPT).order_by()
    counted = active.values("worker").annotate(n=Count("pk")).values("n")
    return workers.annotate(used=Coalesce(Subquery(counted, output_field=IntegerField()), 0))


def workers_overview() -> dict[str, Any]:
    """Who is there now, with slots used; of those who are gone, how many."""
    everyone = list(with_used(Worker.objects.with_clock()))
    here = [worker for worker in everyone if worker.state not in (WorkerState.OFFLINE, WorkerState.LOST)]
    gone = [worker for worker in everyone if worker.state in (WorkerState.OFFLINE, WorkerState.LOST)]
    return {
        "listed": here[:LISTED],
        "here": len(here),
        "gone": len(gone),
        "slots": sum(worker.slots for worker in here),
        "used": sum(worker.used for worker in here),  # type: ignore[attr-defined]  # annotated
    }
