"""Towline as docker/compose.yaml sets it up, for tests: real containers of the built image, driven from outside over REST.

The image, and one that stands in for PostgreSQL, Redis and the proxy, are made before (`make image`, docker/servers);
nothing is pulled or built here.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.stack import FINAL, IMAGE, ROOT, eventually

TOWLINE = os.environ.get("TOWLINE_TEST_PLATFORM", "towline:latest")
SERVERS = os.environ.get("TOWLINE_TEST_SERVERS", "towline/servers:12")
FILES = ("compose.yaml",)
BEHIND_A_PROXY = (*FILES, "compose.socket-proxy.yaml")
ROLES = ("web", "control", "run", "beat", "flower")
LOGIN = ("guest", "guest-login")


def compose_command() -> list[str] | None:
    """Docker's own, or Debian's; None where there is neither."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else None


def images() -> set[str]:
    listed = _docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}")
    return set(listed.split())


def _docker(*args: str) -> str:
    return subprocess.run(["docker", *args], capture_output=True, text=True, check=True, timeout=60).stdout


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Composed:
    """One project. `token` is there once it was made."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self.folder = folder
        self.command = command
        self.name = folder.name
        self.port, self.flower_port = _free_port(), _free_port()
        self.token = ""
        (folder / "env").write_text("".join(f"{key}={value}\n" for key, value in self._environment().items()))

    def _environment(self) -> dict[str, object]:
        return {
            "TOWLINE_SECRET_KEY": "of-a-test-and-long-enough-for-production",
            "POSTGRES_PASSWORD": "postgres-secret",
            "REDIS_PASSWORD": "redis-secret",
            "FLOWER_BASIC_AUTH": ":".join(LOGIN),
            "DOCKER_GID": Path("/var/run/docker.sock").stat().st_gid,
            "TOWLINE_PORT": self.port,
            "FLOWER_PORT": self.flower_port,
            "TOWLINE_WORKER_NAME": f"run@{self.name}",
            "TOWLINE_IMAGE": TOWLINE,
        } | dict.fromkeys(("POSTGRES_IMAGE", "REDIS_IMAGE", "SOCKET_PROXY_IMAGE"), SERVERS)

    def compose(self, *args: str, files: tuple[str, ...] = FILES, seconds: float = 100) -> str:
        """Only the environment's own file counts, not what this shell or docker/.env has set."""
        named = [word for name in files for word in ("-f", str(ROOT / "docker" / name))]
        asked = [*self.command, "--env-file", str(self.folder / "env"), "-p", self.name, *named, *args]
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "DOCKER_HOST") if key in os.environ}
        done = subprocess.run(asked, capture_output=True, text=True, timeout=seconds, check=False, env=kept)
        assert done.returncode == 0, f"{' '.join(args)}: {done.stderr[-2000:]}{self.logs()[-4000:]}"
        return done.stdout

    def up(self, files: tuple[str, ...] = FILES) -> None:
        self.compose("up", "-d", "--no-build", files=files)
        eventually(lambda: set(self.health().values()) == {"healthy"}, 90)

    def logs(self) -> str:
        named = _docker("ps", "--all", "--format", "{{.Names}}", "--filter", f"name={self.name}").split()
        shown = [
            subprocess.run(["docker", "logs", "--tail", "20", one], capture_output=True, check=False) for one in named
        ]
        told = [f"--- {one}\n{(each.stdout + each.stderr).decode()}" for one, each in zip(named, shown, strict=True)]
        return "\n".join(told)

    def inspect(self, service: str) -> dict[str, Any]:
        asked = [f"label=com.docker.compose.{key}" for key in (f"project={self.name}", f"service={service}")]
        found = _docker("ps", "--all", "--quiet", "--filter", asked[0], "--filter", asked[1]).split()
        return dict(json.loads(_docker("inspect", found[0]))[0])

    def health(self) -> dict[str, str]:
        return {role: self.inspect(role)["State"]["Health"]["Status"] for role in ROLES}

    def inside(self, service: str, *command: str) -> str:
        return self.compose("exec", "-T", service, *command)

    @property
    def http(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}/api/v1", headers=headers, timeout=40)

    def submit(self, *command: str, **spec: Any) -> str:
        body = {"image": IMAGE, "resources": {"cpus": 0.1, "memory": "32Mi"}, **spec}
        with self.http as http:
            answer = http.post("/jobs/", json=body | ({"command": list(command)} if command else {}))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def job(self, pk: str) -> dict[str, Any]:
        with self.http as http:
            return dict(http.get(f"/jobs/{pk}/").json())

    def until(self, pk: str, reached: Callable[[dict[str, Any]], bool], seconds: float = 60) -> dict[str, Any]:
        return eventually(lambda: (shown := self.job(pk)) and reached(shown) and shown, seconds)

    def wait(self, pk: str, seconds: float = 60) -> dict[str, Any]:
        return self.until(pk, lambda job: job["state"] in FINAL, seconds)

    def output(self, pk: str) -> str:
        with self.http as http:
            return http.get(f"/jobs/{pk}/logs/").text

    def stop(self) -> dict[str, int]:
        """All roles; with what code each ended."""
        self.compose("stop", *ROLES)
        return {role: self.inspect(role)["State"]["ExitCode"] for role in ROLES}


@contextmanager
def composed(command: list[str]) -> Iterator[Composed]:
    folder = Path(tempfile.mkdtemp(prefix="tlc"))
    stack = Composed(folder, command)
    try:
        stack.up()
        stack.token = stack.inside("web", "python", "manage.py", "token", "alice", "--create").split()[-1]
        yield stack
    finally:
        stack.compose("down", "--volumes", "--remove-orphans", files=BEHIND_A_PROXY)
        shutil.rmtree(folder)
