"""The database's clock is set: forth, and all leases are over at once; back, and they end in an hour."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobs.clock import Now
from jobs.models import Attempt
from workers import claims
from workers.models import Worker, WorkerState
from workers.reconcile import reconcile

from .conftest import make_attempt, make_worker

HOUR = timedelta(hours=1)


@pytest.fixture
def attempt() -> Attempt:
    found = claims.claim(make_attempt().pk, "run@one", "boot-run@one")
    assert found is not None
    return found


def step(by: timedelta) -> None:
    """As if the clock had jumped so far: everything written before it lies as far off."""
    Worker.objects.update(last_heartbeat_at=Now() - by)
    Attempt.objects.update(lease_until=Now() - by + timedelta(seconds=10))


def beat(name: str) -> None:
    Worker.objects.filter(name=name).update(last_heartbeat_at=Now())


def test_a_heartbeat_from_the_future_is_no_sign_of_life() -> None:
    worker = make_worker(last_heartbeat_at=Now() + HOUR)
    assert not Worker.objects.alive().exists()
    assert Worker.objects.with_clock().get(pk=worker.pk).state == WorkerState.LOST


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_nothing_is_lost_or_taken_when_the_clock_is_set(attempt: Attempt, by: timedelta) -> None:
    """Whoever beats first must not have everybody else's: they live, and beat in a moment."""
    make_worker("run@two")
    step(by)
    beat("run@two")
    for _ in range(3):
        reconcile()
    assert Attempt.objects.get().fence == attempt.fence
    beat("run@one")
    assert claims.renew("run@one", "boot-run@one") == 1
    reconcile()
    now = Attempt.objects.get()
    assert (now.worker, now.fence, now.state) == ("run@one", attempt.fence, "starting")


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_nothing_is_lost_while_all_workers_have_yet_to_beat(attempt: Attempt, by: timedelta) -> None:
    step(by)
    Attempt.objects.update(orphaned_at=Now() - by, orphan_seen_at=Now() - by)  # somebody had just begun to watch
    reconcile()
    assert Attempt.objects.get().state == "starting"
    assert Attempt.objects.filter(orphaned_at__lte=Now(), orphaned_at__gt=Now() - timedelta(seconds=9)).exists()


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_a_dead_workers_attempt_is_adopted_all_the_same(attempt: Attempt, by: timedelta, settings: Any) -> None:
    make_worker("run@two")
    step(by)
    beat("run@two")
    reconcile()
    Attempt.objects.update(orphaned_at=Now() - timedelta(seconds=20))
    reconcile()
    now = Attempt.objects.get()
    assert (now.worker, now.fence) == ("run@two", attempt.fence + 1)


def test_an_attempt_that_nobody_reaches_is_lost_after_the_grace_though_its_lease_ends_in_an_hour(
    attempt: Attempt,
) -> None:
    step(-HOUR)
    reconcile()
    Attempt.objects.update(orphaned_at=Now() - timedelta(seconds=31))
    reconcile()
    assert Attempt.objects.get().state == "lost"


def test_who_lives_and_has_it_is_not_given_its_own_attempt(attempt: Attempt) -> None:
    """The clock was set between the look at the workers and the look at the leases."""
    Attempt.objects.update(lease_until=Now() - timedelta(seconds=1))
    reconcile()
    assert Attempt.objects.get().fence == attempt.fence
    Attempt.objects.update(orphaned_at=Now() - timedelta(seconds=20))
    reconcile()
    assert Attempt.objects.get().fence == attempt.fence + 1
