"""Pods of an image `recording/<scenario>`: nothing is run, a recording of a real cluster is played back instead."""

from __future__ import annotations

import asyncio
import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

from . import images, stamps
from .deletion import delete, finish
from .store import Change, Object, Store

FOLDER = Path(__file__).with_name("recordings")
TIMES = {"startTime", "lastTransitionTime", "startedAt", "finishedAt", "firstTimestamp", "lastTimestamp", "eventTime"}


def is_replayed(pod: Any) -> bool:
    return bool(pod["spec"]["containers"][0]["image"].startswith(images.RECORDING))


@cache
def recording(scenario: str) -> Object:
    loaded: Object = json.loads((FOLDER / f"{scenario}.json").read_text())
    return loaded


class Replayer:
    def __init__(self, store: Store, up: asyncio.Event, *, seconds: float) -> None:
        self.store, self.up, self.seconds = store, up, seconds
        self.logs: dict[str, str] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        store.listeners.append(self._hear)

    def _hear(self, change: Change) -> None:
        pod, uid = change.now, change.now["metadata"]["uid"]
        if change.resource != "pods" or not is_replayed(pod):
            return
        if change.verb == "DELETED" and uid in self.tasks:
            self.tasks.pop(uid).cancel()
            self.logs.pop(uid, None)
        elif uid not in self.tasks and not pod["spec"].get("schedulingGates"):
            self.tasks[uid] = asyncio.get_running_loop().create_task(self._play(pod))
        elif "deletionTimestamp" in pod["metadata"] and uid in self.tasks and self.tasks[uid].done():
            finish(self.store, "pods", pod)

    async def _play(self, pod: Object) -> None:
        scenario = pod["spec"]["containers"][0]["image"].removeprefix(images.RECORDING).partition(":")[0]
        taped = recording(scenario)
        shift = _Shift(taped, pod)
        steps = taped["watch"][1:]
        if steps[-1]["type"] != "DELETED" and steps[-1]["object"]["metadata"].get("deletionGracePeriodSeconds") == 0:
            steps = steps[:-1]  # that was who recorded it, cleaning up
        events = [shift.event(each) for each in taped["events"]]
        for number, each in enumerate(steps):
            await asyncio.sleep(self.seconds)
            await self.up.wait()
            self._tell(pod, events[number * len(events) // len(steps) : (number + 1) * len(events) // len(steps)])
            self.logs[pod["metadata"]["uid"]] = taped["log"]
            if not self._step(pod, each, shift):
                return

    def _step(self, pod: Object, step: Object, shift: _Shift) -> bool:
        metadata = pod["metadata"]
        fresh = self.store.find("pods", metadata["namespace"], metadata["name"])
        if not fresh or fresh["metadata"]["uid"] != metadata["uid"]:
            return False
        taped = step["object"]
        grace = taped["metadata"].get("deletionGracePeriodSeconds")
        made = copy.deepcopy(fresh)
        made["status"] = shift.times(taped["status"])
        if taped["spec"].get("nodeName"):
            made["spec"]["nodeName"] = taped["spec"]["nodeName"]
        fresh = self.store.update("pods", made)
        if step["type"] == "DELETED" or grace == 0:
            delete(self.store, "pods", fresh, {"gracePeriodSeconds": 0})
            return False
        if grace is not None:
            delete(self.store, "pods", fresh, {"gracePeriodSeconds": grace})
        return True

    def _tell(self, pod: Object, events: list[Object]) -> None:
        for each in events:
            self.store.create("events", pod["metadata"]["namespace"], each)


class _Shift:
    """From the pod that was recorded to ours: its names, its uid, and its times."""

    def __init__(self, taped: Object, pod: Object) -> None:
        self.pod = pod
        first = taped["watch"][0]["object"]["metadata"]
        self.ids = {first["uid"]: pod["metadata"]["uid"]}
        began = stamps.nanoseconds(first["creationTimestamp"])
        self.delta = stamps.nanoseconds(pod["metadata"]["creationTimestamp"]) - began

    def times(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.times(each) for each in value]
        if not isinstance(value, dict):
            return value
        return {key: self._time(each) if key in TIMES and each else self.times(each) for key, each in value.items()}

    def _time(self, text: str) -> str:
        at_ns = stamps.nanoseconds(text)
        if at_ns == 0:
            return text
        moved = (at_ns + self.delta) / 10**9
        return stamps.micro(moved) if "." in text else stamps.second(moved)

    def event(self, taped: Object) -> Object:
        made: Object = self.times(taped)
        metadata = self.pod["metadata"]
        name = made["metadata"]["name"].rpartition(".")[2]
        made["metadata"] = {"name": f"{metadata['name']}.{name}{metadata['uid'][:4]}"}
        about = {"name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]}
        return {**made, "kind": "Event", "apiVersion": "v1", "involvedObject": {**made["involvedObject"], **about}}
