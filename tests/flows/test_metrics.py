"""What Prometheus is told is what the database has at that moment."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from jobs.models import Job
from jobs.verdicts import KIND_OF

from .conftest import make_attempt, make_job, make_worker


def told() -> dict[tuple[str, str], float]:
    answer = Client().get("/metrics")
    assert (answer.status_code, "version=" in answer["Content-Type"]) == (200, True)
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_nothing_waits_and_nobody_works_at_first() -> None:
    found = told()
    assert found["towline_jobs_waiting", "capacity"] == found["towline_jobs_running", ""] == 0
    assert found["towline_worker_slots", "free"] == found["towline_workers", "online"] == 0


def test_jobs_are_counted_by_what_they_wait_for() -> None:
    make_worker(slots=3)
    make_attempt()
    held_up = make_attempt().job
    for reason in ("", "capacity", "concurrency"):
        Job.objects.filter(pk=make_job().pk).update(waiting_reason=reason)
    Job.objects.filter(pk=held_up.pk).update(waiting_reason="unschedulable")
    found = told()
    assert [found["towline_jobs_waiting", why] for why in ("capacity", "concurrency", "unschedulable")] == [2, 1, 1]
    assert found["towline_jobs_assigned", ""] == 2
    assert (found["towline_worker_slots", "used"], found["towline_worker_slots", "free"]) == (2, 1)


def test_no_name_of_anybody_is_told() -> None:
    make_worker()
    make_job(name="hush")
    body = Client().get("/metrics").content.decode()
    assert "hush" not in body and "run@one" not in body


def test_the_alerts_look_at_figures_that_are_told_from_the_beginning() -> None:
    alerts = yaml.safe_load((Path(__file__).parents[2] / "docker" / "alerts.yaml").read_text())
    looked_at = " ".join(rule["expr"] for group in alerts["groups"] for rule in group["rules"])
    names, found = set(re.findall(r"towline_\w+", looked_at)), told()
    assert len(names) > 3 and names <= {name for name, _ in found}
    chosen = re.findall(r'(towline_\w+)\{state="(\w+)"', looked_at)
    assert chosen and set(chosen) <= found.keys()
    for codes in re.findall(r'verdict=~"([^"]+)"', looked_at):
        assert {KIND_OF[code] for code in codes.split("|")} == {"platform"}
