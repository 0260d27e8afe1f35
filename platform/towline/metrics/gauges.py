"""`/metrics`: how much waits, runs and is free, in Prometheus' words, read from the database at each scrape.

Nothing is counted in this process: any web process answers the same, and a restart forgets nothing. Names and owners of
jobs are not in it. What takes a walk over all jobs ever kept is left to `/api/v1/stats/`.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db import DatabaseError
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

from jobs.models import WAITING_REASONS, Attempt, Job
from jobs.states import ACTIVE_ATTEMPT, JobState
from workers.models import Worker, WorkerState


def metrics(request: HttpRequest) -> HttpResponse:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures())
    try:
        body = generate_latest(registry)
    except DatabaseError as error:
        text = f"# the database does not answer: {type(error).__name__}\n"
        return HttpResponse(text, status=503, content_type="text/plain; charset=utf-8")
    return HttpResponse(body, content_type=CONTENT_TYPE_LATEST)


class _Figures:
    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield from _jobs()
        yield from _workers()


def _jobs() -> Iterator[GaugeMetricFamily]:
    active = Job.objects.filter(state__in=[JobState.QUEUED, JobState.ASSIGNED, JobState.RUNNING]).order_by()
    counted = list(active.values_list("state", "waiting_reason").annotate(jobs=Count("pk")))
    waiting = GaugeMetricFamily("towline_jobs_waiting", "Jobs that wait, by what for.", labels=["reason"])
    for reason in WAITING_REASONS:
        # What the placement has not looked at yet waits for that: for room, until it says otherwise.
        meant = (reason, "") if reason == "capacity" else (reason,)
        queued = sum(n for state, why, n in counted if state == JobState.QUEUED and why in meant)
        held_up = sum(n for state, why, n in counted if state == JobState.ASSIGNED and why == reason)
        waiting.add_metric([reason], queued + held_up)
    yield waiting
    for name, state, text in (
        ("towline_jobs_assigned", JobState.ASSIGNED, "Jobs that a worker has, and that have not begun."),
        ("towline_jobs_running", JobState.RUNNING, "Jobs that run."),
    ):
        yield GaugeMetricFamily(name, text, value=sum(n for found, _, n in counted if found == state))


def _workers() -> Iterator[GaugeMetricFamily]:
    rows = list(Worker.objects.with_clock())
    held = Attempt.objects.filter(state__in=ACTIVE_ATTEMPT).order_by()
    busy = dict(held.values_list("worker").annotate(attempts=Count("pk")))
    states = GaugeMetricFamily("towline_workers", "Run workers, by state.", labels=["state"])
    for state in WorkerState:
        states.add_metric([state.value], sum(row.state == state for row in rows))
    yield states
    slots = GaugeMetricFamily("towline_worker_slots", "Slots of workers that take jobs.", labels=["state"])
    online = [row for row in rows if row.state == WorkerState.ONLINE]
    used = sum(min(busy.get(row.name, 0), row.slots) for row in online)
    slots.add_metric(["used"], used)
    slots.add_metric(["free"], sum(row.slots for row in online) - used)
    yield slots
