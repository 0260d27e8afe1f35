"""How things go: preconditions, grace, and what is owned by what is gone."""

from __future__ import annotations

import copy
import time
from typing import Any

from . import stamps
from .problems import conflict
from .quantities import over
from .store import Object, Store


def delete(store: Store, resource: str, obj: Object, options: dict[str, Any]) -> Object:
    """As it stands afterwards, or stood last."""
    _check(resource, obj, options.get("preconditions") or {})
    if resource == "pods":
        obj = _mark(store, obj, options.get("gracePeriodSeconds"))
        if obj["metadata"]["deletionGracePeriodSeconds"] > 0:
            return obj
    return finish(store, resource, obj)


def finish(store: Store, resource: str, obj: Object) -> Object:
    last = store.drop(resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
    if last["metadata"].get("uid"):
        _collect(store, last["metadata"]["uid"])
    return last


def _check(resource: str, obj: Object, asked: dict[str, Any]) -> None:
    for field, word in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        wanted, have = asked.get(field), obj["metadata"][field]
        if wanted and wanted != have:
            said = f"Precondition failed: {word} in precondition: {wanted}, {word} in object meta: {have}"
            raise conflict(resource, obj["metadata"]["name"], said)


def _mark(store: Store, pod: Object, asked: int | None) -> Object:
    """A pod is first marked, with how long it still has; none when nothing of it runs anywhere."""
    grace = pod["spec"].get("terminationGracePeriodSeconds", 30) if asked is None else asked
    if not pod["spec"].get("nodeName") or over(pod):
        grace = 0
    metadata = pod["metadata"]
    if "deletionTimestamp" in metadata and grace >= metadata["deletionGracePeriodSeconds"]:
        return pod
    marked = copy.deepcopy(pod)
    marked["metadata"]["deletionTimestamp"] = stamps.second(time.time() + grace)
    marked["metadata"]["deletionGracePeriodSeconds"] = grace
    marked["metadata"]["generation"] = metadata.get("generation", 1) + 1
    return store.update("pods", marked)


def _collect(store: Store, uid: str) -> None:
    """What had this owner and has no other goes as well."""
    living = {each["metadata"]["uid"] for resource in list(store.objects) for each in store.list(resource)}
    for resource in list(store.objects):
        for each in store.list(resource):
            owners = {owner["uid"] for owner in each["metadata"].get("ownerReferences") or ()}
            if uid in owners and not owners & living:
                delete(store, resource, each, {})
