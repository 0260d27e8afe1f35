"""The keeper's promises: leases hang on nothing else, a run learns what it has lost, and nothing of ours is left lying."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.clock import Now
from jobs.logs.store import Position, append
from jobs.models import Attempt, Event, Job
from jobs.states import AttemptState
from jobs.verdicts import Verdict
from tests.stack import eventually
from workers import claims, engines
from workers.drivers.process.driver import ProcessDriver
from workers.drivers.protocol import Engine
from workers.ending import Ending, finish
from workers.keeper import Keeper
from workers.models import Worker
from workers.placing import place_waiting
from workers.reconcile import reconcile
from workers.runner import Run

from .conftest import make_attempt

GONE = Verdict("worker_lost", "gone")
NAME, BOOT = "run@one", "boot-run@one"


@pytest.fixture(autouse=True)
def _quick(settings: Any) -> None:
    quick = {"TOWLINE_HEARTBEAT_SECONDS": 0.1, "TOWLINE_LEASE_SECONDS": 0.5, "TOWLINE_ADOPTION_GRACE_SECONDS": 0}
    settings.TOWLINE = settings.TOWLINE.model_copy(update=quick)


@contextmanager
def keeping(**engines: Engine) -> Iterator[Keeper]:
    """The keeper of worker `run@one`, in the process that is registered."""
    keeper = Keeper(NAME, engines, launch=lambda *what: None)
    keeper.boot = BOOT
    keeper.start()
    try:
        yield keeper
    finally:
        keeper.detach()
        keeper.join(10)


def claimed() -> Attempt:
    attempt = claims.claim(make_attempt().pk, NAME, BOOT)
    assert attempt is not None
    return attempt


def heartbeat() -> datetime:
    return Worker.objects.get(name=NAME).last_heartbeat_at


@pytest.mark.django_db(transaction=True)
def test_an_engine_that_does_not_answer_costs_no_heartbeat(settings: Any) -> None:
    attempt = claimed()
    finish(attempt, attempt.fence, Ending(AttemptState.FAILED, 1, GONE))
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"tcp://127.0.0.1:{deaf.getsockname()[1]}"
        settings.TOWLINE = settings.TOWLINE.model_copy(update={"TOWLINE_DOCKER_URL": url})
        engines.driver.cache_clear()
        with keeping(docker=Engine("engine-1", "docker", "1", "amd64", 4.0, 8 * 1024**3)):
            asked, _ = deaf.accept()
            with asked:
                before = heartbeat()
                eventually(lambda: heartbeat() > before, 3)
    engines.driver.cache_clear()


@pytest.mark.django_db(transaction=True)
def test_a_run_whose_attempt_was_declared_lost_leaves_it(tmp_path: Path) -> None:
    """Otherwise its container, silent perhaps for hours, would run beside that of the next attempt."""
    attempt = claimed()
    with keeping() as keeper:
        run = Run(attempt, ProcessDriver(tmp_path))
        keeper.take_on(run)
        assert finish(attempt, attempt.fence, Ending(AttemptState.LOST, None, GONE))
        eventually(lambda: run.grip.leaving, 3)


@pytest.mark.django_db(transaction=True)
def test_a_claim_that_no_run_goes_on_with_is_given_back() -> None:
    attempt = claimed()
    with keeping():
        eventually(lambda: Attempt.objects.get(pk=attempt.pk).fence > attempt.fence, 5)
    assert Event.objects.filter(attempt=attempt, kind="detached").exists()


def test_what_was_never_claimed_is_queued_again_when_its_worker_is_lost() -> None:
    """It never began, so nothing can run twice: no retry policy is needed for what was no try."""
    attempt = make_attempt()
    Worker.objects.update(stopped_at=Now())
    Attempt.objects.update(lease_until=Now())
    eventually(lambda: reconcile().lost, 3)
    job = Job.objects.get()
    assert (Attempt.objects.get(pk=attempt.pk).state, job.state) == ("lost", "queued")
    Worker.objects.update(stopped_at=None, last_heartbeat_at=Now())
    place_waiting()
    assert job.attempts.count() == 2


def test_the_log_of_a_lost_attempt_is_not_called_complete() -> None:
    attempt = claimed()
    Worker.objects.update(stopped_at=Now())
    Attempt.objects.update(lease_until=Now())
    eventually(lambda: reconcile().lost, 3)
    assert Attempt.objects.get(pk=attempt.pk).log_facts()["complete"] is False


def test_the_log_is_hashed_outside_of_the_transaction_that_ends_the_job() -> None:
    """SQLite has one writer: it would wait for as long as a big log takes to read."""
    attempt = claimed()
    append(attempt, attempt.fence, Position(), [(b"line\n", "stdout", 1)], "c")
    with CaptureQueriesContext(connection) as captured:
        assert finish(attempt, attempt.fence, Ending(AttemptState.SUCCEEDED, 0))
    said = [query["sql"] for query in captured]
    reads = next(n for n, sql in enumerate(said) if "jobs_logchunk" in sql)
    assert reads < next(n for n, sql in enumerate(said) if sql.startswith("SAVEPOINT"))


def test_a_log_that_grew_while_it_was_hashed_is_not_sealed() -> None:
    attempt = claimed()
    at = append(attempt, attempt.fence, Position(), [(b"line\n", "stdout", 1)], "c")
    grown: list[bool] = []

    def grow(execute: Any, sql: str, *rest: Any) -> Any:
        answer = execute(sql, *rest)
        if "jobs_logchunk" in sql and not grown:
            grown.append(True)
            append(attempt, attempt.fence, at, [(b"more\n", "stdout", 2)], "d")
        return answer

    with connection.execute_wrapper(grow):
        assert not finish(attempt, attempt.fence, Ending(AttemptState.SUCCEEDED, 0))
    assert grown and finish(attempt, attempt.fence, Ending(AttemptState.SUCCEEDED, 0))


def test_a_pause_after_a_wake_is_a_pause_again(tmp_path: Path) -> None:
    grip = Run(claimed(), ProcessDriver(tmp_path)).grip
    grip.cancel()
    grip.pause(5)
    began = time.monotonic()
    grip.pause(0.2)
    assert time.monotonic() - began >= 0.2
