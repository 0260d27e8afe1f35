"""A job's spec is submitted once more, with what the body changes and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from jobs.cloning import merged
from jobs.models import Job, Project
from jobs.secrets import keeping
from jobs.secrets.values import check_value

from .conftest import make_job

FULL: dict[str, Any] = {
    "name": "etl", "labels": {"team": "ml"}, "env": {"A": "1", "B": "2"}, "working_dir": "/work", "user": "7",
    "resources": {"cpus": 2, "memory": "64Mi", "disk": "1Gi"}, "timeouts": {"run": 9, "idle": 3}, "priority": 4,
    "retry": {"max_attempts": 3, "on": ["user"]}, "concurrency": {"key": "k", "limit": 2}, "requires": {"disk": "ssd"},
    "run_at": "2099-01-01T00:00:00Z", "network": "none", "read_only": True,
}  # fmt: skip


def clone(api: APIClient, job: Job, body: dict[str, Any], **headers: str) -> Any:
    return api.post(f"/api/v1/jobs/{job.pk}/clone/", body, format="json", headers=headers)


@pytest.mark.parametrize("given", [True, False], ids=["an empty body", "none"])
def test_without_changes_it_is_the_same_spec_in_a_job_of_ones_own(api: APIClient, alice: User, given: bool) -> None:
    keeping.make(Project.objects.get(name="default"), "KEY", check_value("hush-hush"), alice)
    first = make_job(alice, **FULL, secrets=["KEY"], after=[str(make_job(alice).pk)])
    answer = clone(api, first, {}) if given else api.post(f"/api/v1/jobs/{first.pk}/clone/")
    made = Job.objects.get(pk=answer.json()["id"])
    assert (answer.status_code, answer["Location"].endswith(f"{made.pk}/"), made.owner) == (201, True, alice)
    assert made.pk != first.pk
    assert made.spec == first.spec


def test_the_body_changes_objects_key_by_key_and_null_is_the_default(api: APIClient, alice: User) -> None:
    first = make_job(alice, **FULL)
    changes = {
        "script": "#!/bin/sh\ntrue",
        "command": None,
        "env": {"A": None, "C": "3"},
        "resources": {"cpus": 1},
        "run_at": None,
    }
    told = clone(api, first, changes).json()
    assert (told["script"], told["command"], told["env"]) == (changes["script"], None, {"B": "2", "C": "3"})
    assert (told["resources"]["cpus"], told["resources"]["memory"], told["run_at"]) == (1, "64Mi", None)
    assert (told["name"], told["retry"]["on"]) == ("etl", ["user"])


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"cpus": 1}, "cpus"), ({"resources": {"cpus": -1}}, "resources.cpus"), ({"image": None}, "image")],
)
def test_what_comes_out_is_checked_as_any_spec(
    api: APIClient, alice: User, changes: dict[str, Any], field: str
) -> None:
    answer = clone(api, make_job(alice), changes)
    assert (answer.status_code, list(answer.json()["errors"]), Job.objects.count()) == (400, [field], 1)


def test_nobody_clones_what_they_may_not_see(api: APIClient, bob: User) -> None:
    assert clone(api, make_job(bob), {}).status_code == 404


def test_sent_twice_with_a_key_it_is_one_job(api: APIClient, alice: User) -> None:
    first = make_job(alice)
    answers = [clone(api, first, {"name": "again"}, **{"Idempotency-Key": "k"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json()["id"] == answers[1].json()["id"]


def test_merging_is_as_the_standard_has_it() -> None:
    """Of the examples in RFC 7396."""
    assert merged({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}) == {"a": {"b": "d"}}
    assert merged({"a": "b", "b": "c"}, {"a": None}) == {"b": "c"}
    assert merged({"e": None}, {"a": 1}) == {"e": None, "a": 1}
    assert merged({"a": [{"b": "c"}]}, {"a": [1]}) == {"a": [1]}
    assert merged({}, {"a": {"bb": {"ccc": None}}}) == {"a": {"bb": {}}}
