"""The emulated cluster does as the real one did: the same pods, run again, are compared with what was recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.process import Cluster
from tests.cluster.replay import recording
from tests.contract.following import eventually

kubernetes = pytest.importorskip("kubernetes")
NAMESPACE = "capture"
RUN_AGAIN = [
    "succeeded", "exit-42", "command-not-found", "not-executable", "deadline-exceeded", "oom-init", "oom-child",
    "deleted-while-running", "killed-after-grace", "unschedulable-cpu", "unschedulable-arch", "missing-secret",
    "image-never-pull", "image-pull-backoff", "invalid-image-name", "evicted-ephemeral-storage",
]  # fmt: skip
DELETED = {"deleted-while-running": 5, "killed-after-grace": 2}
CHANGING = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z|containerd://[0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
Step = tuple[Any, ...]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster"), "--namespace", NAMESPACE, "--room", '{"cpu": "8"}') as running:
        yield running


@pytest.fixture(scope="module")
def api(cluster: Cluster) -> Iterator[Any]:
    made = kubernetes.config.new_client_from_config(str(cluster.kubeconfig))
    yield kubernetes.client.CoreV1Api(made)
    made.close()


def steps(watched: list[dict[str, Any]]) -> list[Step]:
    """What matters of each event, without times and ids, and each but once."""
    told = [_step(event["type"], event["object"]) for event in watched]
    return [step for number, step in enumerate(told) if number == 0 or step != told[number - 1]]


def _step(kind: str, pod: dict[str, Any]) -> Step:
    status = pod["status"]
    states = [each["state"] for each in status.get("containerStatuses") or ()]
    conditions = {each["type"]: (each["status"], each.get("reason")) for each in status.get("conditions") or ()}
    grace = pod["metadata"].get("deletionGracePeriodSeconds")
    said = (status["phase"], status.get("reason"), status.get("message"), CHANGING.sub("", repr(states)))
    return (kind, *said, conditions, grace)


def recorded_steps(taped: dict[str, Any]) -> list[Step]:
    """Without the last, if that was who recorded it, cleaning up."""
    watched = taped["watch"]
    cleaned = watched[-1]["type"] != "DELETED" and "deletionTimestamp" in watched[-1]["object"]["metadata"]
    return steps(watched[:-1] if cleaned else watched)


def run_again(api: Any, taped: dict[str, Any], until: int) -> list[dict[str, Any]]:
    """The recorded pod, created once more and watched for so many steps."""
    name = taped["scenario"]
    before = api.list_namespaced_pod(NAMESPACE).metadata.resource_version
    api.create_namespaced_pod(NAMESPACE, taped["pod"])
    if name in DELETED:
        eventually(lambda: api.read_namespaced_pod(name, NAMESPACE).status.phase == "Running")
        api.delete_namespaced_pod(name, NAMESPACE, grace_period_seconds=DELETED[name])
    watched: list[dict[str, Any]] = []
    for event in kubernetes.watch.Watch().stream(
        api.list_namespaced_pod, NAMESPACE, field_selector=f"metadata.name={name}", resource_version=before,
        timeout_seconds=15, _request_timeout=30,
    ):  # fmt: skip
        watched.append({"type": event["type"], "object": event["raw_object"]})
        if len(steps(watched)) == until:
            break
    return watched


def happened(events: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """Of the recorded cluster it is left out that it had no DNS."""
    told = {(each["type"], each["reason"], CHANGING.sub("", each["message"])) for each in events}
    return {each for each in told if each[1] != "MissingClusterDNS"}


def events_of(api: Any, name: str) -> list[dict[str, Any]]:
    listed = api.list_namespaced_event(NAMESPACE, field_selector=f"involvedObject.name={name}")
    return [each.to_dict() for each in listed.items]


@pytest.mark.parametrize("scenario", RUN_AGAIN)
def test_a_pod_goes_the_way_it_went_on_a_real_cluster(api: Any, scenario: str) -> None:
    taped = recording(scenario)
    expected = recorded_steps(taped)
    assert steps(run_again(api, taped, len(expected))) == expected
    assert happened(events_of(api, scenario)) == happened(taped["events"])
    assert log_of(api, scenario) == taped_log(taped)


def log_of(api: Any, name: str) -> str:
    """Without stamps; an error as its sentence."""
    try:
        answer = api.read_namespaced_pod_log(name, NAMESPACE, _preload_content=False)
    except kubernetes.client.ApiException as error:
        return str(json.loads(error.body)["message"])
    return CHANGING.sub("", answer.data.decode())


def taped_log(taped: dict[str, Any]) -> str:
    log = taped["log"]
    if log.startswith("ERR "):
        return str(json.loads(log[4:])["message"])
    return re.sub(r"^ ", "", CHANGING.sub("", log), flags=re.MULTILINE)
