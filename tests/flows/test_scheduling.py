"""What holds a job up though there is room: jobs it comes after, its concurrency key; and what memory it is given."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from jobs.models import Attempt, Dependency, Job, Project
from jobs.moves import move
from jobs.services import Rejected, cancel
from jobs.states import AttemptState, JobState
from jobs.verdicts import Verdict
from jobs.waiting import waiting
from workers import claims
from workers.ending import Ending, finish
from workers.placing import place_waiting

from .conftest import ENGINE, make_attempt, make_job, make_worker

OOM = Verdict("oom_killed", "killed")
GIB = 1024**3


def fresh(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def told(job: Job) -> dict[str, Any]:
    return waiting(fresh(job)) or {}


def end(job: Job, state: AttemptState = AttemptState.SUCCEEDED, verdict: Verdict | None = None) -> None:
    """As its worker would, from the claim on."""
    attempt = Attempt.objects.get(job=job, number=fresh(job).attempts_count)
    taken = claims.claim(attempt.pk, attempt.worker, "boot-" + attempt.worker)
    assert taken
    code = 0 if state is AttemptState.SUCCEEDED else 1
    assert finish(taken, taken.fence, Ending(state, code, verdict))


# --- after --------------------------------------------------------------------------------------------------------------


def test_a_job_starts_once_all_it_comes_after_have_succeeded() -> None:
    make_worker(slots=9)
    first, second = make_job(), make_job()
    last = make_job(after=[str(first.pk), str(second.pk)])
    assert told(last)["reason"] == "dependency"
    place_waiting()
    assert told(last) | {"detail": ""} == {
        "reason": "dependency",
        "detail": "",
        "position": 1,
        "blocked_by": sorted([first.pk, second.pk]),
    }
    end(first)
    assert place_waiting() == 0
    assert told(last)["blocked_by"] == [second.pk]
    end(second)
    assert place_waiting() == 1
    assert fresh(last).state == "assigned"


def test_what_comes_after_a_failed_job_is_cancelled_and_so_is_what_comes_after_that() -> None:
    make_worker()
    first = make_job()
    second = make_job(after=[str(first.pk)])
    third = make_job(after=[str(second.pk)])
    place_waiting()
    end(first, AttemptState.FAILED, Verdict("exit_code", "It ended with exit code 1."))
    place_waiting()
    for job, on in ((second, first), (third, second)):
        now = fresh(job)
        assert (now.state, now.verdict_code) == ("cancelled", "dependency_failed")
        assert now.verdict and str(on.pk) in now.verdict["evidence"][0]
    assert not Dependency.objects.filter(settled=False).exists()


def test_a_job_after_one_that_failed_long_ago_is_cancelled_and_after_one_that_succeeded_starts() -> None:
    make_worker(slots=9)
    good, bad = make_job(), make_job()
    place_waiting()
    end(good)
    cancel(bad, "alice")
    end(bad, AttemptState.CANCELLED, Verdict("cancelled", ""))
    hopeless, fine = make_job(after=[str(bad.pk)]), make_job(after=[str(good.pk)])
    place_waiting()
    assert [fresh(hopeless).state, fresh(fine).state] == ["cancelled", "assigned"]


def test_a_failed_job_and_then_the_one_behind_it_can_be_tried_again(api: APIClient, alice: User) -> None:
    make_worker()
    first = make_job(alice)
    second = make_job(alice, after=[str(first.pk)])
    place_waiting()
    end(first, AttemptState.FAILED, Verdict("exit_code", ""))
    place_waiting()
    for job in (first, second):
        assert api.post(f"/api/v1/jobs/{job.pk}/retry/").status_code == 202
    place_waiting()
    assert told(second)["reason"] == "dependency"
    end(first)
    place_waiting()
    assert fresh(second).state == "assigned"


def test_a_cancelled_job_holds_no_dependency_open() -> None:
    make_worker(slots=1)
    first = make_job()
    second = make_job(after=[str(first.pk)])
    cancel(second, "alice")
    make_job()
    place_waiting()
    assert not Dependency.objects.filter(settled=False).exists()


def test_only_jobs_that_one_may_see_can_be_waited_for(alice: User, bob: User) -> None:
    hers = make_job(alice)
    for unknown in (hers.pk, uuid.uuid4()):
        with pytest.raises(Rejected) as refused:
            make_job(bob, after=[str(unknown)])
        assert str(unknown) in refused.value.errors["after"][0]


# --- concurrency --------------------------------------------------------------------------------------------------------


def test_jobs_with_one_key_go_one_at_a_time_and_say_who_is_before_them() -> None:
    make_worker(slots=9)
    jobs = [make_job(concurrency={"key": "db"}) for _ in range(3)]
    assert place_waiting() == 1
    for job in jobs[1:]:
        assert (told(job)["reason"], told(job)["blocked_by"]) == ("concurrency", [jobs[0].pk])
    end(jobs[0])
    assert place_waiting() == 1
    assert [fresh(job).state for job in jobs] == ["succeeded", "assigned", "queued"]


def test_a_lost_attempt_gives_its_place_in_the_group_back() -> None:
    make_worker(slots=9)
    holder, waits = (make_job(concurrency={"key": "db", "limit": 1}) for _ in range(2))
    place_waiting()
    end(holder, AttemptState.LOST, Verdict("worker_lost", ""))
    assert place_waiting() == 1
    assert fresh(waits).state == "assigned"


def test_the_same_key_in_another_project_is_another_one() -> None:
    make_worker(slots=9)
    Project.objects.create(name="other")
    make_job(concurrency={"key": "db"})
    make_job(concurrency={"key": "db"}, project="other")
    assert place_waiting() == 2


# --- memory -------------------------------------------------------------------------------------------------------------


def test_memory_grows_after_it_ran_out_up_to_what_a_worker_has() -> None:
    make_worker(engines=[{**ENGINE, "memory_bytes": 3 * GIB}])
    job = make_job(resources={"memory": "1Gi"}, retry={"max_attempts": 4, "backoff": 0, "memory_factor": 2})
    for _ in range(4):
        place_waiting()
        end(job, AttemptState.FAILED, OOM)
    attempts = Attempt.objects.filter(job=job).order_by("number")
    assert [one.memory_bytes for one in attempts] == [GIB, 2 * GIB, 3 * GIB, 3 * GIB]
    assert fresh(job).state == "failed"


def test_memory_stays_after_another_end_and_an_oom_is_no_reason_to_try_again_unless_asked() -> None:
    attempt = make_attempt(retry={"max_attempts": 2, "backoff": 0, "on": ["exit_code"], "memory_factor": 2})
    end(attempt.job, AttemptState.FAILED, Verdict("exit_code", ""))
    place_waiting()
    again = Attempt.objects.get(job=attempt.job, number=2)
    assert again.memory_bytes == attempt.memory_bytes
    plain = make_attempt(retry={"max_attempts": 2})
    end(plain.job, AttemptState.FAILED, OOM)
    assert fresh(plain.job).state == "failed"


# --- trying again by hand -----------------------------------------------------------------------------------------------


def test_a_failed_job_is_tried_again_by_hand_with_its_policy_anew(api: APIClient, alice: User) -> None:
    job = make_attempt(alice, retry={"max_attempts": 2, "backoff": 0, "on": ["user"]}).job
    for _ in range(2):
        end(job, AttemptState.FAILED, Verdict("exit_code", ""))
        place_waiting()
    assert fresh(job).state == "failed"
    answer = api.post(f"/api/v1/jobs/{job.pk}/retry/")
    assert answer.status_code == 202
    body = answer.json()
    assert (body["state"], body["verdict"], body["exit_code"], body["finished_at"]) == ("queued", None, None, None)
    assert api.post(f"/api/v1/jobs/{job.pk}/retry/").status_code == 409
    place_waiting()
    end(job, AttemptState.FAILED, Verdict("exit_code", ""))
    assert fresh(job).state == "queued", "the policy begins anew"
    place_waiting()
    end(job)
    assert (fresh(job).state, fresh(job).attempts_count) == ("succeeded", 4)


def test_what_succeeded_or_is_under_way_is_not_tried_again(api: APIClient, alice: User, bob: User) -> None:
    job = make_attempt(alice).job
    refused = api.post(f"/api/v1/jobs/{job.pk}/retry/")
    assert (refused.status_code, refused.json()["detail"]) == (
        409, "The job is assigned: only a failed or cancelled one is tried again.",
    )  # fmt: skip
    end(job)
    assert api.post(f"/api/v1/jobs/{job.pk}/retry/").status_code == 409
    assert api.post(f"/api/v1/jobs/{make_job(bob).pk}/retry/").status_code == 404


def test_an_attempt_that_never_began_is_no_try() -> None:
    attempt = make_attempt(retry={"max_attempts": 2, "backoff": 0, "on": ["user"]})
    assert move(attempt, AttemptState.LOST, verdict=Verdict("worker_lost", "").as_json())
    assert move(attempt.job, JobState.QUEUED)
    for _ in range(2):
        place_waiting()
        assert fresh(attempt.job).state == "assigned"
        end(attempt.job, AttemptState.FAILED, Verdict("exit_code", ""))
    assert fresh(attempt.job).state == "failed"


# --- said at once -------------------------------------------------------------------------------------------------------


def test_what_no_worker_could_ever_run_says_so_at_submit(api: APIClient) -> None:
    make_worker()
    spec = {"image": "busybox", "command": ["true"]}
    body = api.post("/api/v1/jobs/", {**spec, "resources": {"gpus": 4}}, "json").json()
    assert (body["state"], body["waiting"]["reason"]) == ("queued", "no_worker")
    assert "0 gpus, not 4" in body["waiting"]["detail"]
    assert api.post("/api/v1/jobs/", spec, "json").json()["waiting"]["reason"] == "capacity"


def test_positions_follow_the_order_of_placing(api: APIClient, alice: User) -> None:
    low, high, middle = (make_job(alice, priority=priority).pk for priority in (-1, 5, 0))
    listed = api.get("/api/v1/jobs/").json()["results"]
    assert {job["id"]: job["waiting"]["position"] for job in listed} == {str(high): 1, str(middle): 2, str(low): 3}
