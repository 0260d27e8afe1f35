"""What `up` and `demo` start, in which order, and when it is ready."""

from __future__ import annotations

import fcntl
import json
import logging
import secrets
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from django.conf import settings
from django.core.management import call_command

from towline import bridge
from towline.healthcheck import DIRECTLY
from towline.settings.environment import REPOSITORY, private_file

from . import redis as our_redis
from .accounts import ensure_admin, ensure_token
from .supervisor import Service, Supervisor

log = logging.getLogger(__name__)
READY_SECONDS = 60


class StackError(Exception):
    """It can't start; the message says what to do."""


@dataclass(frozen=True)
class Ports:
    web: int
    flower: int | None


@dataclass(frozen=True)
class Doors:
    """How to get in."""

    url: str
    flower_url: str | None
    token: str
    username: str
    password: str
    data_dir: Path

    def as_json(self) -> str:
        shown = {"url": self.url, "flower_url": self.flower_url, "token": self.token, "data_dir": str(self.data_dir)}
        return json.dumps(shown)


def free_port(wanted: int) -> int:
    """`wanted` if it is free, any for 0. StackError when it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise StackError(f"port {wanted} is taken: choose another one, or 0 for any") from error
        port: int = probe.getsockname()[1]
        return port


class Stack:
    """Use as a context: started on entry, all processes ended on exit. Containers run on."""

    def __init__(self, ports: Ports, tell: Callable[[str], None]) -> None:
        self.ports = ports
        self.tell = tell
        self.folder: Path = settings.TOWLINE.TOWLINE_DATA_DIR
        self.supervisor = Supervisor(self.folder / "logs")
        self._lock: IO[str] | None = None
        self.url = f"http://127.0.0.1:{ports.web}"
        self.flower_url = f"http://127.0.0.1:{ports.flower}" if ports.flower else None
        self.bridge = _bridge(ports.web)

    def __enter__(self) -> Doors:
        self._lock_folder()
        try:
            return self._start()
        except BaseException:
            self.supervisor.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.supervisor.stop()
        if self._lock:
            self._lock.close()

    def _start(self) -> Doors:
        self._start_redis()
        self.tell("Migrating the database …")
        call_command("migrate", verbosity=0, interactive=False)
        password = private_file(self.folder / "admin-password", secrets.token_urlsafe(12))
        user = ensure_admin("admin", password)
        self.tell("Starting web, control worker, run worker, beat" + (" and Flower …" if self.flower_url else " …"))
        for role in self._roles():
            self._add(role, password)
        self._wait_until_ready()
        token = ensure_token(user, self.folder / "token")
        return Doors(self.url, self.flower_url, token, "admin", password, self.folder)

    def _lock_folder(self) -> None:
        self._lock = (self.folder / "up.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StackError(
                f"Towline is already up on {self.folder}: end it first, or set TOWLINE_DATA_DIR to another folder"
            ) from error

    def _start_redis(self) -> None:
        """First in the list of services, so that it is the last to stop."""
        if settings.TOWLINE.REDIS_URL:
            if not our_redis.answers(settings.TOWLINE.redis_url):
                raise StackError(
                    "the Redis of REDIS_URL does not answer: start it, or unset REDIS_URL for a private one"
                )
            return
        try:
            server = our_redis.find_server()
        except RuntimeError as error:
            raise StackError(str(error)) from error
        socket_path = settings.TOWLINE.redis_socket
        argv = our_redis.server_arguments(server, socket_path, self.folder / "redis")
        service = self.supervisor.add(Service("redis", argv))
        self._until(lambda: our_redis.answers(settings.TOWLINE.redis_url), "Redis", 15, service)

    def _roles(self) -> list[str]:
        return ["web", "control", "run", "beat", *(["flower"] if self.flower_url else [])]

    def _add(self, role: str, password: str) -> None:
        argv = [sys.executable, str(REPOSITORY / "manage.py"), "serve", role]
        environment = {
            "TOWLINE_FLOWER_URL": self.flower_url or "",
            "TOWLINE_LOG_STORAGE": settings.TOWLINE.log_storage,
            "TOWLINE_SERVICE_URL": settings.TOWLINE.TOWLINE_SERVICE_URL or self.url,
        }
        if self.bridge:
            environment["TOWLINE_DOCKER_SERVICE_URL"] = f"http://{self.bridge}:{self.ports.web}"
        if role == "web":
            argv += ["--port", str(self.ports.web), *(["--bridge", self.bridge] if self.bridge else [])]
            environment["TOWLINE_ALLOWED_HOSTS"] = ",".join([*settings.ALLOWED_HOSTS, *filter(None, [self.bridge])])
        if role == "flower":
            argv += ["--port", str(self.ports.flower)]
            environment["FLOWER_BASIC_AUTH"] = f"admin:{password}"
        self.supervisor.add(Service(role, argv, environment))

    def _wait_until_ready(self) -> None:
        from workers.models import Worker

        services = {service.name: service for service in self.supervisor.services}
        self._until(lambda: _answers(f"{self.url}/healthz/ready"), "the web process", READY_SECONDS, services["web"])
        pid = services["run"]
        self._until(
            lambda: Worker.objects.alive().filter(pid=pid.process.pid if pid.process else 0).exists(),
            "the run worker",
            READY_SECONDS,
            pid,
        )
        if self.flower_url:
            self._until(lambda: _answers(f"{self.flower_url}/healthcheck"), "Flower", READY_SECONDS, services["flower"])

    def _until(self, done: Callable[[], bool], what: str, seconds: float, service: Service) -> None:
        until = time.monotonic() + seconds
        while not done():
            self.supervisor.look()
            failing = next((each for each in self.supervisor.services if each.failures > 1), None)
            if time.monotonic() > until or failing:
                log_file = self.supervisor.log_of(failing or service)
                told = _last_lines(log_file)
                raise StackError(
                    f"{failing.name if failing else what} does not come up; the end of {log_file}:\n{told}"
                )
            time.sleep(0.05)


def _bridge(port: int) -> str | None:
    """Where containers of this machine's engine can call us, if they are to, and nobody said where."""
    wanted = settings.TOWLINE
    told = wanted.TOWLINE_SERVICE_URL or wanted.TOWLINE_DOCKER_SERVICE_URL or wanted.TOWLINE_HTTPS
    if told or not wanted.takes_spans or "docker" not in (wanted.TOWLINE_RUNTIMES or ["docker"]):
        return None
    return bridge.address(wanted.TOWLINE_DOCKER_URL, port)


def _answers(url: str) -> bool:
    try:
        with DIRECTLY.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        # A login is an answer, too; an ailing part is not.
        return error.code == 401
    except OSError:
        return False


def _last_lines(path: Path) -> str:
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return "\n".join(f"  {line}" for line in lines[-12:])
