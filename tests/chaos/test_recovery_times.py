"""How long a job is without a worker when its worker is killed: until the same one is back, or another one takes it."""

from __future__ import annotations

import pytest

from tests.chaos.evidence import Account, gather
from tests.chaos.figures import Spread, adoptions, tell
from tests.chaos.jobs import Client, Story, Users, counting_story
from tests.chaos.platform import LEASE_SECONDS, Death, Platform
from tests.stack import eventually

ROUNDS = 2
JOBS = 4
AWAY_SECONDS = 4 * LEASE_SECONDS
# A lease, the heartbeat after it, and a start of a worker on a machine that is busy with many.
BOUND_SECONDS = 15.0


@pytest.mark.timeout(240)
@pytest.mark.parametrize("away_seconds", [0.0, AWAY_SECONDS], ids=["comes_back", "stays_away"])
def test_jobs_of_a_killed_worker_have_one_soon(
    away_seconds: float,
    platform: Platform,
    client: Client,
    runtimes: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    users = Users(platform, client, [], 0, 0)
    times: list[float] = []
    for _ in range(ROUNDS):
        eventually(lambda: all(worker["state"] == "online" for worker in client.rows("/workers/")), 60)
        stories = [counting_story(platform, "plain", runtimes[0], 160, (0,)) for _ in range(JOBS)]
        for story in stories:
            users.send(story)
        eventually(lambda: all(client.get(f"/jobs/{story.id}/logs/").content for story in stories), 60)  # noqa: B023
        died = kill(platform, "run-1", away_seconds)
        accounts = see_through(users, stories)
        times += [seconds for seconds, _ in adoptions(accounts, [died])]
        assert all(account.job["state"] == "succeeded" for account in accounts)
    assert times
    tell(capsys, f"{platform.database}: killed, {'stays away' if away_seconds else 'comes back'}: {Spread.of(times)}")
    assert max(times) < BOUND_SECONDS


def kill(platform: Platform, name: str, away_seconds: float) -> Death:
    before = len(platform.deaths)
    platform.kill(name, away_seconds)
    eventually(lambda: len(platform.deaths) > before)
    return platform.deaths[before]


def see_through(users: Users, stories: list[Story]) -> list[Account]:
    for story in stories:
        users.see_through(story)
    return gather(users.client, stories, users.platform.probes)
