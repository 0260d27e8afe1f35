"""A real cluster for tests, where one is meant: which, where in it, and with what image.

`TOWLINE_TEST_KUBECONFIG` names its file; with `TOWLINE_REQUIRE=kubernetes`, `KUBECONFIG` will do, which alone may be of any.
`TOWLINE_TEST_NAMESPACE` (`towline-jobs`) is where tests make pods and Secrets; it is made where it is missing.
`TOWLINE_TEST_IMAGE` is one with a busybox; without, one of that name that a node has already.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workers.drivers.kubernetes.connection import ApiError, Cluster

ANY = "docker.io/library/busybox:1.36"


@dataclass(frozen=True)
class Real:
    kubeconfig: Path
    namespace: str
    image: str


def real_kubeconfig() -> str | None:
    required = "kubernetes" in os.environ.get("TOWLINE_REQUIRE", "").split(",")
    return os.environ.get("TOWLINE_TEST_KUBECONFIG") or (os.environ.get("KUBECONFIG") if required else None)


def real_cluster() -> Real | None:
    """Ready for tests; None where none is meant."""
    if not (told := real_kubeconfig()):
        return None
    namespace = os.environ.get("TOWLINE_TEST_NAMESPACE", "towline-jobs")
    with reaching(Path(told)):
        connection = Cluster()
        _have_namespace(connection, namespace)
        return Real(Path(told), namespace, os.environ.get("TOWLINE_TEST_IMAGE") or _image_of_a_node(connection))


@contextmanager
def reaching(kubeconfig: Path) -> Iterator[None]:
    """KUBECONFIG leads there meanwhile, as it would for who starts a worker."""
    before = os.environ.get("KUBECONFIG")
    os.environ["KUBECONFIG"] = str(kubeconfig)
    try:
        yield
    finally:
        if before is None:
            del os.environ["KUBECONFIG"]
        else:
            os.environ["KUBECONFIG"] = before


def _have_namespace(connection: Cluster, name: str) -> None:
    try:
        connection.request("GET", f"/api/v1/namespaces/{name}")
    except ApiError as error:
        if error.status != 404:
            raise
        connection.request("POST", "/api/v1/namespaces", body={"metadata": {"name": name}})


def _image_of_a_node(connection: Cluster) -> str:
    nodes = connection.request("GET", "/api/v1/nodes")["items"]
    names = [
        name for node in nodes for image in node["status"].get("images") or () for name in image.get("names") or ()
    ]
    return next((name for name in names if "busybox" in name and "@" not in name), ANY)
