"""`submit --follow` and `logs`, as a shell sees them: exact bytes, exit codes, Ctrl-C and closed pipes."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.stack import IMAGE, ROOT, RunningStack, eventually

CODES = [
    ("exit 0", 0),
    ("exit 42", 42),
    ("no-such-program-here", 127),
    ("kill -9 $$", 137),
]


def argv_of(stack: RunningStack, *args: str) -> list[str]:
    small = ["--memory", "32Mi", "--cpus", "0.1", "--runtime", stack.runtime]
    return [sys.executable, str(ROOT / "manage.py"), "submit", IMAGE, *small, *args]


def run(stack: RunningStack, *args: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(argv_of(stack, *args), env=stack.env, capture_output=True, timeout=60, check=False)


@contextmanager
def started(stack: RunningStack, *args: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A follower that is not left behind, however the test ends."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": stack.env, **options}
    with subprocess.Popen(argv_of(stack, *args), **pipes) as follower:
        try:
            yield follower
        finally:
            follower.kill()


def follow(stack: RunningStack, script: str, *options: str) -> subprocess.CompletedProcess[bytes]:
    return run(stack, "--follow", *options, "--", "sh", "-c", script)


def named(stack: RunningStack, name: str) -> str:
    """The id of the job with this name, once it runs."""
    search = ("jobs", "--name", name, "--state", "running", "--json")
    found = eventually(lambda: json.loads(stack.manage(*search).stdout))
    return str(found[0]["id"])


def test_every_byte_comes_out_where_the_job_wrote_it(stack: RunningStack) -> None:
    ended = follow(stack, r"printf 'a\000\377\n\033[31mred'; printf 'no newline' >&2")
    assert (ended.stdout, ended.stderr, ended.returncode) == (b"a\x00\xff\n\x1b[31mred", b"no newline", 0)


@pytest.mark.parametrize(("script", "code"), CODES)
def test_the_exit_code_is_the_jobs_own(stack: RunningStack, script: str, code: int) -> None:
    assert follow(stack, script).returncode == code


def test_a_time_out_exits_with_124_and_says_which(stack: RunningStack) -> None:
    ended = follow(stack, "sleep 60", "--timeout", "0.5", "--grace", "1")
    assert ended.returncode == 124
    assert b"timeouts.run" in ended.stderr


def test_a_cancel_ends_the_follower_with_130(stack: RunningStack) -> None:
    script = ("sh", "-c", "echo up; sleep 60")
    with started(stack, "--follow", "--name", "to-cancel", "--grace", "1", "--", *script) as follower:
        job = named(stack, "to-cancel")
        said = stack.manage("cancel", job[-8:])
        assert (said.returncode, said.stdout) == (0, f"{job}  asked to end\n")
        out, err = follower.communicate(timeout=30)
    assert (follower.returncode, out) == (130, b"up\n")
    assert b"cancelled" in err


def test_ctrl_c_detaches_and_the_job_goes_on(stack: RunningStack) -> None:
    with started(stack, "--follow", "--name", "to-leave", "--", "sh", "-c", "echo up; sleep 60") as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == b"up\n"
        follower.send_signal(signal.SIGINT)
        _, err = follower.communicate(timeout=30)
    job = named(stack, "to-leave")
    assert follower.returncode == 130
    assert f"manage.py logs -f {job}".encode() in err
    assert b"Traceback" not in err
    stack.manage("cancel", job)
    assert stack.wait(job)["state"] == "cancelled"


def test_a_follower_goes_on_with_the_retry(stack: RunningStack, tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"retry": {"max_attempts": 2, "backoff": 0, "on": ["exit_code"]}}))
    ended = follow(stack, f"echo try; mkdir {tmp_path}/once 2>/dev/null && exit 7; exit 3", "--spec", str(spec))
    # Where jobs have a file system of their own, both tries fail alike.
    assert (ended.stdout, ended.returncode) in [(b"try\ntry\n", 3), (b"try\ntry\n", 7)]


def test_rows_of_json_end_with_how_it_ended(stack: RunningStack) -> None:
    ended = follow(stack, "echo out; exit 5", "--json")
    job, line, end = map(json.loads, ended.stdout.splitlines())
    assert job["state"] == "queued"
    assert (line["attempt"], line["n"], line["stream"], line["text"]) == (1, 1, "stdout", "out")
    assert (end["state"], end["exit_code"], end["verdict"]["code"]) == ("failed", 5, "exit_code")
    assert ended.returncode == 5


def test_logs_reads_what_was_stored_and_follows_to_the_end(stack: RunningStack) -> None:
    job = stack.run("sh", "-c", "for i in 1 2 3 4 5; do echo $i; done; sleep 0.3; echo err >&2; exit 4")["id"]
    assert stack.manage("logs", job).stdout == "1\n2\n3\n4\n5\n"
    assert stack.manage("logs", job).stderr == "err\n"
    assert stack.manage("logs", job[-10:], "--tail", "2", "--stream", "stdout").stdout == "4\n5\n"
    stamped = stack.manage("logs", job, "--tail", "1", "--timestamps")
    assert stamped.stderr.endswith("Z err\n")
    assert stack.manage("logs", "-f", job).returncode == 4
    rows = [json.loads(row) for row in stack.manage("logs", job, "--json").stdout.splitlines()]
    assert [row["n"] for row in rows] == [1, 2, 3, 4, 5, 6]
    refused = stack.manage("logs", job, "--attempt", "9")
    assert (refused.returncode, "no such attempt" in refused.stderr) == (2, True)


def test_a_reader_that_goes_away_ends_logs_quietly(stack: RunningStack) -> None:
    job = stack.run("sh", "-c", "i=0; while [ $i -lt 30000 ]; do echo 0123456789; i=$((i+1)); done")["id"]
    logs = [sys.executable, str(ROOT / "manage.py"), "logs", job]
    reader = subprocess.Popen(logs, env=stack.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert reader.stdout is not None
    assert reader.stdout.readline() == b"0123456789\n"
    reader.stdout.close()
    assert reader.wait(30) == 141
    assert reader.stderr is not None
    assert reader.stderr.read() == b""


def test_on_a_terminal_it_says_what_the_job_waits_for(stack: RunningStack) -> None:
    ours, theirs = pty.openpty()
    env = stack.env | {"TERM": "xterm", "COLUMNS": "200"}
    wanted = ("--follow", "--name", "never", "--require", "unheard=of", "--", "true")
    seen = b""

    def shown() -> bool:
        nonlocal seen
        seen += os.read(ours, 4096)  # the line is drawn again and again, so this never blocks for long
        return b"no label unheard=of" in seen

    with started(stack, *wanted, stderr=theirs, env=env) as follower:
        os.close(theirs)
        eventually(shown)
        assert b"waiting (no_worker)" in seen
        job = json.loads(stack.manage("jobs", "--name", "never", "--json").stdout)[0]["id"]
        assert "never started" in stack.manage("cancel", job).stdout
        assert follower.wait(30) == 130
    os.close(ours)


def test_what_is_wrong_with_a_spec_is_said_by_field(stack: RunningStack) -> None:
    refused = run(stack, "--cpus", "-1", "--label", "towline.x=1", "--", "true")
    assert refused.returncode == 2
    assert b"resources.cpus: " in refused.stderr
    assert b"labels: " in refused.stderr
    assert b"Traceback" not in refused.stderr
    assert refused.stdout == b""


def test_a_command_without_dashes_is_told_where_they_go(stack: RunningStack) -> None:
    refused = stack.manage("submit", IMAGE, "echo", "hi")
    assert refused.returncode == 2
    assert f"submit {IMAGE} [options] -- echo hi" in refused.stderr
