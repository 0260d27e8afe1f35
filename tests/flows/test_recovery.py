"""Claims, leases and recovery: who may have an attempt, and what happens when nobody has it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobs.clock import Now
from jobs.models import Attempt, Event, Job
from jobs.services import cancel
from jobs.states import AttemptState
from workers import claims
from workers.ending import Ending, finish
from workers.models import Worker
from workers.placing import place_waiting
from workers.reconcile import reconcile
from workers.retrying import delay_of

from .conftest import make_attempt, make_job, make_worker

from jobs.verdicts import Verdict  # isort: skip

GONE = Verdict("worker_lost", "gone")


def claimed(attempt: Attempt) -> Attempt:
    worker = Worker.objects.get(name=attempt.worker)
    found = claims.claim(attempt.pk, worker.name, worker.boot)
    assert found is not None
    return found


def expire(attempt: Attempt) -> None:
    Attempt.objects.filter(pk=attempt.pk).update(lease_until=Now() - timedelta(seconds=60))


def test_a_hint_delivered_twice_is_claimed_once() -> None:
    attempt = make_attempt()
    first = claims.claim(attempt.pk, "run@one", "boot-run@one")
    assert first is not None
    assert (first.state, first.fence) == ("starting", 1)
    assert claims.claim(attempt.pk, "run@one", "boot-run@one") is None
    assert claims.claim(attempt.pk, "run@two", "boot-run@two") is None


def test_one_statement_renews_what_this_process_holds_and_nothing_else() -> None:
    mine, other = claimed(make_attempt()), make_attempt()
    expire(mine)
    expire(other)
    assert claims.renew("run@one", "boot-run@one") == 1
    assert Attempt.objects.filter(lease_until__gt=Now()).get() == mine


def test_a_live_worker_on_the_same_engine_goes_on_with_it() -> None:
    attempt = claimed(make_attempt())
    Worker.objects.update(last_heartbeat_at=Now() - timedelta(seconds=60))
    expire(attempt)
    make_worker("run@two")
    reconcile()
    heir = Attempt.objects.get(pk=attempt.pk)
    assert (heir.worker, heir.state, heir.number, heir.fence) == ("run@two", "starting", 1, attempt.fence + 1)
    taken = claims.claim(heir.pk, "run@two", "boot-run@two")
    assert taken is not None
    assert not finish(attempt, attempt.fence, Ending(AttemptState.FAILED, 1, GONE))
    assert finish(taken, taken.fence, Ending(AttemptState.SUCCEEDED, 0))


def test_a_worker_started_anew_gets_its_own_back_without_waiting_for_the_lease() -> None:
    attempt = claimed(make_attempt())
    Worker.objects.update(boot="another")
    reconcile()
    assert claims.claim(attempt.pk, "run@one", "another") is not None


def test_nobody_there_is_not_lost_before_the_grace_was_watched(settings: Any) -> None:
    settings.TOWLINE = settings.TOWLINE.model_copy(update={"TOWLINE_ADOPTION_GRACE_SECONDS": 5})
    attempt = claimed(make_attempt())
    Worker.objects.update(stopped_at=Now())
    Attempt.objects.update(lease_until=Now() - timedelta(hours=1))
    reconcile()
    assert Attempt.objects.get().state == "starting"
    Attempt.objects.update(orphaned_at=Now() - timedelta(seconds=6))
    reconcile()
    lost = Attempt.objects.get()
    assert (lost.state, lost.verdict["code"]) == ("lost", "worker_lost")
    assert Job.objects.get(pk=attempt.job_id).state == "failed"


def test_who_watches_anew_counts_the_grace_anew() -> None:
    attempt = claimed(make_attempt())
    Worker.objects.update(stopped_at=Now())
    expire(attempt)
    an_hour_ago = Now() - timedelta(hours=1)
    Attempt.objects.update(orphaned_at=an_hour_ago, orphan_seen_at=an_hour_ago)
    reconcile()
    assert Attempt.objects.get().state == "starting"


def test_that_a_worker_is_silent_is_on_the_time_line_once() -> None:
    attempt = claimed(make_attempt())
    Worker.objects.update(stopped_at=Now())
    expire(attempt)
    for _ in range(3):
        reconcile()
    assert [event.data["worker"] for event in Event.objects.filter(kind="heartbeat_missed")] == ["run@one"]


def test_a_lost_attempt_is_tried_again_by_policy_and_not_without_one() -> None:
    again = claimed(make_attempt(retry={"max_attempts": 2, "backoff": 0}))
    assert finish(again, again.fence, Ending(AttemptState.LOST, None, GONE))
    job = Job.objects.get(pk=again.job_id)
    assert (job.state, job.waiting_reason) == ("queued", "backoff")
    place_waiting()
    assert [one.number for one in job.attempts.order_by("number")] == [1, 2]


def test_users_failures_are_not_tried_again_unless_asked() -> None:
    job = make_job(retry={"max_attempts": 5})
    assert delay_of(job, 1, Verdict("exit_code", "")) is None
    assert delay_of(job, 1, GONE) is not None
    assert delay_of(job, 5, GONE) is None


def test_the_backoff_grows_to_its_cap() -> None:
    job = make_job(retry={"max_attempts": 50, "backoff": 1, "factor": 3, "max_backoff": 20})
    delays = [delay_of(job, n, GONE) or 0 for n in (1, 2, 3, 4, 40)]
    for delay, nominal in zip(delays, (1, 3, 9, 20, 20), strict=True):
        assert delay == pytest.approx(nominal, rel=0.11)


def test_a_cancel_while_nobody_is_there_is_carried_out_by_whoever_comes() -> None:
    attempt = claimed(make_attempt())
    cancel(attempt.job, "alice")
    assert Job.objects.get().state == "assigned"
    held = claims.held("run@one", "boot-run@one")
    assert held == {attempt.pk: (attempt.fence, True)}


def test_a_lost_job_that_was_to_be_cancelled_is_cancelled() -> None:
    attempt = claimed(make_attempt(retry={"max_attempts": 3}))
    cancel(attempt.job, "alice")
    finish(attempt, attempt.fence, Ending(AttemptState.LOST, None, GONE))
    job = Job.objects.get()
    assert (job.state, job.verdict_code) == ("cancelled", "cancelled")


def test_an_unclaimed_attempt_is_hinted_again_when_its_lease_is_over() -> None:
    attempt = make_attempt()
    expire(attempt)
    reconcile()
    again = Attempt.objects.get()
    assert (again.state, again.worker, again.fence) == ("assigned", "run@one", 1)
    assert claims.claim(again.pk, "run@one", "boot-run@one") is not None
