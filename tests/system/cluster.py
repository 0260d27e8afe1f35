"""The cluster that system tests of the Kubernetes runtime go to: the emulated one, or a real one where that is meant."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.process import Cluster
from tests.cluster.real import reaching, real_cluster
from tests.stack import RunningStack
from workers.drivers.kubernetes.connection import Cluster as Connection
from workers.drivers.kubernetes.driver import KubernetesDriver
from workers.drivers.kubernetes.options import Options
from workers.drivers.protocol import Unavailable

IMAGE = "towline/demo:1"
PODS = {"resource": "pods", "subresource": ""}
LOGS = {"resource": "pods", "subresource": "log"}


def counting(lines: int, pause: float = 0.1) -> tuple[str, ...]:
    """A program that writes 1, 2, … and waits a little after each."""
    return ("sh", "-c", f"for n in $(seq 1 {lines}); do echo $n; sleep {pause:g}; done")


def counted(lines: int) -> bytes:
    """What it writes."""
    return b"".join(b"%d\n" % n for n in range(1, lines + 1))


def begun(stack: RunningStack, *command: str, **spec: Any) -> dict[str, Any]:
    """A job that has written something."""
    return stack.until(stack.submit(*command, **spec), lambda shown: shown["log"]["lines"] > 0)


def waiting(stack: RunningStack, job: dict[str, Any], reason: str, seconds: float = 30) -> str:
    """In which words it is told what it waits for, once that is told."""
    shown = stack.until(job, lambda shown: (shown["waiting"] or {}).get("reason") == reason, seconds)
    return str(shown["waiting"]["detail"])


def cancel(stack: RunningStack, job: dict[str, Any]) -> dict[str, Any]:
    stack.http.post(f"/jobs/{job['id']}/cancel/")
    return stack.wait(job, 20)


def attempts(stack: RunningStack, job: dict[str, Any]) -> list[dict[str, Any]]:
    listed = stack.http.get(f"/jobs/{job['id']}/attempts/").json()["results"]
    return sorted(listed, key=lambda attempt: int(attempt["number"]))


def passes(seconds: float) -> Callable[[], bool]:
    """Whether so long has passed since: for what must *not* happen meanwhile."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() > until


@dataclass(frozen=True)
class Ground:
    """`emulated` None: it is a real cluster, which nobody breaks from here."""

    kubeconfig: Path
    image: str
    namespace: str
    emulated: Cluster | None

    @property
    def breakable(self) -> Cluster:
        if self.emulated is None:
            pytest.skip("kubernetes: only the emulated cluster is broken by tests")
        return self.emulated

    @property
    def environment(self) -> dict[str, str]:
        """With what else is set of the runtime: who runs a platform may leave all of the tests' own settings out."""
        return {
            **{key: text for key, text in os.environ.items() if key.startswith("TOWLINE_KUBERNETES_")},
            "KUBECONFIG": str(self.kubeconfig),
            "TOWLINE_KUBERNETES_NAMESPACE": self.namespace,
            "TOWLINE_DEMO_IMAGE": self.image,
        }

    def driver(self) -> KubernetesDriver:
        return KubernetesDriver(options=Options(namespace=self.namespace))

    def pods(self, job: dict[str, Any]) -> list[dict[str, Any]]:
        """Of one job, as the API server has them."""
        return self.listed("pods", f"towline.job={job['id']}")

    def listed(self, kind: str, labelled: str = "") -> list[dict[str, Any]]:
        """Of the jobs' namespace; asked again while the API server fails, as it is made to."""
        path, query = f"/api/v1/namespaces/{self.namespace}/{kind}", {"labelSelector": labelled}
        until = time.monotonic() + 20
        while True:
            try:
                return list(Connection().request("GET", path, query=query)["items"])
            except Unavailable:
                if time.monotonic() > until:
                    raise

    def begun(self, job: dict[str, Any]) -> dict[str, list[str]]:
        """The uids of its pods whose container the kubelet has started, once for each time, by the pod's name."""
        found: dict[str, list[str]] = {}
        for event in self.listed("events"):
            about = event["involvedObject"]
            if event["reason"] == "Started" and job["id"] in about["name"]:
                found.setdefault(about["name"], []).extend([about["uid"]] * (event.get("count") or 1))
        return found


@contextmanager
def ground(*options: str) -> Iterator[Ground]:
    """`options` are of `python -m tests.cluster`. KUBECONFIG leads there meanwhile."""
    if (real := real_cluster()) is not None:
        with reaching(real.kubeconfig):
            yield Ground(real.kubeconfig, real.image, real.namespace, None)
        return
    with (
        tempfile.TemporaryDirectory(prefix="tl-cluster-") as folder,
        Cluster(Path(folder), *options) as cluster,
        reaching(cluster.kubeconfig),
    ):
        yield Ground(cluster.kubeconfig, IMAGE, "towline-jobs", cluster)
