"""What is done to the platform, by name: each fault is one short function, and says what it did to whom."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import psycopg
import redis
from celery import Celery
from celery.utils.nodenames import worker_direct
from docker import APIClient
from docker.errors import APIError

from jobs.failpoints import POINTS
from tests.chaos.jobs import Users
from tests.chaos.platform import LEASE_SECONDS, Platform
from tests.chaos.postgres import OwnPostgres
from tests.chaos.witness import ClusterWitness
from tests.system.cluster import Ground

RUN_WORKERS = ("run-1", "run-2")


@dataclass
class World:
    """All that faults reach. `disturbed`: what was done to a container behind the platform's back, by its name."""

    platform: Platform
    users: Users
    installation: str
    docker: APIClient | None = None
    database: OwnPostgres | None = None
    ground: Ground | None = None
    witness: ClusterWitness | None = None
    ongoing: set[str] = field(default_factory=set)  # faults that last, and may be there once at a time
    disturbed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    later: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8, "fault"))
    troubles: list[str] = field(default_factory=list)

    def after(self, seconds: float, undo: Callable[[], object]) -> None:
        """What takes a while must not hold up the next fault."""
        self.later.submit(self._undo, seconds, undo)

    def _undo(self, seconds: float, undo: Callable[[], object]) -> None:
        try:
            time.sleep(seconds)
            undo()
        except Exception as error:  # noqa: BLE001 - a thread's border: the test reports it
            self.troubles.append(f"undoing a fault: {type(error).__name__}: {error}")


Fault = Callable[[World, random.Random], str]
FAULTS: dict[str, tuple[Fault, int, str]] = {}  # name → (what it does, how often, what it needs)


def fault(often: int = 1, needs: str = "") -> Callable[[Fault], Fault]:
    def note(function: Fault) -> Fault:
        FAULTS[function.__name__] = (function, often, needs)
        return function

    return note


# --- processes --------------------------------------------------------------------------------------------------------


@fault(often=4)
def kill_run_worker(world: World, rng: random.Random) -> str:
    world.platform.kill(name := rng.choice(RUN_WORKERS))
    return name


@fault(often=2)
def lose_run_worker(world: World, rng: random.Random) -> str:
    """It does not come back for long: the other one has to take its jobs."""
    world.platform.kill(name := rng.choice(RUN_WORKERS), away_seconds=3 * LEASE_SECONDS)
    return name


@fault()
def kill_both_run_workers(world: World, rng: random.Random) -> str:
    for name in RUN_WORKERS:
        world.platform.kill(name)
    return "both"


@fault()
def kill_control(world: World, rng: random.Random) -> str:
    world.platform.kill("control")
    return ""


@fault()
def kill_web(world: World, rng: random.Random) -> str:
    world.platform.kill("web")
    return ""


@fault()
def kill_beat(world: World, rng: random.Random) -> str:
    world.platform.kill("beat")
    return ""


@fault()
def kill_flower(world: World, rng: random.Random) -> str:
    world.platform.kill("flower")
    return ""


@fault()
def kill_everything(world: World, rng: random.Random) -> str:
    for name in world.platform.services:
        world.platform.kill(name)
    return "all processes, Redis too"


@fault(often=2)
def terminate_run_worker(world: World, rng: random.Random) -> str:
    world.platform.terminate(name := rng.choice(RUN_WORKERS))
    return name


@fault(often=3)
def freeze_run_worker(world: World, rng: random.Random) -> str:
    """Until its leases are over and others have its jobs: a zombie."""
    seconds = rng.uniform(1, 2) * LEASE_SECONDS
    world.platform.freeze(name := rng.choice(RUN_WORKERS), seconds)
    return f"{name} for {seconds:.1f} s"


@fault(often=5)
def arm_failpoint(world: World, rng: random.Random) -> str:
    world.platform.arm(point := rng.choice(list(POINTS)))
    return point


# --- Redis ------------------------------------------------------------------------------------------------------------


@fault(often=2)
def kill_redis(world: World, rng: random.Random) -> str:
    world.platform.kill("redis", away_seconds=seconds) if (seconds := rng.choice([0.0, 3.0])) else None
    if not seconds:
        world.platform.kill("redis")
    return f"back after {seconds:g} s"


@fault()
def freeze_redis(world: World, rng: random.Random) -> str:
    seconds = rng.uniform(2, 5)
    world.platform.freeze("redis", seconds)
    return f"for {seconds:.1f} s"


@fault()
def empty_redis(world: World, rng: random.Random) -> str:
    return _to_redis(world, lambda client: client.flushall())


@fault()
def cut_redis_connections(world: World, rng: random.Random) -> str:
    kind = rng.choice(["normal", "pubsub"])
    return f"{kind}: {_to_redis(world, lambda client: client.client_kill_filter(_type=kind, skipme=True))}"


@fault()
def repeat_hints(world: World, rng: random.Random) -> str:
    """Of attempts that run or are over, to their own workers and to others."""
    app = Celery("chaos", broker=f"redis+socket://{world.platform.redis_socket}")
    app.conf.update(broker_transport_options={"socket_timeout": 3}, task_publish_retry=False)
    sent = 0
    for story in rng.sample(world.users.stories, min(5, len(world.users.stories))):
        for attempt in world.users.client.rows(f"/jobs/{story.id}/attempts/") if story.id else []:
            for name in RUN_WORKERS:
                with contextlib.suppress(Exception):  # as lost as a hint may be
                    queue = worker_direct(f"{name}@chaos")
                    app.send_task("workers.run", args=[attempt["id"], story.id], queue=queue, retry=False)
                    sent += 1
    app.close()
    return f"{sent} hints"


@fault()
def send_garbage(world: World, rng: random.Random) -> str:
    app = Celery("chaos", broker=f"redis+socket://{world.platform.redis_socket}")
    app.conf.update(broker_transport_options={"socket_timeout": 3}, task_publish_retry=False)
    queues = [worker_direct(f"{name}@chaos") for name in RUN_WORKERS]
    with contextlib.suppress(Exception):
        for queue in queues:
            app.send_task("workers.run", args=[10**9, str(uuid.uuid4())], queue=queue, retry=False)
            app.send_task("workers.run", args=["x"], queue=queue, retry=False)
            app.send_task("workers.no_such_task", queue=queue, retry=False)
        app.send_task("workers.carry_out_cancel", args=["no id"], queue="control", retry=False)
    app.close()
    return "unknown attempt, wrong arguments, unknown task"


def _to_redis(world: World, do: Callable[[redis.Redis], Any]) -> str:
    try:
        return str(do(world.platform.redis()))
    except redis.RedisError as error:
        return f"not there: {type(error).__name__}"


# --- the database -----------------------------------------------------------------------------------------------------


@fault(often=2, needs="sqlite")
def lock_database(world: World, rng: random.Random) -> str:
    seconds = rng.uniform(1, 5)
    connection = sqlite3.connect(world.platform.folder / "towline.sqlite3", timeout=10, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    world.after(seconds, lambda: (connection.rollback(), connection.close()))
    return f"for {seconds:.1f} s"


@fault(often=3, needs="postgres")
def end_database_sessions(world: World, rng: random.Random) -> str:
    assert world.platform.database_url
    with contextlib.suppress(psycopg.Error), psycopg.connect(world.platform.database_url, autocommit=True) as session:
        others = "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ended = session.execute(f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity {others}").fetchone()
        return f"{ended and ended[0]}"
    return "not there"


@fault(often=2, needs="own postgres")
def restart_database(world: World, rng: random.Random) -> str:
    assert world.database
    immediate = rng.random() < 0.5
    database = world.database
    world.after(0, lambda: database.restart(immediate=immediate))
    return "immediately" if immediate else "by kill -9 of the postmaster"


# --- containers -------------------------------------------------------------------------------------------------------


@fault(often=2, needs="docker")
def kill_container(world: World, rng: random.Random) -> str:
    return _to_container(world, rng, "killed", lambda docker, uid: docker.kill(uid, "KILL"))


@fault(often=2, needs="docker")
def remove_container(world: World, rng: random.Random) -> str:
    return _to_container(world, rng, "removed", lambda docker, uid: docker.remove_container(uid, force=True))


@fault(needs="docker")
def pause_container(world: World, rng: random.Random) -> str:
    def pause(docker: APIClient, uid: str) -> None:
        docker.pause(uid)
        world.after(2, lambda: _unpause(docker, uid))

    return _to_container(world, rng, "paused", pause)


def _unpause(docker: APIClient, uid: str) -> None:
    with contextlib.suppress(APIError):  # killed or removed meanwhile
        docker.unpause(uid)


def _to_container(world: World, rng: random.Random, how: str, do: Callable[[APIClient, str], object]) -> str:
    assert world.docker
    label = f"towline.installation={world.installation}"
    running = world.docker.containers(filters={"label": label, "status": "running"})
    if not running:
        return "none runs"
    chosen = rng.choice(sorted(running, key=lambda one: str(one["Names"])))
    name = str(chosen["Names"][0]).lstrip("/")
    world.disturbed[name].add(how)
    try:
        do(world.docker, chosen["Id"])
    except APIError as error:
        return f"{name}: {error.explanation}"
    return name


# --- users ------------------------------------------------------------------------------------------------------------


@fault()
def cancel_any(world: World, rng: random.Random) -> str:
    candidates = world.users.under_way()
    if not candidates:
        return "none runs"
    world.users.cancel(story := rng.choice(candidates))
    return story.id
