"""As every real cluster is reached: over TLS, by the certificate of an authority that only the kubeconfig knows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.process import Cluster
from tests.contract.conftest import SpecMaker
from tests.contract.following import eventually, follow, is_running, run, until_over, until_said
from tests.contract.kubernetes_harness import KubernetesHarness
from workers.drivers.kubernetes.connection import Cluster as Connection
from workers.drivers.protocol import Phase, Unavailable


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if os.geteuid() != 0:
        pytest.skip("an emulated cluster runs its pods in namespaces of their own, which takes root")
    with Cluster(tmp_path_factory.mktemp("encrypted"), "--tls") as running:
        assert running.url.startswith("https:")
        yield running


@pytest.fixture
def harness(encrypted: Cluster) -> Iterator[KubernetesHarness]:
    made = KubernetesHarness(encrypted.kubeconfig)
    yield made
    made.close()


@pytest.fixture
def driver(harness: KubernetesHarness, installation: str) -> Iterator[KubernetesHarness]:
    yield harness
    for seen in list(harness.driver.survey(installation)):
        harness.driver.remove(seen.handle)


def test_a_pod_is_followed_live_and_its_end_is_heard(driver: KubernetesHarness, spec: SpecMaker) -> None:
    handle = driver.driver.start(spec("echo out; sleep 1000"))
    assert until_said(driver.driver, handle, b"out").data == b"out\n"
    driver.driver.stop(handle, 0)
    assert until_over(driver.driver, handle).phase is Phase.EXITED


def test_a_flood_comes_whole(driver: KubernetesHarness, spec: SpecMaker) -> None:
    out, _, _ = run(driver.driver, spec("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; printf end"))
    assert out == b"".join(b"line %d\n" % number for number in range(20_000)) + b"end"


def test_what_was_cut_off_goes_on_behind_the_cursor(
    driver: KubernetesHarness, encrypted: Cluster, spec: SpecMaker
) -> None:
    handle = driver.driver.start(spec("i=0; while [ $i -lt 40 ]; do echo $i; i=$((i+1)); sleep 0.05; done"))
    first = until_said(driver.driver, handle, b"5")
    encrypted.do("drop_streams")
    rest = follow(driver.driver, handle, first.cursor)
    assert [line.data for line in rest] == [b"%d\n" % number for number in range(6, 40)]


def test_the_watch_hears_over_tls_and_costs_no_look(
    driver: KubernetesHarness, encrypted: Cluster, spec: SpecMaker
) -> None:
    handle = driver.driver.start(spec("sleep 1000"))
    eventually(lambda: is_running(driver.driver, handle))
    before = encrypted.set()["requests"]
    for _ in range(50):
        assert driver.driver.inspect(handle).phase is Phase.RUNNING
    assert encrypted.set()["requests"] - before <= 2
    encrypted.do("drop_streams")
    driver.driver.stop(handle, 0)
    assert until_over(driver.driver, handle).phase is Phase.EXITED


def test_a_cluster_that_shows_another_certificate_is_not_spoken_to(
    encrypted: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = json.loads(encrypted.kubeconfig.read_text())
    del told["clusters"][0]["cluster"]["certificate-authority-data"]
    stranger = tmp_path / "kubeconfig"
    stranger.write_text(json.dumps(told))
    monkeypatch.setenv("KUBECONFIG", str(stranger))
    with pytest.raises(Unavailable, match="certificate"):
        Connection().request("GET", "/version")
