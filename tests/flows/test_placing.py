"""Placing from the database: who is behind jobs that can't start is found all the same, and what is told stays true."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.clock import Now
from jobs.models import Job, Project
from workers import placing
from workers.models import Worker
from workers.placing import place_waiting

from .conftest import make_attempt, make_job, make_worker


def make_jobs(count: int, **spec: Any) -> list[Job]:
    """As many as one, quickly."""
    one = make_job(**spec)
    copied = "project", "spec", "priority", "run_at", "not_before", "needs", "shape", "waiting_reason", "waiting_detail"
    same = {name: getattr(one, name) for name in copied}
    return [one, *Job.objects.bulk_create([Job(**same) for _ in range(count - 1)])]


@pytest.mark.parametrize(
    "stuck",
    [
        {"resources": {"gpus": 8}, "priority": 1},
        {"run_at": (datetime.now(UTC) + timedelta(days=1)).isoformat()},
        {"resources": {"memory": "7Gi"}},
    ],
)
def test_jobs_that_can_not_start_do_not_hide_those_behind_them(stuck: dict[str, Any]) -> None:
    make_worker(slots=3)
    make_jobs(placing.MOST * 2 + 1, **stuck)
    small = make_job()
    place_waiting()
    small.refresh_from_db()
    assert small.state == "assigned"
    assert not Job.objects.filter(state="queued", waiting_reason="").exists()


def test_every_job_is_placed_once_over_several_looks() -> None:
    make_worker(slots=8)
    make_jobs(placing.MOST + 1, resources={"gpus": 8})
    jobs = make_jobs(10, resources={"cpus": 0.1})
    assert place_waiting() == 8
    assert [job.pk for job in jobs[8:]] == list(
        Job.objects.filter(state="queued")
        .exclude(waiting_reason="no_worker")
        .values_list("pk", flat=True)
        .order_by("pk")
    )


def test_a_crowd_does_not_hide_the_jobs_of_another_project() -> None:
    make_worker(slots=3)
    make_jobs(placing.MOST + 5)
    Project.objects.create(name="small")
    lone = make_job(project="small")
    assert place_waiting() == 3
    lone.refresh_from_db()
    assert lone.state == "assigned"


def test_two_workers_on_one_machine_do_not_give_its_memory_twice() -> None:
    make_worker(slots=8)
    make_worker("run@two", slots=8)
    make_jobs(5, resources={"memory": "3Gi"})
    assert place_waiting() == 2


def test_what_is_told_stays_true_when_the_last_worker_goes_though_nothing_is_free() -> None:
    make_worker(slots=1)
    make_attempt()
    job = make_job()
    place_waiting()
    job.refresh_from_db()
    assert job.waiting_detail == "All workers that could run it are full."
    Worker.objects.update(stopped_at=Now())
    place_waiting(thorough=True)
    job.refresh_from_db()
    assert (job.waiting_reason, "run@one is offline" in job.waiting_detail) == ("capacity", True)


def test_a_backoff_that_is_over_is_not_told_any_more_while_all_is_full() -> None:
    make_worker(slots=1)
    make_attempt()
    job = make_job()
    Job.objects.filter(pk=job.pk).update(not_before=Now() - timedelta(seconds=1), waiting_reason="backoff")
    place_waiting()
    job.refresh_from_db()
    assert job.waiting_reason == "capacity"
