"""A worker that was cut off, or a database that was: nothing runs twice at once, nothing is lost, and late words are not heard."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.stack import ROOT, RunningStack, eventually, run_stack

pytestmark = pytest.mark.timeout(200)
COUNT = "i=0; while [ $i -lt 150 ]; do i=$((i+1)); echo line $i; sleep 0.1; done"
EXPECTED = b"".join(f"line {n}\n".encode() for n in range(1, 151))
LEASE_SECONDS = 3


@contextmanager
def second_worker(stack: RunningStack, data_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Of the same installation; with another data folder its processes are another engine."""
    home = stack.data_dir
    env = {
        "DATABASE_URL": f"sqlite:///{home / 'towline.sqlite3'}",
        "REDIS_URL": f"unix://{home / 'redis' / 'redis.sock'}",
        **stack.env,
        "TOWLINE_DATA_DIR": str(data_dir),
        "TOWLINE_WORKER_NAME": "run@second",
    }
    log = (home / "logs" / "second.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "serve", "run"], env=env, stdout=log, stderr=log
    )
    try:
        eventually(lambda: any(row["name"] == "run@second" and row["state"] == "online" for row in workers(stack)))
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        log.close()


def workers(stack: RunningStack) -> list[dict[str, str]]:
    return list(stack.http.get("/workers/").json()["results"])


@contextmanager
def frozen(stack: RunningStack) -> Iterator[None]:
    """The run worker, stopped outside of its transactions: frozen in one it would hold up everybody else, too."""
    pid = stack.pid_of("run")
    os.kill(pid, signal.SIGSTOP)
    while _holds_a_transaction(stack):
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _holds_a_transaction(stack: RunningStack) -> bool:
    if url := stack.env.get("DATABASE_URL"):
        import psycopg

        open_still = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND state LIKE 'idle in transaction%' AND clock_timestamp() - state_change > interval '0.5 s'"
        )
        with psycopg.connect(url) as connection:
            connection.execute("SELECT pg_sleep(1)")
            return bool(connection.execute(open_still).fetchone() != (0,))
    with closing(sqlite3.connect(stack.data_dir / "towline.sqlite3", timeout=2, isolation_level=None)) as database:
        try:
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
    return False


def test_a_frozen_workers_job_goes_on_with_another_on_the_same_engine() -> None:
    with run_stack("process") as stack:
        job = stack.submit("sh", "-c", COUNT)
        eventually(lambda: stack.output(job))
        with second_worker(stack, stack.data_dir):
            with frozen(stack):
                eventually(lambda: "handed_over" in stack.events(job))
                before = stack.output(job)
                eventually(lambda: len(stack.output(job)) > len(before))
            ended = stack.wait(job, 60)
            assert (ended["state"], ended["attempts_count"]) == ("succeeded", 1)
            assert stack.output(job) == EXPECTED
            assert stack.events(job).count("attempt_running") == 1


def test_a_worker_that_comes_back_removes_what_was_taken_over_meanwhile() -> None:
    """It reached its engine all the time and nobody else did: the next attempt ran elsewhere, as the policy allows."""
    home = Path(tempfile.mkdtemp(prefix="tl-"))
    with run_stack("process", TOWLINE_ADOPTION_GRACE_SECONDS="1") as stack:
        again = {"max_attempts": 2, "on": ["worker_lost"], "backoff": 0}
        job = stack.submit("sh", "-c", "echo begun; sleep 30", retry=again)
        eventually(lambda: stack.output(job))
        containers = stack.data_dir / "processes"
        with second_worker(stack, home):
            with frozen(stack):
                eventually(lambda: "attempt_lost" in stack.events(job), 60)
                eventually(lambda: any(one["worker"] == "run@second" for one in attempts(stack, job)))
                assert list(containers.glob("*-a1"))
            eventually(lambda: not list(containers.glob("*-a1")), 3 * LEASE_SECONDS)
            first = next(one for one in attempts(stack, job) if one["number"] == 1)
            assert (first["state"], first["log"]) == ("lost", {**first["log"], "lines": 1, "complete": False})
            stack.http.post(f"/jobs/{job['id']}/cancel/")
            stack.wait(job)


def attempts(stack: RunningStack, job: dict[str, str]) -> list[dict[str, object]]:
    return list(stack.http.get(f"/jobs/{job['id']}/attempts/").json()["results"])


def test_a_database_that_is_away_for_longer_than_a_lease_costs_no_job_and_no_line() -> None:
    with run_stack("process") as stack:
        job = stack.submit("sh", "-c", COUNT)
        eventually(lambda: stack.output(job))
        with locked_database(stack):
            locked_at = time.monotonic()
            eventually(lambda: time.monotonic() - locked_at > 3 * LEASE_SECONDS)
        ended = stack.wait(job, 60)
        assert (ended["state"], ended["attempts_count"]) == ("succeeded", 1)
        assert stack.output(job) == EXPECTED


@contextmanager
def locked_database(stack: RunningStack) -> Iterator[None]:
    if url := stack.env.get("DATABASE_URL"):
        import psycopg

        with psycopg.connect(url) as connection:
            connection.execute("LOCK TABLE jobs_attempt, jobs_job, workers_worker IN ACCESS EXCLUSIVE MODE")
            yield
            connection.rollback()
        return
    connection = sqlite3.connect(stack.data_dir / "towline.sqlite3", timeout=20, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    yield
    connection.execute("ROLLBACK")
    connection.close()


STEP = """
from datetime import timedelta
from django.db import transaction
from django.db.models import F
from jobs.models import Attempt
from workers.models import Worker
by = timedelta(hours={hours})
with transaction.atomic():
    Worker.objects.update(last_heartbeat_at=F("last_heartbeat_at") - by)
    Attempt.objects.exclude(lease_until=None).update(lease_until=F("lease_until") - by)
"""


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_set_by_an_hour_costs_no_job(hours: int) -> None:
    """Set forth or back, what was written before lies that far off: as if all leases had ended, or would not for an hour."""
    with run_stack("process", TOWLINE_ADOPTION_GRACE_SECONDS="1") as stack, second_worker(stack, stack.data_dir):
        job = stack.submit("sh", "-c", COUNT)
        eventually(lambda: stack.output(job))
        for _ in range(3):
            done = stack.manage("shell", "-c", STEP.format(hours=hours))
            assert done.returncode == 0, done.stderr
        ended = stack.wait(job, 60)
        assert (ended["state"], ended["attempts_count"]) == ("succeeded", 1)
        assert stack.output(job) == EXPECTED
        assert "handed_over" not in stack.events(job)
