"""Suspects: who is deaf gets no new jobs, what nobody began moves on at once, and what has a container is not given up."""

from __future__ import annotations

import math
import uuid
from datetime import timedelta

import pytest

from jobs.clock import Now
from jobs.models import Attempt, Job
from jobs.states import AttemptState
from jobs.verdicts import Verdict
from workers import claims
from workers.ending import Ending, finish
from workers.keeper import Keeper
from workers.models import Worker
from workers.placing import place_waiting
from workers.reconcile import reconcile

from .conftest import make_attempt, make_job, make_worker


def expire() -> None:
    Attempt.objects.update(lease_until=Now() - timedelta(seconds=1))


def suspect(name: str = "run@one") -> None:
    Worker.objects.filter(name=name).update(suspect_since=Now())


def claim(attempt: Attempt) -> Attempt | None:
    return claims.claim(attempt.pk, attempt.worker, f"boot-{attempt.worker}", "task-of-the-claim")


def test_a_suspect_is_given_nothing_and_the_job_says_why() -> None:
    make_worker()
    suspect()
    job = make_job()
    place_waiting()
    job.refresh_from_db()
    assert (job.state, job.waiting_reason) == ("queued", "capacity")
    assert "run@one is suspect" in job.waiting_detail
    Worker.objects.update(suspect_since=None)
    place_waiting()
    assert job.attempts.count() == 1


def test_what_a_suspect_never_took_goes_to_another_on_the_same_engine() -> None:
    attempt = make_attempt()
    make_worker("run@two")
    suspect()
    expire()
    reconcile()
    moved = Attempt.objects.get()
    assert (moved.pk, moved.worker, moved.state) == (attempt.pk, "run@two", "assigned")
    assert claim(attempt) is None
    assert claim(moved) is not None


def test_what_a_suspect_never_took_is_queued_again_when_nobody_else_is_there() -> None:
    """At once: it has no container that somebody might come back to."""
    attempt = make_attempt()
    suspect()
    expire()
    assert reconcile().lost == 1
    job = Job.objects.get(pk=attempt.job_id)
    assert (Attempt.objects.get().state, job.state) == ("lost", "queued")
    assert claim(attempt) is None


def test_a_claim_that_comes_before_the_attempt_is_given_up_wins() -> None:
    attempt = make_attempt()
    assert claim(attempt) is not None
    ending = Ending(AttemptState.LOST, None, Verdict("worker_lost", "never begun"))
    assert not finish(attempt, attempt.fence, ending)
    assert Attempt.objects.get().state == "starting"


def test_what_has_a_container_is_left_to_a_suspect_rather_than_given_up() -> None:
    attempt = claim(make_attempt())
    assert attempt is not None
    suspect()
    expire()
    Attempt.objects.update(orphaned_at=Now() - timedelta(minutes=1), orphan_seen_at=Now())  # it did not renew it since
    reconcile()
    assert (Attempt.objects.get().worker, Attempt.objects.get().boot) == ("run@one", "")
    make_worker("run@two")
    expire()
    reconcile()
    assert Attempt.objects.get().worker == "run@two"


def test_what_never_began_is_no_try() -> None:
    """Neither of the policy's attempts is used up by it."""
    attempt = make_attempt(retry={"max_attempts": 2, "backoff": 0})
    expire()
    Worker.objects.update(stopped_at=Now())
    reconcile()
    Worker.objects.update(stopped_at=None, last_heartbeat_at=Now())
    for state in ("queued", "failed"):
        place_waiting()
        begun = claim(Attempt.objects.get(job=attempt.job_id, state="assigned"))
        assert begun is not None
        finish(begun, begun.fence, Ending(AttemptState.LOST, None, Verdict("worker_lost", "gone")))
        Job.objects.update(not_before=None)
        assert Job.objects.get().state == state


def test_the_task_that_claims_is_the_one_that_the_attempt_names() -> None:
    attempt = make_attempt()
    assert claim(attempt) is not None
    assert Attempt.objects.get().task_id == "task-of-the-claim"


def test_what_no_hint_told_of_is_begun_after_a_beat_and_only_by_whom_it_is_meant_for() -> None:
    attempt = make_attempt()
    begun: list[tuple[int, uuid.UUID, str]] = []
    keeper = Keeper("run@one", {}, launch=lambda *what: begun.append(what))
    other = Keeper("run@two", {}, launch=lambda *what: pytest.fail("not meant for it"))
    now = iter([0.0, 0.0, math.inf, math.inf])
    for _ in range(2):
        for each in (keeper, other):
            each.begin_unhinted(next(now))
    assert begun == [(attempt.pk, attempt.job_id, "run@one")]


def test_a_keeper_notes_its_hearing_in_its_own_row_alone() -> None:
    make_worker()
    make_worker("run@two")
    keeper = Keeper("run@one", {})
    keeper.boot = "boot-run@one"
    for deaf, state in ((True, "suspect"), (False, "online")):
        keeper.note_hearing(deaf=deaf)
        assert Worker.objects.get(name="run@one").state == state
        assert Worker.objects.get(name="run@two").state == "online"
