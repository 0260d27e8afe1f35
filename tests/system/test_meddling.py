"""Somebody else has his hands on our containers: stops, removes, renames, pauses them, or sits on their name."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from docker import APIClient
from docker.utils import kwargs_from_env

from tests.stack import IMAGE, RunningStack, eventually

pytestmark = pytest.mark.docker
COUNT = "i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo line $i; sleep 0.1; done"
EXPECTED = b"".join(f"line {n}\n".encode() for n in range(1, 61))


@pytest.fixture
def client() -> APIClient:
    return APIClient(**kwargs_from_env())


def begun(stack: RunningStack, *command: str, **spec: Any) -> tuple[dict[str, Any], str]:
    """A job that has written something, and its container's name."""
    job = stack.submit(*command, **spec)
    eventually(lambda: stack.output(job))
    return job, attempt_of(stack, job)["handle"]["name"]


def attempt_of(stack: RunningStack, job: dict[str, Any]) -> dict[str, Any]:
    return dict(stack.http.get(f"/jobs/{job['id']}/attempts/").json()["results"][0])


@pytest.mark.parametrize(("how", "number"), [("kill", "9"), ("stop", "15")])
def test_who_stops_a_container_is_named_as_far_as_the_engine_knows(
    docker_stack: RunningStack, client: APIClient, how: str, number: str
) -> None:
    job, name = begun(docker_stack, "sh", "-c", "echo begun; sleep 60")
    getattr(client, how)(name)
    verdict = docker_stack.wait(job)["verdict"]
    assert verdict["code"] == "killed_by_signal"
    assert f"the engine was asked to send it signal {number}" in verdict["evidence"]


def test_a_removed_container_is_missed(docker_stack: RunningStack, client: APIClient) -> None:
    job, name = begun(docker_stack, "sh", "-c", "echo begun; sleep 60")
    client.remove_container(name, force=True)
    assert docker_stack.wait(job)["verdict"]["code"] == "container_vanished"


def test_a_renamed_container_is_known_again_also_by_a_worker_started_anew(
    docker_stack: RunningStack, client: APIClient
) -> None:
    job, name = begun(docker_stack, "sh", "-c", COUNT)
    client.rename(name, f"{name}-renamed")
    os.kill(docker_stack.pid_of("run"), signal.SIGKILL)
    ended = docker_stack.wait(job, 60)
    assert (ended["state"], ended["attempts_count"]) == ("succeeded", 1)
    assert docker_stack.output(job) == EXPECTED
    eventually(lambda: not client.containers(all=True, filters={"name": name}))


def test_a_paused_container_can_be_cancelled(docker_stack: RunningStack, client: APIClient) -> None:
    job, name = begun(docker_stack, "sh", "-c", "echo begun; sleep 60", timeouts={"grace": 1})
    client.pause(name)
    assert docker_stack.job(job["id"])["state"] == "running"
    docker_stack.http.post(f"/jobs/{job['id']}/cancel/")
    assert docker_stack.wait(job)["state"] == "cancelled"


def test_a_stranger_under_our_name_is_left_alone(docker_stack: RunningStack, client: APIClient) -> None:
    done = docker_stack.run("true")
    name = attempt_of(docker_stack, done)["handle"]["name"]
    worker = docker_stack.env["TOWLINE_WORKER_NAME"]
    docker_stack.manage("drain", worker)
    job = docker_stack.submit("true")
    taken = name.replace(done["id"], job["id"])
    stranger = client.create_container(IMAGE, ["true"], name=taken)["Id"]  # type: ignore[no-untyped-call]
    try:
        docker_stack.manage("resume", worker)
        ended = docker_stack.wait(job)
        assert ended["verdict"]["code"] == "internal_error"
        assert taken in ended["verdict"]["summary"]
        eventually(lambda: attempt_of(docker_stack, job)["removed_at"])
        seen = client.inspect_container(stranger)
        assert (seen["State"]["Status"], seen["Name"]) == ("created", f"/{taken}")
    finally:
        client.remove_container(stranger, force=True)
