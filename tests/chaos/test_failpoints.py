"""Between any two steps of a run a process may die: at each failpoint one does, once, and the job comes to its end all the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from docker import APIClient

from jobs.failpoints import POINTS
from tests.chaos import invariants
from tests.chaos.evidence import EngineWitness, are_tidy, gather
from tests.chaos.faults import World
from tests.chaos.jobs import Client, Story, Users, counting_story
from tests.chaos.platform import Platform
from tests.stack import eventually


def cancel(world: World, story: Story) -> None:
    world.users.cancel(story)


def kill_its_worker(world: World, story: Story) -> None:
    world.platform.kill(str(world.users.client.get(f"/jobs/{story.id}/").json()["worker"]).partition("@")[0])


def end_its_worker(world: World, story: Story) -> None:
    world.platform.terminate(str(world.users.client.get(f"/jobs/{story.id}/").json()["worker"]).partition("@")[0])


# What it takes to get there, once the job runs; to all others a job comes by itself.
WAYS: dict[str, Callable[[World, Story], None]] = {
    "cancel_before_commit": cancel,
    "cancel_before_hint": cancel,
    "stop_written": cancel,
    "hand_over_before_commit": kill_its_worker,
    "hand_over_before_hint": kill_its_worker,
    "let_go_before_commit": end_its_worker,
}
OF_IMAGES = ("image_before", "image_after")


@pytest.fixture(scope="module")
def world(platform: Platform, client: Client, installation: str, docker: APIClient | None) -> World:
    return World(platform, Users(platform, client, [], 0, 0), installation, docker)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("point", POINTS)
def test_a_process_that_dies_there_loses_nothing(
    point: str, world: World, runtimes: list[str], witness: EngineWitness | None
) -> None:
    if point in OF_IMAGES and "docker" not in runtimes:
        pytest.skip("docker: the process runtime has no images")
    platform, users = world.platform, world.users
    eventually(lambda: all(service.alive for service in platform.services.values()))
    story = counting_story(platform, "plain", runtimes[0], 60 if point in WAYS else 10, (0,))
    if point not in WAYS:
        platform.arm(point)
    users.send(story)
    if point in WAYS:
        eventually(lambda: users.client.get(f"/jobs/{story.id}/logs/").content)
        platform.arm(point)
        WAYS[point](world, story)
    users.see_through(story)
    eventually(lambda: not platform.is_armed(point))
    platform.disarm(point)
    eventually(lambda: are_tidy(users.client, [story]) and not invariants.containers_left(world))
    (account,) = gather(users.client, [story], platform.probes)
    assert not list(invariants.check_job(account, world, witness))
