"""What an attempt used, over REST: its samples, and its peaks when it was too short for any."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from jobs.models import UsageSeries

from .conftest import client_of, make_attempt, make_job


def test_samples_are_told_by_time(api: APIClient, alice: User) -> None:
    attempt = make_attempt(alice)
    start = timezone.now() - timedelta(seconds=10)
    type(attempt).objects.filter(pk=attempt.pk).update(
        started_at=start, usage={"memory_peak_bytes": 9, "cpu_seconds": 3.0}
    )
    at = round(start.timestamp() * 1000)
    UsageSeries.objects.create(attempt=attempt, rows=[[at + 2000, 5, 1000], [at + 4000, 7, 3000]])
    told = api.get(f"/api/v1/jobs/{attempt.job_id}/usage/").json()
    assert (told["attempt"], told["memory_peak_bytes"], told["cpu_seconds"]) == (1, 9, 3.0)
    assert [(each["memory_bytes"], each["cpu_seconds"], each["cpus"]) for each in told["samples"]] == [
        (5, 1.0, 0.5),
        (7, 3.0, 1.0),
    ]


def test_a_job_that_never_began_used_nothing(api: APIClient, alice: User) -> None:
    told = api.get(f"/api/v1/jobs/{make_job(alice).pk}/usage/").json()
    assert (told["attempt"], told["samples"]) == (None, [])


def test_an_attempt_that_is_not_there_is_not_found(api: APIClient, alice: User) -> None:
    path = f"/api/v1/jobs/{make_attempt(alice).job_id}/usage/"
    assert api.get(path, {"attempt": 9}).status_code == 404
    assert "attempt" in api.get(path, {"attempt": "x"}).json()["errors"]


def test_who_may_not_see_the_job_sees_no_usage(alice: User, bob: User) -> None:
    assert client_of(bob).get(f"/api/v1/jobs/{make_job(alice).pk}/usage/").status_code == 404
