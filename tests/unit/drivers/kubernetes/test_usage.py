"""Asking a metrics server costs it little, however many pods are watched, and nothing where there is none."""

from __future__ import annotations

import pytest

from tests.unit.drivers.kubernetes.api import Answer, Asked
from tests.unit.drivers.kubernetes.conftest import Serve
from workers.drivers.kubernetes.connection import Cluster
from workers.drivers.kubernetes.usage import Metrics

PODS = [f"job-{number}" for number in range(100)]


def of_pods(asked: Asked) -> Answer:
    measured = {"timestamp": "2026-11-21T21:46:00Z", "containers": [{"usage": {"cpu": "1", "memory": "5"}}]}
    return Answer({"items": [{"metadata": {"name": name}, **measured} for name in PODS]})


def test_a_hundred_pods_are_measured_by_one_request(serve: Serve) -> None:
    api = serve(of_pods)
    metrics = Metrics(Cluster())
    for _ in range(2):
        for name in PODS:
            sample = metrics.of("jobs", name)
            assert sample is not None
            assert sample.memory_bytes == 5
    assert [asked.path for asked in api.asked] == ["/apis/metrics.k8s.io/v1beta1/namespaces/jobs/pods"]
    assert api.asked[0].query == {"labelSelector": "towline.installation"}


def test_each_namespace_is_asked_for_itself(serve: Serve) -> None:
    api = serve(of_pods)
    metrics = Metrics(Cluster())
    assert metrics.of("one", PODS[0])
    assert metrics.of("two", PODS[0])
    assert len(api.asked) == 2


def test_a_pod_that_is_not_measured_yet_is_not_asked_for_all_the_time(serve: Serve) -> None:
    api = serve(of_pods)
    metrics = Metrics(Cluster())
    assert [metrics.of("jobs", "new") for _ in range(50)] == [None] * 50
    assert len(api.asked) == 1


@pytest.mark.parametrize("status", [403, 404, 503])
def test_where_nobody_measures_nobody_is_asked_again_soon(status: int, serve: Serve) -> None:
    api = serve(lambda asked: Answer({"message": "no"}, status=status))
    metrics = Metrics(Cluster())
    assert [metrics.of("jobs", name) for name in PODS] == [None] * len(PODS)
    assert len(api.asked) == 1
