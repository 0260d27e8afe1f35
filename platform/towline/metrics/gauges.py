"""How much waits, runs and is free at this moment."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count
from prometheus_client.core import GaugeMetricFamily

from jobs.clock import Now
from jobs.models import WAITING_REASONS, Attempt, Job
from jobs.states import ACTIVE_ATTEMPT, FINAL_ATTEMPT, JobState
from workers.models import Worker, WorkerState
from workers.sweeping import YOUNG

REACH = (WorkerState.ONLINE, WorkerState.SUSPECT, WorkerState.DRAINING)


def gauges() -> Iterator[GaugeMetricFamily]:
    yield from _jobs()
    workers = list(Worker.objects.with_clock())
    yield from _workers(workers)
    text = "Containers that no live attempt stands behind, a minute later still not known to be gone."
    yield GaugeMetricFamily("towline_containers_stray", text, value=_strays(workers))


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


def _workers(rows: list[Worker]) -> Iterator[GaugeMetricFamily]:
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


def _strays(workers: list[Worker]) -> int:
    """On engines that somebody reaches: of attempts that are over, and what the last sweep found and left."""
    engines = [engine for worker in workers if worker.state in REACH for engine in worker.engines]
    found = {engine["id"]: 0 for engine in engines}
    for engine in engines:
        found[engine["id"]] = max(found[engine["id"]], engine.get("strays", 0))
    left = Attempt.objects.filter(
        engine__in=found, state__in=FINAL_ATTEMPT, claimed_at__isnull=False, removed_at=None
    ).filter(finished_at__lt=Now() - YOUNG)
    return sum(found.values()) + left.count()
