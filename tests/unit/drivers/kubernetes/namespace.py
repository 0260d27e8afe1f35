"""The least of a namespace: pods and Secrets that are made, changed and deleted, and a moment before each to interfere."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from typing import Any

from tests.unit.drivers.kubernetes.api import Answer, Asked, no

MISSING = no(404, "NotFound", "not found")


class Namespace:
    """`before` is called with every request; an answer of its own goes out in place of ours."""

    def __init__(self) -> None:
        self.pods: dict[str, dict[str, Any]] = {}
        self.secrets: list[dict[str, Any]] = []
        self.node: dict[str, Any] | None = {"metadata": {"name": "node1"}, "spec": {}, "status": {}}
        self.before: Callable[[Asked], Answer | None] = lambda _: None
        self.hidden = False  # whoever lists pods by a label finds none
        self.lingering = False  # a pod on a node stays after a delete with a grace
        self._number = count(1)
        self._lock = threading.Lock()

    def __call__(self, asked: Asked) -> Answer:
        if (other := self.before(asked)) is not None:
            return other
        with self._lock:
            return self._answer(asked)

    def ungated(self, name: str, status: dict[str, Any] | None = None, node: str = "node1") -> None:
        """As the scheduler and the node make it."""
        pod = self.pods[name]
        pod["spec"].pop("schedulingGates", None)
        pod["spec"].update({"nodeName": node} if node else {})
        self._changed(pod, status=status or {"phase": "Pending"})

    def _answer(self, asked: Asked) -> Answer:
        kind, _, name = asked.path.partition("/namespaces/jobs/")[2].partition("/")
        if asked.path == "/api/v1/namespaces/jobs":
            return Answer({"metadata": {"name": "jobs", "uid": "n1"}})
        if asked.path.startswith("/api/v1/nodes/"):
            return Answer(self.node) if self.node else MISSING
        if kind == "secrets":
            self.secrets.append(asked.body)
            return Answer(asked.body, 201)
        if kind == "events":
            return Answer({"items": [{"reason": "Scheduled", "metadata": {"managedFields": []}}]})
        if "watch" in asked.query:
            return no(500, "Internal", "no watch here")
        return self._of_pods(asked, name)

    def _of_pods(self, asked: Asked, name: str) -> Answer:
        if asked.method == "POST":
            return self._create(asked.body)
        if not name:
            items = [] if self.hidden else list(self.pods.values())
            return Answer({"items": items, "metadata": {"resourceVersion": "1"}})
        pod = self.pods.get(name)
        if pod is None:
            return MISSING
        if asked.method == "GET":
            return Answer(pod)
        return self._patch(pod, asked.body) if asked.method == "PATCH" else self._delete(pod, asked.body)

    def _create(self, pod: dict[str, Any]) -> Answer:
        name = pod["metadata"]["name"]
        if name in self.pods:
            return no(409, "AlreadyExists", "it is there")
        pod["metadata"] |= {"uid": f"u{next(self._number)}", "creationTimestamp": "2026-11-21T21:46:10Z"}
        self.pods[name] = self._changed(pod, status={"phase": "Pending"})
        return Answer(pod, 201)

    def _patch(self, pod: dict[str, Any], body: dict[str, Any]) -> Answer:
        if body["metadata"]["uid"] != pod["metadata"]["uid"]:
            return no(409, "Conflict", "another uid")
        pod["metadata"]["annotations"] = body["metadata"].get("annotations", {})
        pod["spec"] = {key: value for key, value in (pod["spec"] | body["spec"]).items() if value is not None}
        return Answer(self._changed(pod))

    def _delete(self, pod: dict[str, Any], body: dict[str, Any]) -> Answer:
        if any(pod["metadata"][key] != value for key, value in body["preconditions"].items()):
            return no(409, "Conflict", "the precondition failed")
        if not (self.lingering and body.get("gracePeriodSeconds")):
            del self.pods[pod["metadata"]["name"]]
        return Answer({"status": "Success"})

    def _changed(self, pod: dict[str, Any], **parts: Any) -> dict[str, Any]:
        pod |= parts
        pod["metadata"]["resourceVersion"] = str(next(self._number))
        return pod
