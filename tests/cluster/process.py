"""The emulated cluster as tests use it: started as a process of its own, its faults as methods."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class Cluster:
    """A context manager. `kubeconfig` is a file that the official client takes."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.kubeconfig = folder / "kubeconfig"
        argv = [sys.executable, "-m", "tests.cluster", "--with-parent", "--kubeconfig", str(self.kubeconfig), *options]
        path = os.pathsep.join([str(ROOT), str(ROOT / "platform"), os.environ.get("PYTHONPATH", "")])
        self.errors = folder / "cluster.log"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                argv, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=errors, text=True,
                start_new_session=True,
            )  # fmt: skip
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the emulated cluster did not start: {self.errors.read_text()[-2000:]}")
        self.ready: dict[str, Any] = json.loads(line)
        self.url: str = self.ready["url"]

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def set(self, **switches: Any) -> dict[str, Any]:
        """Those of `faults.Switchboard`."""
        return self._post("/faults", switches)

    def do(self, action: str, **arguments: Any) -> dict[str, Any]:
        """One of `assembly.Control`: `drop_streams`, `stop_api`, `start_api`, `stop_kubelet`, `evict` …"""
        return self._post(f"/do/{action}", arguments)

    def calm(self) -> None:
        """All switches off."""
        self.set(gone_watches=0, silent_watches=False, too_many=0, errors=0, error_every=0, slow_seconds=0.0, twice=False,
                 reorder=False, skew_seconds=0.0, denied=[], streams_offered=False, streams_dropped="",
                 follow_ends_at_rotation=False,
                 lost_logs=[])  # fmt: skip

    def _post(self, path: str, given: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(self.ready["control"] + path, json.dumps(given).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=20) as answer:
            made: dict[str, Any] = json.load(answer)
        return made
