"""Finished logs go by age, size and state, in any order of crashes; and whoever asks for one is told so."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import FileSystemStorage, storages
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from jobs.logs.retention import drop_some, remove_objects, retention_round, to_remove, what_is_due
from jobs.logs.rules import rules
from jobs.models import Attempt, Event, Job, LogChunk, Project
from jobs.services import retry
from towline.celery import app

from .conftest import make_worker
from .ended import age, ended, keep


@pytest.fixture(autouse=True)
def _room() -> None:
    make_worker(slots=500)


def dropped() -> set[int]:
    return set(Attempt.objects.filter(log_dropped_at__isnull=False).values_list("pk", flat=True))


def objects() -> set[str]:
    store = storages["logs"]
    return set(store.listdir("")[1]) if store.exists("") else set()


# --- the rules --------------------------------------------------------------------------------------------------------


def test_failures_are_kept_longer_than_successes(settings: Any) -> None:
    keep(settings, days=30, days_failed=90)
    old, _young = ended(days=31), ended(days=29)
    old_failure, _failure = ended(days=91, failed=True), ended(days=89, failed=True)
    did = retention_round()
    assert dropped() == {old.pk, old_failure.pk}
    assert {(row.rule, row.attempts) for row in did.rows} == {("age", 1), ("failed_age", 1)}
    assert set(LogChunk.objects.values_list("attempt", flat=True)) == set(
        Attempt.objects.filter(log_dropped_at=None).values_list("pk", flat=True)
    )


def test_zero_days_are_for_ever(settings: Any) -> None:
    keep(settings)
    ended(days=30_000)
    assert retention_round().rows == []
    assert not dropped()


def test_a_project_has_its_own_days(settings: Any) -> None:
    keep(settings, days=30)
    long, short, ever = ended(days=31, project="long"), ended(days=3, project="short"), ended(days=999, project="ever")
    other = ended(days=31)
    for name, days in (("long", 60), ("short", 2), ("ever", 0)):
        Project.objects.filter(name=name).update(log_keep_days=days)
    retention_round()
    assert dropped() == {short.pk, other.pk}
    assert not {long.pk, ever.pk} & dropped()


def test_over_the_limit_the_oldest_go_first_and_no_more_than_must(settings: Any) -> None:
    keep(settings, bytes=250)
    attempts = [ended(days=days, packed=100) for days in (5, 4, 3, 2, 1)]
    did = retention_round()
    assert dropped() == {attempt.pk for attempt in attempts[:3]}
    assert (did.attempts, did.bytes, {row.rule for row in did.rows}) == (3, 300, {"size"})
    assert retention_round().rows == []


def test_what_is_not_packed_counts_as_it_is_stored(settings: Any) -> None:
    old, new = ended(days=2, lines=2000), ended(days=1, lines=1)
    stored = sum(len(chunk.data) + len(chunk.index) for chunk in LogChunk.objects.all())
    assert stored < old.log_bytes
    keep(settings, bytes=stored)
    assert what_is_due().attempts == 0
    keep(settings, bytes=stored - 1)
    assert (what_is_due().attempts, retention_round().attempts) == (1, 1)
    assert (dropped(), LogChunk.objects.get().attempt_id) == ({old.pk}, new.pk)


def test_a_project_has_its_own_limit_beside_that_of_all(settings: Any) -> None:
    keep(settings, bytes=350)
    mine = [ended(days=days, packed=100, project="mine") for days in (9, 8)]
    other = [ended(days=days, packed=100) for days in (7, 6)]
    Project.objects.filter(name="mine").update(log_keep_bytes=100)
    assert [(row.project, row.rule, row.attempts) for row in what_is_due().rows] == [("mine", "size", 1)]
    Project.objects.filter(name="default").update(log_keep_bytes=100)
    retention_round()
    assert dropped() == {mine[0].pk, other[0].pk}


def test_what_is_not_over_keeps_its_log(settings: Any, alice: User) -> None:
    """Neither a job that is tried again, nor a log that is not sealed, nor one that may be being packed just now."""
    keep(settings, days=1, days_failed=1, bytes=1)
    again, unsealed, packing = ended(alice, days=9, failed=True), ended(days=9), ended(days=0, lines=900)
    retry(Job.objects.get(pk=again.job_id), "alice")
    Attempt.objects.filter(pk=unsealed.pk).update(log_sealed_at=None)
    retention_round()
    assert dropped() == set()
    age(packing, 1)
    retention_round()
    assert dropped() == {packing.pk}


def test_everything_but_the_log_stays(settings: Any) -> None:
    keep(settings, days=1)
    attempt = ended(days=2, packed=50)
    before, name = attempt.log_facts(), attempt.log_object
    assert name in objects()
    events = set(Event.objects.values_list("kind", flat=True))
    retention_round()
    attempt.refresh_from_db()
    assert {**attempt.log_facts(), "dropped_at": None} == before
    assert attempt.log_facts()["dropped_at"].endswith("Z")
    assert set(Event.objects.values_list("kind", flat=True)) == events | {"log_dropped"}
    assert (attempt.log_object, name in objects()) == ("", False)


def test_beat_has_it_done(settings: Any) -> None:
    keep(settings, days=1)
    attempt = ended(days=2)
    app.loader.import_default_modules()
    entry = app.conf.beat_schedule["retention"]
    assert entry["schedule"] == settings.TOWLINE.TOWLINE_LOG_RETENTION_SECONDS
    app.tasks[entry["task"]]()
    assert dropped() == {attempt.pk}


# --- dry run, batches, crashes, two at once ---------------------------------------------------------------------------


def test_a_dry_run_says_what_a_round_does_and_changes_nothing(settings: Any, capsys: Any) -> None:
    keep(settings, days=30, days_failed=90, bytes=150)
    for days in (40, 20, 10, 5):
        ended(days=days, packed=100, project="p")
    ended(days=100, failed=True)
    before = list(Attempt.objects.order_by("pk").values())
    call_command("retention", dry_run=True, as_json=True)
    planned = json.loads(capsys.readouterr().out)
    assert list(Attempt.objects.order_by("pk").values()) == before
    call_command("retention", as_json=True)
    done = json.loads(capsys.readouterr().out)
    assert (planned.pop("dry_run"), done.pop("dry_run")) == (True, False)
    assert planned == done
    found = [
        (row["project"], row["rule"], row["attempts"], row["bytes"]) for row in done["rows"] if row["project"] == "p"
    ]
    assert found == [("p", "age", 1, 100), ("p", "size", 2, 200)]
    assert sum(row["attempts"] for row in done["rows"]) == 4


def test_the_table_names_project_rule_and_size(settings: Any, capsys: Any) -> None:
    keep(settings, days=30)
    ended(days=40, packed=2048, project="ml")
    call_command("retention", dry_run=True)
    out = capsys.readouterr().out
    assert all(word in out for word in ("ml", "logs of successes are kept 30 days", "2.0 KiB", "1 log would go"))
    call_command("retention")
    call_command("retention")
    assert "no log is due" in capsys.readouterr().out


def test_batches_are_bounded_by_attempts_and_by_chunks(settings: Any) -> None:
    keep(settings, days=1)
    for _ in range(7):
        ended(days=2)
    (rule,) = list(rules())
    assert [len(drop_some(rule, attempts=2)), len(drop_some(rule, chunks=3)), len(drop_some(rule, chunks=0))] == [
        2,
        3,
        1,
    ]
    heard: list[int] = []
    retention_round(heard.append)
    assert (heard, LogChunk.objects.count()) == ([1], 0)


def test_killed_between_any_two_steps_the_next_round_goes_on(settings: Any) -> None:
    keep(settings, days=1)
    attempts = [ended(days=2, packed=10) for _ in range(3)]
    (rule,) = list(rules())
    drop_some(rule)
    # Killed here: marked, nothing removed. Nobody is shown a log that will go.
    assert dropped() == {attempt.pk for attempt in attempts}
    assert {attempt.log_object for attempt in attempts} <= objects()
    # And here: one object is gone, its name is still there.
    storages["logs"].delete(attempts[0].log_object)
    assert retention_round().rows == []
    assert not objects() & {attempt.log_object for attempt in attempts}
    assert not Attempt.objects.exclude(log_object="").exists()


class Stubborn(FileSystemStorage):
    """Lets go of nothing."""

    def delete(self, name: str) -> None:
        raise ConnectionError("the storage does not answer")


def test_what_the_storage_does_not_let_go_of_is_tried_again(settings: Any, tmp_path: Any, capsys: Any) -> None:
    keep(settings, days=1)
    attempt = ended(days=2, packed=10)
    good = settings.STORAGES
    stubborn = {"BACKEND": "tests.flows.test_retention.Stubborn", "OPTIONS": good["logs"]["OPTIONS"]}
    settings.STORAGES = {**good, "logs": stubborn}
    with pytest.raises(SystemExit):
        call_command("retention")
    assert "1 objects stay" in capsys.readouterr().err
    assert (dropped(), Attempt.objects.exclude(log_object="").count()) == ({attempt.pk}, 1)
    settings.STORAGES = good
    assert remove_objects(to_remove()) == 0
    assert attempt.log_object not in objects()


@pytest.mark.django_db(transaction=True)
def test_two_at_once_drop_each_log_once_and_no_more_than_one_would(settings: Any) -> None:
    keep(settings, bytes=55)
    attempts = [ended(days=30 - n, packed=10, name=str(n)) for n in range(20)]
    at_once = threading.Barrier(2)
    dropped_by: list[int] = []

    def run() -> None:
        at_once.wait()
        dropped_by.append(retention_round().attempts)
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dropped() == {attempt.pk for attempt in attempts[:15]}
    assert (sum(dropped_by), Event.objects.filter(kind="log_dropped").count()) == (15, 15)


# --- whoever asks for a dropped log -----------------------------------------------------------------------------------


def gone(alice: User, settings: Any) -> Attempt:
    keep(settings, days=1)
    attempt = ended(alice, days=2)
    retention_round()
    return attempt


@pytest.mark.parametrize("accept", ["text/plain", "application/json", "text/event-stream"])
@pytest.mark.parametrize("query", ["", "?follow=1", "?tail=2"])
def test_rest_says_when_and_why_it_went(api: APIClient, alice: User, settings: Any, accept: str, query: str) -> None:
    attempt = gone(alice, settings)
    answer = api.get(f"/api/v1/jobs/{attempt.job_id}/logs/{query}", HTTP_ACCEPT=accept)
    assert (answer.status_code, answer["Content-Type"]) == (410, "application/problem+json")
    body = json.loads(answer.content)
    assert body["type"] == "urn:towline:problem:log-dropped"
    assert all(word in body["detail"] for word in ("kept 1 day", "UTC", "3 lines", attempt.log_sha256))


def test_a_reader_that_comes_back_is_told_too(api: APIClient, alice: User, settings: Any) -> None:
    attempt = gone(alice, settings)
    headers = {"HTTP_ACCEPT": "text/event-stream", "HTTP_LAST_EVENT_ID": "2"}
    assert api.get(f"/api/v1/jobs/{attempt.job_id}/logs/", **headers).status_code == 410


def test_the_job_says_when_its_log_went(api: APIClient, alice: User, settings: Any) -> None:
    kept = ended(alice)
    attempt = gone(alice, settings)
    logs = [api.get(f"/api/v1/jobs/{job}/").json()["log"] for job in (kept.job_id, attempt.job_id)]
    assert (logs[0]["dropped_at"], logs[1]["dropped_at"][:2], logs[1]["lines"]) == (None, "20", 3)


def test_the_command_says_so_and_fails(alice: User, settings: Any) -> None:
    attempt = gone(alice, settings)
    with pytest.raises(CommandError, match="Retention removed the log of attempt 1"):
        call_command("logs", str(attempt.job_id))


def test_the_admin_says_so_instead_of_an_empty_log(client: Client, alice: User, root: User, settings: Any) -> None:
    attempt = gone(alice, settings)
    client.force_login(root)
    for name, pk in (("job", attempt.job_id), ("attempt", attempt.pk)):
        shown = client.get(reverse(f"admin:jobs_{name}_change", args=[pk])).content.decode()
        assert "Retention removed the log of attempt 1" in shown
        assert "data-log" not in shown


def test_a_projects_limits_are_edited_in_the_admin(client: Client, root: User) -> None:
    client.force_login(root)
    project = Project.objects.get(name="default")
    address = reverse("admin:jobs_project_change", args=[project.pk])
    client.post(
        address, {"name": "default", "log_keep_days": "7", "log_keep_days_failed": "", "log_keep_bytes": "1000"}
    )
    project.refresh_from_db()
    assert (project.log_keep_days, project.log_keep_days_failed, project.log_keep_bytes) == (7, None, 1000)
    wrong = client.post(address, {"name": "default", "log_keep_days": "99999999"}).content.decode()
    assert "less than or equal to 36500" in wrong
