"""How big a cluster is, and what a pod uses: from the cluster's own ways to write amounts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workers.drivers.kubernetes.engine import engine_of
from workers.drivers.kubernetes.quantity import amount
from workers.drivers.kubernetes.usage import Meter, Sample, sample_of

NAMESPACE = {"metadata": {"name": "jobs", "uid": "n1"}}
START = datetime(2026, 11, 21, 21, 46, tzinfo=UTC)


def node(cpu: str, memory: str, arch: str = "amd64", gpus: str = "0", *, cordoned: bool = False) -> dict[str, Any]:
    offered = {"cpu": cpu, "memory": memory, "nvidia.com/gpu": gpus}
    return {
        "metadata": {"name": "n"},
        "spec": {"unschedulable": True} if cordoned else {},
        "status": {"allocatable": offered, "nodeInfo": {"architecture": arch, "kubeletVersion": "v1.36.0"}},
    }


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("250m", 0.25),
        ("2", 2),
        ("1Gi", 1024**3),
        ("1.5k", 1500),
        ("1e3", 1000),
        ("12500n", 0.0000125),
        ("1E", 1e18),
        ("?", 0),
    ],
)
def test_amounts_are_read(text: str, number: float) -> None:
    assert amount(text) == pytest.approx(number)


def test_a_cluster_is_as_big_as_its_largest_machine_that_takes_jobs() -> None:
    nodes = [node("4", "8Gi"), node("3500m", "16Gi", gpus="2"), node("64", "1Ti", cordoned=True)]
    engine = engine_of(NAMESPACE, {"gitVersion": "v1.36.0"}, nodes, "nvidia.com/gpu")
    assert (engine.id, engine.runtime, engine.version, engine.elastic) == (
        "kubernetes-n1",
        "kubernetes",
        "v1.36.0",
        True,
    )
    assert (engine.cpus, engine.memory_bytes, engine.gpus, engine.arch) == (4, 16 * 1024**3, 2, "amd64")


def test_of_several_processors_none_is_told_and_of_unseen_nodes_nothing() -> None:
    assert engine_of(NAMESPACE, {}, [node("1", "1Gi"), node("1", "1Gi", "arm64")], "x").arch == ""
    unseen = engine_of(NAMESPACE, {"gitVersion": "v1.36.0"}, [], "x")
    assert (unseen.cpus, unseen.memory_bytes, unseen.gpus, unseen.arch) == (0, 0, 0, "")


def test_speed_adds_up_to_time_and_the_peak_is_kept() -> None:
    meter = Meter()
    first = meter.read("u1", Sample(START + timedelta(seconds=10), 0.5, 100), START)
    again = meter.read("u1", Sample(START + timedelta(seconds=10), 0.5, 100), START)
    later = meter.read("u1", Sample(START + timedelta(seconds=14), 1.0, 70), START)
    assert (first.cpu_seconds, again.cpu_seconds, later.cpu_seconds) == (5, 5, 9)
    assert (later.memory_bytes, later.memory_peak_bytes) == (70, 100)


def test_a_sample_is_of_all_containers() -> None:
    used = [{"usage": {"cpu": "250m", "memory": "10Mi"}}, {"usage": {"cpu": "500000000n", "memory": "1Mi"}}]
    sample = sample_of({"timestamp": "2026-11-21T21:46:00Z", "containers": used})
    assert sample == Sample(START, 0.75, 11 * 1024**2)
