"""What a process may do to a container: only what the database, asked in time, says is its own to do."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from jobs import failpoints
from jobs.clock import Now
from jobs.logs.store import Position, append
from jobs.models import Attempt, Event, Job, installation_key
from jobs.states import AttemptState
from jobs.verdicts import Verdict
from tests.stack import eventually
from workers import claims, naming
from workers.container import container_spec
from workers.deadlines import Deadlines
from workers.drivers.process.driver import ProcessDriver
from workers.drivers.process.folder import Folder
from workers.drivers.process.plan import plan
from workers.drivers.protocol import Phase
from workers.ending import Ending, finish
from workers.grip import Left
from workers.keeper import Keeper
from workers.models import Worker
from workers.placing import place_waiting
from workers.runner import Run
from workers.starting import Starter
from workers.stopping import Stopper

from .conftest import make_attempt, make_worker

GONE = Verdict("worker_lost", "gone")
NAME, BOOT = "run@one", "boot-run@one"
SLEEP = ["sh", "-c", "echo $$; exec sleep 300"]


def claimed(attempt: Attempt) -> Attempt:
    found = claims.claim(attempt.pk, NAME, BOOT)
    assert found is not None
    return found


def started(driver: ProcessDriver, **spec: Any) -> Run:
    run = Run(claimed(make_attempt(**{"command": SLEEP, **spec})), driver)
    Starter(run.grip).start()
    return run


def running(driver: ProcessDriver) -> list[str]:
    return [seen.handle.name for seen in driver.survey(installation_key()) if seen.phase is Phase.RUNNING]


def test_what_may_have_run_and_is_gone_is_not_made_anew(driver: ProcessDriver) -> None:
    """Its worker dies between the start and the commit that says so, and somebody removes the container."""
    first = Run(claimed(make_attempt(command=SLEEP)), driver)
    failpoints.arm(failpoints.parse("started=error"))
    try:
        with pytest.raises(failpoints.FailpointError):
            Starter(first.grip).start()
    finally:
        failpoints.arm({})
    (container,) = driver.survey(installation_key())
    driver.remove(container.handle)
    assert claims.let_go(first.attempt, first.fence)
    heir = Run(claimed(Attempt.objects.get()), driver)
    assert heir.attempt.state == AttemptState.STARTING
    assert heir.go().verdict.code == "container_vanished"  # type: ignore[union-attr]
    assert not list(driver.survey(installation_key()))


def test_an_earlier_attempts_container_is_gone_before_the_next_one_starts(
    driver: ProcessDriver, tmp_path: Path
) -> None:
    log = tmp_path / "probe"
    command = ["sh", "-c", f"[ -s {log} ] && kill -0 $(cat {log}) && exit 9; echo $$ > {log}; exec sleep 300"]
    first = started(driver, command=command, retry={"max_attempts": 2, "backoff": 0})
    eventually(log.exists)
    assert finish(first.attempt, first.fence, Ending(AttemptState.LOST, None, GONE))
    Job.objects.update(not_before=None)
    place_waiting()
    second = Run(claimed(Attempt.objects.get(number=2)), driver)
    handle = Starter(second.grip).start()
    assert running(driver) == [handle.name]
    assert Event.objects.filter(attempt=first.attempt, kind="removed").exists()
    assert Attempt.objects.get(number=1).removed_at is not None


def test_a_lost_attempt_is_not_written_by_who_had_it(driver: ProcessDriver) -> None:
    run = started(driver)
    assert finish(run.attempt, run.fence, Ending(AttemptState.LOST, None, GONE))
    with pytest.raises(Left):
        run.grip.write(stop_code="cancelled")
    with pytest.raises(Left):
        run._finish(Ending(AttemptState.SUCCEEDED, 0))


@pytest.mark.django_db(transaction=True)
def test_who_was_held_up_does_not_start_what_another_has_finished(driver: ProcessDriver, tmp_path: Path) -> None:
    """Held up between its look and its start, while the attempt ran to its end elsewhere."""
    probe = tmp_path / "probe"
    run = Run(claimed(make_attempt(command=["touch", str(probe)])), driver)
    spec = container_spec(run.grip.spec, installation_key(), run.attempt.job_id, 1, "none")
    folder = Folder(driver.root, spec.name)
    folder.make(spec, plan(spec))
    outcome: list[str] = []
    with folder.locked() as lock:
        assert lock is not None
        thread = threading.Thread(target=_start, args=(run, outcome))
        thread.start()
        assert finish(run.attempt, run.fence, Ending(AttemptState.FAILED, 1, GONE))
        assert thread.is_alive()
    thread.join(20)
    assert outcome == ["left"]
    assert not probe.exists()


def _start(run: Run, outcome: list[str]) -> None:
    try:
        Starter(run.grip).start()
        outcome.append("started")
    except Left:
        outcome.append("left")
    finally:
        connection.close()


def test_without_a_renewed_lease_nothing_is_stopped_before_the_database_was_asked(driver: ProcessDriver) -> None:
    run = started(driver, timeouts={"grace": 0})
    handle = next(iter(driver.survey(installation_key()))).handle
    run.grip.cancel()
    run.grip.sure_until = time.monotonic() - 1
    Attempt.objects.update(fence=run.fence + 1, stop_code="cancelled", killed_at=Now())
    run.attempt.refresh_from_db()  # killed once already: what comes next needs no write of its own
    with pytest.raises(Left):
        Stopper(run.grip, handle).tend()
    assert running(driver) == [handle.name]


def test_a_lease_that_is_asked_for_anew_is_good_for_the_next_steps(driver: ProcessDriver) -> None:
    run = started(driver)
    run.grip.sure_until = time.monotonic() - 1
    Attempt.objects.update(lease_until=Now() - timedelta(seconds=1))
    run.grip.be_sure()
    assert run.grip.sure_until > time.monotonic()
    assert Attempt.objects.filter(lease_until__gt=Now()).exists()


def test_an_idle_time_out_shows_what_was_running_and_the_last_words(driver: ProcessDriver) -> None:
    script = "for i in 1 2 3 4 5 6 7; do echo line $i; done; sleep 301"
    spec = {"command": ["sh", "-c", script], "timeouts": {"idle": 1, "grace": 5}}
    run = Run(claimed(make_attempt(**spec)), driver)
    run.go()
    verdict = Attempt.objects.get().verdict
    assert verdict["code"] == "timeout_idle"
    assert any("sleep 301" in line and line.startswith("was running: pid ") for line in verdict["evidence"])
    said = [line for line in verdict["evidence"] if line.startswith("last output: ")]
    assert said == [f"last output: line {n}" for n in range(3, 8)]


def test_what_was_running_is_known_to_whoever_goes_on_with_the_stop(driver: ProcessDriver) -> None:
    run = started(driver, timeouts={"run": 0.01, "grace": 0})
    handle = next(iter(driver.survey(installation_key()))).handle
    Stopper(run.grip, handle).tend()
    Attempt.objects.update(boot="")
    heir = Run(claimed(Attempt.objects.get()), driver)
    heir.go()
    assert any("sleep 300" in line for line in Attempt.objects.get().verdict["evidence"])


def test_being_adopted_is_no_word_of_the_program(driver: ProcessDriver) -> None:
    run = started(driver, timeouts={"idle": 30})
    append(run.attempt, run.fence, Position(), [(b"word\n", "stdout", 1)], "c")
    run.attempt.chunks.update(created_at=Now() - timedelta(seconds=31))
    again = Deadlines.of(Attempt.objects.get(), run.grip.spec.timeouts)
    assert again.due() is None  # what it wrote meanwhile may still have to be read
    again.listening_at = time.monotonic()
    assert (again.due() or ("",))[0] == "timeout_idle"


# --- one process to a name ----------------------------------------------------------------------------------------


def beating(name: str, stop: threading.Event) -> threading.Thread:
    def beat() -> None:
        while not stop.wait(0.1):
            Worker.objects.filter(name=name).update(last_heartbeat_at=Now())
        connection.close()

    thread = threading.Thread(target=beat)
    thread.start()
    return thread


@pytest.mark.django_db(transaction=True)
def test_a_second_process_of_a_name_in_use_is_refused() -> None:
    make_worker(NAME, host="elsewhere", pid=77)
    stop = threading.Event()
    thread = beating(NAME, stop)
    try:
        with pytest.raises(naming.NameTakenError, match="process 77 on elsewhere"):
            naming.await_name(NAME)
    finally:
        stop.set()
        thread.join()


def test_who_was_killed_a_moment_ago_is_replaced_at_once(settings: Any) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    make_worker(NAME, host=socket.gethostname(), pid=dead.pid)
    before = time.monotonic()
    naming.await_name(NAME)
    assert time.monotonic() - before < settings.TOWLINE.TOWLINE_LEASE_SECONDS / 2


def test_who_is_silent_on_another_host_is_replaced_after_a_lease(settings: Any) -> None:
    quick = {"TOWLINE_LEASE_SECONDS": 1, "TOWLINE_HEARTBEAT_SECONDS": 0.1}
    settings.TOWLINE = settings.TOWLINE.model_copy(update=quick)
    make_worker(NAME, host="elsewhere")
    before = time.monotonic()
    naming.await_name(NAME)
    assert 0.5 < time.monotonic() - before < 3


@pytest.mark.django_db(transaction=True)
def test_who_wakes_to_find_its_name_taken_ends(settings: Any) -> None:
    settings.TOWLINE = settings.TOWLINE.model_copy(update={"TOWLINE_HEARTBEAT_SECONDS": 0.1})
    make_worker(NAME, boot="another")
    ended = threading.Event()
    keeper = Keeper(NAME, {}, end_process=ended.set)
    keeper.start()
    assert ended.wait(5)
    keeper.join(10)
    assert Worker.objects.get(name=NAME).boot == "another"
    assert Worker.objects.get(name=NAME).stopped_at is None
