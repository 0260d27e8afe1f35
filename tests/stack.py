"""A running Towline for tests: real processes, real Redis, driven from outside over REST and the commands."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpx

ROOT = Path(__file__).resolve().parent.parent
T = TypeVar("T")
FINAL = {"succeeded", "failed", "cancelled"}
IMAGE = "towline/demo:1"


@dataclass
class RunningStack:
    """`runtime` is what jobs get here unless they say otherwise."""

    process: subprocess.Popen[str]
    url: str
    token: str
    data_dir: Path
    env: dict[str, str]
    runtime: str
    image: str = IMAGE
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        headers = {"Authorization": f"Bearer {self.token}"}
        self.http = httpx.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=60)

    @property
    def admin_password(self) -> str:
        return (self.data_dir / "admin-password").read_text()

    def submit(self, *command: str, **spec: Any) -> dict[str, Any]:
        """A job of this runtime, submitted; the answer as JSON."""
        answer = self.try_submit({**({"command": list(command)} if command else {}), **spec})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def try_submit(self, spec: dict[str, Any], **headers: str) -> httpx.Response:
        small = {"cpus": 0.1, "memory": "32Mi"}
        body = {"image": self.image, "runtime": self.runtime, "resources": small, **spec}
        return self.http.post("/jobs/", json=body, headers=headers)

    def wait(self, job: dict[str, Any] | str, seconds: float = 40) -> dict[str, Any]:
        """The job once it is final."""
        pk = job if isinstance(job, str) else job["id"]
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            shown = self.http.get(f"/jobs/{pk}/wait/", params={"timeout": 10}).json()
            if shown["state"] in FINAL:
                return dict(shown)
        raise AssertionError(f"job {pk} is still {shown['state']} after {seconds} s: {shown}")

    def run(self, *command: str, **spec: Any) -> dict[str, Any]:
        return self.wait(self.submit(*command, **spec))

    def job(self, pk: str) -> dict[str, Any]:
        return dict(self.http.get(f"/jobs/{pk}/").json())

    def until(
        self, job: dict[str, Any], reached: Callable[[dict[str, Any]], bool], seconds: float = 30
    ) -> dict[str, Any]:
        """The job as soon as it is as wanted."""
        return eventually(lambda: (shown := self.job(job["id"])) and reached(shown) and shown, seconds)

    def output(self, job: dict[str, Any], **params: Any) -> bytes:
        return self.http.get(f"/jobs/{job['id']}/logs/", params=params).content

    def lines(self, job: dict[str, Any], **params: Any) -> list[dict[str, Any]]:
        answer = self.http.get(f"/jobs/{job['id']}/logs/", params=params, headers={"Accept": "application/json"})
        return list(answer.json()["lines"])

    def events(self, job: dict[str, Any]) -> list[str]:
        return [row["kind"] for row in self.http.get(f"/jobs/{job['id']}/events/").json()["results"]]

    def manage(self, *args: str, input: str | None = None, timeout: float = 60) -> subprocess.CompletedProcess[str]:  # noqa: A002
        return subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *args],
            env=self.env, capture_output=True, text=True, timeout=timeout, input=input, check=False, cwd=self.data_dir,
        )  # fmt: skip

    def pid_of(self, role: str) -> int:
        """Of one of the platform's processes, found below the supervisor by its command line."""
        for pid in _children(self.process.pid):
            try:
                found = f"serve\0{role}" in Path(f"/proc/{pid}/cmdline").read_text()
            except OSError:  # it has ended since it was listed
                continue
            if found:
                return pid
        raise AssertionError(f"no process {role}")


def _children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in listed.stdout.split()]


def eventually(look: Callable[[], T], seconds: float = 30) -> T:
    """What `look` answers once it is true; the test fails when that takes too long."""
    until = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(0.02)


@contextmanager
def run_stack(runtime: str, *, data_dir: Path | None = None, **environment: str) -> Iterator[RunningStack]:
    """`manage.py up` in a folder of its own, on the database that this test run is on."""
    folder = data_dir or Path(tempfile.mkdtemp(prefix="tl-"))
    env = _environment(folder, runtime) | environment
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "up", "--json", "--port", "0", "--no-flower"],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    told: list[str] = []
    threading.Thread(target=lambda: told.extend(process.stderr or ()), daemon=True).start()
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready, f"the stack did not come up: {''.join(told)}"
        doors = json.loads(ready)
        yield RunningStack(process, doors["url"], doors["token"], Path(doors["data_dir"]), env, runtime)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)
        mistakes = [f"{path.name}: {text[at : at + 2000]}" for path, text, at in _tracebacks(folder)]
        if data_dir is None:
            shutil.rmtree(folder, ignore_errors=True)
    assert not mistakes, "\n".join(mistakes)


def _tracebacks(folder: Path) -> Iterator[tuple[Path, str, int]]:
    """What the platform's processes logged as their own mistakes."""
    for path in (folder / "logs").glob("*.log"):
        text = path.read_text(errors="replace")
        if (at := text.find("Traceback")) >= 0:
            yield path, text, at


def _environment(folder: Path, runtime: str) -> dict[str, str]:
    env = dict(os.environ)
    env.update(
        TOWLINE_DATA_DIR=str(folder),
        TOWLINE_RUNTIMES=runtime,
        TOWLINE_WORKER_NAME=f"run@{folder.name}",
        TOWLINE_HEARTBEAT_SECONDS="1",
        TOWLINE_LEASE_SECONDS="3",
        TOWLINE_ADOPTION_GRACE_SECONDS="10",
        TOWLINE_LOG_PACK_AFTER_SECONDS="1",
    )
    if url := os.environ.get("DATABASE_URL"):
        env["DATABASE_URL"] = own_database(url, re.sub(r"\W", "_", folder.name))
    return env


def own_database(url: str, name: str) -> str:
    import psycopg
    from psycopg import sql

    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if not found:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
