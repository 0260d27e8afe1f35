"""The three kinds of patch: merge, strategic merge, JSON. Pure: each gives a new object."""

from __future__ import annotations

import copy
from typing import Any

from .problems import Problem

# By what the items of a list are told apart, where a strategic patch merges them; other lists are replaced.
MERGE_KEYS = {
    "conditions": "type", "containers": "name", "initContainers": "name", "volumes": "name", "env": "name",
    "volumeMounts": "mountPath", "schedulingGates": "name", "imagePullSecrets": "name", "ownerReferences": "uid",
    "taints": "key",
}  # fmt: skip


def patched(before: dict[str, Any], kind: str, patch: Any) -> dict[str, Any]:
    """`kind` is the media type of the request."""
    if kind == "application/json-patch+json":
        return _json_patch(copy.deepcopy(before), patch)
    if kind == "application/merge-patch+json":
        merged: dict[str, Any] = _merge(before, patch)
        return merged
    if kind == "application/strategic-merge-patch+json":
        return _strategic(before, patch)
    raise Problem(415, f"the body of the request was in an unknown format - {kind}", "UnsupportedMediaType")


def _merge(before: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    made = dict(before) if isinstance(before, dict) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = _merge(made.get(key), value)
    return made


def _strategic(before: Any, patch: dict[str, Any]) -> dict[str, Any]:
    made = dict(before) if isinstance(before, dict) else {}
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        if value is None:
            made.pop(key, None)
        elif isinstance(value, dict):
            made[key] = _strategic(made.get(key), value)
        elif isinstance(value, list) and key in MERGE_KEYS:
            made[key] = _merge_list(made.get(key) or [], value, MERGE_KEYS[key])
        else:
            made[key] = copy.deepcopy(value)
    return made


def _merge_list(before: list[Any], patch: list[Any], key: str) -> list[Any]:
    if any(item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if "$patch" not in item]
    made = {item.get(key): item for item in before}
    for item in patch:
        if item.get("$patch") == "delete":
            made.pop(item.get(key), None)
        else:
            made[item.get(key)] = _strategic(made.get(item.get(key)), item)
    return list(made.values())


def _json_patch(made: dict[str, Any], steps: Any) -> dict[str, Any]:
    if not isinstance(steps, list):
        raise Problem(400, "a JSON patch is a list of operations")
    for step in steps:
        try:
            _apply(made, step)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            message = f"the server rejected our request due to an error in our request: {step}: {error!r}"
            raise Problem(422, message, "Invalid") from error
    return made


def _apply(made: Any, step: dict[str, Any]) -> None:
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]]
    for part in way:
        made = made[int(part)] if isinstance(made, list) else made[part]
    key: Any = last if isinstance(made, dict) else len(made) if last == "-" else int(last)
    if step["op"] == "test":
        if made[key] != step["value"]:
            raise ValueError("testing value failed")
    elif step["op"] == "remove":
        del made[key]
    elif step["op"] in ("add", "replace"):
        if step["op"] == "replace":
            _ = made[key]
        if step["op"] == "add" and isinstance(made, list):
            made.insert(key, step["value"])
        else:
            made[key] = step["value"]
    else:
        raise ValueError(f"unknown operation {step['op']!r}")
