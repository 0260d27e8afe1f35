"""Who and how big a cluster is, from its own answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workers.drivers.kubernetes.quantity import amount
from workers.drivers.protocol import Engine


def engine_of(
    namespace: Mapping[str, Any], version: Mapping[str, Any], nodes: Sequence[Mapping[str, Any]], gpu_resource: str
) -> Engine:
    """`nodes`: none where we may not list them. It is the jobs' namespace that tells one cluster from another."""
    offered = [node["status"].get("allocatable") or {} for node in nodes if not node["spec"].get("unschedulable")]
    largest = max(offered, key=lambda each: amount(each.get("cpu", "0")), default={})
    architectures = {_info(node).get("architecture", "") for node in nodes}
    return Engine(
        id=engine_id(namespace),
        runtime="kubernetes",
        version=str(version.get("gitVersion", "")),
        arch=architectures.pop() if len(architectures) == 1 else "",
        cpus=amount(largest.get("cpu", "0")),
        memory_bytes=int(max((amount(each.get("memory", "0")) for each in offered), default=0)),
        gpus=int(max((amount(each.get(gpu_resource, "0")) for each in offered), default=0)),
        detail={
            "Namespace": namespace["metadata"]["name"],
            "Nodes": len(nodes) or None,
            "Kubelets": ", ".join(sorted({_info(node).get("kubeletVersion", "") for node in nodes})),
        },
        elastic=True,
    )


def engine_id(namespace: Mapping[str, Any]) -> str:
    return f"kubernetes-{namespace['metadata']['uid']}"


def _info(node: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = node["status"].get("nodeInfo") or {}
    return found
