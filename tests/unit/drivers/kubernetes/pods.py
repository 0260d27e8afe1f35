"""The cast of the Kubernetes driver's tests: one spec, and the pods of the recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workers.drivers.protocol import LABEL_ATTEMPT, LABEL_INSTALLATION, LABEL_JOB, ContainerSpec

RECORDINGS = Path(__file__).parents[3] / "cluster" / "recordings"
LABELS = {LABEL_INSTALLATION: "here", LABEL_JOB: "j1", LABEL_ATTEMPT: "1"}


def spec(**asked: Any) -> ContainerSpec:
    return ContainerSpec(**{"name": "here-j1-a1", "labels": LABELS, "image": "demo:1", **asked})


def recorded(scenario: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((RECORDINGS / f"{scenario}.json").read_text())
    return answer


def states(scenario: str) -> list[dict[str, Any]]:
    """The pod as the watch told of it, in order."""
    return [event["object"] for event in recorded(scenario)["watch"]]


def final(scenario: str) -> dict[str, Any]:
    return states(scenario)[-1]


def pod(status: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    """A pod as the API server tells of it, with this status."""
    told = {"name": "here-j1-a1", "namespace": "jobs", "uid": "u1", "labels": LABELS, "resourceVersion": "1"}
    return {
        "metadata": {**told, "creationTimestamp": "2026-11-21T21:46:10Z", **metadata},
        "spec": {"containers": [{"name": "job", "image": "demo:1"}], "nodeName": "node1"},
        "status": status or {"phase": "Pending"},
    }
