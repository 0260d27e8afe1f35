"""Pods, and workers that die: at each failpoint one; both; one for good. Each pod ran once, to its end, and every line is kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos import invariants
from tests.chaos.evidence import Account, are_tidy, gather
from tests.chaos.faults import RUN_WORKERS, World
from tests.chaos.jobs import Client, Story, Users, counting_story
from tests.chaos.platform import LEASE_SECONDS, Platform, running_platform
from tests.chaos.test_failpoints import WAYS
from tests.chaos.witness import ClusterWitness, the_cluster_agrees
from tests.stack import eventually
from tests.system.cluster import Ground, ground

pytestmark = [pytest.mark.filterwarnings("ignore::ResourceWarning"), pytest.mark.timeout(150)]
LONG, SHORT = 100, 10  # lines, twenty a second
# Where the runtime comes in; what dies elsewhere dies the same on any, and is in `test_failpoints`.
OF_PODS = (
    "claimed", "created", "started", "running", "chunk_after_commit", "stop_written", "exited", "finished", "removed",
    "hand_over_before_hint",
)  # fmt: skip


@pytest.fixture(scope="module")
def field() -> Iterator[Ground]:
    with ground() as chosen:
        yield chosen


@pytest.fixture(scope="module")
def platform(field: Ground) -> Iterator[Platform]:
    with running_platform("kubernetes", None, field.environment) as running:
        yield running


@pytest.fixture(scope="module")
def world(field: Ground, platform: Platform) -> Iterator[World]:
    installation = platform.installation()
    witness = ClusterWitness(field, installation)
    users = Users(platform, Client(platform), [], 0, 0, field.image)
    yield World(platform, users, installation, ground=field, witness=witness)
    witness.close()


@pytest.fixture(autouse=True)
def whole(world: World) -> None:
    """Both run workers are there before anything is done to them."""
    eventually(lambda: all(service.alive for service in world.platform.services.values()))
    states = {"online"}
    eventually(lambda: {row["state"] for row in world.users.client.rows("/workers/")} == states, 60)


def counting(world: World, lines: int, kind: str = "plain") -> Story:
    story = counting_story(world.platform, kind, "kubernetes", lines, (0,))
    world.users.send(story)
    return story


def told(world: World, story: Story) -> Account:
    """Once it is over and its pod is gone; nothing is wrong with it."""
    users, witness = world.users, world.witness
    assert witness
    users.see_through(story)
    eventually(lambda: are_tidy(users.client, [story]) and not witness.left(), 60)
    (account,) = gather(users.client, [story], world.platform.probes)
    wrong = [*invariants.check_job(account, world, None)]
    assert not [*wrong, *the_cluster_agrees([account], world.installation, witness)]
    return account


def writes(world: World, story: Story) -> bool:
    return bool(world.users.client.get(f"/jobs/{story.id}/logs/").content)


@pytest.mark.parametrize("point", OF_PODS)
def test_a_process_that_dies_there_loses_no_pod(point: str, world: World) -> None:
    platform = world.platform
    if point not in WAYS:
        platform.arm(point)
    story = counting(world, LONG if point in WAYS else SHORT)
    if point in WAYS:
        eventually(lambda: writes(world, story))
        platform.arm(point)
        WAYS[point](world, story)
    world.users.see_through(story)
    eventually(lambda: not platform.is_armed(point))
    platform.disarm(point)
    told(world, story)


def test_one_worker_takes_the_pod_of_another_that_does_not_come_back(world: World) -> None:
    story = counting(world, 3 * LONG)
    eventually(lambda: writes(world, story))
    first = str(world.users.client.get(f"/jobs/{story.id}/").json()["worker"])
    world.platform.kill(first.partition("@")[0], away_seconds=8 * LEASE_SECONDS)
    account = told(world, story)
    (attempt,) = account.attempts
    assert (account.job["state"], attempt["worker"] != first) == ("succeeded", True)
    assert "adopted" in [event["kind"] for event in account.events]


def test_a_cancel_while_every_worker_is_down_is_carried_out_when_one_is_back(world: World) -> None:
    story = counting(world, 20 * LONG, "cancelled")
    eventually(lambda: writes(world, story))
    for name in RUN_WORKERS:
        world.platform.kill(name, away_seconds=1.5 * LEASE_SECONDS)
    eventually(lambda: not any(world.platform.services[name].alive for name in RUN_WORKERS))
    world.users.cancel(story)
    assert world.users.client.get(f"/jobs/{story.id}/").json()["state"] == "running"
    assert told(world, story).job["state"] == "cancelled"
