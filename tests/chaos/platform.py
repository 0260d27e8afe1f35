"""The platform as an operator runs it: each role a real process of its own, two run workers on one engine, Redis, a database.

What dies is started again, as systemd would, but without pauses that grow: here it dies every few seconds.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import redis

from jobs.failpoints import POINTS
from tests.stack import ROOT, eventually
from towline.stack.redis import find_server, server_arguments
from towline.stack.supervisor import end_with_parent

RESTART_SECONDS = 0.2
LOOK_SECONDS = 0.05
LEASE_SECONDS = 3.0
STOPPED_SECONDS = 2 * LEASE_SECONDS  # how long one that stopped itself, at a failpoint, is left so
NONE: Mapping[str, str] = MappingProxyType({})
ROLES = ("web", "control", "run-1", "run-2", "beat", "flower")


@dataclass
class Service:
    name: str
    argv: list[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    due_at: float = 0.0  # when it may be started again
    continue_at: float | None = None  # of one that is stopped

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def is_stopped(self) -> bool:
        try:
            return self.alive and Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        except OSError:
            return False

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def send(self, number: int) -> None:
        if self.alive and self.process:
            self.process.send_signal(number)


@dataclass(frozen=True)
class Death:
    """Of a process; `away_seconds` is how long it was kept from coming back on purpose."""

    at: float
    name: str
    code: int | None
    away_seconds: float


@dataclass
class Platform:
    folder: Path
    database_url: str | None
    runtimes: str
    services: dict[str, Service] = field(default_factory=dict)
    deaths: list[Death] = field(default_factory=list)
    token: str = ""
    wanted: bool = False  # its folder is evidence: not to be removed
    settings: Mapping[str, str] = field(default_factory=dict)  # more of them

    def __post_init__(self) -> None:
        self.probes, self.points = self.folder / "probes", self.folder / "points"
        self._away: dict[str, float] = {}
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self.url = f"http://127.0.0.1:{_free_port()}"

    @property
    def database(self) -> str:
        return "postgres" if self.database_url else "sqlite"

    @property
    def redis_socket(self) -> Path:
        return self.folder / "redis" / "redis.sock"

    def redis(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.redis_socket), socket_timeout=5)

    # --- its life -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        for path in (self.probes, self.points, self.folder / "logs"):
            path.mkdir()
        for point in POINTS:
            self.disarm(point)
        self._add("redis", server_arguments(find_server(), self.redis_socket, self.folder / "redis"))
        eventually(self._redis_answers)
        self.manage("migrate", "--verbosity=0")
        self.token = self.manage("token", "chaos", "--create").strip()
        self.manage("shell", "-c", _SUPERUSER)
        for role in ROLES:
            self._add(role, self._command(role), self._environment(role))
        self._keeper.start()

    def stop(self) -> None:
        self._stopping.set()
        self._keeper.join(5)
        for service in reversed(self.services.values()):
            service.send(signal.SIGCONT)
            service.send(signal.SIGTERM)
        for service in self.services.values():
            if service.process:
                try:
                    service.process.wait(20)
                except subprocess.TimeoutExpired:
                    service.process.kill()

    def manage(self, *args: str) -> str:
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *args],
            env=self.environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"manage.py {args}: {done.stderr}"
        return done.stdout

    def installation(self) -> str:
        """Its key, which its containers are labelled with."""
        return self.manage("shell", "-c", "from jobs.models import installation_key as k; print(k())").split()[-1]

    # --- what can be done to it -----------------------------------------------------------------------------------

    def kill(self, name: str, away_seconds: float = 0.0) -> None:
        with self._lock:
            if away_seconds:
                self._away[name] = away_seconds
            self.services[name].send(signal.SIGKILL)

    def terminate(self, name: str) -> None:
        self.services[name].send(signal.SIGTERM)

    def freeze(self, name: str, seconds: float) -> None:
        service = self.services[name]
        service.continue_at = time.monotonic() + seconds
        service.send(signal.SIGSTOP)

    def arm(self, point: str) -> None:
        """Whichever process comes there next, fails."""
        (self.points / point).unlink(missing_ok=True)

    def disarm(self, point: str) -> None:
        (self.points / point).touch()

    def is_armed(self, point: str) -> bool:
        return not (self.points / point).exists()

    def calm_down(self) -> None:
        """Everything runs, nothing is to fail any more."""
        for point in POINTS:
            self.disarm(point)
        for service in self.services.values():
            service.continue_at = 0.0 if service.continue_at is not None else None
        eventually(lambda: all(each.alive and not each.is_stopped for each in self.services.values()), 30)

    # --- keeping it -----------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            for service in self.services.values():
                self._look_after(service, time.monotonic())

    def _look_after(self, service: Service, now: float) -> None:
        if not service.alive:
            self._bring_back(service, now)
        elif service.continue_at is not None and now >= service.continue_at:
            service.continue_at = None
            service.send(signal.SIGCONT)
        elif service.continue_at is None and service.is_stopped:
            service.continue_at = now + STOPPED_SECONDS

    def _bring_back(self, service: Service, now: float) -> None:
        if service.due_at == 0.0:
            with self._lock:
                away = self._away.pop(service.name, 0.0)
            code = service.process.returncode if service.process else None
            self.deaths.append(Death(time.time(), service.name, code, away))
            service.due_at = now + max(away, RESTART_SECONDS)
            service.continue_at = None
        elif now >= service.due_at:
            self._start(service)

    def _add(self, name: str, argv: list[str], environment: Mapping[str, str] | None = None) -> None:
        self.services[name] = Service(name, argv, {**self.environment, **(environment or {})})
        self._start(self.services[name])

    def _start(self, service: Service) -> None:
        service.due_at = 0.0
        with (self.folder / "logs" / f"{service.name}.log").open("ab") as output:
            service.process = subprocess.Popen(
                service.argv, env=dict(service.environment), stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=end_with_parent,
            )  # fmt: skip

    def _redis_answers(self) -> bool:
        try:
            return bool(self.redis().ping())
        except redis.RedisError:
            return False

    # --- how it is set up -----------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        env = {key: text for key, text in os.environ.items() if not key.startswith("TOWLINE_")}
        env.pop("DATABASE_URL", None)
        env.update(
            TOWLINE_DATA_DIR=str(self.folder),
            TOWLINE_RUNTIMES=self.runtimes,
            TOWLINE_SLOTS="6",
            TOWLINE_HEARTBEAT_SECONDS="1",
            TOWLINE_LEASE_SECONDS=f"{LEASE_SECONDS:g}",
            # Longer than both workers are ever away at once: here nothing may be lost.
            TOWLINE_ADOPTION_GRACE_SECONDS="30",
            TOWLINE_LOG_PACK_AFTER_SECONDS="0",
            TOWLINE_LOG_STORAGE=str(self.folder / "job-logs"),
            TOWLINE_VOLUMES=str(self.probes),
            ENABLE_DB_TRACING="true",
        )
        return env | ({"DATABASE_URL": self.database_url} if self.database_url else {}) | dict(self.settings)

    def _command(self, role: str) -> list[str]:
        argv = [sys.executable, str(ROOT / "manage.py"), "serve", role.partition("-")[0]]
        if role in ("web", "flower"):
            argv += ["--port", self.url.rpartition(":")[2] if role == "web" else str(_free_port())]
        return argv

    def _environment(self, role: str) -> dict[str, str]:
        # One run worker dies at a failpoint, the other one stops there and goes on after two leases: a zombie.
        action = "stop" if role == "run-2" else "exit"
        points = ",".join(f"{point}={action}@{self.points / point}" for point in POINTS)
        return {
            "TOWLINE_FAILPOINTS": points,
            "TOWLINE_WORKER_NAME": f"{role}@chaos",
            "FLOWER_BASIC_AUTH": "chaos:chaos",
        }


_SUPERUSER = "from django.contrib.auth.models import User; User.objects.update(is_superuser=True, is_staff=True)"


@contextmanager
def running_platform(runtimes: str, database_url: str | None, settings: Mapping[str, str] = NONE) -> Iterator[Platform]:
    platform = Platform(Path(tempfile.mkdtemp(prefix="tl-chaos-")), database_url, runtimes, settings=settings)
    try:
        platform.start()
        yield platform
    finally:
        platform.stop()
        if not platform.wanted:
            shutil.rmtree(platform.folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
