"""Finds a node for each pod that nothing holds back, and says what is short where there is none."""

from __future__ import annotations

import asyncio
import copy
import time
from collections import Counter

from . import happenings, podstatus
from .faults import Signal
from .quantities import amount, asked_by, over, taken
from .replay import is_replayed
from .store import Change, Object, Store

GATED = "Scheduling is blocked due to non-empty scheduling gates"
CLAIMS = "no new claims to deallocate, preemption: 0/{0} nodes are available: {1}."
HOPELESS = "{} Preemption is not helpful for scheduling"
FULL = "{} No preemption victims found for incoming pod"


class Scheduler:
    def __init__(self, store: Store, up: asyncio.Event, *, seconds: float) -> None:
        self.store, self.up, self.seconds = store, up, seconds
        self.signal = Signal()
        store.listeners.append(self._hear)
        self.dirty = True
        self.used: dict[str, Counter[str]] = {}  # by node, as of this round

    def _hear(self, change: Change) -> None:
        if change.resource in ("pods", "nodes"):
            self.dirty = True
            self.signal.ring()

    async def run(self) -> None:
        while True:
            await self.up.wait()
            if not self.dirty:
                await self.signal.wait()
                await asyncio.sleep(self.seconds)
            self.dirty = False
            self.used.clear()
            for pod in sorted(self.store.list("pods"), key=lambda pod: -pod["spec"].get("priority", 0)):
                if not pod["spec"].get("nodeName") and not over(pod) and not is_replayed(pod):
                    self.place(pod)

    def place(self, pod: Object) -> None:
        if pod["metadata"].get("deletionTimestamp"):
            return
        if pod["spec"].get("schedulingGates"):
            self._hold(pod, "SchedulingGated", GATED)
            return
        nodes = list(self.store.list("nodes"))
        wrongs = [(node, self._wrongs(pod, node)) for node in nodes]
        fitting = [node for node, wrong in wrongs if not wrong]
        if fitting:
            self._bind(pod, fitting[0]["metadata"]["name"])
            return
        full = any(wrong and not self._wrongs(pod, node, empty=True) for node, wrong in wrongs)
        if self._hold(pod, "Unschedulable", unschedulable([wrong for _, wrong in wrongs], full=full)):
            fresh = self.store.read("pods", pod["metadata"]["namespace"], pod["metadata"]["name"])
            message = fresh["status"]["conditions"][-1]["message"]
            happenings.schedule(self.store, fresh, "FailedScheduling", message, "Scheduling", warning=True)

    def _wrongs(self, pod: Object, node: Object, *, empty: bool = False) -> list[str]:
        """What of the node does not fit, the first kind of thing that does not."""
        if node["spec"].get("unschedulable"):
            return ["node(s) were unschedulable"]
        for taint in node["spec"].get("taints") or ():
            if taint["effect"] in ("NoSchedule", "NoExecute") and not tolerated(pod, taint):
                value = taint.get("value", "")
                return [f"node(s) had untolerated taint {{{taint['key']}: {value}}}"]
        labels = node["metadata"].get("labels") or {}
        wanted = pod["spec"].get("nodeSelector") or {}
        if any(labels.get(key) != value for key, value in wanted.items()):
            return ["node(s) didn't match Pod's node affinity/selector"]
        used = Counter() if empty else self.used.setdefault(node["metadata"]["name"], self._taken(node))
        return _shortages(pod, node, used)

    def _taken(self, node: Object) -> Counter[str]:
        here = (each for each in self.store.list("pods") if each["spec"].get("nodeName") == node["metadata"]["name"])
        return taken(each for each in here if not over(each))

    def _bind(self, pod: Object, node: str) -> None:
        bound = copy.deepcopy(pod)
        bound["spec"]["nodeName"] = node
        generation = bound["metadata"]["generation"]
        bound["status"] = podstatus.with_condition(
            bound["status"], podstatus.condition("PodScheduled", holds=True, at=time.time())
        )
        self.used[node].update({"pods": 1, **asked_by(pod)})
        stored = self.store.update("pods", bound)
        stored["metadata"]["generation"] = generation  # a binding is no change of the spec
        place = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        happenings.schedule(self.store, pod, "Scheduled", f"Successfully assigned {place} to {node}", "Binding")

    def _hold(self, pod: Object, reason: str, message: str) -> bool:
        """Whether that is news."""
        new = podstatus.condition("PodScheduled", holds=False, at=time.time(), reason=reason, message=message)
        status = podstatus.with_condition(pod["status"], new)
        if status == pod["status"]:
            return False
        self.store.update("pods", {**copy.deepcopy(pod), "status": status})
        return True


def _shortages(pod: Object, node: Object, used: Counter[str]) -> list[str]:
    room = {key: amount(text) for key, text in node["status"]["allocatable"].items()}
    short = ["Too many pods"] if used["pods"] + 1 > room["pods"] else []
    for key, much in asked_by(pod).items():
        if much and used[key] + much > room.get(key, 0):
            short.append(f"Insufficient {key}")
    return short


def tolerated(pod: Object, taint: Object) -> bool:
    return any(
        each.get("key") in (None, "", taint["key"])
        and each.get("effect") in (None, "", taint["effect"])
        and (each.get("operator") == "Exists" or each.get("value", "") == taint.get("value", ""))
        for each in pod["spec"].get("tolerations") or ()
    )


def unschedulable(wrongs: list[list[str]], *, full: bool) -> str:
    """The scheduler's sentence about nodes of which none fits; `full`: one would, without what runs there."""
    counted = Counter(wrong for each in wrongs for wrong in each)
    total = len(wrongs)
    said = ", ".join(sorted(f"{count} {wrong}" for wrong, count in counted.items()))
    if not total:
        return "no nodes available to schedule pods"
    tried = (FULL if full else HOPELESS).format(total)
    return f"0/{total} nodes are available: {said}. {CLAIMS.format(total, tried)}"
