"""The platform goes, jobs stay: what runs is found again, and its log goes on where it stopped."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

from tests.stack import RunningStack, eventually, run_stack

COUNT = "i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo line $i; sleep 0.05; done"
EXPECTED = b"".join(f"line {n}\n".encode() for n in range(1, 61))


def test_a_killed_worker_is_replaced_and_its_job_goes_on(stack: RunningStack) -> None:
    job = stack.submit("sh", "-c", COUNT)
    eventually(lambda: stack.output(job))
    os.kill(stack.pid_of("run"), signal.SIGKILL)
    ended = stack.wait(job, 60)
    assert (ended["state"], ended["attempts_count"]) == ("succeeded", 1)
    assert stack.output(job) == EXPECTED
    assert "adopted" in stack.events(job)


def test_the_whole_platform_restarts_while_a_job_runs() -> None:
    folder = Path(tempfile.mkdtemp(prefix="tl-"))
    with run_stack("process", data_dir=folder) as before:
        job = before.submit("sh", "-c", COUNT.replace("60", "150"))
        eventually(lambda: before.output(job))
    with run_stack("process", data_dir=folder) as after:
        ended = after.wait(job, 60)
        assert (ended["state"], ended["attempts_count"], ended["exit_code"]) == ("succeeded", 1, 0)
        assert after.output(job).count(b"\n") == 150
        assert [line["n"] for line in after.lines(job)] == list(range(1, 151))
        assert "detached" in after.events(job)


def test_web_and_control_may_die_at_any_time(stack: RunningStack) -> None:
    os.kill(stack.pid_of("control"), signal.SIGKILL)
    job = stack.submit("echo", "still")
    assert stack.wait(job, 60)["state"] == "succeeded"
