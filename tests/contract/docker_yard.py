"""A real Docker engine to test on: containers under a label of the test's own, removed when it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from docker import APIClient
from docker.errors import DockerException

from jobs.verdicts import Verdict
from tests.contract.following import read
from workers.drivers.docker.busybox import ensure_demo_image
from workers.drivers.docker.driver import DockerDriver
from workers.drivers.docker.request import create_body
from workers.drivers.output import Line
from workers.drivers.protocol import (
    LABEL_ATTEMPT,
    LABEL_INSTALLATION,
    LABEL_JOB,
    ContainerSpec,
    Handle,
    Observation,
    Phase,
)

SILENCE_SECONDS = 2.0


@dataclass(frozen=True)
class Ran:
    """A container that is over: what it wrote and how it ended."""

    lines: list[Line]
    seen: Observation
    verdict: Verdict | None

    @property
    def output(self) -> bytes:
        return b"".join(line.data for line in self.lines)

    @property
    def code(self) -> str | None:
        return None if self.verdict is None else self.verdict.code


class Yard:
    """`driver` is the one under test, `client` the SDK's own look at the same engine."""

    def __init__(self, client: APIClient, lock_dir: Path) -> None:
        self.client = client
        self.lock_dir = lock_dir
        self.installation = f"yard-{uuid4().hex[:8]}"
        self.image = ensure_demo_image(client)
        self.driver = self.another_driver()

    def another_driver(self) -> DockerDriver:
        return DockerDriver(silence_seconds=SILENCE_SECONDS, lock_dir=self.lock_dir)

    def spec(self, *command: str, **more: Any) -> ContainerSpec:
        job = uuid4().hex[:8]
        labels = {LABEL_INSTALLATION: self.installation, LABEL_JOB: job, LABEL_ATTEMPT: "1"}
        asked = {"image": self.image, "command": command or None, "network": "none", **more}
        return ContainerSpec(name=f"{self.installation}-{job}-a1", labels=labels, **asked)

    def create(self, spec: ContainerSpec) -> str:
        """What is left when a worker dies between create and start: the container's id."""
        body = create_body(spec, 10**6)
        return str(self.client.create_container_from_config(body, spec.name)["Id"])  # type: ignore[no-untyped-call]

    def start(self, *command: str, **more: Any) -> Handle:
        return self.driver.start(self.spec(*command, **more))

    def run(self, *command: str, **more: Any) -> Ran:
        return self.finish(self.start(*command, **more))

    def finish(self, handle: Handle) -> Ran:
        lines = self.follow(handle)
        seen = self.driver.inspect(handle)
        return Ran(lines, seen, self.driver.judge(seen))

    def follow(self, handle: Handle, after: str | None = None) -> list[Line]:
        """To the end, as a runner does: what ends a stream is only a reason to look."""
        lines: list[Line] = []
        while True:
            over = self.driver.inspect(handle).phase is not Phase.RUNNING
            for line in read(self.driver, handle, after):
                lines.append(line)
                after = line.cursor
            if over:
                return lines

    def clear(self) -> None:
        mine = {"label": [f"{LABEL_INSTALLATION}={self.installation}"]}
        for found in self.client.containers(all=True, filters=mine):
            self.client.remove_container(found["Id"], v=True, force=True)


@contextmanager
def open_yard(lock_dir: Path) -> Iterator[Yard]:
    """Skips the test where there is no engine, or fails it when TOWLINE_REQUIRE asks for one."""
    try:
        client = APIClient(timeout=30)
        client.ping()
    except DockerException as error:
        if "docker" in os.environ.get("TOWLINE_REQUIRE", "").split(","):
            raise
        pytest.skip(f"no Docker engine: {error}")
    yard = Yard(client, lock_dir)
    try:
        yield yard
    finally:
        yard.clear()
