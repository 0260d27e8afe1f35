"""docker/compose.yaml as it stands, with the built image and servers from Debian's packages."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.image.composed import BEHIND_A_PROXY, LOGIN, ROLES, SERVERS, Composed, compose_command, composed, images
from tests.image.conftest import lacks
from tests.stack import eventually
from workers.drivers.docker.busybox import ensure_demo_image

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]
COUNT = "i=0; while [ $i -lt {0} ]; do i=$((i+1)); echo $i; sleep 0.5; done"


@pytest.fixture(scope="module")
def platform(inside: dict[str, Any]) -> Iterator[Composed]:
    """One for all tests here, in their order: the last ones have it taken down and up again."""
    from docker import from_env

    command = compose_command()
    if command is None:
        lacks("neither `docker compose` nor docker-compose is there")
    if SERVERS not in images():
        lacks(f"{SERVERS} is not there: `make servers`")
    ensure_demo_image(from_env().api)
    with composed(command) as running:
        yield running


def test_every_role_is_healthy_with_a_root_that_is_read_only_and_without_any_capability(platform: Composed) -> None:
    for role in ROLES:
        found = platform.inspect(role)
        assert found["State"]["Health"]["Status"] == "healthy"
        assert found["HostConfig"]["ReadonlyRootfs"] and found["HostConfig"]["CapDrop"] == ["ALL"]
        assert found["Config"]["User"] == "10001:10001"


def test_what_it_is_made_of_is_all_there(platform: Composed) -> None:
    assert httpx.get(f"http://127.0.0.1:{platform.port}/healthz/ready").json()["status"] == "ok"
    doctor = platform.inside("run", "python", "manage.py", "doctor")
    assert "postgresql" in doctor and "1 online" in doctor and "✗" not in doctor


def test_a_job_runs_on_the_host_s_engine(platform: Composed) -> None:
    job = platform.submit("sh", "-c", "echo from inside; exit 3")
    ended = platform.wait(job)
    assert (ended["state"], ended["exit_code"]) == ("failed", 3), ended
    assert platform.output(job) == "from inside\n"


def test_flower_asks_for_its_login(platform: Composed) -> None:
    url = f"http://127.0.0.1:{platform.flower_port}/workers"
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, auth=LOGIN).status_code == 200


def test_redis_evicts_nothing_and_keeps_what_it_has(platform: Composed) -> None:
    script = 'REDISCLI_AUTH="$REDIS_PASSWORD" redis-cli config get {}'
    assert "noeviction" in platform.inside("redis", "sh", "-c", script.format("maxmemory-policy"))
    assert "yes" in platform.inside("redis", "sh", "-c", script.format("appendonly"))


def test_the_whole_platform_is_taken_down_and_comes_back_behind_a_proxy_and_loses_no_job(platform: Composed) -> None:
    waits = platform.submit("true", requires={"nobody": "has this"})
    runs = platform.submit("sh", "-c", COUNT.format(120))
    eventually(lambda: "5\n" in platform.output(runs), 30)

    # 0: it ended by itself, before compose would have had it killed.
    assert platform.stop() == dict.fromkeys(ROLES, 0)
    platform.compose("down")
    assert containers_of(runs) == ["running"]
    platform.up(BEHIND_A_PROXY)

    ended = platform.wait(runs, 90)
    assert (ended["state"], ended["attempts_count"]) == ("succeeded", 1), ended
    assert platform.output(runs).split() == [str(number) for number in range(1, 121)]
    assert platform.job(waits)["state"] == "queued"


def test_behind_the_proxy_a_job_has_all_it_had_and_the_worker_no_more_than_it_needs(platform: Composed) -> None:
    platform.up(BEHIND_A_PROXY)
    job = platform.submit("cat", stdin="through the proxy\n")
    assert platform.wait(job)["state"] == "succeeded"
    assert platform.output(job) == "through the proxy\n"
    job = platform.submit(script="#!/bin/sh\necho a script\n")
    platform.wait(job)
    assert platform.output(job) == "a script\n"
    job = platform.submit("sleep", "600")
    platform.until(job, lambda shown: shown["state"] == "running")
    with platform.http as http:
        http.post(f"/jobs/{job}/cancel/")
    assert platform.wait(job)["state"] == "cancelled"
    eventually(lambda: containers_of(job) == [])
    assert asked(platform, "GET", "/v1.41/info") == 200
    for method, path in FORBIDDEN:
        assert asked(platform, method, path) == 403, (method, path)


FORBIDDEN = [
    ("GET", "/v1.41/volumes"),
    ("GET", "/v1.41/containers/x/export"),
    ("GET", "/v1.41/containers/x/archive?path=/etc"),
    ("POST", "/v1.41/containers/x/exec"),
    ("POST", "/v1.41/build"),
    ("POST", "/v1.41/containers/prune"),
    ("DELETE", "/v1.41/images/x"),
    ("GET", "/v1.41/containers/../volumes/json"),
    ("GET", "/v1.41/images/%2e%2e/volumes/json"),
]


def containers_of(job: str) -> list[str]:
    listed = ["docker", "ps", "--all", "--format", "{{.State}}", "--filter", f"label=towline.job={job}"]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()


def asked(platform: Composed, method: str, path: str) -> int:
    """What the engine's side answers to the run worker."""
    lines = [
        "import http.client as h",
        "c = h.HTTPConnection('socket-proxy', 2375, timeout=10)",
        f"c.request({method!r}, {path!r})",
        "print(c.getresponse().status)",
    ]
    return int(platform.inside("run", "python", "-c", "\n".join(lines)))
