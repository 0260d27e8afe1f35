"""Three ways to run one trivial container to its end, with the same limits, network and init. Each times its steps."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

import httpx
from docker import APIClient
from docker.utils import kwargs_from_env

from workers.drivers.docker.request import CAPABILITIES, create_body
from workers.drivers.protocol import ContainerSpec

from .running import Doors

IMAGE = "towline/demo:1"
MIB = 1024 * 1024
CPUS, MEMORY_BYTES, PIDS, SHM_BYTES = 1.0, 512 * MIB, 512, 64 * MIB  # what a job gets that asks for nothing
LOG_BYTES = 4 * 1024**3
WAIT_SECONDS = 120.0


@dataclass(frozen=True)
class Took:
    """`total` and `steps` in milliseconds; `job` and when it was `sent_at` (seconds since 1970) where it was a job."""

    total: float
    steps: Mapping[str, float] = field(default_factory=dict)
    job: str = ""
    sent_at: float = 0.0


class Way(Protocol):
    """Safe to use from many threads."""

    name: str

    def run(self) -> Took: ...


class Command:
    """`docker run --rm` as a user types it."""

    name = "docker run"

    def __init__(self, argv: tuple[str, ...]) -> None:
        limits = [
            f"--cpus={CPUS}", f"--memory={MEMORY_BYTES}", f"--memory-swap={MEMORY_BYTES}", f"--pids-limit={PIDS}",
            "--cap-drop=ALL", *(f"--cap-add={name}" for name in CAPABILITIES), "--security-opt=no-new-privileges",
        ]  # fmt: skip
        self._argv = [
            "docker",
            "run",
            "--rm",
            "--init",
            "--network=bridge",
            "--log-driver=local",
            *limits,
            IMAGE,
            *argv,
        ]

    def run(self) -> Took:
        began = time.perf_counter()
        subprocess.run(self._argv, check=True, stdout=subprocess.DEVNULL)
        return Took(_since(began))


class Sdk:
    """create, start, wait, remove, with the very request that Towline's driver makes. It does not read the output."""

    name = "SDK"

    def __init__(self, argv: tuple[str, ...]) -> None:
        limits: dict[str, Any] = {"memory_bytes": MEMORY_BYTES, "pids": PIDS, "shm_bytes": SHM_BYTES}
        spec = ContainerSpec("", {}, IMAGE, argv, cpus=CPUS, network="bridge", **limits)
        self._body = create_body(spec, LOG_BYTES)
        self._clients = threading.local()

    def run(self) -> Took:
        steps: dict[str, float] = {}
        began = time.perf_counter()
        with _timed(steps, "create"):
            name = f"towline-bench-{uuid4()}"
            uid = self._client.create_container_from_config(self._body, name)["Id"]  # type: ignore[no-untyped-call]
        with _timed(steps, "start"):
            self._client.start(uid)
        with _timed(steps, "wait"):
            ended = self._client.wait(uid)
        with _timed(steps, "remove"):
            self._client.remove_container(uid, v=True, force=True)
        if ended["StatusCode"] != 0:
            raise RuntimeError(f"exit code {ended['StatusCode']}")
        return Took(_since(began), steps)

    @property
    def _client(self) -> APIClient:
        if not hasattr(self._clients, "mine"):
            self._clients.mine = APIClient(**kwargs_from_env())
        client: APIClient = self._clients.mine
        return client


class Towline:
    """Submitted over REST, then waited for over REST."""

    name = "Towline"

    def __init__(self, doors: Doors, argv: tuple[str, ...]) -> None:
        self._job = {"image": IMAGE, "command": list(argv)}
        headers = {"Authorization": f"Bearer {doors.token}"}
        self._http = httpx.Client(base_url=f"{doors.url}/api/v1", headers=headers, timeout=WAIT_SECONDS + 10)

    def run(self) -> Took:
        sent_at, began = time.time(), time.perf_counter()
        pk = self._http.post("/jobs/", json=self._job).raise_for_status().json()["id"]
        ended = self._http.get(f"/jobs/{pk}/wait/", params={"timeout": WAIT_SECONDS}).raise_for_status().json()
        total = _since(began)
        if ended["state"] != "succeeded":
            raise RuntimeError(f"job {pk} is {ended['state']}: {ended['verdict'] or ended['waiting']}")
        return Took(total, job=pk, sent_at=sent_at)

    def events(self, took: Took) -> list[dict[str, Any]]:
        """The job's time-line, read after the measurement."""
        rows = self._http.get(f"/jobs/{took.job}/events/").raise_for_status().json()["results"]
        return list(rows)


def _since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


@contextmanager
def _timed(steps: dict[str, float], name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    steps[name] = _since(began)
