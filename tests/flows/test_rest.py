"""REST as the contract says: what goes in, what comes back, and how a mistake is answered."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from rest_framework.test import APIClient

from jobs.models import Job, Project
from jobs.services import cancel
from jobs.spec import RUNTIMES
from jobs.volumes import Allowed

from .conftest import client_of, make_attempt, make_job

JOBS = "/api/v1/jobs/"
SPEC = {"image": "busybox:1.36", "command": ["sh", "-c", "echo hello"]}


def test_a_job_is_taken_and_read_back(api: APIClient, alice: User) -> None:
    answer = api.post(JOBS, {**SPEC, "labels": {"team": "ml"}, "resources": {"memory": "64Mi"}})
    job = answer.json()
    assert answer.status_code == 201
    assert answer["Location"].endswith(f"{JOBS}{job['id']}/")
    assert uuid.UUID(job["id"]).version == 7
    assert (job["state"], job["command"], job["resources"]["memory"]) == ("queued", SPEC["command"], "64Mi")
    assert (job["attempt"], job["attempts_count"], job["exit_code"], job["verdict"]) == (None, 0, None, None)
    assert job["log"] == {"lines": 0, "bytes": 0, "sha256": None, "complete": None, "gaps": [], "dropped_at": None}
    assert job["waiting"]["position"] == 1
    assert api.get(f"{JOBS}{job['id']}/").json() == job
    assert Job.objects.get().owner == alice


def test_a_mistake_is_answered_with_the_field_and_nothing_is_stored(api: APIClient) -> None:
    answer = api.post(JOBS, {**SPEC, "resources": {"cpus": -1}, "bogus": 1})
    problem = answer.json()
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert set(problem) == {"type", "title", "status", "detail", "errors"}
    assert set(problem["errors"]) == {"resources.cpus", "bogus"}
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400), (b"", 400), (b"[]", 400), (b'{"image": NaN}', 400), (b'{"image": "a", "image": "b"}', 400),
        (b"[" * 5000 + b"]" * 5000, 400), (b'{"env":' + b'{"a":' * 40 + b"1" + b"}" * 41, 400), (b"\xff\xfe", 400),
        (b'{"image": "' + b"x" * 3_000_000 + b'"}', 413),
    ],
)  # fmt: skip
def test_a_body_that_is_no_job_is_a_clear_4xx(api: APIClient, body: bytes, status: int) -> None:
    answer = api.post(JOBS, body, content_type="application/json")
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert answer.json()["detail"]
    assert not Job.objects.exists()


def test_the_wrong_content_type_method_or_login_has_its_own_status(api: APIClient) -> None:
    assert api.post(JOBS, "x", content_type="text/csv").status_code == 415
    assert api.put(JOBS, SPEC).status_code == 405
    assert APIClient().post(JOBS, SPEC).status_code == 401
    for token in ("nonsense", "tl_" + "0" * 64, "t\xc3\xa9", ""):
        assert APIClient(HTTP_AUTHORIZATION=f"Bearer {token}").get(JOBS).status_code == 401


def test_an_unknown_project_is_named(api: APIClient) -> None:
    answer = api.post(JOBS, {**SPEC, "project": "moon"})
    assert (answer.status_code, set(answer.json()["errors"])) == (400, {"project"})


def test_a_network_that_no_operator_has_allowed_is_refused(api: APIClient, settings: Any) -> None:
    answer = api.post(JOBS, {**SPEC, "network": "towline_default"})
    assert (answer.status_code, set(answer.json()["errors"])) == (400, {"network"})
    settings.TOWLINE = settings.TOWLINE.model_copy(update={"TOWLINE_NETWORKS": ["towline_default"]})
    assert api.post(JOBS, {**SPEC, "network": "towline_default"}).status_code == 201


def test_a_volume_that_no_operator_has_allowed_is_refused(api: APIClient, settings: Any, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    settings.TOWLINE = settings.TOWLINE.model_copy(update={"TOWLINE_VOLUMES": [Allowed.parse(f"{tmp_path}:ro")]})
    wrong = [f"{tmp_path}/link:/a", "/var/run/docker.sock:/b", f"{tmp_path}:/c:rw", f"{tmp_path}:/d"]
    answer = api.post(JOBS, {**SPEC, "volumes": wrong})
    assert answer.status_code == 400
    assert set(answer.json()["errors"]) == {f"volumes.{n}.source" for n in range(3)}
    answer = api.post(JOBS, {**SPEC, "volumes": [f"{tmp_path}:/d"]})
    assert answer.status_code == 201
    assert answer.json()["volumes"] == [{"source": str(tmp_path), "target": "/d", "read_only": True}]


def test_a_project_with_members_is_theirs_alone(api: APIClient, bob: User) -> None:
    Project.objects.create(name="bobs").members.add(bob)
    assert api.post(JOBS, {**SPEC, "project": "bobs"}).status_code == 400
    assert client_of(bob).post(JOBS, {**SPEC, "project": "bobs"}).status_code == 201


def test_other_peoples_jobs_do_not_exist(api: APIClient, bob: User, root: User) -> None:
    job = make_job(bob)
    assert api.get(f"{JOBS}{job.pk}/").status_code == 404
    assert api.post(f"{JOBS}{job.pk}/cancel/").status_code == 404
    for part in ("logs", "events", "attempts", "wait"):
        assert api.get(f"{JOBS}{job.pk}/{part}/").status_code == 404
    assert api.get(JOBS).json()["results"] == []
    assert client_of(root).get(f"{JOBS}{job.pk}/").status_code == 200


def test_who_may_only_look_may_not_cancel(alice: User, bob: User) -> None:
    bob.user_permissions.add(Permission.objects.get(codename="view_job"))
    job = make_job(alice)
    assert client_of(bob).get(f"{JOBS}{job.pk}/").status_code == 200
    assert client_of(bob).post(f"{JOBS}{job.pk}/cancel/").status_code == 403
    bob.user_permissions.add(Permission.objects.get(codename="change_job"))
    assert client_of(bob).post(f"{JOBS}{job.pk}/cancel/").status_code == 202


def test_the_same_key_gives_the_same_job(api: APIClient) -> None:
    first = api.post(JOBS, SPEC, HTTP_IDEMPOTENCY_KEY="k1")
    second = api.post(JOBS, SPEC, HTTP_IDEMPOTENCY_KEY="k1")
    other = api.post(JOBS, {**SPEC, "priority": 3}, HTTP_IDEMPOTENCY_KEY="k1")
    assert (first.status_code, second.status_code, other.status_code) == (201, 200, 409)
    assert (second["Idempotent-Replay"], second.json()["id"]) == ("true", first.json()["id"])
    assert api.post(JOBS, SPEC, HTTP_IDEMPOTENCY_KEY="x" * 300).status_code == 400
    assert Job.objects.count() == 1


def test_cancel_of_a_waiting_job_ends_it_and_again_changes_nothing(api: APIClient, alice: User) -> None:
    job = make_job(alice)
    first, second = api.post(f"{JOBS}{job.pk}/cancel/"), api.post(f"{JOBS}{job.pk}/cancel/")
    assert (first.status_code, second.status_code) == (202, 200)
    assert (first.json()["state"], first.json()["verdict"]["code"]) == ("cancelled", "cancelled")
    assert first.json()["waiting"] is None


def test_lists_are_paged_newest_first_and_filtered(api: APIClient, alice: User) -> None:
    made = [make_job(alice, name=f"job-{n}", labels={"n": str(n), "all": "yes"}) for n in range(5)]
    cancel(made[0], "alice")
    page = api.get(JOBS, {"limit": 3}).json()
    rest = api.get(page["next"]).json()
    assert [job["name"] for job in page["results"] + rest["results"]] == [f"job-{n}" for n in (4, 3, 2, 1, 0)]
    assert (page["previous"], rest["next"]) == (None, None)

    def names(**params: Any) -> list[str]:
        return [job["name"] for job in api.get(JOBS, params).json()["results"]]

    assert names(state="cancelled") == ["job-0"]
    assert names(label=["n:3", "all:yes"]) == ["job-3"]
    assert names(q="JOB-2") == ["job-2"]
    assert names(q=str(made[1].pk)) == ["job-1"]
    assert names(verdict="cancelled") == ["job-0"]
    assert names(ordering="created_at")[0] == "job-0"
    assert names(project="default", created_after="2099-01-01T00:00:00Z") == []


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_jobs_are_found_by_every_runtime_there_is(api: APIClient, alice: User, runtime: str) -> None:
    for name in RUNTIMES:
        make_job(alice, name=name, runtime=name)
    assert [job["name"] for job in api.get(JOBS, {"runtime": runtime}).json()["results"]] == [runtime]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=x",
        "state=sleeping",
        "stat=failed",
        "label=x",
        "verdict=bad",
        "created_after=soon",
        "ordering=owner__password",
        "q=%00",
    ],
)
def test_a_filter_that_can_not_be_is_an_error(api: APIClient, query: str) -> None:
    assert api.get(f"{JOBS}?{query}").status_code == 400


@pytest.mark.parametrize("pk", ["1", "x", "1e5", str(2**63), "%00", "00000000-0000-0000-0000-000000000000"])
def test_an_id_that_is_none_is_not_found(api: APIClient, pk: str) -> None:
    answer = api.get(f"{JOBS}{pk}/")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


def test_wait_answers_at_once_when_asked_to(api: APIClient, alice: User) -> None:
    job = make_job(alice)
    assert api.get(f"{JOBS}{job.pk}/wait/", {"timeout": 0}).json()["state"] == "queued"
    assert api.get(f"{JOBS}{job.pk}/wait/", {"timeout": "soon"}).status_code == 400


def test_attempts_and_events_hang_on_the_job(api: APIClient, alice: User) -> None:
    attempt = make_attempt(alice)
    (shown,) = api.get(f"{JOBS}{attempt.job_id}/attempts/").json()["results"]
    assert (shown["id"], shown["number"], shown["state"], shown["worker"]) == (attempt.pk, 1, "assigned", "run@one")
    assert api.get(f"{JOBS}{attempt.job_id}/attempts/1/").json() == shown
    assert api.get(f"{JOBS}{attempt.job_id}/attempts/2/").status_code == 404
    kinds = [row["kind"] for row in api.get(f"{JOBS}{attempt.job_id}/events/").json()["results"]]
    assert kinds == ["submitted", "assigned", "attempt_assigned"]


def test_workers_are_listed_with_what_they_have(api: APIClient, alice: User, bob: User) -> None:
    make_attempt(alice)
    (worker,) = api.get("/api/v1/workers/").json()["results"]
    assert (worker["name"], worker["state"], worker["slots"], worker["used"]) == ("run@one", "online", 2, 1)
    assert worker["running"][0]["state"] == "assigned"
    (seen_by_bob,) = client_of(bob).get("/api/v1/workers/").json()["results"]
    assert (seen_by_bob["used"], seen_by_bob["running"]) == (1, [])


def test_a_full_queue_says_so(api: APIClient, settings: Any) -> None:
    settings.TOWLINE = settings.TOWLINE.model_copy(update={"TOWLINE_MAX_QUEUED": 2})
    codes = [api.post(JOBS, SPEC).status_code for _ in range(3)]
    assert codes == [201, 201, 429]


def test_live_needs_no_login_and_ready_names_what_fails(api: APIClient) -> None:
    assert APIClient().get("/healthz/live").status_code == 200
    answer = APIClient().get("/healthz/ready")
    told = json.loads(answer.content)
    parts = told["parts"]
    assert (answer.status_code, told["status"], parts["database"], parts["redis"] != "ok") == (
        503,
        "degraded",
        "ok",
        True,
    )


def test_without_redis_web_still_serves() -> None:
    answer = APIClient().get("/healthz/serving")
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "ok", "parts": {"database": "ok", "migrations": "ok"}},
    )


def test_a_member_sees_all_jobs_of_the_project_and_each_once(api: APIClient, alice: User, bob: User) -> None:
    project = Project.objects.create(name="ours")
    project.members.add(alice, bob)
    for owner in (alice, bob):
        make_job(owner, project="ours")
    make_job(bob)
    assert len(api.get(JOBS).json()["results"]) == 2
    assert "DISTINCT" not in str(Job.objects.visible_to(alice).query)
