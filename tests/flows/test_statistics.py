"""Figures that are right to the last one, over a small cast; of what somebody may see and nothing else."""

from __future__ import annotations

import json
import statistics
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from jobs.logs.retention import retention_round
from jobs.models import Attempt, Job, LogChunk, Project
from jobs.statistics.durations import percentile
from jobs.statistics.figures import figures
from jobs.statistics.window import window

from .conftest import client_of, make_job, make_worker
from .ended import ended, keep

STATS = "/api/v1/stats/"


@pytest.fixture(autouse=True)
def _room() -> None:
    make_worker(slots=500)


def lasted(attempt: Attempt, wait: float, run: float, ago: timedelta = timedelta(minutes=1)) -> None:
    """So many seconds in the queue and running, and over since then."""
    end = timezone.now() - ago
    started = end - timedelta(seconds=run)
    Job.objects.filter(pk=attempt.job_id).update(
        queued_at=started - timedelta(seconds=wait), started_at=started, finished_at=end
    )
    Attempt.objects.filter(pk=attempt.pk).update(finished_at=end)


def test_every_figure_is_right(alice: User) -> None:
    quick, slow = ended(alice, lines=2, name="quick", packed=70), ended(alice, lines=40, name="slow", project="ml")
    failed = ended(alice, lines=9, name="broken", failed=True, project="ml")
    before = ended(alice, lines=500, days=3, packed=1000)
    for attempt, wait, run in ((quick, 1, 10), (slow, 2, 20), (failed, 4, 90)):
        lasted(attempt, wait, run)
    waiting = make_job(alice)
    Job.objects.filter(pk=waiting.pk).update(waiting_reason="concurrency")
    found = figures(window("24h"))
    assert found["queue"] == {"queued": 1, "assigned": 0, "running": 0, "by_reason": {"concurrency": 1}}
    through = found["throughput"]
    assert (through["submitted"], through["finished"], through["per_hour"]) == (5, 3, 0.125)
    assert through["by_state"] == {"succeeded": 2, "failed": 1, "cancelled": 0}
    assert found["verdicts"] == {"exit_code": 1}
    assert found["wait_seconds"] == {"jobs": 3, "p50": 2, "p90": 3.6, "p95": 3.8, "p99": 3.96, "max": 4}
    assert found["run_seconds"] == {"jobs": 3, "p50": 20, "p90": 76, "p95": 83, "p99": 88.6, "max": 90}
    logs = found["logs"]
    stored = sum(len(chunk.data) + len(chunk.index) for chunk in LogChunk.objects.all())
    assert (logs["lines"], logs["bytes"]) == (51, quick.log_bytes + slow.log_bytes + failed.log_bytes)
    assert logs["kept_bytes"] == 1070 + stored
    assert logs["projects"] == [
        {"project": "ml", "lines": 49, "bytes": slow.log_bytes + failed.log_bytes, "kept_bytes": stored},
        {"project": "default", "lines": 2, "bytes": quick.log_bytes, "kept_bytes": 1070},
    ]
    assert [(row["name"], row["lines"]) for row in logs["noisiest"]] == [("slow", 40), ("broken", 9), ("quick", 2)]
    assert before.log_lines == 500


def test_jobs_count_in_the_hour_in_which_they_ended(alice: User) -> None:
    now = timezone.now()
    for hours in (0.02, 5, 5, 23.5, 30):
        lasted(ended(alice), 1, 1, timedelta(hours=hours))
    found = figures(window("24h"))["throughput"]
    buckets = {bucket["at"]: bucket["succeeded"] for bucket in found["buckets"]}
    assert sum(buckets.values()) == found["finished"] == 4
    assert buckets[(now - timedelta(hours=5)).replace(minute=0, second=0, microsecond=0)] >= 2
    assert (len(buckets), min(buckets)) == (25, (now - timedelta(hours=24)).replace(minute=0, second=0, microsecond=0))
    by_day = figures(window("7d"))["throughput"]
    assert (by_day["bucket_seconds"], by_day["finished"], len(by_day["buckets"])) == (86_400, 5, 8)


def test_a_wait_begins_when_the_job_might_have_run(alice: User) -> None:
    attempt = ended(alice)
    lasted(attempt, 100, 1)
    job = Job.objects.get(pk=attempt.job_id)
    assert job.started_at is not None
    Job.objects.filter(pk=job.pk).update(not_before=job.started_at - timedelta(seconds=7))
    assert figures(window())["wait_seconds"]["max"] == 7


def test_output_of_what_runs_counts_and_dropped_logs_take_no_room(alice: User, settings: Any) -> None:
    old = ended(alice, days=2, packed=500)
    keep(settings, days=1)
    assert figures(window("7d"))["logs"]["kept_bytes"] == 500
    retention_round()
    Attempt.objects.filter(pk=old.pk).update(log_object="", log_object_bytes=0)
    logs = figures(window("7d"))["logs"]
    assert (logs["kept_bytes"], logs["lines"], logs["noisiest"][0]["id"]) == (0, 3, str(old.job_id))


@pytest.mark.parametrize("count", [1, 2, 3, 10, 101])
def test_percentiles_are_those_of_everybody_else(count: int) -> None:
    values = sorted((n * 37 % 101) / 7 for n in range(count))
    assert percentile(values, 0.5) == pytest.approx(statistics.median(values))
    if count > 1:
        ninety = statistics.quantiles(values, n=10, method="inclusive")[8]
        assert percentile(values, 0.9) == pytest.approx(ninety)


def test_nothing_at_all_is_no_error(api: APIClient) -> None:
    found = api.get(STATS).json()
    assert found["wait_seconds"] == {"jobs": 0, "p50": None, "p90": None, "p95": None, "p99": None, "max": None}
    assert (found["throughput"]["finished"], found["verdicts"], found["logs"]["noisiest"]) == (0, {}, [])


def test_everybody_sees_figures_of_what_they_may_see(api: APIClient, alice: User, bob: User, root: User) -> None:
    mine, other = ended(alice, lines=2), ended(bob, lines=5, project="bobs")
    shared = ended(bob, lines=7, project="shared")
    Project.objects.get(name="shared").members.add(alice)
    found = api.get(STATS).json()
    assert found["throughput"]["finished"] == 2
    assert {row["project"]: row["lines"] for row in found["logs"]["projects"]} == {"default": 2, "shared": 7}
    assert {row["id"] for row in found["logs"]["noisiest"]} == {str(mine.job_id), str(shared.job_id)}
    everything = client_of(root).get(STATS).json()
    assert (everything["throughput"]["finished"], everything["logs"]["lines"]) == (3, 14)
    assert str(other.job_id) in {row["id"] for row in everything["logs"]["noisiest"]}
    assert APIClient().get(STATS).status_code == 401


@pytest.mark.parametrize(
    "query", ["window=", "window=24", "window=x", "window=-1h", "window=59s", "window=367d", "window=٣h", "windw=1h"]
)
def test_a_window_that_can_not_be_is_named(api: APIClient, query: str) -> None:
    answer = api.get(f"{STATS}?{query}")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [query.partition("=")[0]])


def test_windows_are_read() -> None:
    now = datetime(2030, 1, 31, 8, 30, tzinfo=UTC)
    lengths = {text: window(text, now).length for text in ("60s", "30m", "24h", "7d", "2w", "366d")}
    assert list(lengths.values()) == [
        timedelta(minutes=1), timedelta(minutes=30), timedelta(days=1), timedelta(days=7), timedelta(days=14), timedelta(days=366),
    ]  # fmt: skip
    assert window("1h", now).buckets == [datetime(2030, 1, 31, hour, tzinfo=UTC) for hour in (7, 8)]
    assert len(window("366d", now).buckets) == 367


def test_more_jobs_cost_no_more_questions(alice: User) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            figures(window("7d"), alice)
        return len(queries)

    ended(alice)
    asked()  # which permissions she has is asked once
    few = asked()
    for n in range(8):
        ended(alice, project=f"p{n}", failed=bool(n % 2))
    assert asked() == few <= 11


def test_the_command_tells_the_same(alice: User, capsys: Any) -> None:
    attempt = ended(alice, lines=12, name="chatty", failed=True)
    lasted(attempt, 3, 30)
    call_command("stats", as_json=True, window="1h")
    found = json.loads(capsys.readouterr().out)
    assert (found["window"]["seconds"], found["run_seconds"]["p99"]) == (3600, 30)
    assert found["logs"]["noisiest"][0]["id"] == str(attempt.job_id)
    call_command("stats")
    out = capsys.readouterr().out
    assert all(word in out for word in ("chatty", "1 exit_code", "1 failed", "30 s", str(attempt.job_id)[-8:]))
    with pytest.raises(CommandError, match="--window: write a number"):
        call_command("stats", window="soon")


def test_the_page_shows_them_and_is_linked(client: Client, alice: User, root: User) -> None:
    attempt = ended(alice, lines=12, name="<b>chatty", failed=True, project="ml")
    client.force_login(root)
    page = reverse("admin:statistics")
    assert page in client.get(reverse("admin:index")).content.decode()
    shown = client.get(page, {"window": "7d"}).content.decode()
    for word in (
        "&lt;b&gt;chatty",
        reverse("admin:jobs_job_change", args=[attempt.job_id]),
        "exit_code",
        'aria-current="page">7d',
    ):
        assert word in shown
    assert "style=" not in shown
    assert "write a number" in client.get(page, {"window": "<i>"}).content.decode()
    links = [link for link in shown.split('href="') if "?project__id__exact=" in link or "?verdict=" in link]
    for link in links:
        assert client.get(link.split('"')[0]).status_code == 200
    assert len(links) >= 2


def test_the_page_is_for_those_who_may_see_jobs(client: Client) -> None:
    client.force_login(User.objects.create_user("clerk", is_staff=True))
    assert client.get(reverse("admin:statistics")).status_code == 403
    assert Client().get(reverse("admin:statistics")).status_code == 302
