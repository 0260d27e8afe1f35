"""What the chart's autoscaler asks the database: as many run workers are there as jobs need, also when there are none."""

from __future__ import annotations

from django.db import connection

from jobs.models import Job
from tests.unit.charts.rendering import one
from workers.placing import place_waiting

from .conftest import make_attempt, make_job, make_worker


def wanted() -> int:
    (trigger,) = one("keda", "ScaledObject")["spec"]["triggers"]
    with connection.cursor() as cursor:
        cursor.execute(trigger["metadata"]["query"])
        return int(cursor.fetchone()[0])


def test_the_very_first_job_of_an_installation_without_workers_calls_for_one() -> None:
    assert wanted() == 0
    job = make_job()
    place_waiting()
    assert Job.objects.get(pk=job.pk).waiting_reason == "no_worker"
    assert wanted() == 1


def test_a_job_that_no_worker_could_run_calls_for_none() -> None:
    make_worker()
    make_job(requires={"disk": "gold"})
    place_waiting()
    assert wanted() == 0


def test_what_waits_for_room_and_what_is_followed_call_for_workers() -> None:
    make_worker(slots=1)
    make_attempt()
    make_job()
    place_waiting()
    assert sorted(Job.objects.values_list("waiting_reason", flat=True)) == ["", "capacity"]
    assert wanted() == 2
