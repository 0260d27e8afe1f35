"""A worker that lives and beats, but hears nothing: it is suspect, heals or starts again, and jobs run in spite of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery
from celery.utils.nodenames import worker_direct

from tests.redis_server import RedisServer
from tests.stack import RunningStack, eventually

COUNT = "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do echo $n; sleep 0.2; done"


def deafen(server: RedisServer, worker: str, queue: str) -> None:
    """It no longer consumes from the queue, as an operator may tell it in Flower by mistake."""
    with Celery(broker=f"redis+socket://{server.socket}") as app:
        app.control.cancel_consumer(queue, destination=[worker])


def state(platform: RunningStack) -> str:
    (worker,) = platform.http.get("/workers/").json()["results"]
    return str(worker["state"])


def test_a_deaf_worker_is_suspect_gets_no_jobs_and_is_healed(platform: RunningStack, server: RedisServer) -> None:
    name, pid = platform.env["TOWLINE_WORKER_NAME"], platform.pid_of("run")
    deafen(server, name, worker_direct(name).name)
    unhinted = platform.submit("echo", "before it was noticed")
    assert platform.wait(unhinted, 10)["state"] == "succeeded"
    eventually(lambda: state(platform) == "suspect", 10)
    waiting = platform.submit("echo", "meanwhile")
    platform.until(waiting, lambda shown: f"{name} is suspect" in (shown["waiting"] or {}).get("detail", ""), 5)
    eventually(lambda: state(platform) == "online", 10)
    assert platform.wait(waiting, 10)["state"] == "succeeded"
    assert platform.pid_of("run") == pid


@contextmanager
def nothing_received(server: RedisServer) -> Iterator[None]:
    """Messages may be sent, but nobody may take one, for as long as this lasts."""
    client = server.client
    client.execute_command("ACL", "SETUSER", "default", "-brpop")
    client.execute_command("CLIENT", "KILL", "TYPE", "normal")
    try:
        yield
    finally:
        server.client.execute_command("ACL", "SETUSER", "default", "+brpop")


def test_who_stays_deaf_ends_and_starts_again_and_its_jobs_go_on(platform: RunningStack, server: RedisServer) -> None:
    before = {role: platform.pid_of(role) for role in ("run", "control")}
    job = platform.submit("sh", "-c", COUNT)
    eventually(lambda: platform.output(job))
    with nothing_received(server):
        for role, pid in before.items():
            eventually(lambda role=role, pid=pid: pid_now(platform, role) not in (None, pid), 20)  # type: ignore[misc]
    ended = platform.wait(job)
    assert (ended["state"], ended["attempts_count"]) == ("succeeded", 1)
    assert [line["n"] for line in platform.lines(job)] == list(range(1, 21))
    assert platform.events(job).count("attempt_running") == 1
    assert "detached" in platform.events(job)
    assert "this process ends (exit code 75)" in (platform.data_dir / "logs" / "run.log").read_text()
    eventually(lambda: state(platform) == "online", 20)
    assert platform.run("true")["state"] == "succeeded"


def pid_now(platform: RunningStack, role: str) -> int | None:
    try:
        return platform.pid_of(role)
    except AssertionError:  # between two starts
        return None


def test_a_control_worker_that_hears_nothing_stalls_nobody(platform: RunningStack, server: RedisServer) -> None:
    """The keepers place, too."""
    eventually(lambda: pid_now(platform, "control"), 20)
    with Celery(broker=f"redis+socket://{server.socket}") as app:
        (control,) = eventually(lambda: control_workers(app), 20)
        deafen(server, control, "control")
        eventually(lambda: "control" not in consumed(app, control), 10)
        assert platform.wait(platform.submit("true"), 5)["state"] == "succeeded"
        app.control.add_consumer("control", destination=[control])
        eventually(lambda: "control" in consumed(app, control), 10)


def control_workers(app: Celery) -> list[str]:
    return [name for answer in app.control.ping(timeout=0.5) for name in answer if name.startswith("control@")]


def consumed(app: Celery, worker: str) -> set[str]:
    answer: dict[str, Any] = app.control.inspect([worker], timeout=0.5).active_queues() or {}
    return {queue["name"] for queue in answer.get(worker, [])}
