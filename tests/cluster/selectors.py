"""Which objects a request means: label and field selectors."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .problems import Problem

Test = Callable[[dict[str, Any]], bool]
SET = re.compile(r"(\S+)\s+(in|notin)\s+\(([^)]*)\)")
SELECTABLE = {
    "metadata.name", "metadata.namespace", "spec.nodeName", "status.phase", "spec.restartPolicy", "spec.schedulerName",
    "reason", "type", "reportingComponent", "source", "spec.serviceAccountName", "spec.unschedulable", "status.nominatedNodeName",
}  # fmt: skip


def selector(labels: str, fields: str) -> Test:
    tests = [_of_label(term) for term in _terms(labels)] + [_of_field(term) for term in _terms(fields)]
    return lambda obj: all(test(obj) for test in tests)


def _terms(text: str) -> list[str]:
    return [term.strip() for term in re.split(r",(?![^(]*\))", text) if term.strip()]


def _of_label(term: str) -> Test:
    if match := SET.fullmatch(term):
        key, among, wanted = match[1], match[2] == "in", {each.strip() for each in match[3].split(",")}
        return lambda obj: (_labels(obj).get(key) in wanted) is among
    if "!=" in term:
        key, value = (part.strip() for part in term.split("!=", 1))
        return lambda obj: _labels(obj).get(key) != value
    if "=" in term:
        key, value = (part.strip() for part in re.split("==?", term, maxsplit=1))
        return lambda obj: _labels(obj).get(key) == value
    return lambda obj: (term.lstrip("!") in _labels(obj)) is not term.startswith("!")


def _labels(obj: dict[str, Any]) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def _of_field(term: str) -> Test:
    key, value = (part.strip() for part in re.split("!=|==?", term, maxsplit=1))
    if key not in SELECTABLE and not key.startswith("involvedObject."):
        raise Problem(400, f"field label not supported: {key}")
    wanted = "!=" not in term
    return lambda obj: (_at(obj, key) == value) is wanted


def _at(obj: Any, path: str) -> str:
    for part in path.split("."):
        obj = obj.get(part) if isinstance(obj, dict) else None
    return "" if obj is None else str(obj)
