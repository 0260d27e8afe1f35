"""The cast of the contract suite: one driver at a time, and containers that leave no trace."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cluster.process import Cluster
from tests.contract.harness import DockerHarness, Harness, MissingError, ProcessHarness
from tests.contract.kubernetes_harness import KubernetesHarness
from workers.drivers.protocol import LABEL_ATTEMPT, LABEL_INSTALLATION, LABEL_JOB, ContainerSpec, Driver

RUNTIMES = [
    "process",
    "emulated",
    pytest.param("docker", marks=pytest.mark.docker),
    pytest.param("kubernetes", marks=pytest.mark.kubernetes),
]
SpecMaker = Callable[..., ContainerSpec]


@pytest.fixture(scope="session")
def emulated_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Whoever sets its faults calms it again."""
    if os.geteuid() != 0:
        pytest.skip("an emulated cluster runs its pods in namespaces of their own, which takes root")
    with Cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(params=RUNTIMES)
def harness(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    made = _make(request, tmp_path_factory)
    yield made
    made.close()


def _make(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Harness:
    try:
        match request.param:
            case "process":
                return ProcessHarness(tmp_path_factory.mktemp("jobs"))
            case "emulated":
                return KubernetesHarness(request.getfixturevalue("emulated_cluster").kubeconfig)
            case "docker":
                return DockerHarness()
            case _:
                return KubernetesHarness.of_real_cluster()
    except MissingError as missing:
        if request.param in os.environ.get("TOWLINE_REQUIRE", "").split(","):
            pytest.fail(f"{request.param} is required: {missing}")
        pytest.skip(f"{request.param}: {missing}")


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
