"""A named cast for tests that need the database but no running platform."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import ManagementUtility
from knox.models import AuthToken
from rest_framework.test import APIClient

from jobs.models import Attempt, Installation, Job, Project, installation_key
from jobs.services import submit
from jobs.spec import parse_spec
from workers.drivers.process.driver import ProcessDriver
from workers.models import Worker
from workers.placing import place_waiting

Manage = Callable[..., tuple[int, str, str]]
ENGINE = {
    "id": "engine-1", "runtime": "docker", "version": "1", "arch": "amd64", "cpus": 4.0, "memory_bytes": 8 * 1024**3, "gpus": 0,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _database(db: None) -> None:
    """Every test here has it, with what the migrations put in: a test with real commits empties all tables after it."""
    Project.objects.get_or_create(name="default")
    Installation.objects.get_or_create(id=1, defaults={"key": "tltest"})


@pytest.fixture(autouse=True)
def log_storage(settings: Any, tmp_path: Path) -> Path:
    """A folder of this test's own."""
    backend = "django.core.files.storage.FileSystemStorage"
    kept = {"BACKEND": backend, "OPTIONS": {"location": str(tmp_path / "logs")}}
    settings.STORAGES = {**settings.STORAGES, "logs": kept}
    return tmp_path / "logs"


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[ProcessDriver]:
    made = ProcessDriver(tmp_path / "jobs")
    yield made
    for seen in made.survey(installation_key()):
        made.remove(seen.handle)


@pytest.fixture
def alice() -> User:
    return User.objects.create_user("alice")


@pytest.fixture
def bob() -> User:
    return User.objects.create_user("bob")


@pytest.fixture
def root() -> User:
    return User.objects.create_superuser("root")


@pytest.fixture
def manage(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Manage:
    """Run a command in this process: (exit code, stdout, stderr)."""
    monkeypatch.setenv("COLUMNS", "140")

    def run(*argv: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = 0
        try:
            ManagementUtility(["manage.py", *argv]).execute()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return (code, *capfd.readouterr())

    return run


def client_of(user: User) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {AuthToken.objects.create(user)[1]}")
    return client


@pytest.fixture
def api(alice: User) -> APIClient:
    """Alice's."""
    return client_of(alice)


def make_job(owner: User | None = None, **spec: Any) -> Job:
    return submit(parse_spec({"image": "busybox", "command": ["true"], **spec}), owner)[0]


def make_worker(name: str = "run@one", **facts: Any) -> Worker:
    defaults: dict[str, Any] = {
        "boot": f"boot-{name}", "host": "one", "pid": 1, "version": "0", "slots": 2, "engines": [ENGINE],
    }  # fmt: skip
    return Worker.objects.create(name=name, **{**defaults, **facts})


def make_attempt(owner: User | None = None, **spec: Any) -> Attempt:
    """Of a fresh job, placed on a worker."""
    if not Worker.objects.exists():
        make_worker()
    job = make_job(owner, **spec)
    place_waiting()
    return Attempt.objects.select_related("job").get(job=job)
