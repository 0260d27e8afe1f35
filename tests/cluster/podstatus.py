"""The status of a pod as the kubelet writes it at each step of its life, compared with recordings. Pure."""

from __future__ import annotations

import copy
from typing import Any

from . import stamps
from .store import Object

ORDER = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"]
DEADLINE = "Pod was active on the node longer than the specified deadline"


def waiting(reason: str, message: str = "") -> Object:
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def running(at: float) -> Object:
    return {"running": {"startedAt": stamps.second(at)}}


def terminated(code: int, reason: str, began: float, ended: float, identity: str, message: str = "") -> Object:
    said = {"message": message} if message else {}
    return {
        "terminated": {
            "exitCode": code, "reason": reason, **said, "startedAt": stamps.second(began),
            "finishedAt": stamps.second(ended), "containerID": f"containerd://{identity}",
        }
    }  # fmt: skip


def condition(kind: str, *, holds: bool, at: float, reason: str = "", message: str = "") -> Object:
    said = {"reason": reason} if reason else {}
    said |= {"message": message} if message else {}
    made = {"type": kind, "status": "True" if holds else "False", "lastProbeTime": None}
    return {**made, "lastTransitionTime": stamps.second(at), **said}


def with_condition(status: Object, new: Object) -> Object:
    """The time of the last transition stays where nothing turned."""
    conditions = copy.deepcopy(status.get("conditions") or [])
    for number, each in enumerate(conditions):
        if each["type"] == new["type"]:
            if each["status"] == new["status"] and each.get("lastTransitionTime"):
                new = {**new, "lastTransitionTime": each["lastTransitionTime"]}
            conditions[number] = new
            break
    else:
        conditions.append(new)
    return {**status, "conditions": conditions}


def step(pod: Object, state: Object, at: float, *, sandbox: bool, identity: str = "", phase: str = "Pending",
         image: str = "", address: str = "", failing: bool = False) -> Object:  # fmt: skip
    """The whole status with the container in this state; `sandbox`: it has one; `failing`: it is about to be killed."""
    status = {**pod["status"], "phase": phase, "hostIP": "10.0.0.10", "hostIPs": [{"ip": "10.0.0.10"}]}
    status.setdefault("startTime", stamps.second(at))
    runs = "running" in state
    ready = runs and not failing
    why, said = ("PodFailed", "") if failing else _unready(pod, state, over="terminated" in state)
    for kind, holds in {"PodReadyToStartContainers": sandbox, "Initialized": True, "Ready": ready,
                        "ContainersReady": ready, "PodScheduled": True}.items():  # fmt: skip
        done = "PodCompleted" if kind == "Initialized" and why == "PodCompleted" else ""
        reason, message = (why, said) if kind in ("Ready", "ContainersReady") and not ready else (done, "")
        new = condition(kind, holds=holds, at=at, reason=reason, message=message)
        status = with_condition(status, {**new, "observedGeneration": 1})
    known = {each["type"]: each for each in status["conditions"]}
    rest = [each for each in status["conditions"] if each["type"] not in ORDER]
    status["conditions"] = rest + [known[kind] for kind in ORDER]
    if address and sandbox:
        status |= {"podIP": address, "podIPs": [{"ip": address}]}
    container: dict[str, Any] = {
        "name": pod["spec"]["containers"][0]["name"], "state": state, "lastState": {}, "ready": ready,
        "restartCount": 0, "image": pod["spec"]["containers"][0]["image"], "imageID": image, "started": runs,
    }  # fmt: skip
    if identity:
        container |= {"containerID": f"containerd://{identity}", "resources": {}}
    return {**status, "observedGeneration": 1, "containerStatuses": [container]}


def _unready(pod: Object, state: Object, *, over: bool) -> tuple[str, str]:
    if over:
        return ("PodCompleted" if state["terminated"]["exitCode"] == 0 else "PodFailed"), ""
    return "ContainersNotReady", f"containers with unready status: [{pod['spec']['containers'][0]['name']}]"
