"""What the contract suite needs of each runtime beyond the protocol: to be broken into, and imitated by others."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from workers.drivers.process.driver import ProcessDriver
from workers.drivers.process.folder import Folder
from workers.drivers.process.plan import plan
from workers.drivers.protocol import ContainerSpec, Driver


class MissingError(Exception):
    """This machine lacks what the runtime needs; `str()` says what."""


class Harness(Protocol):
    driver: Driver
    image: str
    source: str  # Python that makes another such driver and calls it `driver`
    is_combined: bool  # its runtime does not tell stdout and stderr apart
    killed: int  # the exit code of one that obeys and is told to end at once
    locks: bool  # who starts a container keeps others of this host out
    clears_seconds: float  # so long its runtime may take to end what a program has left behind

    def folder(self, made: Path) -> str:
        """One that a job may write to and that stays over a second start; `made` is on this host, empty."""
        ...

    def another(self) -> Driver:
        """As a worker has after its restart."""
        ...

    def create_only(self, spec: ContainerSpec) -> None:
        """What is left when a worker dies between create and start."""
        ...

    def put_stranger(self, name: str) -> Callable[[], str]:
        """Something without our labels under this name; call the answer to see whether it has changed."""
        ...

    def close(self) -> None: ...


class ProcessHarness:
    image = "none"
    is_combined, locks, killed, clears_seconds = False, True, 137, 2.0

    def __init__(self, root: Path) -> None:
        self.root = root
        self.driver: Driver = ProcessDriver(root)
        self.source = (
            "from pathlib import Path\n"
            "from workers.drivers.process.driver import ProcessDriver\n"
            f"driver = ProcessDriver(Path({str(root)!r}))\n"
        )

    def folder(self, made: Path) -> str:
        return str(made)

    def another(self) -> Driver:
        return ProcessDriver(self.root)

    def create_only(self, spec: ContainerSpec) -> None:
        Folder(self.root, spec.name).make(spec, plan(spec))

    def put_stranger(self, name: str) -> Callable[[], str]:
        stranger = self.root / name
        stranger.mkdir()
        (stranger / "theirs").write_text("theirs")
        return lambda: json.dumps({each.name: each.read_text() for each in stranger.iterdir()})

    def close(self) -> None:
        return


class DockerHarness:
    is_combined, locks, killed, clears_seconds = False, True, 137, 2.0

    def folder(self, made: Path) -> str:
        return str(made)

    def __init__(self) -> None:
        self.client, make_driver, ensure_image = _docker()
        self.image = ensure_image(self.client.api)
        self.make_driver = make_driver
        self.driver: Driver = make_driver()
        self.strangers: list[Any] = []
        self.source = "from workers.drivers.docker.driver import DockerDriver\ndriver = DockerDriver()\n"

    def another(self) -> Driver:
        made: Driver = self.make_driver()
        return made

    def create_only(self, spec: ContainerSpec) -> None:
        self.client.containers.create(
            spec.image,
            command=list(spec.command or ()),
            name=spec.name,
            labels=dict(spec.labels),
            working_dir=spec.working_dir,
        )

    def put_stranger(self, name: str) -> Callable[[], str]:
        stranger = self.client.containers.create(self.image, command=["true"], name=name)
        self.strangers.append(stranger)

        def fingerprint() -> str:
            stranger.reload()
            return json.dumps([stranger.id, stranger.status, stranger.attrs["State"]])

        return fingerprint

    def close(self) -> None:
        for stranger in self.strangers:
            stranger.remove(force=True)
        self.client.close()


def _docker() -> tuple[Any, Any, Any]:
    """Client, driver class and image maker; `MissingError` when one of them is."""
    try:
        from docker import DockerClient
        from docker.errors import DockerException

        make_driver = import_module("workers.drivers.docker.driver").DockerDriver
        ensure_image = import_module("workers.drivers.docker.busybox").ensure_demo_image
    except ImportError as error:
        raise MissingError(f"no Docker driver: {error}") from error
    try:
        client = DockerClient.from_env(timeout=10)
        client.ping()
    except DockerException as error:
        raise MissingError(
            f"no Docker engine at {os.environ.get('DOCKER_HOST', 'its default socket')}: {error}"
        ) from error
    return client, make_driver, ensure_image
