"""What the contract promises of output, on a cluster that tells stdout and stderr apart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.process import Cluster
from tests.contract.conftest import SpecMaker
from tests.contract.following import follow, until_said
from tests.contract.kubernetes_harness import KubernetesHarness
from tests.contract.test_drivers import (
    test_a_line_of_3_mb_comes_in_pieces,
    test_a_line_of_200_kb_is_one_line,
    test_bytes_are_exact,
    test_stdout_and_stderr_are_told_apart_or_said_to_be_unknown,
)
from workers.drivers.protocol import Driver

__all__ = [
    "test_a_line_of_3_mb_comes_in_pieces",
    "test_a_line_of_200_kb_is_one_line",
    "test_bytes_are_exact",
    "test_stdout_and_stderr_are_told_apart_or_said_to_be_unknown",
]


@pytest.fixture
def harness(emulated_cluster: Cluster) -> Iterator[KubernetesHarness]:
    emulated_cluster.set(streams_offered=True)
    made = KubernetesHarness(emulated_cluster.kubeconfig)
    made.is_combined = False
    yield made
    made.close()
    emulated_cluster.calm()


def test_of_a_terminal_all_is_one_stream(driver: Driver, spec: SpecMaker) -> None:
    lines = follow(driver, driver.start(spec("echo out; echo err >&2", tty=True)))
    assert {line.stream for line in lines} == {"stdout"}


def test_both_streams_go_on_behind_the_cursor_over_a_cut(
    driver: Driver, emulated_cluster: Cluster, spec: SpecMaker
) -> None:
    loop = "i=0; while [ $i -lt 40 ]; do echo out $i; echo err $i >&2; i=$((i+1)); sleep 0.05; done"
    handle = driver.start(spec(loop))
    lines = [until_said(driver, handle, b"err 3")]
    emulated_cluster.do("drop_streams")
    lines = follow(driver, handle)
    rest = follow(driver, handle, lines[17].cursor)
    for stream, word in (("stdout", b"out"), ("stderr", b"err")):
        assert [line.data for line in lines if line.stream == stream] == [b"%s %d\n" % (word, n) for n in range(40)]
    assert sorted(line.data for line in lines[:18] + rest) == sorted(line.data for line in lines)


@pytest.mark.parametrize("dropped", ["api", "kubelet"])
def test_where_the_parameter_is_dropped_nothing_comes_twice(
    driver: Driver, emulated_cluster: Cluster, spec: SpecMaker, dropped: str
) -> None:
    emulated_cluster.set(streams_dropped=dropped)
    lines = follow(driver, driver.start(spec("echo one; echo two >&2")))
    assert sorted((line.stream, line.data) for line in lines) == [("unknown", b"one\n"), ("unknown", b"two\n")]
