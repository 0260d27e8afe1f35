"""What the cluster tells beside the pod itself: its Events, and the machine it is on. Asked once for each end.

Where we may not ask, there is none: it makes a verdict more telling, and is not needed for one.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.drivers.kubernetes.connection import ApiError, Cluster, Forbidden
from workers.drivers.protocol import Phase, Unavailable

REMEMBERED = 512
STILL_SECONDS = 5.0  # how long the events of a pod that is not over yet count as news
_KEPT_OF_EVENT = (
    "type", "reason", "message", "count", "firstTimestamp", "lastTimestamp", "eventTime", "source", "reportingComponent",
    "reportingInstance", "action", "series", "involvedObject",
)  # fmt: skip
_KEPT_OF_STATUS = ("conditions", "nodeInfo", "allocatable", "capacity")

Events = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Evidence:
    events: Events = ()
    node: Mapping[str, Any] | None = None


class Inquiry:
    """Safe for many threads; two that ask at the same time ask twice."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._told: OrderedDict[tuple[str, Phase], tuple[float, Evidence]] = OrderedDict()

    def about(self, uid: str, namespace: str, node: str | None, phase: Phase) -> Evidence:
        """Of a pod in this phase. That of one that is over does not change any more."""
        until = time.monotonic() - STILL_SECONDS
        asked_at, told = self._told.get((uid, phase), (0.0, None))
        if told is None or (phase is Phase.PENDING and asked_at < until):
            told = Evidence(
                self._events(uid, namespace), self._node(node) if node and phase is not Phase.PENDING else None
            )
            self._told[(uid, phase)] = (time.monotonic(), told)
            while len(self._told) > REMEMBERED:
                self._told.popitem(last=False)
        return told

    def _events(self, uid: str, namespace: str) -> Events:
        query = {"fieldSelector": f"involvedObject.uid={uid}"}
        try:
            answer = self._cluster.request("GET", f"/api/v1/namespaces/{namespace}/events", query=query)
        except (Forbidden, ApiError):
            return ()
        listed = answer.get("items") or ()
        return tuple({key: each[key] for key in _KEPT_OF_EVENT if each.get(key)} for each in listed)

    def _node(self, name: str) -> Mapping[str, Any] | None:
        try:
            node = self._cluster.request("GET", f"/api/v1/nodes/{name}")
        except (Unavailable, ApiError):
            return None
        return {
            "metadata": {"name": name, "creationTimestamp": node["metadata"].get("creationTimestamp")},
            "spec": {key: node["spec"][key] for key in ("taints", "unschedulable") if key in node["spec"]},
            "status": {key: node["status"][key] for key in _KEPT_OF_STATUS if key in node["status"]},
        }
