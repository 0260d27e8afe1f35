"""A cluster finds room by itself: who asks for it by name trusts its word, all others get what is known to fit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.needs import Needs
from tests.unit.workers.test_placement import GIB, floor, job, room, site
from workers.placement import lacks, place

CLUSTER = replace(site("k", runtime="kubernetes", cpus=8, memory_bytes=16 * GIB), elastic=True, pool="")
UNKNOWN = replace(CLUSTER, cpus=0, memory_bytes=0, arch="")


@pytest.mark.parametrize(
    "needs",
    [
        {"cpus": 64}, {"memory_bytes": 900 * GIB}, {"gpus": 8}, {"arch": "arm64"}, {"region": "eu"},
        {"requires": frozenset({("disk", "ssd")})},
    ],
)  # fmt: skip
def test_asked_for_by_name_the_cluster_decides(needs: dict[str, object]) -> None:
    assert lacks(CLUSTER, Needs(**needs)) is not None
    assert lacks(CLUSTER, Needs(runtime="kubernetes", **needs)) is None


def test_a_cluster_in_another_region_is_no_place_even_then() -> None:
    there = replace(CLUSTER, region="us")
    assert lacks(there, Needs(runtime="kubernetes", region="eu")) == "region us, not eu"
    assert lacks(there, Needs(runtime="kubernetes", region="us")) is None


def test_only_slots_limit_how_much_a_cluster_is_given() -> None:
    jobs = [job(runtime="kubernetes", cpus=8, memory_bytes=16 * GIB) for _ in range(5)]
    plan = place(jobs, floor([CLUSTER], {"k": room(4)}))
    assert len(plan.assignments) == 4
    assert plan.reasons == {jobs[4].id: ("capacity", "All workers that could run it are full.")}


def test_of_a_cluster_of_unknown_size_nothing_is_said_to_be_too_much() -> None:
    assert place([job(cpus=64)], floor([UNKNOWN], {"k": room()})).assignments
    assert lacks(UNKNOWN, Needs(arch="arm64")) is None
    assert place([job(cpus=64)], floor([CLUSTER], {"k": room()})).reasons


def test_clusters_of_one_worker_take_turns() -> None:
    other = replace(CLUSTER, engine="e-other", cpus=2)
    plan = place([job() for _ in range(4)], floor([CLUSTER, other], {"k": room(4)}))
    assert sorted(one.site.engine for one in plan.assignments) == ["e-k", "e-k", "e-other", "e-other"]


def test_docker_comes_first_and_the_cluster_takes_what_is_left() -> None:
    jobs = [job(), job(), job()]
    plan = place(jobs, floor([CLUSTER, site("d")], {"k": room(), "d": room(1)}))
    assert sorted(one.site.runtime for one in plan.assignments) == ["docker", "kubernetes", "kubernetes"]


def test_folders_of_a_host_are_not_to_be_had_in_a_cluster() -> None:
    assert lacks(CLUSTER, Needs(volumes=True)) == "no folders of a host"
    assert lacks(site(), Needs(volumes=True)) is None
