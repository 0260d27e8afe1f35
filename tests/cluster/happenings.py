"""Events: what the scheduler and the kubelet say about a pod, counted when they say it again."""

from __future__ import annotations

import copy
import secrets
import time
from typing import Any

from . import stamps
from .store import Object, Store

SCHEDULER = {"reportingComponent": "default-scheduler", "reportingInstance": "default-scheduler-vm", "source": {}}


def _about(pod: Object, container: str) -> Object:
    metadata = pod["metadata"]
    about = {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"],
             "apiVersion": "v1", "resourceVersion": metadata["resourceVersion"]}  # fmt: skip
    return {**about, "fieldPath": f"spec.containers{{{container}}}"} if container else about


def _make(store: Store, pod: Object, said: Object) -> None:
    name = f"{pod['metadata']['name']}.{time.time_ns():x}{secrets.token_hex(1)}"
    obj = {"kind": "Event", "apiVersion": "v1", "metadata": {"name": name}, **said}
    store.create("events", pod["metadata"]["namespace"], obj)


def schedule(store: Store, pod: Object, reason: str, message: str, action: str, *, warning: bool = False) -> None:
    """The scheduler's are of the newer kind: one time, no count, no source."""
    said = {"involvedObject": _about(pod, ""), "reason": reason, "message": message, "action": action,
            "type": "Warning" if warning else "Normal", "eventTime": stamps.micro(), "firstTimestamp": None,
            "lastTimestamp": None, **SCHEDULER}  # fmt: skip
    _make(store, pod, said)


def tell(store: Store, pod: Object, reason: str, message: str, host: str, *, container: str = "",
         warning: bool = False, component: str = "kubelet", at: float | None = None) -> None:  # fmt: skip
    """The kubelet's, and the node controller's."""
    about, now = _about(pod, container), stamps.second(at)
    for each in store.list("events", pod["metadata"]["namespace"]):
        same = (each["reason"], each["message"], each["involvedObject"]["uid"]) == (reason, message, about["uid"])
        if same and each.get("count"):
            again: dict[str, Any] = copy.deepcopy(each)
            again.update(count=each["count"] + 1, lastTimestamp=now)
            store.update("events", again)
            return
    source = {"component": component, **({"host": host} if host else {})}
    said = {"involvedObject": about, "reason": reason, "message": message, "type": "Warning" if warning else "Normal",
            "count": 1, "firstTimestamp": now, "lastTimestamp": now, "eventTime": None, "source": source,
            "reportingComponent": component, "reportingInstance": host}  # fmt: skip
    _make(store, pod, said)
