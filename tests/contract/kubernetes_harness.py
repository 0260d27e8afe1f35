"""The contract suite on pods: of the emulated cluster; where tests are marked `kubernetes`, of a real one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.cluster.real import real_cluster
from tests.contract.harness import MissingError
from workers.drivers.protocol import ContainerSpec, Driver, Handle

NAMESPACE = "towline-jobs"
CLEARS_SECONDS = 2.0
REAL_CLEARS_SECONDS = 60.0  # a real node unmounts and cleans up before it lets go of a pod, and may be busy
SOURCE = """
import os
os.environ["KUBECONFIG"] = {kubeconfig!r}
from workers.drivers.kubernetes.driver import KubernetesDriver
from workers.drivers.kubernetes.options import Options
driver = KubernetesDriver(context=None, options=Options(namespace={namespace!r}))
"""


class KubernetesHarness:
    is_combined = True
    killed = 143  # a node asks before it kills
    locks = False  # the API server sees to it that a pod is started once

    def __init__(
        self,
        kubeconfig: Path,
        image: str = "towline/demo:1",
        namespace: str = NAMESPACE,
        clears_seconds: float = CLEARS_SECONDS,
    ) -> None:
        self.image, self.namespace, self.clears_seconds = image, namespace, clears_seconds
        self.source = SOURCE.format(kubeconfig=str(kubeconfig), namespace=namespace)
        self.before = os.environ.get("KUBECONFIG")
        os.environ["KUBECONFIG"] = str(kubeconfig)  # as whoever starts a worker would
        try:
            self.make_driver = import_module("workers.drivers.kubernetes.driver").KubernetesDriver
            self.options = import_module("workers.drivers.kubernetes.options").Options(namespace=namespace)
            self.cluster = import_module("workers.drivers.kubernetes.connection").Cluster()
        except ImportError as error:
            raise MissingError(f"no Kubernetes driver: {error}") from error
        self.driver: Driver = self.another()
        self.strangers: list[str] = []

    @classmethod
    def of_real_cluster(cls) -> KubernetesHarness:
        if (found := real_cluster()) is None:
            raise MissingError("TOWLINE_TEST_KUBECONFIG names no cluster")
        return cls(found.kubeconfig, found.image, found.namespace, REAL_CLEARS_SECONDS)

    def another(self) -> Driver:
        made: Driver = self.make_driver(
            context=None, options=self.options, silence_seconds=3, gone_seconds=3 + self.clears_seconds
        )
        return made

    def folder(self, made: Path) -> str:
        """Jobs are not root, and no folder of ours is theirs."""
        return "/tmp"

    def create_only(self, spec: ContainerSpec) -> None:
        answers = iter([None])

        def die(handle: Handle | None) -> None:
            next(answers)

        with suppress(StopIteration):
            self.driver.start(spec, die)

    def put_stranger(self, name: str) -> Callable[[], str]:
        """Behind a gate of its own, so that nothing happens to it by itself."""
        spec = {
            "schedulingGates": [{"name": "towline.test/never"}],
            "containers": [{"name": "job", "image": self.image}],
        }
        pods = f"/api/v1/namespaces/{self.namespace}/pods"
        self.cluster.request("POST", pods, body={"metadata": {"name": name}, "spec": spec})
        self.strangers.append(f"{pods}/{name}")

        def fingerprint() -> str:
            found: Any = self.cluster.request("GET", f"{pods}/{name}")
            metadata = found["metadata"]
            parts = [metadata["uid"], metadata.get("labels"), metadata.get("deletionTimestamp")]
            return json.dumps([*parts, found["spec"].get("schedulingGates")])

        return fingerprint

    def close(self) -> None:
        for path in self.strangers:
            self.cluster.request("DELETE", path)
        if self.before is None:
            os.environ.pop("KUBECONFIG", None)
        else:
            os.environ["KUBECONFIG"] = self.before
