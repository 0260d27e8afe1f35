"""A kubelet that is away for a while takes no output with it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from tests.cluster.process import Cluster
from tests.contract.conftest import SpecMaker
from tests.contract.following import eventually, follow, until_over
from tests.contract.kubernetes_harness import KubernetesHarness
from workers.drivers.protocol import Driver, Phase, Unreadable


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if os.geteuid() != 0:
        pytest.skip("an emulated cluster runs its pods in namespaces of their own, which takes root")
    with Cluster(tmp_path_factory.mktemp("away"), "--lost-seconds", "1", "--evict-seconds", "1") as running:
        yield running


@pytest.fixture
def harness(cluster: Cluster) -> Iterator[KubernetesHarness]:
    made = KubernetesHarness(cluster.kubeconfig)
    yield made
    cluster.do("start_kubelet")
    made.close()


def back_after_questions(cluster: Cluster) -> None:
    before = cluster.set()["requests"]

    def come_back() -> None:
        eventually(lambda: cluster.set()["requests"] > before + 3)
        cluster.do("start_kubelet")

    threading.Thread(target=come_back, daemon=True).start()


def test_a_log_that_ended_before_its_kubelet_went_away_is_read_when_it_is_back(
    driver: Driver, cluster: Cluster, spec: SpecMaker
) -> None:
    handle = driver.start(spec("echo out; echo end"))
    assert until_over(driver, handle).phase is Phase.EXITED
    cluster.do("stop_kubelet")
    back_after_questions(cluster)
    assert [line.data for line in follow(driver, handle)] == [b"out\n", b"end\n"]


def test_a_kubelet_that_stays_away_is_worth_some_minutes(driver: Driver, cluster: Cluster, spec: SpecMaker) -> None:
    handle = driver.start(spec("echo out"))
    until_over(driver, handle)
    cluster.do("stop_kubelet")
    with pytest.raises(Unreadable, match="10250") as caught:
        [*driver.logs(handle, None)]
    assert caught.value.patience_seconds >= 120


def test_a_node_that_is_given_up_is_worth_none(driver: Driver, cluster: Cluster, spec: SpecMaker) -> None:
    handle = driver.start(spec("echo out; sleep 1000"))
    eventually(lambda: driver.inspect(handle).phase is Phase.RUNNING)
    cluster.do("stop_kubelet")
    eventually(lambda: "DeletionByTaintManager" in str(driver.inspect(handle).raw))
    with pytest.raises(Unreadable) as caught:
        [*driver.logs(handle, None)]
    cluster.do("start_kubelet")
    assert caught.value.patience_seconds == 0
