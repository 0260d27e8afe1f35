"""The emulated cluster does as the real one did: the same pods, run again, are compared with what was recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.process import Cluster
from tests.cluster.replay import recording
from tests.contract.following import eventually
from workers.drivers.kubernetes.manifest import pod_manifest
from workers.drivers.kubernetes.options import Options
from workers.drivers.protocol import ContainerSpec

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


def pod(name: str, script: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "job", "image": "towline/demo:1", "command": ["sh", "-c", script], **spec.pop("container", {})}
    whole = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 2, "shareProcessNamespace": True, **spec}
    return {"metadata": {"name": name}, "spec": {**whole, "containers": [container]}}


def phase_of(api: Any, name: str) -> str:
    return str(api.read_namespaced_pod(name, NAMESPACE).status.phase)


def text_of(api: Any, name: str, **query: Any) -> str:
    return str(api.read_namespaced_pod_log(name, NAMESPACE, _preload_content=False, **query).data.decode())


def test_nothing_is_started_before_the_last_gate_is_gone(api: Any) -> None:
    before = api.list_namespaced_pod(NAMESPACE).metadata.resource_version
    made = api.create_namespaced_pod(NAMESPACE, pod("gated", "echo on", schedulingGates=[{"name": "a"}, {"name": "b"}]))
    assert made.status.conditions[0].reason == "SchedulingGated"
    with pytest.raises(kubernetes.client.ApiException, match="only deletion is allowed"):
        api.patch_namespaced_pod("gated", NAMESPACE, {"spec": {"schedulingGates": [{"name": "c"}]}})
    for gate in ("a", "b"):
        ungated = {"spec": {"schedulingGates": [{"name": gate, "$patch": "delete"}]}}
        api.patch_namespaced_pod("gated", NAMESPACE, ungated)
        assert phase_of(api, "gated") == "Pending"
    eventually(lambda: phase_of(api, "gated") == "Succeeded")
    seen = [each["object"]["spec"] for each in watch_since(api, before, "gated")]
    assert not any(each.get("schedulingGates") for each in seen if each.get("nodeName"))


def watch_since(api: Any, version: str, name: str) -> list[dict[str, Any]]:
    """What happened to it until now."""
    watch = kubernetes.watch.Watch().stream(
        api.list_namespaced_pod, NAMESPACE, field_selector=f"metadata.name={name}", resource_version=version,
        timeout_seconds=1, _request_timeout=10,
    )  # fmt: skip
    return [{"type": event["type"], "object": event["raw_object"]} for event in watch]


def test_another_uid_or_version_is_left_alone(api: Any) -> None:
    api.create_namespaced_pod(NAMESPACE, pod("kept", "sleep 60"))
    wrong = {"preconditions": {"uid": "another"}}
    with pytest.raises(kubernetes.client.ApiException, match="UID in precondition: another") as refused:
        api.delete_namespaced_pod("kept", NAMESPACE, body=wrong)
    assert refused.value.status == 409
    with pytest.raises(kubernetes.client.ApiException, match="field is immutable"):
        api.patch_namespaced_pod("kept", NAMESPACE, {"metadata": {"uid": "another"}})
    with pytest.raises(kubernetes.client.ApiException, match="may not change fields other than"):
        api.patch_namespaced_pod("kept", NAMESPACE, {"spec": {"hostname": "other"}})


def test_a_deadline_set_later_ends_it_and_keeps_its_log(api: Any) -> None:
    api.create_namespaced_pod(NAMESPACE, pod("asked", "echo ready; exec sleep 60"))
    eventually(lambda: phase_of(api, "asked") == "Running")
    api.patch_namespaced_pod("asked", NAMESPACE, {"spec": {"activeDeadlineSeconds": 1}})
    eventually(lambda: phase_of(api, "asked") == "Failed")
    status = api.read_namespaced_pod("asked", NAMESPACE).status
    assert (status.reason, status.container_statuses[0].state.terminated.exit_code) == ("DeadlineExceeded", 143)
    assert text_of(api, "asked") == "ready\n"


def test_a_secret_that_comes_late_is_waited_for_and_goes_with_its_owner(api: Any) -> None:
    volume = {"name": "given", "secret": {"secretName": "late", "defaultMode": 0o400}}
    mount = {"name": "given", "mountPath": "/given"}
    secret_env = [{"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "late", "key": "word"}}}]
    container = {
        "volumeMounts": [mount],
        "env": secret_env,
        "securityContext": {"runAsUser": 65532, "runAsGroup": 65532},
    }
    spec = {"volumes": [volume], "securityContext": {"fsGroup": 65532}, "container": container}
    made = api.create_namespaced_pod(NAMESPACE, pod("waits", 'cat /given/word; echo " $WORD $(id -u)"', **spec))
    eventually(lambda: any(each["reason"] == "FailedMount" for each in events_of(api, "waits")))
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "waits", "uid": made.metadata.uid}
    secret = {"metadata": {"name": "late", "ownerReferences": [owner]}, "stringData": {"word": "psst"}}
    api.create_namespaced_secret(NAMESPACE, secret)
    eventually(lambda: phase_of(api, "waits") == "Succeeded")
    assert text_of(api, "waits") == "psst psst 65532\n"
    api.delete_namespaced_pod("waits", NAMESPACE)
    with pytest.raises(kubernetes.client.ApiException, match="Not Found"):
        api.read_namespaced_secret("late", NAMESPACE)


def test_a_long_line_is_parts_of_one_with_one_stamp(api: Any) -> None:
    taped = recording("long-line")
    api.create_namespaced_pod(NAMESPACE, taped["pod"])
    eventually(lambda: phase_of(api, "long-line") == "Succeeded")
    assert CHANGING.sub("", text_of(api, "long-line", timestamps=True)) == CHANGING.sub("", taped["log"])
    assert text_of(api, "long-line", tail_lines=3) == "x" * (40_000 - 16_384) + "\nend\n"


def test_streams_are_told_apart_only_where_that_is_offered(cluster: Cluster, api: Any) -> None:
    api.create_namespaced_pod(NAMESPACE, pod("both", "echo out; echo err >&2"))
    eventually(lambda: phase_of(api, "both") == "Succeeded")
    with pytest.raises(kubernetes.client.ApiException) as refused:
        text_of(api, "both", stream="Stdout")
    assert refused.value.status == 422
    cluster.set(streams_offered=True)
    assert text_of(api, "both", stream="Stderr") == "err\n"
    cluster.calm()


def test_the_api_server_comes_back_with_the_same_state(cluster: Cluster, api: Any) -> None:
    made = api.create_namespaced_pod(NAMESPACE, pod("outlives", "echo one; sleep 5; echo two"))
    eventually(lambda: phase_of(api, "outlives") == "Running")
    cluster.do("stop_api")
    with pytest.raises(Exception, match=r"refused|Max retries|Connection"):
        api.list_namespaced_pod(NAMESPACE, _request_timeout=2)
    cluster.do("start_api")
    assert api.read_namespaced_pod("outlives", NAMESPACE).metadata.uid == made.metadata.uid
    eventually(lambda: phase_of(api, "outlives") == "Succeeded")
    assert text_of(api, "outlives") == "one\ntwo\n"


def test_containers_outlive_the_kubelet(cluster: Cluster, api: Any) -> None:
    api.create_namespaced_pod(NAMESPACE, pod("left", "echo one; sleep 5; echo two; exit 3"))
    eventually(lambda: phase_of(api, "left") == "Running")
    cluster.do("stop_kubelet")
    with pytest.raises(kubernetes.client.ApiException, match="connection refused"):
        text_of(api, "left")
    cluster.do("start_kubelet")
    eventually(lambda: phase_of(api, "left") == "Failed")
    terminated = api.read_namespaced_pod("left", NAMESPACE).status.container_statuses[0].state.terminated
    assert (terminated.exit_code, text_of(api, "left")) == (3, "one\ntwo\n")


def test_a_watch_from_too_far_back_is_told_so(cluster: Cluster, api: Any) -> None:
    before = api.list_namespaced_pod(NAMESPACE).metadata.resource_version
    api.create_namespaced_pod(NAMESPACE, pod("later", "true"))
    cluster.do("forget_history")
    watch = kubernetes.watch.Watch().stream(
        api.list_namespaced_pod, NAMESPACE, resource_version=before, timeout_seconds=5, _request_timeout=10
    )
    with pytest.raises(kubernetes.client.ApiException) as told:
        next(iter(watch))
    assert told.value.status == 410


def test_a_rule_that_is_missing_is_named(cluster: Cluster, api: Any) -> None:
    cluster.set(denied=[{"verb": "list", "resource": "pods"}])
    with pytest.raises(kubernetes.client.ApiException, match='cannot list resource \\\\"pods\\\\"') as refused:
        api.list_namespaced_pod(NAMESPACE)
    asked = {"spec": {"resourceAttributes": {"verb": "list", "resource": "pods", "namespace": NAMESPACE}}}
    review = kubernetes.client.AuthorizationV1Api(api.api_client).create_self_subject_access_review(asked)
    cluster.calm()
    assert (refused.value.status, review.status.allowed) == (403, False)


def test_a_quota_is_counted_and_said_in_its_words(api: Any) -> None:
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"requests.cpu": "2"}}}
    api.create_namespaced_resource_quota("default", quota)
    container = {"resources": {"limits": {"cpu": "1500m"}}}
    api.create_namespaced_pod("default", pod("first", "sleep 60", container=container))
    said = "exceeded quota: few, requested: requests.cpu=1500m, used: requests.cpu=1500m, limited: requests.cpu=2"
    with pytest.raises(kubernetes.client.ApiException, match=said):
        api.create_namespaced_pod("default", pod("second", "sleep 60", container=container))


def test_a_restricted_namespace_takes_the_pods_of_the_driver_and_no_others(api: Any) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.create_namespace({"metadata": {"name": "strict", "labels": labels}})
    with pytest.raises(kubernetes.client.ApiException, match="violates PodSecurity"):
        api.create_namespaced_pod("strict", pod("loose", "true"))
    spec = ContainerSpec("tidy", {}, "towline/demo:1", ("true",))
    made = api.create_namespaced_pod("strict", pod_manifest(spec, Options(namespace="strict")))
    assert made.spec.scheduling_gates


@pytest.mark.parametrize("scenario", ["preempted", "init-container-fails"])
def test_what_is_not_run_can_be_played_back(api: Any, scenario: str) -> None:
    taped = recording(scenario)
    before = api.list_namespaced_pod(NAMESPACE).metadata.resource_version
    api.create_namespaced_pod(NAMESPACE, pod(scenario, "", container={"image": f"recording/{scenario}"}))
    seen: list[Any] = []
    for event in kubernetes.watch.Watch().stream(
        api.list_namespaced_pod, NAMESPACE, field_selector=f"metadata.name={scenario}", resource_version=before,
        timeout_seconds=10, _request_timeout=20,
    ):  # fmt: skip
        seen.append(event["raw_object"]["status"].get("containerStatuses"))
        if event["type"] == "DELETED" or event["raw_object"]["status"]["phase"] == "Failed":
            break
    assert CHANGING.sub("", repr(seen[-1])) == CHANGING.sub("", repr(recorded_last(taped)))


def recorded_last(taped: dict[str, Any]) -> Any:
    return next(e["object"] for e in taped["watch"] if e["object"]["status"]["phase"] == "Failed")["status"][
        "containerStatuses"
    ]


@pytest.fixture
def fragile(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster whose node is given up soon, and its pods with it."""
    options = ("--namespace", NAMESPACE, "--lost-seconds", "0.3", "--evict-seconds", "0.5")
    with Cluster(tmp_path, *options) as running:
        yield running


def test_a_node_that_is_lost_is_told_as_it_was_recorded(fragile: Cluster) -> None:
    client = kubernetes.config.new_client_from_config(str(fragile.kubeconfig))
    api = kubernetes.client.CoreV1Api(client)
    before = api.list_namespaced_pod(NAMESPACE).metadata.resource_version
    api.create_namespaced_pod(NAMESPACE, pod("stays", "trap '' TERM; echo on; sleep 60; sleep 60"))
    eventually(lambda: phase_of(api, "stays") == "Running")
    fragile.do("stop_kubelet")
    eventually(lambda: api.read_namespaced_pod("stays", NAMESPACE).metadata.deletion_timestamp is not None)
    assert api.read_node("node1").status.conditions[0].status == "Unknown"
    told = watch_since(api, before, "stays")
    assert steps(told)[:6] == recorded_steps(recording("node-lost"))
    last = api.read_namespaced_pod("stays", NAMESPACE).status
    assert [each.reason for each in last.conditions if each.type == "DisruptionTarget"] == ["DeletionByTaintManager"]
    assert last.container_statuses[0].state.running
    assert {("Warning", "NodeNotReady", "Node is not ready")} <= happened(events_of(api, "stays"))
    fragile.do("start_kubelet")
    eventually(lambda: not api.list_namespaced_pod(NAMESPACE).items)
    client.close()
