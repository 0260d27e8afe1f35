"""Ended without losing the log, withdrawn before it began, removed only when nothing of it can still run."""

from __future__ import annotations

import pytest

from tests.unit.drivers.kubernetes.api import Answer, Api, Asked
from tests.unit.drivers.kubernetes.namespace import Namespace
from tests.unit.drivers.kubernetes.pods import spec
from tests.unit.drivers.kubernetes.test_watch import eventually
from workers.drivers.kubernetes import ending
from workers.drivers.kubernetes.driver import KubernetesDriver
from workers.drivers.kubernetes.options import Options
from workers.drivers.protocol import Handle, Phase, Unavailable

NAME = "here-j1-a1"
RUNNING = {
    "phase": "Running",
    "containerStatuses": [{"name": "job", "state": {"running": {"startedAt": "2026-11-21T21:46:11Z"}}}],
}
ENDED = {"phase": "Failed", "containerStatuses": [{"name": "job", "state": {"terminated": {"exitCode": 3}}}]}


@pytest.fixture
def driver(api: Api) -> KubernetesDriver:
    return KubernetesDriver(options=Options(namespace="jobs"), gone_seconds=0.3)


@pytest.fixture
def handle(driver: KubernetesDriver, namespace: Namespace) -> Handle:
    made = driver.start(spec())
    namespace.ungated(NAME, node="")
    return made


def deletes(api: Api) -> list[Asked]:
    return [asked for asked in api.asked if asked.method == "DELETE"]


def test_what_runs_is_asked_by_a_deadline_and_stays(
    api: Api, namespace: Namespace, driver: KubernetesDriver, handle: Handle
) -> None:
    namespace.ungated(NAME, RUNNING)
    for grace in (10, 0):
        driver.stop(handle, grace)
    assert namespace.pods[NAME]["spec"]["activeDeadlineSeconds"] == 1
    assert deletes(api) == []


def test_what_has_no_node_yet_is_withdrawn_on_condition(
    api: Api, namespace: Namespace, driver: KubernetesDriver, handle: Handle
) -> None:
    version = namespace.pods[NAME]["metadata"]["resourceVersion"]
    assert driver.withdraw(handle)
    [asked] = deletes(api)
    assert asked.body["preconditions"] == {"uid": handle.uid, "resourceVersion": version}
    assert driver.inspect(handle).phase is Phase.GONE
    assert not driver.withdraw(handle)


def test_one_that_gets_a_node_meanwhile_is_not_deleted(
    api: Api, namespace: Namespace, driver: KubernetesDriver, handle: Handle
) -> None:
    def schedule(asked: Asked) -> Answer | None:
        if asked.method == "DELETE" and "nodeName" not in namespace.pods[NAME]["spec"]:
            namespace.ungated(NAME)
        return None

    namespace.before = schedule
    assert not driver.withdraw(handle)
    assert namespace.pods[NAME]["spec"]["activeDeadlineSeconds"] == 1
    assert len(deletes(api)) == 1


def test_stopping_leaves_what_was_never_started_and_what_is_over(
    api: Api, namespace: Namespace, driver: KubernetesDriver
) -> None:
    answers = iter([None])
    with pytest.raises(StopIteration):
        driver.start(spec(), lambda _: next(answers))
    found = driver.find(NAME)
    assert found
    driver.stop(found.handle, 0)
    assert driver.inspect(found.handle).phase is Phase.CREATED
    namespace.ungated(NAME, ENDED)
    driver.stop(found.handle, 0)
    assert deletes(api) == []
    assert "activeDeadlineSeconds" not in namespace.pods[NAME]["spec"]


def test_withdrawing_takes_what_was_never_started(namespace: Namespace, driver: KubernetesDriver) -> None:
    answers = iter([None])
    with pytest.raises(StopIteration):
        driver.start(spec(), lambda _: next(answers))
    found = driver.find(NAME)
    assert found
    assert driver.withdraw(found.handle)
    assert namespace.pods == {}


def test_what_is_over_vanishes_at_once(
    api: Api, namespace: Namespace, driver: KubernetesDriver, handle: Handle
) -> None:
    namespace.ungated(NAME, ENDED)
    driver.remove(handle)
    driver.remove(handle)
    [asked] = deletes(api)
    assert "gracePeriodSeconds" not in asked.body
    assert asked.body["preconditions"] == {"uid": handle.uid}
    assert driver.inspect(handle).phase is Phase.GONE


def test_a_namesake_is_not_removed(api: Api, namespace: Namespace, driver: KubernetesDriver, handle: Handle) -> None:
    namespace.pods[NAME]["metadata"]["uid"] = "another"
    for end in (driver.remove, driver.withdraw, lambda of: driver.stop(of, 0)):
        end(handle)
    assert deletes(api) == []
    assert NAME in namespace.pods


@pytest.mark.parametrize("node", [{"spec": {}}, None, {"spec": {"taints": [{"key": ending.OUT_OF_SERVICE}]}}])
def test_only_a_machine_that_is_certainly_dead_is_not_waited_for(
    api: Api,
    namespace: Namespace,
    driver: KubernetesDriver,
    handle: Handle,
    node: dict[str, object] | None,
) -> None:
    namespace.ungated(NAME, RUNNING)
    namespace.lingering, namespace.node = True, node
    if node == {"spec": {}}:
        with pytest.raises(Unavailable, match="is still there"):
            driver.remove(handle)
        assert NAME in namespace.pods
        assert [asked.body["gracePeriodSeconds"] for asked in deletes(api)] == [1]
    else:
        driver.remove(handle)
        assert namespace.pods == {}
        assert [asked.body["gracePeriodSeconds"] for asked in deletes(api)] == [1, 0]


def test_a_handle_of_another_cluster_is_never_gone(driver: KubernetesDriver) -> None:
    other = Handle("kubernetes", NAME, "u1", "kubernetes-other/jobs")
    for ask in (driver.inspect, driver.remove, driver.withdraw, lambda of: list(driver.logs(of, None))):
        with pytest.raises(Unavailable, match="kubernetes-other"):
            ask(other)


def test_a_failed_end_comes_with_its_evidence_asked_once(
    api: Api, namespace: Namespace, driver: KubernetesDriver, handle: Handle
) -> None:
    namespace.ungated(NAME, ENDED)
    seen = [driver.inspect(handle) for _ in range(3)][-1]
    assert seen.exit_code == 3
    assert seen.raw["events"] == [{"reason": "Scheduled"}]
    assert seen.raw["node"]["metadata"]["name"] == "node1"
    assert len([asked for asked in api.asked if asked.path.endswith("/events")]) == 1


def test_one_that_we_asked_to_end_did_not_run_too_long(
    driver: KubernetesDriver, namespace: Namespace, handle: Handle
) -> None:
    namespace.ungated(NAME, RUNNING)
    driver.stop(handle, 10)
    ended = {
        "exitCode": 143,
        "reason": "Error",
        "startedAt": "2026-11-21T21:46:11Z",
        "finishedAt": "2026-11-21T21:46:12Z",
    }
    status = {
        "phase": "Failed",
        "reason": "DeadlineExceeded",
        "message": "Pod was active on the node longer than its deadline",
    }
    namespace.ungated(NAME, {**status, "containerStatuses": [{"name": "job", "state": {"terminated": ended}}]})
    verdict = driver.judge(driver.inspect(handle))
    assert verdict
    assert (verdict.code, "SIGTERM" in verdict.summary) == ("killed_by_signal", True)


def test_one_that_lost_its_labels_is_not_gone(
    api: Api, driver: KubernetesDriver, namespace: Namespace, handle: Handle
) -> None:
    """The watch sees it no more, and says that it was deleted."""
    namespace.ungated(NAME, RUNNING)

    def asked_by_a_look() -> int:
        before = len(api.asked)
        assert driver.inspect(handle).phase in (Phase.PENDING, Phase.RUNNING)
        return sum(asked.path.endswith(NAME) for asked in api.asked[before:])

    eventually(lambda: asked_by_a_look() == 0)  # the watch knows it
    namespace.hidden = True
    eventually(lambda: asked_by_a_look() > 0)
    assert driver.inspect(handle).phase is Phase.RUNNING


def test_one_that_is_gone_is_judged_by_what_became_of_its_node(
    driver: KubernetesDriver, namespace: Namespace, handle: Handle
) -> None:
    """Whoever removes it by force from a dead machine leaves nothing else behind."""
    namespace.ungated(NAME, RUNNING)
    eventually(lambda: driver.inspect(handle).phase is Phase.RUNNING)
    del namespace.pods[NAME]
    away = {"type": "Ready", "status": "Unknown"}
    namespace.node = {"metadata": {"name": "node1"}, "spec": {}, "status": {"conditions": [away]}}
    eventually(lambda: driver.inspect(handle).phase is Phase.GONE)
    verdict = driver.judge(driver.inspect(handle))
    assert verdict
    assert (verdict.code, "node1" in verdict.evidence[0]) == ("node_lost", True)
