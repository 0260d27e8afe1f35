"""Two transactions that come between each other's lines: on PostgreSQL a statement waits, and goes on with what it then finds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from jobs.clock import Now
from jobs.models import Dependency, Job
from jobs.services import cancel, retry
from tests.stack import eventually
from workers.placing import place_waiting
from workers.reconcile import reconcile

from .conftest import make_job, make_worker


def _until_it_waits_or_is_over(thread: threading.Thread) -> None:
    """SQLite lets nobody write beside us anyway."""

    def seen() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            return bool(cursor.fetchone()[0]) or not thread.is_alive()

    if connection.vendor == "postgresql":
        eventually(seen)


def _beside(act: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        act()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.django_db(transaction=True)
def test_a_job_tried_again_while_jobs_are_placed_waits_for_what_it_comes_after() -> None:
    make_worker(slots=9)
    first = make_job()
    place_waiting()
    second = make_job(after=[str(first.pk)])
    cancel(second, "alice")
    make_job()
    with transaction.atomic():
        retry(second, "alice")
        placing = _beside(place_waiting)
        _until_it_waits_or_is_over(placing)
    placing.join()
    place_waiting()
    assert Job.objects.get(pk=second.pk).state == "queued"
    assert Dependency.objects.filter(job=second, settled=False).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("due", [{"cancel_requested_at": Now()}, {"queue_until": Now() - timedelta(seconds=1)}])
def test_what_was_due_of_a_job_is_not_done_to_it_once_it_is_tried_again(due: dict[str, Any]) -> None:
    """To one whose cancel a hand-back to the queue overtook, or whose queue time-out is over, just when its owner acts."""
    job = make_job(timeouts={"queue": 60})
    Job.objects.update(**due)
    with transaction.atomic():
        cancel(job, "alice")
        retry(job, "alice")
        recovery = _beside(reconcile)
        _until_it_waits_or_is_over(recovery)
    recovery.join()
    assert Job.objects.get().state == "queued"
