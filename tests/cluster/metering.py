"""What a metrics server says of a pod: the speed at which it has used cpu since it began, and its memory now."""

from __future__ import annotations

import time
from typing import Any

from . import stamps
from .cgroups import Cgroups
from .problems import not_found
from .store import Object, Store


def measure(store: Store, node: Any, path: str) -> Object:
    """`path` is `<namespace>/pods/<name>`; nothing is known of what does not run."""
    namespace, _, name = path.split("/")
    pod = store.read("pods", namespace, name)
    container = node.container(pod["metadata"]["uid"], pod["spec"]["containers"][0]["name"])
    used = None if container is None or container.over else Cgroups.used(container.cgroups)
    if used is None:
        raise not_found("podmetrics.metrics.k8s.io", f"{namespace}/{name}")
    seconds, memory = used
    lasted = max(time.time() - container.started_at, 0.001)
    usage = {"cpu": f"{int(seconds / lasted * 10**9)}n", "memory": f"{memory // 1024}Ki"}
    return {
        "kind": "PodMetrics", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {"name": name, "namespace": namespace},
        "timestamp": stamps.second(), "window": f"{lasted:.3f}s",
        "containers": [{"name": container.name, "usage": usage}],
    }  # fmt: skip
