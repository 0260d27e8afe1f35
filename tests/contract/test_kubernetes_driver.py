"""What only a cluster does to pods and to whoever asks about them, on the emulated one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.process import Cluster
from tests.contract.conftest import SpecMaker
from tests.contract.following import eventually, follow, judged, text, until_over
from tests.contract.kubernetes_harness import KubernetesHarness
from tests.contract.test_driver_lifecycle import HELD_UP, ROOT, handle_from
from workers.drivers.kubernetes.connection import MERGE_PATCH
from workers.drivers.kubernetes.driver import KubernetesDriver
from workers.drivers.protocol import ContainerSpec, Handle, HeldUp, Observation, Phase, Unavailable

pytestmark = pytest.mark.parametrize("harness", ["emulated"], indirect=True)


@pytest.fixture
def driver(harness: KubernetesHarness, emulated_cluster: Cluster, installation: str) -> Iterator[KubernetesDriver]:
    assert isinstance(harness.driver, KubernetesDriver)
    yield harness.driver
    emulated_cluster.calm()
    for seen in list(harness.driver.survey(installation)):
        harness.driver.remove(seen.handle)


def until(driver: KubernetesDriver, handle: Handle, holds: Callable[[Observation], Any]) -> Observation:
    """The first look of which this holds; looks that were not possible count for nothing."""
    found: list[Observation] = []

    def look() -> bool:
        with suppress(Unavailable):
            seen = driver.inspect(handle)
            if holds(seen):
                found.append(seen)
        return bool(found)

    eventually(look)
    return found[0]


def is_over(seen: Observation) -> bool:
    assert seen.phase is not Phase.GONE
    return seen.phase is Phase.EXITED


def is_running(seen: Observation) -> bool:
    return seen.phase is Phase.RUNNING


def test_who_was_frozen_right_before_the_start_starts_no_namesake_made_later(
    harness: KubernetesHarness, driver: KubernetesDriver, spec: SpecMaker
) -> None:
    """Meanwhile another starts it, follows it to its end, and removes it."""
    wanted = spec("echo start")
    argv = [sys.executable, "-c", HELD_UP.format(source=harness.source), json.dumps(asdict(wanted), default=list)]
    first = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    eventually(lambda: ") T " in Path(f"/proc/{first.pid}/stat").read_text())
    second = harness.another().start(wanted)
    assert text(follow(driver, second), "stdout") == b"start\n"
    driver.remove(second)
    harness.create_only(wanted)
    first.send_signal(signal.SIGCONT)
    assert handle_from(first) == second
    found = driver.find(wanted.name)
    assert found
    assert (found.phase, driver.inspect(second).phase) == (Phase.CREATED, Phase.GONE)


def test_while_the_api_server_is_away_pods_run_on_and_none_is_lost(
    emulated_cluster: Cluster, driver: KubernetesDriver, spec: SpecMaker
) -> None:
    handles = [driver.start(spec(f"sleep 3; exit {code}")) for code in (4, 5)]
    for handle in handles:
        until(driver, handle, is_running)
    emulated_cluster.do("stop_api")
    away_until = time.monotonic() + 4
    try:
        while time.monotonic() < away_until:
            with suppress(Unavailable):
                assert driver.inspect(handles[0]).phase is Phase.RUNNING
            with pytest.raises(Unavailable):
                driver.find(handles[0].name)
    finally:
        emulated_cluster.do("start_api")
    assert [until(driver, handle, is_over).exit_code for handle in handles] == [4, 5]


@pytest.mark.parametrize(
    "fault",
    [
        {"gone_watches": 3},
        {"twice": True, "reorder": True},
        {"error_every": 4},
        {"too_many": 6, "retry_after": 0},
        {"slow_seconds": 0.3},
        {"skew_seconds": 3600.0},
    ],
    ids=lambda fault: next(iter(fault)),
)
def test_whatever_the_api_server_does_each_pod_ends_once_as_it_did(
    harness: KubernetesHarness,
    emulated_cluster: Cluster,
    spec: SpecMaker,
    driver: KubernetesDriver,
    fault: dict[str, Any],
) -> None:
    fresh = harness.another()
    assert isinstance(fresh, KubernetesDriver)

    def run(code: int) -> int | None:
        wanted, handles = spec(f"sleep 0.5; exit {code}"), []

        def start() -> bool:
            with suppress(Unavailable):
                handles.append(fresh.start(wanted))
            return bool(handles)

        eventually(start)
        return until(fresh, handles[0], is_over).exit_code

    emulated_cluster.set(**fault)
    with ThreadPoolExecutor(5) as pool:
        codes = pool.submit(lambda: list(pool.map(run, range(4))))
        emulated_cluster.do("drop_streams")
        assert codes.result() == [0, 1, 2, 3]


def test_one_that_fits_nowhere_says_so_and_can_be_withdrawn(driver: KubernetesDriver, spec: SpecMaker) -> None:
    handle = driver.start(spec("true", cpus=1000))
    seen = until(driver, handle, lambda seen: seen.holdup)
    assert seen.holdup
    assert (seen.phase, seen.holdup.reason, "cpu" in seen.holdup.detail) == (Phase.PENDING, "unschedulable", True)
    assert driver.withdraw(handle)
    assert driver.inspect(handle).phase is Phase.GONE
    assert not driver.withdraw(handle)


def test_one_whose_image_does_not_come_is_seen_to_end_without_having_begun(
    driver: KubernetesDriver, spec: SpecMaker
) -> None:
    wanted = spec("true")
    missing = ContainerSpec(**{**vars(wanted), "image": "missing.example/none:1"})
    handle = driver.start(missing)
    seen = until(driver, handle, lambda seen: seen.holdup)
    assert seen.holdup
    assert seen.holdup.reason == "image"
    assert not driver.withdraw(handle)
    ended = until(driver, handle, is_over)
    assert ended.started_at is None


def test_without_quota_nothing_is_kept_and_it_is_asked_for_later(
    harness: KubernetesHarness, driver: KubernetesDriver, spec: SpecMaker
) -> None:
    quotas = f"/api/v1/namespaces/{harness.namespace}/resourcequotas"
    harness.cluster.request("POST", quotas, body={"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}})
    wanted = spec("exit 3")
    try:
        with pytest.raises(HeldUp) as held:
            driver.start(wanted)
        assert held.value.holdup.reason == "quota"
        assert driver.find(wanted.name) is None
    finally:
        harness.cluster.request("DELETE", f"{quotas}/none")
    assert until(driver, driver.start(wanted), is_over).exit_code == 3


def test_a_right_that_is_taken_away_ends_nothing(
    emulated_cluster: Cluster, driver: KubernetesDriver, spec: SpecMaker
) -> None:
    wanted = spec("sleep 4; exit 3")
    emulated_cluster.set(denied=[{"verb": "patch", "resource": "pods"}])
    with pytest.raises(Unavailable, match="may not PATCH"):
        driver.start(wanted)
    found = driver.find(wanted.name)
    assert found
    assert found.phase is Phase.CREATED
    emulated_cluster.calm()
    handle = driver.start(wanted)
    assert handle == found.handle
    emulated_cluster.set(denied=[{"verb": verb, "resource": "pods"} for verb in ("get", "list", "watch")])
    with suppress(Unavailable):  # it is the watch of before that still knows
        assert driver.inspect(handle).phase in (Phase.PENDING, Phase.RUNNING)
    emulated_cluster.calm()
    assert until(driver, handle, is_over).exit_code == 3


def test_one_that_somebody_deletes_is_gone_with_what_was_seen_last(
    harness: KubernetesHarness, emulated_cluster: Cluster, driver: KubernetesDriver, spec: SpecMaker
) -> None:
    handle = driver.start(spec("sleep 60"))
    until(driver, handle, is_running)
    emulated_cluster.do("delete", namespace=harness.namespace, name=handle.name)
    gone = until(driver, handle, lambda seen: seen.phase is Phase.GONE)
    assert gone.raw["pod"]["metadata"]["uid"] == handle.uid
    assert gone.raw["events"]
    assert judged(driver, gone).code == "container_vanished"


@pytest.fixture
def frail(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of its own that soon misses a node."""
    with Cluster(tmp_path, "--lost-seconds", "1", "--evict-seconds", "600") as running:
        yield running


def test_a_pod_on_a_lost_node_is_out_of_sight_and_keeps_its_name(
    frail: Cluster, spec: SpecMaker, harness: object
) -> None:
    """Its program may still run, so nobody may start another under that name."""
    there = KubernetesHarness(frail.kubeconfig)
    driver = KubernetesDriver(options=there.options, gone_seconds=1)
    handle = driver.start(spec("sleep 5; exit 3"))
    until(driver, handle, is_running)
    frail.do("stop_kubelet")
    seen = until(driver, handle, lambda seen: seen.unreachable)
    assert seen.phase is Phase.RUNNING
    with pytest.raises(Unavailable, match="is still there"):
        driver.remove(handle)
    assert driver.inspect(handle).phase is Phase.RUNNING
    frail.do("start_kubelet")
    until(driver, handle, lambda seen: seen.phase in (Phase.EXITED, Phase.GONE))
    driver.remove(handle)
    assert driver.inspect(handle).phase is Phase.GONE
    there.close()


def test_its_end_is_known_to_who_waits_without_asking(
    harness: KubernetesHarness, emulated_cluster: Cluster, driver: KubernetesDriver, spec: SpecMaker
) -> None:
    """Twenty looks a second at ten pods cost no request each."""
    handles = [driver.start(spec("sleep 2")) for _ in range(10)]
    for handle in handles:
        until(driver, handle, is_running)
    before = emulated_cluster.set()["requests"]
    for handle in handles:
        until_over(driver, handle)
    assert emulated_cluster.set()["requests"] - before < 40


@pytest.mark.parametrize("place", [{"requires": {"disk": "of-gold"}}, {"image": "no.such.registry.example/x:1"}])
def test_a_pod_that_failed_before_it_began_has_said_nothing_and_that_is_known_at_once(
    harness: KubernetesHarness, driver: KubernetesDriver, spec: SpecMaker, place: dict[str, Any]
) -> None:
    """Turned away by its node, say. Of one with a node the kubelet answers with an error, of one without nobody does."""
    handle = driver.start(replace(spec("true"), **place))
    until(driver, handle, lambda seen: seen.holdup is not None)
    path = f"/api/v1/namespaces/{harness.namespace}/pods/{handle.name}/status"
    change = {"status": {"phase": "Failed", "reason": "OutOfcpu", "containerStatuses": None}}
    harness.cluster.request("PATCH", path, body=change, content_type=MERGE_PATCH)
    until(driver, handle, is_over)
    assert list(driver.logs(handle, None)) == []
