"""What a metrics server says of a pod: the speed at which it has used cpu since it began, and its memory now."""

from __future__ import annotations

import time
from typing import Any

from . import stamps
from .cgroups import Cgroups
from .problems import not_found
from .selectors import selector
from .store import Object, Store

VERSION = "metrics.k8s.io/v1beta1"


def measure(store: Store, node: Any, path: str, labelled: str) -> Object:
    """`path` is `<namespace>/pods/<name>`, or without a name for all with such labels; nothing is known of what does not run."""
    namespace, _, name = (*path.split("/"), "")[:3]
    if not name:
        test = selector(labelled, "")
        found = [_measured(node, pod) for pod in store.list("pods", namespace) if test(pod)]
        items = [each for each in found if each]
        return {"kind": "PodMetricsList", "apiVersion": VERSION, "metadata": {}, "items": items}
    measured = _measured(node, store.read("pods", namespace, name))
    if measured is None:
        raise not_found("podmetrics.metrics.k8s.io", f"{namespace}/{name}")
    return {"kind": "PodMetrics", "apiVersion": VERSION, **measured}


def _measured(node: Any, pod: Object) -> Object | None:
    container = node.container(pod["metadata"]["uid"], pod["spec"]["containers"][0]["name"])
    used = None if container is None or container.over else Cgroups.used(container.cgroups)
    if used is None:
        return None
    seconds, memory = used
    lasted = max(time.time() - container.started_at, 0.001)
    usage = {"cpu": f"{int(seconds / lasted * 10**9)}n", "memory": f"{memory // 1024}Ki"}
    metadata = {key: pod["metadata"].get(key) for key in ("name", "namespace", "labels")}
    return {
        "metadata": metadata, "timestamp": stamps.second(), "window": f"{lasted:.3f}s",
        "containers": [{"name": container.name, "usage": usage}],
    }  # fmt: skip
