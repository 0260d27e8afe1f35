"""The node as an object, its heartbeat, and the controller that gives it up when the heartbeat stays away."""

from __future__ import annotations

import asyncio
import copy
import platform
import time
from dataclasses import dataclass

from . import happenings, podstatus, stamps
from .deletion import delete
from .kubelet import Kubelet
from .quantities import over
from .store import Object, Store

ARCHES = {"x86_64": "amd64", "aarch64": "arm64"}
LOST = "Kubelet stopped posting node status."
MARKED = "Taint manager: deleting due to NoExecute taint"


@dataclass(frozen=True)
class Patience:
    lost_seconds: float = 2.0  # without heartbeat (the real one: about 50)
    most_seconds: float | None = None  # before pods are marked for deletion, if their toleration is longer


def make_node(store: Store, name: str, room: dict[str, str]) -> None:
    arch = ARCHES.get(platform.machine(), "amd64")
    labels = {"kubernetes.io/arch": arch, "kubernetes.io/os": "linux", "kubernetes.io/hostname": name,
              "beta.kubernetes.io/arch": arch, "beta.kubernetes.io/os": "linux"}  # fmt: skip
    ids = dict.fromkeys(("bootID", "machineID", "systemUUID", "kubeProxyVersion"), "")
    info = {**ids, "architecture": arch, "operatingSystem": "linux", "kubeletVersion": "v1.36.0", "osImage": "Debian GNU/Linux",
            "containerRuntimeVersion": "containerd://1.6.20", "kernelVersion": platform.release()}  # fmt: skip
    status = {"capacity": room, "allocatable": room, "nodeInfo": info, "conditions": [_ready()]}
    metadata = {"name": name, "labels": labels}
    store.create("nodes", "", {"kind": "Node", "apiVersion": "v1", "metadata": metadata, "spec": {}, "status": status})


def _ready(
    status: str = "True", reason: str = "KubeletReady", message: str = "kubelet is posting ready status"
) -> Object:
    now = stamps.second()
    return {"type": "Ready", "status": status, "lastHeartbeatTime": now, "lastTransitionTime": now,
            "reason": reason, "message": message}  # fmt: skip


class NodeController:
    def __init__(self, store: Store, kubelet: Kubelet, up: asyncio.Event, patience: Patience) -> None:
        self.store, self.kubelet, self.up, self.patience = store, kubelet, up, patience
        self.lost_at: float | None = None

    async def run(self) -> None:
        away_since: float | None = None
        while True:
            await self.kubelet.changed.wait(0.1)
            await self.up.wait()
            if self.kubelet.kubelet_runs:
                away_since = None
                if self.lost_at is not None:
                    self._recover()
            elif away_since is None:
                away_since = time.monotonic()
            elif self.lost_at is None and time.monotonic() - away_since > self.patience.lost_seconds:
                self._give_up()
            if self.lost_at is not None:
                self._mark(time.monotonic() - self.lost_at)

    def _pods(self) -> list[Object]:
        mine = (each for each in self.store.list("pods") if each["spec"].get("nodeName") == self.kubelet.name)
        return [each for each in mine if not over(each)]

    def _give_up(self) -> None:
        self.lost_at = time.monotonic()
        now = stamps.second()
        taints = [
            {"key": "node.kubernetes.io/unreachable", "effect": effect, "timeAdded": now}
            for effect in ("NoSchedule", "NoExecute")
        ]
        self._node(_ready("Unknown", "NodeStatusUnknown", LOST), taints)
        for pod in self._pods():
            status = podstatus.with_condition(pod["status"], podstatus.condition("Ready", holds=False, at=time.time()))
            fresh = self.store.update("pods", {**copy.deepcopy(pod), "status": status})
            happenings.tell(
                self.store, fresh, "NodeNotReady", "Node is not ready", "", warning=True, component="node-controller"
            )

    def _recover(self) -> None:
        self.lost_at = None
        self._node(_ready(), [])
        for pod in self._pods():
            states = pod["status"].get("containerStatuses") or [{"state": {}}]
            if "running" in states[0]["state"]:
                ready = podstatus.condition("Ready", holds=True, at=time.time())
                status = podstatus.with_condition(pod["status"], ready)
                self.store.update("pods", {**copy.deepcopy(pod), "status": status})

    def _node(self, condition: Object, taints: list[Object]) -> None:
        node = copy.deepcopy(self.store.read("nodes", "", self.kubelet.name))
        node["status"]["conditions"] = [condition]
        node["spec"] = {**node["spec"], "taints": taints} if taints else {
            key: value for key, value in node["spec"].items() if key != "taints"
        }  # fmt: skip
        self.store.update("nodes", node)

    def _mark(self, seconds: float) -> None:
        """Pods that have been borne long enough are to go; with the kubelet away, they stay marked."""
        for pod in self._pods():
            borne = [
                each.get("tolerationSeconds", float("inf"))
                for each in pod["spec"].get("tolerations") or ()
                if each.get("key") in ("node.kubernetes.io/unreachable", None)
            ]
            limit = min([*borne, float("inf")] if borne else [0.0])
            if self.patience.most_seconds is not None:
                limit = min(limit, self.patience.most_seconds)
            if seconds >= limit and "deletionTimestamp" not in pod["metadata"]:
                disrupt(self.store, pod, "DeletionByTaintManager", MARKED)


def disrupt(store: Store, pod: Object, reason: str, message: str) -> None:
    """Marked as what is not the pod's own fault, and then for deletion."""
    new = podstatus.condition("DisruptionTarget", holds=True, at=time.time(), reason=reason, message=message)
    status = podstatus.with_condition(pod["status"], new)
    fresh = store.update("pods", {**copy.deepcopy(pod), "status": status})
    delete(store, "pods", fresh, {})
