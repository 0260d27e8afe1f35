"""Everything that Redis can do to us: nothing is lost, nothing runs twice, no process ends, and jobs run meanwhile."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery
from celery.utils.nodenames import worker_direct

from tests.redis_server import RedisServer
from tests.stack import RunningStack, eventually

ROLES = ("web", "control", "run", "beat")
COUNT = "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do echo $n; sleep 0.1; done"


@contextmanager
def unharmed(platform: RunningStack) -> Iterator[list[dict[str, Any]]]:
    """Two jobs that run and one that waits for a slot, across what happens within; no process is another one after it."""
    before = {role: platform.pid_of(role) for role in ROLES}
    jobs = [platform.submit("sh", "-c", COUNT) for _ in range(3)]
    eventually(lambda: platform.output(jobs[0]) and platform.output(jobs[1]))
    yield jobs
    for job in jobs:
        ended = platform.wait(job)
        assert (ended["state"], ended["attempts_count"]) == ("succeeded", 1)
        assert [line["n"] for line in platform.lines(job)] == list(range(1, 21))
        assert platform.events(job).count("attempt_running") == 1
    assert {role: platform.pid_of(role) for role in ROLES} == before


def submit_promptly(platform: RunningStack) -> dict[str, Any]:
    began = time.monotonic()
    job = platform.submit("echo", "meanwhile")
    assert time.monotonic() - began < 2
    return job


def hears(platform: RunningStack, seconds: float = 15) -> None:
    """Both workers receive messages: what is found in the database alone has no such line in their logs."""
    placed = logged(platform, "control").count("Task workers.place")

    def hinted() -> bool:
        attempt = attempt_of(platform, platform.run("true"))
        return f"workers.run[{attempt['task_id']}] received" in logged(platform, "run")

    eventually(hinted, seconds)
    eventually(lambda: logged(platform, "control").count("Task workers.place") > placed, seconds)


def attempt_of(platform: RunningStack, job: dict[str, Any]) -> dict[str, Any]:
    (attempt,) = platform.http.get(f"/jobs/{job['id']}/attempts/").json()["results"]
    return dict(attempt)


def logged(platform: RunningStack, role: str) -> str:
    return (platform.data_dir / "logs" / f"{role}.log").read_text()


def test_a_killed_redis_ends_nothing_and_jobs_run_while_it_is_away(platform: RunningStack, server: RedisServer) -> None:
    with unharmed(platform):
        server.kill()
        unhinted = platform.wait(submit_promptly(platform))
        assert unhinted["state"] == "succeeded"
        server.start()
        hears(platform)
    task_id = attempt_of(platform, unhinted)["task_id"]
    show = f"from django_celery_results.models import *; print(TaskResult.objects.get(task_id={task_id!r}).as_dict())"
    told = platform.manage("shell", "-v", "0", "-c", show).stdout
    assert "'SUCCESS'" in told
    assert "workers.run" in told
    assert platform.env["TOWLINE_WORKER_NAME"] in told


def test_a_redis_that_comes_back_empty_is_as_good(platform: RunningStack, server: RedisServer) -> None:
    with unharmed(platform):
        server.kill(empty=True)
        server.start()
        hears(platform)


def test_an_emptied_redis_costs_nothing(platform: RunningStack, server: RedisServer) -> None:
    with unharmed(platform):
        server.client.flushall()
        hears(platform)


def test_a_frozen_redis_holds_up_nobody(platform: RunningStack, server: RedisServer) -> None:
    with unharmed(platform):
        server.signal(signal.SIGSTOP)
        try:
            frozen_at = time.monotonic()
            assert platform.wait(submit_promptly(platform))["state"] == "succeeded"
            eventually(lambda: time.monotonic() - frozen_at > 10, 11)
        finally:
            server.signal(signal.SIGCONT)
        hears(platform)


def test_a_worker_started_while_redis_is_frozen_looks_after_its_jobs(
    platform: RunningStack, server: RedisServer
) -> None:
    job = platform.submit("sh", "-c", COUNT)
    eventually(lambda: platform.output(job))
    server.signal(signal.SIGSTOP)
    try:
        os.kill(platform.pid_of("run"), signal.SIGKILL)
        eventually(lambda: "adopted" in platform.events(job))
        assert platform.wait(job)["state"] == "succeeded"
        assert platform.wait(submit_promptly(platform))["state"] == "succeeded"
    finally:
        server.signal(signal.SIGCONT)
    assert [line["n"] for line in platform.lines(job)] == list(range(1, 21))
    hears(platform)


def test_cut_connections_are_made_again(platform: RunningStack, server: RedisServer) -> None:
    with unharmed(platform):
        for kind in ("normal", "pubsub"):
            server.client.execute_command("CLIENT", "KILL", "TYPE", kind)
        hears(platform)


def test_a_full_redis_holds_up_nobody(platform: RunningStack, server: RedisServer) -> None:
    with unharmed(platform):
        server.client.config_set("maxmemory", "1mb")
        try:
            assert platform.wait(submit_promptly(platform))["state"] == "succeeded"
        finally:
            server.client.config_set("maxmemory", "0")
        hears(platform)


# What can't be read at all; then two that look like a task until they are read on.
RAW = [
    b"not json",
    b"\xff\xfe",
    b"[]",
    b"17",
    b'"text"',
    b"{}",
    b'{"properties": []}',
    b'{"body": "x", "properties": {}}',
]
HEADERS = {"task": "workers.run", "id": "x", "lang": "py"}
PROPERTIES = {"delivery_tag": "t", "delivery_info": {"exchange": "", "routing_key": "q"}, "body_encoding": "base64"}
BODY = {"body": "!!", "content-encoding": "utf-8", "content-type": "application/json", "properties": PROPERTIES}
ARGUMENTS: list[Any] = [(), ("x", 5), (None,), ({"a": [1]},), (10**9, "x"), (2**80,), (-1,), (1.5,), ("\0",)]


def test_nonsense_in_the_queues_is_dropped_with_a_line_in_the_log(platform: RunningStack, server: RedisServer) -> None:
    own = worker_direct(platform.env["TOWLINE_WORKER_NAME"])
    with unharmed(platform) as jobs, Celery(broker=f"redis+socket://{server.socket}") as sender:
        for raw in (*RAW, json.dumps(BODY), json.dumps({**BODY, "headers": HEADERS})):
            server.client.lpush(own.name, raw)
            server.client.lpush("control", raw)
        for args in ARGUMENTS:
            sender.send_task("workers.run", args, queue=own)
            sender.send_task("workers.carry_out_cancel", args[:1] or (0,), queue="control")
        sender.send_task("workers.run", (), {"what": 1}, queue=own)
        sender.send_task("no.such.task", (1, 2), queue=own)
        attempt = attempt_of(platform, jobs[0])
        for _ in range(100):
            sender.send_task("workers.run", (attempt["id"], jobs[0]["id"]), queue=own, task_id=attempt["task_id"])
        hears(platform)
    told = logged(platform, "run")
    assert told.count("dropped a message that can't be read") >= len(RAW)
    for line in ("no attempt is called 'x'", "unregistered task of type 'no.such.task'"):
        assert line in told
