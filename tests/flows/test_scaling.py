"""KEDA asks the database how many run workers are wanted: the chart's query is one that PostgreSQL answers, and rightly."""

from __future__ import annotations

from django.db import connection

from jobs.models import Job
from tests.unit.charts.rendering import one
from workers.placing import place_waiting

from .conftest import make_attempt, make_job, make_worker


def counted() -> int:
    (trigger,) = one("keda", "ScaledObject")["spec"]["triggers"]
    with connection.cursor() as cursor:
        cursor.execute(trigger["metadata"]["query"])
        return int(cursor.fetchone()[0])


def test_workers_are_wanted_for_what_is_followed_and_for_what_waits_for_them() -> None:
    assert counted() == 0
    make_worker(slots=2)
    make_attempt()  # assigned
    for reason in ("", "capacity"):
        Job.objects.filter(pk=make_job().pk).update(waiting_reason=reason)
    assert counted() == 3


def test_the_very_first_job_of_an_installation_without_workers_calls_for_one() -> None:
    assert counted() == 0
    job = make_job()
    place_waiting()
    assert Job.objects.get(pk=job.pk).waiting_reason == "no_worker"
    assert counted() == 1


def test_no_worker_is_wanted_for_what_none_could_begin() -> None:
    make_worker()
    for reason in ("paused", "run_at", "dependency", "backoff", "concurrency", "quota", "no_worker", "unschedulable"):
        Job.objects.filter(pk=make_job().pk).update(waiting_reason=reason)
    assert counted() == 0
