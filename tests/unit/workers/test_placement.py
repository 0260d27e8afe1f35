"""Who runs what next: single rules, and what must hold whatever comes."""

from __future__ import annotations

import copy
import random
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.needs import Needs
from workers.placement import Floor, Plan, Pool, Site, Waiting, lacks, place, why_none

GIB = 1024**3


def site(worker: str = "w1", **others: Any) -> Site:
    facts = {
        "engine": f"e-{worker}",
        "runtime": "docker",
        "arch": "amd64",
        "cpus": 4,
        "memory_bytes": 8 * GIB,
        "gpus": 0,
    }
    return Site(worker=worker, **{**facts, **others})


@dataclass
class Room:
    """What one worker alone on its machine has left."""

    slots: int
    pool: Pool

    def fits(self, needs: Needs) -> bool:
        return self.slots >= 1 and self.pool.fits(needs)


def room(slots: int = 4, **others: Any) -> Room:
    return Room(slots, Pool(**{"cpus": 4.0, "memory_bytes": 8 * GIB, "gpus": 0, **others}))


def floor(sites: Sequence[Site], rooms: Mapping[str, Room], under_way: Mapping[int, int] | None = None) -> Floor:
    """Each worker with a machine of its own; the rooms are copied."""
    own = [replace(site, pool=site.pool or site.worker) for site in sites]
    slots = {name: has.slots for name, has in rooms.items()}
    pools = {name: copy.copy(has.pool) for name, has in rooms.items()}
    return Floor(own, slots, pools, Counter(under_way or {}))


def job(project: int = 1, priority: int = 0, group: str = "", limit: int = 1, **needs: Any) -> Waiting:
    wanted = Needs(**{"cpus": 0.5, "memory_bytes": GIB, **needs})
    return Waiting(uuid.uuid4(), project, priority, wanted, group, limit)


def placed(plan: Plan) -> list[uuid.UUID]:
    return [one.job for one in plan.assignments]


def test_the_oldest_goes_first_and_the_rest_waits_for_capacity() -> None:
    jobs = [job() for _ in range(3)]
    plan = place(jobs, floor([site()], {"w1": room(slots=2)}))
    assert placed(plan) == [jobs[0].id, jobs[1].id]
    assert plan.reasons[jobs[2].id][0] == "capacity"


def test_priority_beats_age() -> None:
    low, high = job(priority=-5), job(priority=5)
    assert placed(place([low, high], floor([site()], {"w1": room(slots=1)}))) == [high.id]


def test_projects_take_turns() -> None:
    crowd, lone = [job(project=1) for _ in range(5)], job(project=2)
    plan = place([*crowd, lone], floor([site()], {"w1": room(slots=2)}))
    assert placed(plan) == [crowd[0].id, lone.id]


def test_a_project_with_much_under_way_comes_later() -> None:
    first, second = job(project=1), job(project=2)
    assert placed(place([first, second], floor([site()], {"w1": room(slots=1)}, {1: 3}))) == [second.id]


def test_the_least_loaded_worker_is_taken() -> None:
    rooms = {"w1": room(slots=1), "w2": room(slots=3)}
    (one,) = place([job()], floor([site("w1"), site("w2")], rooms)).assignments
    assert one.site.worker == "w2"


def test_docker_is_preferred_to_plain_processes() -> None:
    sites = [site("w1", runtime="process"), site("w2")]
    (one,) = place([job()], floor(sites, {"w1": room(slots=9), "w2": room(slots=1)})).assignments
    assert one.site.runtime == "docker"


def test_a_job_bigger_than_the_room_does_not_block_a_smaller_one() -> None:
    big, small = job(memory_bytes=6 * GIB), job(memory_bytes=GIB)
    plan = place([big, small], floor([site()], {"w1": room(memory_bytes=2 * GIB)}))
    assert placed(plan) == [small.id]
    assert plan.reasons[big.id][0] == "capacity"


def test_what_a_worker_lacks_on_each_of_its_engines_is_said_once() -> None:
    engines = [site("w1", engine="e1"), site("w1", engine="e2", runtime="process")]
    assert why_none(Needs(requires=frozenset({("gpu", "yes")})), engines)[1].count("w1 has no label gpu=yes") == 1


def test_what_no_worker_could_ever_run_says_what_is_lacking() -> None:
    for needs, word in [
        ({"runtime": "process"}, "runtime"),
        ({"arch": "arm64"}, "architecture"),
        ({"region": "us-east"}, "region"),
        ({"requires": frozenset({("disk", "ssd")})}, "disk=ssd"),
        ({"cpus": 64}, "cpus"),
        ({"memory_bytes": 64 * GIB}, "MiB"),
        ({"gpus": 1}, "gpus"),
    ]:
        one = job(**needs)
        reason, detail = place([one], floor([site()], {"w1": room()})).reasons[one.id]
        assert (reason, word in detail) == ("no_worker", True), detail


def test_a_worker_that_is_away_is_named_as_such() -> None:
    one = job()
    away = site(available=False, why_not="draining")
    reason, detail = place([one], floor([away], {"w1": room(slots=0)})).reasons[one.id]
    assert (reason, "draining" in detail) == ("capacity", True)


def test_of_a_concurrency_group_no_more_than_its_limit_start() -> None:
    jobs = [job(group="1:db", limit=2) for _ in range(3)]
    other = job(group="1:other", limit=1)
    ours = floor([site()], {"w1": room(slots=9)})
    plan = place([*jobs, other], ours)
    assert placed(plan) == [jobs[0].id, jobs[1].id, other.id]
    assert plan.reasons == {jobs[2].id: ("concurrency", "2 with the key 'db' under way, 2 at once allowed.")}
    assert ours.groups == {"1:db": 2, "1:other": 1}


def test_each_job_of_a_group_goes_by_its_own_limit() -> None:
    strict, loose = job(group="1:db", limit=1), job(group="1:db", limit=2)
    busy = floor([site()], {"w1": room()})
    busy.groups["1:db"] = 1
    assert placed(place([strict, loose], busy)) == [loose.id]


def test_two_workers_on_one_machine_share_its_memory() -> None:
    sites = [site("w1", pool="m"), site("w2", pool="m"), site("w2", pool="m", runtime="process")]
    shared = Floor(sites, {"w1": 4, "w2": 4}, {"m": Pool(16.0, 8 * GIB, 0)})
    plan = place([job(memory_bytes=3 * GIB) for _ in range(5)], shared)
    assert len(plan.assignments) == 2
    assert {reason for reason, _ in plan.reasons.values()} == {"capacity"}


jobs_strategy = st.lists(
    st.builds(
        job,
        project=st.integers(1, 3),
        priority=st.integers(-2, 2),
        cpus=st.sampled_from([0.5, 2.0, 8.0]),
        memory_bytes=st.sampled_from([GIB, 3 * GIB, 9 * GIB]),
        gpus=st.integers(0, 1),
        arch=st.sampled_from([None, "amd64", "arm64"]),
    ),
    max_size=30,
)
rooms_strategy = st.dictionaries(
    st.sampled_from(["w1", "w2", "w3"]),
    st.builds(
        room,
        slots=st.integers(0, 4),
        cpus=st.floats(0, 4),
        memory_bytes=st.integers(0, 8 * GIB),
        gpus=st.integers(0, 1),
    ),
)


@given(jobs_strategy, rooms_strategy)
def test_nothing_is_overbooked_lost_or_placed_twice(jobs: list[Waiting], rooms: dict[str, Room]) -> None:
    plan = place(jobs, floor([site(name, gpus=1) for name in rooms], rooms))
    assert Counter(placed(plan)) + Counter(list(plan.reasons)) == Counter(one.id for one in jobs)
    needs = {one.id: one.needs for one in jobs}
    for name, had in rooms.items():
        here = [needs[one.job] for one in plan.assignments if one.site.worker == name]
        assert len(here) <= had.slots
        assert sum(need.cpus for need in here) <= had.pool.cpus
        assert sum(need.memory_bytes for need in here) <= had.pool.memory_bytes
        assert sum(need.gpus for need in here) <= had.pool.gpus


@given(jobs_strategy, rooms_strategy)
def test_what_waits_for_capacity_really_has_no_room(jobs: list[Waiting], rooms: dict[str, Room]) -> None:
    left = floor([site(name, gpus=1) for name in rooms], rooms)
    plan = place(jobs, left)
    for one in jobs:
        if plan.reasons.get(one.id, ("", ""))[0] == "capacity":
            assert not any(left.has_room(site, one.needs) for site in left.sites)


@pytest.mark.parametrize("seed", range(50))
def test_each_goes_to_the_least_loaded_worker_that_has_room_then(seed: int) -> None:
    """Placed again the slow way, by looking at every site for every job."""
    chance = random.Random(seed)
    sites = [_any_site(chance, number) for number in range(8)]
    rooms = {
        site.worker: Room(chance.randrange(6), Pool(site.cpus * 4, site.memory_bytes, site.gpus)) for site in sites
    }
    jobs = [Waiting(uuid.UUID(int=number), 1, 0, _any_needs(chance)) for number in range(60)]
    plan = place(jobs, floor(sites, rooms))
    chosen = {one.job: one.site.worker for one in plan.assignments}
    for job in jobs:
        able = [site for site in sites if site.available and lacks(site, job.needs) is None]
        free = [site for site in able if rooms[site.worker].fits(job.needs)]
        best = min(free, key=lambda site: (-rooms[site.worker].slots, -rooms[site.worker].pool.cpus), default=None)
        assert chosen.get(job.id) == (best.worker if best else None)
        if best:
            rooms[best.worker].slots -= 1
            rooms[best.worker].pool.take(job.needs)


def _any_site(chance: random.Random, number: int) -> Site:
    arch, cpus, gib = chance.choice(["amd64", "arm64"]), chance.choice([2, 8]), chance.choice([2, 8])
    available = chance.random() < 0.8
    return Site(f"w{number}", f"e{number}", "docker", arch, cpus, gib * GIB, chance.choice([0, 2]), available=available)


def _any_needs(chance: random.Random) -> Needs:
    arch, cpus = chance.choice([None, None, "arm64"]), chance.choice([0.5, 1, 4])
    return Needs(arch=arch, cpus=cpus, memory_bytes=chance.choice([0, GIB, 3 * GIB]), gpus=chance.choice([0, 0, 1]))
