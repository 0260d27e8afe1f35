"""One worker, two clusters, and a project with a namespace of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.process import Cluster
from tests.stack import RunningStack, run_stack
from workers.drivers.kubernetes.connection import Cluster as Connection

NAMES = ("east", "west")


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """With two contexts, of which none is the current one."""
    folders = [tmp_path_factory.mktemp(name) for name in NAMES]
    path = tmp_path_factory.mktemp("both") / "kubeconfig"
    with Cluster(folders[0], "--namespace", "ml"), Cluster(folders[1], "--namespace", "ml"):
        both: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": []}
        for name, folder in zip(NAMES, folders, strict=True):
            one = json.loads((folder / "kubeconfig").read_text())
            for kind in ("clusters", "users"):
                both[kind].append({**one[kind][0], "name": name})
            both["contexts"].append({"name": name, "context": {"cluster": name, "user": name}})
        path.write_text(json.dumps(both))
        yield path


@pytest.fixture(scope="module")
def stack(kubeconfig: Path) -> Iterator[RunningStack]:
    clusters = {"KUBECONFIG": str(kubeconfig), "TOWLINE_KUBERNETES_CONTEXTS": ",".join(NAMES)}
    with run_stack("kubernetes", **clusters, TOWLINE_KUBERNETES_NAMESPACES="ml=ml") as running:
        yield running


@pytest.fixture
def pods_in(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))

    def listed(context: str, namespace: str) -> set[str]:
        answer = Connection(context).request("GET", f"/api/v1/namespaces/{namespace}/pods")
        return {pod["metadata"]["labels"]["towline.job"] for pod in answer["items"]}

    return listed


def test_each_context_is_an_engine_and_jobs_are_shared_out(stack: RunningStack, pods_in: Any) -> None:
    (worker,) = stack.http.get("/workers/").json()["results"]
    assert len({engine["id"] for engine in worker["engines"]}) == 2
    jobs = [stack.submit("sleep", "30") for _ in range(4)]
    for job in jobs:
        stack.until(job, lambda shown: shown["state"] == "running")
    assert [len(pods_in(name, "towline-jobs")) for name in NAMES] == [2, 2]
    for job in jobs:
        stack.http.post(f"/jobs/{job['id']}/cancel/")
        assert stack.wait(job)["state"] == "cancelled"


def test_a_project_has_its_own_namespace(stack: RunningStack, pods_in: Any) -> None:
    made = stack.manage("shell", "-c", "from jobs.models import Project; Project.objects.create(name='ml')")
    assert made.returncode == 0, made.stderr
    job = stack.until(stack.submit("sleep", "30", project="ml"), lambda shown: shown["state"] == "running")
    assert {job["id"]} == pods_in("east", "ml") | pods_in("west", "ml")
    assert not pods_in("east", "towline-jobs") | pods_in("west", "towline-jobs")
    stack.http.post(f"/jobs/{job['id']}/cancel/")
    assert stack.wait(job)["state"] == "cancelled"


def test_doctor_looks_at_each_of_them(stack: RunningStack) -> None:
    told = stack.manage("doctor").stdout
    assert all(name in told for name in NAMES), told
    assert os.environ.get("KUBECONFIG") != stack.env["KUBECONFIG"]
