"""A Docker engine of the test's own, to be stopped, killed and frozen.

It lives in a network namespace: two engines in one would take the bridge away from each other.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from docker import APIClient
from docker.errors import DockerException

from tests.stack import eventually
from workers.drivers.docker.busybox import ensure_demo_image


class OwnEngine:
    """`url` is for DOCKER_HOST."""

    def __init__(self, folder: Path, *, live_restore: bool) -> None:
        self.folder = folder
        self.url = f"unix://{folder}/d.sock"
        self.live_restore = live_restore
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def client(self) -> APIClient:
        return APIClient(base_url=self.url, timeout=20)

    def start(self) -> None:
        asked = [f"--{name}" for name in ("iptables=false", "ip-forward=false", "ip-masq=false")]
        places = [f"--{name}={self.folder}/{name}" for name in ("data-root", "exec-root", "pidfile")]
        more = ["--live-restore"] if self.live_restore else []
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["unshare", "--net", "dockerd", "-H", self.url, *asked, *places, *more],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        eventually(self._answers, 40)

    def _answers(self) -> bool:
        assert self.process is not None and self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
        try:
            return bool(self.client.ping())
        except DockerException:
            return False

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> None:
        assert self.process is not None
        containerd = self._containerd()
        self.process.send_signal(number)
        self.process.wait(40)
        # It dies with the engine; an engine started while it does would take it for a living one.
        eventually(lambda: not Path(f"/proc/{containerd}").exists(), 20)

    def restart(self, number: int = signal.SIGTERM) -> None:
        self.stop(number)
        self.start()

    def end(self) -> None:
        """Also the containers."""
        if self.process is None or self.process.poll() is not None:
            self.start()
        for found in self.client.containers(all=True):
            self.client.remove_container(found["Id"], force=True)
        self.stop()

    def _containerd(self) -> int:
        return int((self.folder / "exec-root" / "containerd" / "containerd.pid").read_text())


@contextmanager
def own_engine(*, live_restore: bool = False) -> Iterator[OwnEngine]:
    if os.getuid() != 0 or not shutil.which("dockerd") or not shutil.which("unshare"):
        pytest.skip("docker: an engine of the test's own takes root, dockerd and unshare")
    folder = Path(tempfile.mkdtemp(prefix="tle-"))
    engine = OwnEngine(folder, live_restore=live_restore)
    try:
        engine.start()
        ensure_demo_image(engine.client)
        yield engine
    finally:
        engine.end()
        # A bind mount of the engine's own, which an engine that is stopped leaves behind.
        subprocess.run(["umount", folder / "data-root"], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)
