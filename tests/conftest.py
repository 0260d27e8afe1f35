"""What tests need from the machine, and the running platforms that they share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from hypothesis import settings

from .database import TROUBLE
from .stack import RunningStack, run_stack


def _docker() -> str | None:
    from workers.drivers.docker.driver import DockerDriver
    from workers.drivers.protocol import Unavailable

    try:
        DockerDriver().probe()
    except Unavailable as error:
        return f"no Docker engine: {error}"
    return None


def _browser() -> str | None:
    missing = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    return f"{', '.join(missing)} not installed" if missing else None


def _kubernetes() -> str | None:
    from tests.cluster.real import real_kubeconfig

    return None if real_kubeconfig() else "TOWLINE_TEST_KUBECONFIG names no cluster"


NEEDS = {"docker": _docker, "browser": _browser, "kubernetes": _kubernetes}


# How long an example takes says more about the machine than about the code.
settings.register_profile("towline", deadline=None)
settings.load_profile("towline")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("chaos", "tests/chaos")
    group.addoption(
        "--chaos-seed",
        default=os.environ.get("TOWLINE_CHAOS_SEED"),
        help="of the faults and jobs; drawn, and printed, when left out",
    )
    group.addoption("--chaos-seconds", default=os.environ.get("TOWLINE_CHAOS_SECONDS"), help="how long faults come")
    group.addoption("--chaos-faults", help="and so many at least")
    group.addoption("--chaos-json", metavar="FILE", help="where to write the figures")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What the machine lacks is skipped by name and reason, or fails where TOWLINE_REQUIRE asks for it."""
    required = set(os.environ.get("TOWLINE_REQUIRE", "").split(","))
    lacking = {
        name: why for name in NEEDS if any(item.get_closest_marker(name) for item in items) and (why := NEEDS[name]())
    }
    if why := config.stash.get(TROUBLE, None):
        lacking["postgres"] = why
    if found := required & set(lacking):
        pytest.exit(f"TOWLINE_REQUIRE: {'; '.join(lacking[name] for name in sorted(found))}", returncode=1)
    for item in items:
        for name, reason in lacking.items():
            if name == "postgres" or item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(reason=f"{name}: {reason}"))


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """The platform as `manage.py up` starts it, on plain processes."""
    with run_stack("process") as running:
        yield running


@pytest.fixture(scope="session")
def docker_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The same on the Docker engine, with the demo image there, and a folder that jobs may have."""
    from docker import APIClient
    from docker.utils import kwargs_from_env

    from workers.drivers.docker.busybox import ensure_demo_image

    ensure_demo_image(APIClient(**kwargs_from_env()))
    with run_stack("docker", TOWLINE_VOLUMES=str(tmp_path_factory.mktemp("volumes"))) as running:
        yield running
