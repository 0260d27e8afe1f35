"""Jobs on the real Docker engine, from REST to the container and back. The cases every runtime shares are run here again."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient
from docker.utils import kwargs_from_env

from tests.stack import RunningStack, eventually

pytestmark = pytest.mark.docker


@pytest.fixture
def stack(docker_stack: RunningStack) -> RunningStack:
    return docker_stack


@pytest.fixture
def engine() -> APIClient:
    return APIClient(**kwargs_from_env())


def containers_of(engine: APIClient, job: dict[str, Any]) -> list[Any]:
    return list(engine.containers(all=True, filters={"label": f"towline.job={job['id']}"}))


def test_a_container_runs_and_leaves_nothing_but_its_output(stack: RunningStack, engine: APIClient) -> None:
    job = stack.run("sh", "-c", "echo out; echo err >&2; printf 'no newline'")
    output = stack.output(job)
    assert (job["state"], job["exit_code"], job["runtime"]) == ("succeeded", 0, "docker")
    assert sorted(output.split(b"\n")) == [b"err", b"no newline", b"out"]
    assert job["log"]["sha256"] == hashlib.sha256(output).hexdigest()
    assert job["image_digest"]
    eventually(lambda: not containers_of(engine, job), 5)
    assert "removed" in stack.events(job)


def test_a_volume_holds_what_the_host_has_and_keeps_what_the_job_leaves(stack: RunningStack) -> None:
    folder = Path(stack.env["TOWLINE_VOLUMES"])
    (folder / "given").write_text("from the host")
    leave = 'cat /data/given; echo "$TOWLINE_JOB_ID $TOWLINE_ATTEMPT" > /data/left'
    job = stack.run("sh", "-c", leave, volumes=[f"{folder}:/data:rw"])
    assert stack.output(job) == b"from the host"
    assert (folder / "left").read_text() == f"{job['id']} 1\n"
    job = stack.run("sh", "-c", "touch /data/more", volumes=[{"source": str(folder), "target": "/data"}])
    assert (job["state"], job["exit_code"]) == ("failed", 1)
    assert not (folder / "more").exists()


def test_a_volume_that_is_not_there_is_named(stack: RunningStack) -> None:
    job = stack.run("true", volumes=[f"{stack.env['TOWLINE_VOLUMES']}/missing:/data"])
    assert (job["state"], job["verdict"]["code"]) == ("failed", "invalid_spec")
    assert "missing" in job["verdict"]["summary"]


@pytest.mark.parametrize(
    ("spec", "exit_code", "code"),
    [
        ({"command": ["sh", "-c", "exit 42"]}, 42, "exit_code"),
        ({"command": ["no-such-program-here"]}, 127, "command_not_found"),
        ({"command": ["/etc/passwd"]}, 126, "command_not_executable"),
        ({"command": ["true"], "user": "nobody-knows"}, None, "bad_user"),
        ({"command": ["sh", "-c", "kill -9 $$"]}, 137, "killed_by_signal"),
        ({"command": ["true"], "image": "localhost:1/no/such:1"}, None, "image_registry_unreachable"),
    ],
)
def test_every_end_has_its_verdict(
    stack: RunningStack, engine: APIClient, spec: dict[str, Any], exit_code: int | None, code: str
) -> None:
    job = stack.run(**spec)
    assert (job["state"], job["verdict"]["code"]) == ("failed", code), job["verdict"]
    assert exit_code in (None, job["exit_code"])
    assert all(job["verdict"][key] for key in ("summary", "evidence", "remedy"))
    eventually(lambda: not containers_of(engine, job), 5)


def test_a_command_that_is_not_there_is_named(stack: RunningStack) -> None:
    assert "no-such-program-here" in stack.run("no-such-program-here")["verdict"]["summary"]


def test_out_of_memory_is_told_from_a_kill(stack: RunningStack) -> None:
    job = stack.run("tail", "/dev/zero", resources={"memory": "16Mi", "cpus": 0.5})
    assert (job["state"], job["exit_code"], job["verdict"]["code"]) == ("failed", 137, "oom_killed")
    assert job["verdict"]["kind"] == "resource"


def test_limits_reach_the_engine(stack: RunningStack, engine: APIClient) -> None:
    job = stack.submit("sleep", "60", resources={"cpus": 0.5, "memory": "64Mi", "pids": 77})
    (found,) = eventually(lambda: containers_of(engine, job))
    limits = engine.inspect_container(found["Id"])["HostConfig"]
    assert (limits["NanoCpus"], limits["Memory"], limits["PidsLimit"]) == (500_000_000, 64 * 1024**2, 77)
    assert limits["CapDrop"] == ["ALL"]
    stack.http.post(f"/jobs/{job['id']}/cancel/")
    assert stack.wait(job)["state"] == "cancelled"


def test_a_gpu_that_no_worker_has_is_never_done_without(stack: RunningStack) -> None:
    job = stack.submit("true", resources={"gpus": 1, "memory": "32Mi"})
    waiting = stack.until(job, lambda shown: (shown["waiting"] or {}).get("reason") == "no_worker")["waiting"]
    assert "gpus" in waiting["detail"]
    stack.http.post(f"/jobs/{job['id']}/cancel/")


def test_cancel_ends_the_container(stack: RunningStack, engine: APIClient) -> None:
    job = stack.submit("sleep", "60")
    stack.until(job, lambda shown: shown["state"] == "running")
    stack.http.post(f"/jobs/{job['id']}/cancel/")
    ended = stack.wait(job, 15)
    assert (ended["state"], ended["verdict"]["kind"]) == ("cancelled", "cancelled")
    eventually(lambda: not containers_of(engine, job), 5)


def test_a_runtime_timeout_ends_the_container(stack: RunningStack) -> None:
    job = stack.run("sleep", "60", timeouts={"run": 1, "grace": 1})
    assert (job["state"], job["verdict"]["code"]) == ("failed", "timeout_run")


def test_a_container_removed_behind_our_back_is_noticed(stack: RunningStack, engine: APIClient) -> None:
    job = stack.submit("sleep", "60")
    stack.until(job, lambda shown: shown["state"] == "running")
    (found,) = containers_of(engine, job)
    engine.remove_container(found["Id"], force=True)
    ended = stack.wait(job, 30)
    assert (ended["state"], ended["verdict"]["code"]) == ("failed", "container_vanished")


def test_twenty_containers_at_once_all_end_right(stack: RunningStack) -> None:
    def one(number: int) -> tuple[int, dict[str, Any], bytes]:
        job = stack.run("sh", "-c", f"for i in 1 2 3; do echo {number}.$i; done; exit {number % 3}")
        return number, job, stack.output(job)

    with ThreadPoolExecutor(20) as crowd:
        for number, job, output in crowd.map(one, range(20)):
            assert job["exit_code"] == number % 3
            assert output == "".join(f"{number}.{i}\n" for i in (1, 2, 3)).encode()


def test_a_flood_is_kept_to_the_byte(stack: RunningStack) -> None:
    job = stack.run("sh", "-c", "seq 1 50000")
    assert stack.output(job) == b"".join(b"%d\n" % n for n in range(1, 50001))


def test_script_and_stdin_reach_the_container(stack: RunningStack) -> None:
    job = stack.run(
        script='#!/bin/sh\nread line\necho "got $line from $GREETING"', stdin="a line\n", env={"GREETING": "me"}
    )
    assert stack.output(job) == b"got a line from me\n"
