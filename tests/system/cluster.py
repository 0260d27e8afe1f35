"""The cluster that system tests of the Kubernetes runtime go to: the emulated one, or a real one where that is asked for.

`TOWLINE_REQUIRE=kubernetes` with a `KUBECONFIG` means the real one; `TOWLINE_TEST_IMAGE` is an image with a shell that its
nodes have, `TOWLINE_KUBERNETES_NAMESPACE` a namespace that `charts/rbac.yaml` was applied to.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.process import Cluster
from workers.drivers.kubernetes.connection import Cluster as Connection
from workers.drivers.kubernetes.driver import KubernetesDriver
from workers.drivers.kubernetes.options import Options

IMAGE = "towline/demo:1"
REAL_IMAGE = "docker.io/library/busybox:test"


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
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "TOWLINE_KUBERNETES_NAMESPACE": self.namespace,
            "TOWLINE_DEMO_IMAGE": self.image,
        }

    def driver(self) -> KubernetesDriver:
        return KubernetesDriver(options=Options(namespace=self.namespace))

    def pods(self, job: dict[str, Any]) -> list[dict[str, Any]]:
        """Of one job, as the API server has them."""
        answer = Connection().request(
            "GET", f"/api/v1/namespaces/{self.namespace}/pods", query={"labelSelector": f"towline.job={job['id']}"}
        )
        return list(answer["items"])


def wants_a_real_one() -> bool:
    return "kubernetes" in os.environ.get("TOWLINE_REQUIRE", "").split(",") and bool(os.environ.get("KUBECONFIG"))


@contextmanager
def ground(*options: str) -> Iterator[Ground]:
    """`options` are of `python -m tests.cluster`. KUBECONFIG leads there meanwhile."""
    if wants_a_real_one():
        namespace = os.environ.get("TOWLINE_KUBERNETES_NAMESPACE", "towline-jobs")
        yield Ground(Path(os.environ["KUBECONFIG"]), os.environ.get("TOWLINE_TEST_IMAGE", REAL_IMAGE), namespace, None)
        return
    before = os.environ.get("KUBECONFIG")
    with tempfile.TemporaryDirectory(prefix="tl-cluster-") as folder, Cluster(Path(folder), *options) as cluster:
        os.environ["KUBECONFIG"] = str(cluster.kubeconfig)
        try:
            yield Ground(cluster.kubeconfig, IMAGE, "towline-jobs", cluster)
        finally:
            if before is None:
                del os.environ["KUBECONFIG"]
            else:
                os.environ["KUBECONFIG"] = before
