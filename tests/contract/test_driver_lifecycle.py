"""The contract of `workers/drivers/protocol.py`, on every driver: started once, found again, stopped, removed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.contract.conftest import SpecMaker
from tests.contract.following import (
    eventually,
    follow,
    is_running,
    judged,
    processes_with,
    read,
    run,
    text,
    until_over,
    until_said,
)
from tests.contract.harness import Harness
from workers.drivers.protocol import LABEL_INSTALLATION, ContainerSpec, Driver, Handle, Inspectable, Phase, Refused

ROOT = Path(__file__).parents[2]
COUNTED = "echo start >> starts; sleep 0.5; cat starts"
STUBBORN = "trap 'echo asked' TERM; echo ready; while :; do sleep 0.1; done"
WORKER = """
import json, os, sys
{source}
from workers.drivers.protocol import ContainerSpec
handle = driver.start(ContainerSpec(**json.loads(sys.argv[1])))
print(json.dumps(handle.as_json()), flush=True)
if {die}: os.killpg(0, 9)
"""


@pytest.fixture
def counted(harness: Harness, spec: SpecMaker, tmp_path: Path) -> ContainerSpec:
    """Says `start` at its end as often as it was started: its file survives a second start of the same container."""
    folder = tmp_path / "counted"
    folder.mkdir()  # for plain processes: a folder of the host must be there
    return spec(COUNTED, working_dir=harness.folder(folder))


def worker(harness: Harness, spec: ContainerSpec, *, die: bool) -> subprocess.Popen[str]:
    """A process of its own that starts the container and prints the handle."""
    code = WORKER.format(source=harness.source, die=die)
    argv = [sys.executable, "-c", code, json.dumps(asdict(spec), default=list)]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)


def handle_from(process: subprocess.Popen[str]) -> Handle:
    answer, _ = process.communicate(timeout=60)
    return Handle.from_json(json.loads(answer))


def test_started_twice_is_started_once(driver: Driver, counted: ContainerSpec) -> None:
    first, second = driver.start(counted), driver.start(counted)
    assert first == second
    assert text(follow(driver, first), "stdout") == b"start\n"


def test_eight_threads_start_it_once(harness: Harness, driver: Driver, counted: ContainerSpec) -> None:
    drivers = [harness.another() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        handles = set(pool.map(lambda each: each.start(counted), drivers))
    assert len(handles) == 1
    assert text(follow(driver, handles.pop()), "stdout") == b"start\n"


def test_eight_processes_start_it_once(harness: Harness, driver: Driver, counted: ContainerSpec) -> None:
    workers = [worker(harness, counted, die=False) for _ in range(8)]
    handles = {handle_from(each) for each in workers}
    assert len(handles) == 1
    assert text(follow(driver, handles.pop()), "stdout") == b"start\n"


HELD_UP = """
import json, os, signal, sys
{source}
from workers.drivers.protocol import ContainerSpec
asked = []
def consent(handle):
    asked.append(handle)
    if len(asked) == 2:
        os.kill(os.getpid(), signal.SIGSTOP)
handle = driver.start(ContainerSpec(**json.loads(sys.argv[1])), consent)
print(json.dumps(handle.as_json()), flush=True)
"""


def test_who_is_frozen_right_before_the_start_starts_nothing_that_is_over(
    harness: Harness, driver: Driver, counted: ContainerSpec
) -> None:
    """It keeps others out, or wakes to find that another has started it, followed it to its end and perhaps removed it."""
    argv = [sys.executable, "-c", HELD_UP.format(source=harness.source), json.dumps(asdict(counted), default=list)]
    first = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    eventually(lambda: ") T " in Path(f"/proc/{first.pid}/stat").read_text())
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(harness.another().start, counted)
        try:
            if harness.locks:
                with pytest.raises(TimeoutError):
                    second.result(1)
                assert (found := driver.find(counted.name)) and found.started_at is None
            else:
                until_over(driver, second.result(20))
        finally:
            first.send_signal(signal.SIGCONT)
        assert second.result(20) == handle_from(first)
    assert text(follow(driver, second.result()), "stdout") == b"start\n"


def test_without_consent_nothing_is_started(driver: Driver, counted: ContainerSpec) -> None:
    class NoError(Exception):
        pass

    def refuse(handle: Handle | None) -> None:
        raise NoError

    with pytest.raises(NoError):
        driver.start(counted, refuse)
    assert driver.find(counted.name) is None
    answers = iter([None])
    with pytest.raises(StopIteration):
        driver.start(counted, lambda handle: next(answers))
    assert (found := driver.find(counted.name)) and found.phase is Phase.CREATED
    assert text(follow(driver, driver.start(counted)), "stdout") == b"start\n"


def test_what_goes_on_inside_is_listed(driver: Driver, spec: SpecMaker) -> None:
    if not isinstance(driver, Inspectable):
        pytest.skip(f"{driver.name} can't look inside")
    handle = driver.start(spec("echo ready; sleep 4321; echo"))
    until_said(driver, handle, b"ready")
    eventually(lambda: any(one.command == "sleep 4321" for one in driver.processes(handle)))
    one = next(one for one in driver.processes(handle) if one.command == "sleep 4321")
    assert (one.state, one.cpu_seconds < 5, one.pid > 1) == ("S", True, True)
    driver.stop(handle, 0)
    until_over(driver, handle)
    assert driver.processes(handle) == []
    driver.remove(handle)
    assert driver.processes(handle) == []


def test_an_exited_namesake_is_never_started_again(driver: Driver, counted: ContainerSpec) -> None:
    first = driver.start(counted)
    before = until_over(driver, first)
    assert driver.start(counted) == first
    after = driver.inspect(first)
    assert (after.phase, after.started_at) == (Phase.EXITED, before.started_at)
    assert text(follow(driver, first), "stdout") == b"start\n"


def test_a_crash_between_create_and_start_is_made_good(
    harness: Harness, driver: Driver, counted: ContainerSpec
) -> None:
    harness.create_only(counted)
    seen = driver.find(counted.name)
    assert seen
    assert (seen.phase, seen.started_at, seen.exit_code) == (Phase.CREATED, None, None)
    assert list(read(driver, seen.handle, None)) == []
    driver.stop(seen.handle, 0)
    assert driver.start(counted) == seen.handle
    assert text(follow(driver, seen.handle), "stdout") == b"start\n"


def test_a_stranger_with_our_name_is_not_touched(harness: Harness, driver: Driver, spec: SpecMaker) -> None:
    wanted = spec("true")
    look = harness.put_stranger(wanted.name)
    before = look()
    with pytest.raises(Refused):
        driver.start(wanted)
    assert driver.find(wanted.name) is None
    assert look() == before


def test_a_namesake_of_another_installation_is_a_stranger(driver: Driver, spec: SpecMaker) -> None:
    ours = spec(("sleep", "60"))
    handle = driver.start(ours)
    with pytest.raises(Refused):
        driver.start(replace(ours, labels={**ours.labels, LABEL_INSTALLATION: "another"}))
    assert is_running(driver, handle)


def test_it_is_found_again_after_a_restart(harness: Harness, driver: Driver, spec: SpecMaker) -> None:
    wanted = spec("echo one; sleep 1; echo two; exit 5")
    handle = driver.start(wanted)
    first = until_said(driver, handle, b"one")
    later = harness.another()
    seen = later.find(wanted.name)
    assert seen
    assert seen.handle == Handle.from_json(json.loads(json.dumps(handle.as_json())))
    assert [line.data for line in follow(later, seen.handle, first.cursor)] == [b"two\n"]
    assert later.inspect(handle).exit_code == 5


def test_it_outlives_a_killed_worker(harness: Harness, driver: Driver, spec: SpecMaker) -> None:
    """With all of the worker's process group, as a supervisor or a terminal would kill it."""
    wanted = spec("echo one; sleep 4; echo two")
    dying = worker(harness, wanted, die=True)
    handle = handle_from(dying)
    assert dying.returncode == -9
    assert is_running(driver, handle)
    assert driver.start(wanted) == handle
    assert text(follow(driver, handle), "stdout") == b"one\ntwo\n"
    assert driver.inspect(handle).exit_code == 0


def test_one_that_obeys_ends_with_143(driver: Driver, spec: SpecMaker) -> None:
    handle = driver.start(spec("echo ready; exec sleep 60"))
    until_said(driver, handle, b"ready")
    driver.stop(handle, 10)
    seen = until_over(driver, handle)
    assert seen.exit_code == 143
    assert judged(driver, seen).code == "killed_by_signal"
    assert "SIGTERM" in judged(driver, seen).summary


def test_one_that_does_not_is_killed(driver: Driver, spec: SpecMaker) -> None:
    handle = driver.start(spec(STUBBORN, grace_seconds=2))
    until_said(driver, handle, b"ready")
    driver.stop(handle, 10)
    until_said(driver, handle, b"asked")
    assert is_running(driver, handle)
    driver.stop(handle, 0)
    seen = until_over(driver, handle)
    assert (seen.exit_code, seen.oom_killed) == (137, False)
    assert judged(driver, seen).code == "killed_by_signal"


def test_what_it_said_before_the_kill_is_kept(driver: Driver, spec: SpecMaker) -> None:
    handle = driver.start(spec("seq 1 5000; echo ready; sleep 60"))
    until_said(driver, handle, b"ready")
    driver.stop(handle, 0)
    assert text(follow(driver, handle), "stdout").count(b"\n") == 5001


def test_stopping_what_is_over_or_gone_is_fine(driver: Driver, spec: SpecMaker) -> None:
    handle = driver.start(spec("exit 3"))
    until_over(driver, handle)
    for grace in (10, 0):
        driver.stop(handle, grace)
    assert driver.inspect(handle).exit_code == 3
    driver.remove(handle)
    for grace in (10, 0):
        driver.stop(handle, grace)


def test_removing_ends_what_runs_and_can_be_repeated(driver: Driver, spec: SpecMaker) -> None:
    tag = f"tag-{uuid.uuid4().hex}"
    wanted = spec(f": {tag}; echo ready; sleep 60; :")
    handle = driver.start(wanted)
    until_said(driver, handle, b"ready")
    driver.remove(handle)
    eventually(lambda: not processes_with(tag))
    assert driver.inspect(handle).phase is Phase.GONE
    assert driver.find(wanted.name) is None
    driver.remove(handle)


def test_one_that_is_gone_says_nothing(driver: Driver, spec: SpecMaker) -> None:
    handle = driver.start(spec("echo hello"))
    cursor = follow(driver, handle)[0].cursor
    driver.remove(handle)
    seen = driver.inspect(handle)
    assert (seen.phase, seen.exit_code, seen.handle) == (Phase.GONE, None, handle)
    assert list(read(driver, handle, None)) == list(read(driver, handle, cursor)) == []


def test_a_namesake_made_later_is_another(driver: Driver, spec: SpecMaker) -> None:
    wanted = spec("echo ready; sleep 60")
    old = driver.start(wanted)
    driver.remove(old)
    new = driver.start(wanted)
    assert new.uid != old.uid
    assert driver.inspect(old).phase is Phase.GONE
    assert list(read(driver, old, None)) == []
    driver.stop(old, 0)
    driver.remove(old)
    assert is_running(driver, new)


def test_a_survey_lists_this_installation_and_no_other(driver: Driver, spec: SpecMaker, installation: str) -> None:
    ours = {driver.start(spec(("sleep", "60"))), driver.start(spec("true"))}
    other = spec("true")
    other = replace(other, labels={**other.labels, LABEL_INSTALLATION: f"{installation}-other"})
    theirs = driver.start(other)
    try:
        listed = list(driver.survey(installation))
        assert {seen.handle for seen in listed} == ours
        assert all(seen.labels[LABEL_INSTALLATION] == installation for seen in listed)
    finally:
        driver.remove(theirs)


def test_nobody_is_found_under_an_unknown_name(driver: Driver, installation: str) -> None:
    assert driver.find(f"{installation}-nobody") is None
    assert list(driver.survey(f"{installation}-nobody")) == []


def test_its_processes_die_with_it(harness: Harness, driver: Driver, spec: SpecMaker) -> None:
    """Also one that was forked off twice and holds nothing of its parents."""
    tag = f"tag-{uuid.uuid4().hex}"
    away = f"( ( sh -c ': {tag}; sleep 60; :' >/dev/null 2>&1 & ) & )"
    out, _, seen = run(driver, spec(f"{away}; sleep 0.2; echo done"))
    assert (out, seen.exit_code) == (b"done\n", 0)
    eventually(lambda: not processes_with(tag), harness.clears_seconds)


def test_a_kill_reaches_its_descendants(harness: Harness, driver: Driver, spec: SpecMaker) -> None:
    tag = f"tag-{uuid.uuid4().hex}"
    handle = driver.start(spec(f"( ( sh -c 'trap : TERM; : {tag}; sleep 60; :' & ) & ); echo ready; sleep 60; :"))
    until_said(driver, handle, b"ready")
    eventually(lambda: len(processes_with(tag)) >= 2)
    driver.stop(handle, 0)
    assert until_over(driver, handle).exit_code == harness.killed
    eventually(lambda: not processes_with(tag), harness.clears_seconds)
