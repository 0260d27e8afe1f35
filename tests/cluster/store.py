"""All objects of the cluster, with uid, resourceVersion and a history of bounded length. Knows no HTTP.

Objects are never changed in place: whoever holds one holds a version.
"""

from __future__ import annotations

import copy
import json
import secrets
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from . import stamps
from .problems import conflict, exists, not_found

Object = dict[str, Any]
CLUSTER_WIDE = {"nodes", "namespaces", "priorityclasses"}
SPECIFIED = {"pods"}  # these count the generations of their specs


@dataclass(frozen=True)
class Change:
    version: int
    verb: str  # ADDED, MODIFIED, DELETED
    resource: str
    now: Object
    before: Object | None

    @cached_property
    def encoded(self) -> bytes:
        return json.dumps(self.now, separators=(",", ":")).encode()


class Store:
    def __init__(self, kept: int = 5000) -> None:
        self.objects: dict[str, dict[tuple[str, str], Object]] = {}
        self.version = 1
        self.kept = kept
        self.history: deque[Change] = deque()
        self.forgotten = 0  # changes up to this version are not in the history any more
        self.listeners: list[Callable[[Change], None]] = []

    def list(self, resource: str, namespace: str | None = None) -> Iterator[Object]:
        for (place, _), each in list(self.objects.get(resource, {}).items()):
            if namespace in (None, place):
                yield each

    def find(self, resource: str, namespace: str, name: str) -> Object | None:
        return self.objects.get(resource, {}).get(("" if resource in CLUSTER_WIDE else namespace, name))

    def read(self, resource: str, namespace: str, name: str) -> Object:
        found = self.find(resource, namespace, name)
        if found is None:
            raise not_found(resource, name)
        return found

    def create(self, resource: str, namespace: str, given: Object) -> Object:
        made = copy.deepcopy(given)
        metadata = made.setdefault("metadata", {})
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + secrets.token_hex(3)[:5]
        if self.find(resource, namespace, metadata["name"]):
            raise exists(resource, metadata["name"])
        self._stamp(resource, namespace, metadata)
        self._put("ADDED", resource, made, None)
        return made

    def _stamp(self, resource: str, namespace: str, metadata: Object) -> None:
        if resource not in CLUSTER_WIDE:
            metadata["namespace"] = namespace
        metadata.update(uid=str(uuid.uuid4()), creationTimestamp=stamps.second())
        for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion"):
            metadata.pop(field, None)
        if resource in SPECIFIED:
            metadata["generation"] = 1

    def update(self, resource: str, changed: Object) -> Object:
        """`changed` is a copy of the object of that name; nothing happens when nothing differs."""
        metadata = changed["metadata"]
        before = self.read(resource, metadata.get("namespace", ""), metadata["name"])
        asked = metadata.get("resourceVersion")
        if asked and asked != before["metadata"]["resourceVersion"]:
            why = "the object has been modified; please apply your changes to the latest version and try again"
            raise conflict(resource, metadata["name"], why)
        metadata["resourceVersion"] = before["metadata"]["resourceVersion"]
        if changed == before:
            return before
        if resource in SPECIFIED and changed.get("spec") != before.get("spec"):
            metadata["generation"] = before["metadata"].get("generation", 1) + 1
        self._put("MODIFIED", resource, changed, before)
        return changed

    def drop(self, resource: str, namespace: str, name: str) -> Object:
        """The object goes, whatever the rules are: they are in `deletion`."""
        before = self.read(resource, namespace, name)
        last = copy.deepcopy(before)
        self._put("DELETED", resource, last, before)
        return last

    def forget(self) -> None:
        """As a compaction does: who watches from an earlier version is told that it is gone."""
        self.history.clear()
        self.forgotten = self.version

    def since(self, version: int) -> Iterator[Change]:
        return (change for change in list(self.history) if change.version > version)

    def _put(self, verb: str, resource: str, now: Object, before: Object | None) -> None:
        self.version += 1
        now["metadata"]["resourceVersion"] = str(self.version)
        key = (now["metadata"].get("namespace", ""), now["metadata"]["name"])
        if verb == "DELETED":
            del self.objects[resource][key]
        else:
            self.objects.setdefault(resource, {})[key] = now
        change = Change(self.version, verb, resource, now, before)
        self.history.append(change)
        while len(self.history) > self.kept:
            self.forgotten = self.history.popleft().version
        for listener in list(self.listeners):
            listener(change)
