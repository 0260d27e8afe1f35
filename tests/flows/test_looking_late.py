"""What ran while nobody was there is judged by what it did, not by how late somebody looked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from jobs import failpoints
from jobs.clock import Now
from jobs.models import Attempt, Event, Job, installation_key
from jobs.services import cancel
from tests.stack import eventually
from workers import claims
from workers.drivers.process import files
from workers.drivers.process.driver import ProcessDriver
from workers.drivers.protocol import Phase
from workers.models import Worker
from workers.runner import Run
from workers.starting import Starter

from .conftest import make_attempt

HELLO = ["sh", "-c", "echo hello"]


def taken_on(driver: ProcessDriver) -> Run:
    """The newest attempt, by a worker that has just come back."""
    attempt = Attempt.objects.latest("number")
    if attempt.boot:
        assert claims.let_go(attempt, attempt.fence)
    worker = Worker.objects.get()
    found = claims.claim(attempt.pk, worker.name, worker.boot)
    assert found is not None
    return Run(found, driver)


def left_behind(driver: ProcessDriver, *, marked: bool, **spec: Any) -> Attempt:
    """Its worker died after the start, before or after that was `marked`, and the program came to its end alone."""
    attempt = make_attempt(command=HELLO, **spec)
    run = taken_on(driver)
    if marked:
        Starter(run.grip).start()
    else:
        failpoints.arm(failpoints.parse("started=error"))
        try:
            with pytest.raises(failpoints.FailpointError):
                Starter(run.grip).start()
        finally:
            failpoints.arm({})
    eventually(lambda: [seen.phase for seen in driver.survey(installation_key())] == [Phase.EXITED])
    return attempt


def cancelled(attempt: Attempt) -> None:
    cancel(attempt.job, "alice")


def long_ago(attempt: Attempt) -> None:
    """Longer than any of its time-outs."""
    then = Now() - timedelta(days=1)
    Attempt.objects.filter(pk=attempt.pk).update(created_at=then, claimed_at=then)
    Attempt.objects.filter(pk=attempt.pk, started_at__isnull=False).update(started_at=then)


@pytest.mark.parametrize("meanwhile", [long_ago, cancelled])
@pytest.mark.parametrize("marked", [True, False], ids=["marked", "unmarked"])
def test_a_program_that_had_ended_before_we_looked_keeps_its_end(
    driver: ProcessDriver, meanwhile: Callable[[Attempt], None], *, marked: bool
) -> None:
    attempt = left_behind(driver, marked=marked)
    meanwhile(attempt)
    taken_on(driver).go()
    attempt.refresh_from_db()
    assert (attempt.state, attempt.exit_code, attempt.verdict, attempt.log_lines) == ("succeeded", 0, None, 1)
    assert Job.objects.get().state == "succeeded"
    assert not Event.objects.filter(kind__in=("signalled", "killed")).exists()


def test_a_start_time_out_begins_when_somebody_begins(driver: ProcessDriver) -> None:
    """All were away from the assignment on."""
    attempt = make_attempt(command=HELLO)
    Attempt.objects.update(created_at=Now() - timedelta(days=1))
    taken_on(driver).go()
    attempt.refresh_from_db()
    assert attempt.state == "succeeded"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("meanwhile", [long_ago, cancelled])
def test_what_may_run_on_an_engine_that_does_not_answer_is_waited_for(
    driver: ProcessDriver, meanwhile: Callable[[Attempt], None], caplog: pytest.LogCaptureFixture
) -> None:
    """To say that it did not start would let the next attempt begin elsewhere, beside it."""
    attempt = left_behind(driver, marked=False)
    meanwhile(attempt)
    (container,) = driver.survey(installation_key())
    identity = driver.root / container.handle.name / files.IDENTITY
    identity.rename(identity.with_suffix(".away"))
    identity.mkdir()

    def go() -> None:
        taken_on(driver).go()
        connection.close()

    thread = threading.Thread(target=go)
    thread.start()
    eventually(lambda: caplog.text.count("does not answer") > 1 or not thread.is_alive())
    identity.rmdir()
    identity.with_suffix(".away").rename(identity)
    thread.join()
    attempt.refresh_from_db()
    assert (attempt.state, attempt.exit_code) == ("succeeded", 0)
