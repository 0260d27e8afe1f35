"""The cast of the contract suite: one driver at a time, and containers that leave no trace."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.contract.harness import DockerHarness, Harness, MissingError, ProcessHarness
from workers.drivers.protocol import LABEL_ATTEMPT, LABEL_INSTALLATION, LABEL_JOB, ContainerSpec, Driver

RUNTIMES = ["process", pytest.param("docker", marks=pytest.mark.docker)]
SpecMaker = Callable[..., ContainerSpec]


@pytest.fixture(params=RUNTIMES)
def harness(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    made = _make(request.param, tmp_path_factory)
    yield made
    made.close()


def _make(runtime: str, tmp_path_factory: pytest.TempPathFactory) -> Harness:
    if runtime == "process":
        return ProcessHarness(tmp_path_factory.mktemp("jobs"))
    try:
        return DockerHarness()
    except MissingError as missing:
        if "docker" in os.environ.get("TOWLINE_REQUIRE", "").split(","):
            pytest.fail(f"docker is required: {missing}")
        pytest.skip(f"docker: {missing}")


@pytest.fixture
def driver(harness: Harness, installation: str) -> Iterator[Driver]:
    yield harness.driver
    for seen in list(harness.driver.survey(installation)):
        harness.driver.remove(seen.handle)


@pytest.fixture
def installation() -> str:
    return f"test{uuid.uuid4().hex[:8]}"


@pytest.fixture
def spec(harness: Harness, installation: str) -> SpecMaker:
    """A spec that runs `command` (a tuple, or text for `sh -c`), named and labelled for this test."""

    def make(command: str | tuple[str, ...] | None = None, **others: Any) -> ContainerSpec:
        number = uuid.uuid4().hex[:8]
        labels = {LABEL_INSTALLATION: installation, LABEL_JOB: number, LABEL_ATTEMPT: "1"}
        argv = ("sh", "-c", command) if isinstance(command, str) else command
        given = {"name": f"{installation}-{number}-a1", "labels": labels, "memory_bytes": 256 * 1024**2, **others}
        return ContainerSpec(image=harness.image, command=argv, **given)

    return make
