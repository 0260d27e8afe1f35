"""The one writer of state: who loses writes nothing, and what is final stays."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from jobs.models import Event, Job
from jobs.moves import move
from jobs.services import cancel
from jobs.states import AttemptState, JobState

from .conftest import make_attempt, make_job


def test_a_move_writes_state_change_and_event_together() -> None:
    job = make_job()
    before = Job.objects.get(pk=job.pk).updated_at
    assert move(job, JobState.ASSIGNED, actor="me", attempts_count=1)
    job.refresh_from_db()
    assert (job.state, job.attempts_count, job.updated_at >= before) == ("assigned", 1, True)
    assert [event.kind for event in job.events.all()] == ["submitted", "assigned"]


def test_an_illegal_move_changes_nothing() -> None:
    job = make_job()
    assert not move(job, JobState.SUCCEEDED)
    job.refresh_from_db()
    assert (job.state, job.finished_at, job.events.count()) == ("queued", None, 1)


def test_the_fence_keeps_an_earlier_owner_out() -> None:
    attempt = make_attempt()
    assert not move(attempt, AttemptState.STARTING, where={"fence": attempt.fence + 1})
    assert move(attempt, AttemptState.STARTING, where={"fence": attempt.fence}, fence=attempt.fence + 1)
    assert not move(attempt, AttemptState.RUNNING, where={"fence": attempt.fence})


def test_a_finished_job_can_not_be_cancelled() -> None:
    job = make_job()
    assert cancel(job, "alice")
    first = Job.objects.get(pk=job.pk)
    assert not cancel(first, "bob")
    again = Job.objects.get(pk=job.pk)
    assert (again.state, again.cancel_requested_by, again.events.count()) == ("cancelled", "alice", 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "sleeping"},
        {"state": "succeeded"},
        {"state": "failed", "finished_at": "2026-01-01T00:00:00Z"},
        {"waiting_reason": "laziness"},
        {"finished_at": "2026-01-01T00:00:00Z"},
    ],
)
def test_the_schema_itself_refuses_what_may_not_be(wrong: dict[str, Any]) -> None:
    job = make_job()
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.filter(pk=job.pk).update(**wrong)


def test_a_job_has_one_active_attempt_at_most() -> None:
    attempt = make_attempt()
    with pytest.raises(IntegrityError), transaction.atomic():
        type(attempt).objects.create(job=attempt.job, number=2, worker="w", runtime="docker")


@pytest.mark.django_db(transaction=True)
def test_of_finish_and_cancel_at_the_same_moment_exactly_one_wins() -> None:
    for _ in range(10):
        job = make_job()
        move(job, JobState.ASSIGNED)
        won: list[bool] = []
        barrier = threading.Barrier(2)

        def race(to: JobState, job: Job = job, won: list[bool] = won, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            won.append(move(job, to, verdict_code="cancelled"))
            connection.close()

        threads = [threading.Thread(target=race, args=[to]) for to in (JobState.SUCCEEDED, JobState.CANCELLED)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert sorted(won) == [False, True]
        assert Event.objects.filter(job=job, kind__in=["succeeded", "cancelled"]).count() == 1


def test_a_rows_time_equals_itself_in_the_database() -> None:
    """SQLite compares times as text: the database's clock must write them as Django writes parameters."""
    for _ in range(50):
        job = make_job()
        assert Job.objects.filter(pk=job.pk, queued_at=job.queued_at).exists()
        assert not Job.objects.filter(pk=job.pk, queued_at__lt=job.queued_at).exists()
