"""Drills by command on a platform of their own, and what they say where a promise is broken."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.stack import ROOT, RunningStack, eventually, run_stack
from workers.drivers.docker.driver import DockerDriver
from workers.drivers.protocol import Unavailable

BRISK = {
    "TOWLINE_HEARTBEAT_SECONDS": "0.5",
    "TOWLINE_LEASE_SECONDS": "2",
    "TOWLINE_ADOPTION_GRACE_SECONDS": "60",
}


@pytest.fixture(scope="module")
def drilled() -> Iterator[RunningStack]:
    """Both runtimes, where there is a Docker engine."""
    try:
        DockerDriver().probe()
        runtimes = "docker,process"
    except Unavailable:
        runtimes = "process"
    with run_stack("process", TOWLINE_RUNTIMES=runtimes, **BRISK) as running:
        yield running


def drill(stack: RunningStack, *args: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the report."""
    ran = stack.manage("drill", *args, "--yes", "--json", timeout=110)
    assert ran.stdout, ran.stderr
    return ran.returncode, json.loads(ran.stdout)


def broken(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row["promise"], row["detail"]) for row in report["findings"] if not row["held"]]


def check_all_held(stack: RunningStack, *args: str) -> dict[str, Any]:
    code, report = drill(stack, *args)
    assert broken(report) == []
    assert (code, report["passed"]) == (0, True)
    assert all(row["seconds"] <= row["limit_seconds"] for row in report["findings"] if row["limit_seconds"])
    assert all(stack.wait(job["id"]) for job in report["jobs"])
    return report


@pytest.mark.parametrize(
    "name",
    ["stop-worker", "freeze-worker", "restart-redis", "flush-redis", "oom", "cancel-stubborn"],
)
def test_every_promise_holds_with_plain_processes(drilled: RunningStack, name: str) -> None:
    assert check_all_held(drilled, name, "--runtime", "process")["runtime"] == "process"


@pytest.mark.docker
@pytest.mark.parametrize("name", ["kill-worker", "bad-image", "fill-disk", "duplicate-hint"])
def test_every_promise_holds_with_docker(drilled: RunningStack, name: str) -> None:
    assert check_all_held(drilled, name)["runtime"] == "docker"


def test_every_promise_holds_when_the_database_hangs_up(drilled: RunningStack) -> None:
    if "DATABASE_URL" not in drilled.env:
        pytest.skip("SQLite has no connections that could be ended")
    check_all_held(drilled, "lost-database", "--runtime", "process")


def test_a_deaf_worker_is_noticed_and_healed(drilled: RunningStack) -> None:
    check_all_held(drilled, "deaf-worker", "--runtime", "process")


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("may not mount a file system here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_small_file_system_of_the_operators_is_filled_and_emptied(drilled: RunningStack, tmp_path: Path) -> None:
    with small_disk(tmp_path) as folder:
        report = check_all_held(drilled, "fill-disk", "--folder", str(folder))
        assert f"a job that fills {folder}" in report["findings"][0]["promise"]
        assert list(folder.iterdir()) == []


@contextmanager
def lone_worker(stack: RunningStack) -> Iterator[str]:
    """A second run worker, that nobody supervises."""
    name = f"lone@{stack.data_dir.name}"
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "serve", "run"],
        env={**stack.env, "TOWLINE_WORKER_NAME": name, "TOWLINE_RUNTIMES": "process"},
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: name in [row["name"] for row in stack.http.get("/workers/").json()["results"]])
        yield name
    finally:
        process.kill()
        process.wait()


def test_a_worker_that_nobody_starts_again_is_a_broken_promise(drilled: RunningStack) -> None:
    with lone_worker(drilled) as name:
        code, report = drill(drilled, "kill-worker", "--worker", name, "--runtime", "process", "--limit", "1")
    (found,) = broken(report)
    assert (code, found[0]) == (1, "its supervisor starts the worker again")
    assert "nobody started it again: run it under `manage.py up`" in found[1]


def test_a_fault_that_can_not_be_done_proves_nothing(drilled: RunningStack) -> None:
    ran = drilled.manage("drill", "kill-worker", "--yes", "--command", "sh -c 'echo no such unit >&2; exit 5'")
    assert (ran.returncode, ran.stdout.count("✗")) == (2, 0)
    assert "fails with exit code 5: no such unit" in ran.stderr
    assert drilled.http.get("/jobs/", params={"state": "queued"}).json()["results"] == []


def test_others_are_asked_for_before_they_are_disturbed(drilled: RunningStack) -> None:
    before = drilled.pid_of("run")
    terminal, theirs = os.openpty()
    os.write(terminal, b"n\n")
    argv = [sys.executable, str(ROOT / "manage.py"), "drill", "kill-worker"]
    ran = subprocess.run(argv, env=drilled.env, stdin=theirs, capture_output=True, text=True, timeout=60, check=False)
    os.close(terminal)
    os.close(theirs)
    assert (ran.returncode, "Go on?" in ran.stderr, "not run" in ran.stderr) == (2, True, True)
    assert "its supervisor starts the worker again (within 60 s)" in ran.stdout
    assert drilled.pid_of("run") == before


def test_a_drill_that_is_told_to_end_undoes_what_it_did(drilled: RunningStack) -> None:
    """SIGTERM goes the way of Ctrl-C."""
    worker = drilled.pid_of("run")
    running = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "drill", "freeze-worker", "--yes", "--runtime", "process"],
        env=drilled.env, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    eventually(lambda: state_of(worker) == "T")
    running.send_signal(signal.SIGTERM)
    assert running.wait(20) == 130
    assert state_of(worker) != "T"
    job = drilled.http.get("/jobs/", params={"ordering": "-created_at"}).json()["results"][0]
    assert (job["name"], drilled.wait(job)["state"]) == ("drill freeze-worker", "cancelled")


def state_of(pid: int) -> str:
    """As the kernel says it: T is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


START = """\
#!/bin/sh
setsid unshare -n dockerd --data-root {folder}/data --exec-root {folder}/exec --pidfile {folder}/pid -H unix://{folder}/sock \\
    --bridge=none --iptables=false --ip-forward=false --ip-masq=false $LIVE_RESTORE >> {folder}/log 2>&1 &
"""
STOP = """\
#!/bin/sh
kill $(cat {folder}/pid) && while test -e {folder}/pid; do sleep 0.05; done
"""


@pytest.fixture
def own_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A dockerd of the test's own, in a network of its own: without one it would take the bridge of the machine's away."""
    if os.geteuid() or subprocess.run(["unshare", "-n", "dockerd", "--version"], capture_output=True).returncode:
        pytest.skip("may not start a Docker engine here")
    folder = tmp_path_factory.mktemp("engine")
    for name, script in (("start", START), ("stop", STOP)):
        (folder / name).write_text(script.format(folder=folder))
        (folder / name).chmod(0o755)
    subprocess.run([folder / "start"], check=True)
    try:
        eventually(lambda: answers(folder))
        yield folder
    finally:
        subprocess.run([folder / "stop"], timeout=30, check=True)
        subprocess.run(["umount", "--quiet", folder / "data"], check=False)  # live-restore leaves it mounted


def answers(folder: Path) -> bool:
    try:
        DockerDriver(f"unix://{folder}/sock").probe()
    except Unavailable:
        return False
    return True


@pytest.mark.docker
def test_jobs_outlive_their_engine_or_are_tried_again(own_engine: Path) -> None:
    """First without live-restore, as that engine was started; then with it, as the first drill has started it."""
    how = ("--stop", f"{own_engine}/stop", "--start", f"env LIVE_RESTORE=--live-restore {own_engine}/start")
    with run_stack("docker", TOWLINE_DOCKER_URL=f"unix://{own_engine}/sock", **BRISK) as stack:
        again = [row["promise"] for row in check_all_held(stack, "stop-engine", *how)["findings"]]
        outlives = [row["promise"] for row in check_all_held(stack, "stop-engine", *how)["findings"]]
    assert "the job is tried again by its policy, and succeeds" in again
    assert "in the container that it had before" in outlives
