"""The platform that is broken, one for all tests here; and the database that it has for itself."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import APIClient
from docker.utils import kwargs_from_env

from tests.chaos.evidence import EngineWitness
from tests.chaos.jobs import Client
from tests.chaos.platform import Platform, running_platform
from tests.chaos.postgres import OwnPostgres
from tests.conftest import NEEDS
from tests.stack import own_database


@pytest.fixture(scope="session")
def own_postgres(request: pytest.FixtureRequest) -> Iterator[OwnPostgres | None]:
    """None: on SQLite, or on a server that was given to us and is not ours to kill."""
    if request.config.getoption("--database") == "sqlite" or os.environ.get("TEST_DATABASE_URL"):
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="tl-pg-"))
    server = OwnPostgres(folder / "data")
    yield server
    server.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def runtimes() -> list[str]:
    """Docker first, where there is an engine; and always plain processes."""
    return ["process"] if NEEDS["docker"]() else ["docker", "process"]


@pytest.fixture(scope="session")
def docker(runtimes: list[str]) -> APIClient | None:
    if "docker" not in runtimes:
        return None
    from workers.drivers.docker.busybox import ensure_demo_image

    client = APIClient(**kwargs_from_env(), timeout=30)
    ensure_demo_image(client)
    return client


@pytest.fixture(scope="session")
def platform(
    request: pytest.FixtureRequest, runtimes: list[str], own_postgres: OwnPostgres | None, docker: APIClient | None
) -> Iterator[Platform]:
    url = os.environ.get("TEST_DATABASE_URL")
    if request.config.getoption("--database") == "sqlite":
        url = None
    elif own_postgres:
        url = own_postgres.url
    elif url:
        url = own_database(url, f"chaos_{os.getpid()}")
    with running_platform(",".join(runtimes), url) as running:
        yield running


@pytest.fixture(scope="session")
def client(platform: Platform) -> Client:
    return Client(platform)


@pytest.fixture(scope="session")
def installation(platform: Platform) -> str:
    return platform.installation()


@pytest.fixture(scope="session")
def witness(docker: APIClient | None) -> Iterator[EngineWitness | None]:
    if docker is None:
        yield None
        return
    found = EngineWitness()
    yield found
    found.close()
