"""Faults of Redis: away for a moment, or emptied. It holds hints alone, so that every job has to come through."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import redis
from django.conf import settings

from .drill import CutShort, Drill, Refused
from .ground import choose_worker
from .promise import Bounds, Promise
from .scene import Scene
from .witness import call_witness, count, see_it_survive, see_success, survives

BURST = 5
QUEUED = 3


def servers() -> list[redis.Redis]:
    """Each Redis that Towline uses: for Celery, and for who follows logs. Mostly one."""
    urls = {settings.TOWLINE.redis_url, settings.TOWLINE.broker_url.replace("redis+socket://", "unix://")}
    if strange := [url for url in urls if not url.startswith(("redis://", "rediss://", "unix://"))]:
        raise Refused(f"the broker is no Redis ({strange[0].partition(':')[0]}): this drill knows only that")
    return [redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=2) for url in sorted(urls)]


def told_by(server: redis.Redis, section: str) -> dict[str, object]:
    try:
        return dict(server.info(section))
    except redis.RedisError as error:
        raise Refused(f"Redis does not answer: {error}. Ask `manage.py doctor`") from error


class RestartRedis(Drill):
    name = "restart-redis"
    about = "SIGKILL for the Redis that `manage.py up` started, or a command of yours, while jobs run and come."
    disturbs = "hints are lost; new jobs wait, and who follows a log sees it a second later"
    takes = frozenset({"command", "limit"})
    pid = 0

    def look(self, scene: Scene) -> None:
        choose_worker(scene)
        self.server = servers()[0]
        self.run_id = told_by(self.server, "server")["run_id"]
        if not scene.ways.command:
            self.pid = self._our_process()

    def _our_process(self) -> int:
        environment = settings.TOWLINE
        remedy = "name a command that restarts it: --command 'systemctl restart redis'"
        if environment.REDIS_URL or environment.CELERY_BROKER_URL:
            raise Refused(f"this Redis is not the one that `manage.py up` starts; {remedy}")
        pid = int(str(told_by(self.server, "server")["process_id"]))
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            os.kill(pid, 0)
        except OSError as error:
            raise Refused(f"process {pid} of Redis can't be killed from here ({error}); {remedy}") from error
        if b"redis-server" not in command:
            raise Refused(f"process {pid} is no redis-server; {remedy}")
        return pid

    def promises(self, bounds: Bounds) -> Iterable[Promise]:
        return (
            Promise("back", "Redis is there again, started anew", bounds.restart),
            Promise("fresh", "a job submitted meanwhile succeeds, at its first attempt", bounds.begin),
            *survives(bounds),
        )

    def run(self, scene: Scene) -> None:
        witness = call_witness(scene)
        if scene.ways.command:
            scene.order(scene.ways.command)
        else:
            scene.tell(f"SIGKILL to Redis, process {self.pid}")
            os.kill(self.pid, signal.SIGKILL)
        fresh = count(scene, 3)
        if not scene.watch("back", self._is_new, otherwise=lambda: "nobody started it again: start it by hand now"):
            raise CutShort
        see_success(scene, "fresh", fresh)
        see_it_survive(scene, witness)

    def _is_new(self) -> bool:
        try:
            return bool(self.server.info("server")["run_id"] != self.run_id)
        except redis.RedisError:
            return False


class FlushRedis(Drill):
    name = "flush-redis"
    about = "FLUSHALL while a job runs, jobs wait, and others are just being handed to workers."
    disturbs = "Celery's queues and Flower's view are emptied; hints of all jobs are lost and sent again"

    def look(self, scene: Scene) -> None:
        choose_worker(scene)
        self.servers = servers()
        for server in self.servers:
            self._refuse_strangers(server)

    def _refuse_strangers(self, server: redis.Redis) -> None:
        ours = {f"db{one.connection_pool.connection_kwargs.get('db', 0)}" for one in self.servers}
        strange = sorted(set(told_by(server, "keyspace")) - ours)
        if strange:
            raise Refused(
                f"FLUSHALL would empty what others keep in {', '.join(strange)} of this Redis: give Towline its own"
            )

    def promises(self, bounds: Bounds) -> Iterable[Promise]:
        return (
            Promise("burst", f"{BURST} jobs submitted at that moment succeed, at their first attempt", bounds.begin),
            *survives(bounds),
            Promise(
                "waiting", f"{QUEUED} jobs that waited for it succeed after it, at their first attempt", bounds.begin
            ),
        )

    def run(self, scene: Scene) -> None:
        behind: dict[str, Any] = {"concurrency": {"key": f"drill {os.getpid()}"}}
        witness = call_witness(scene, **behind)
        waiting = [count(scene, 3, **behind) for _ in range(QUEUED)]
        burst = [count(scene, 3) for _ in range(BURST)]
        scene.tell("FLUSHALL")
        for server in self.servers:
            server.flushall()
        see_success(scene, "burst", *burst)
        see_it_survive(scene, witness)
        see_success(scene, "waiting", *waiting)
