"""Whatever a cluster does, and whatever dies meanwhile: no job is lost, none runs twice, no line is missing.

With `TOWLINE_REQUIRE=kubernetes` and a `KUBECONFIG` it goes to that cluster, and breaks there what needs no emulation.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from tests.chaos import cluster  # noqa: F401 - its faults are noted
from tests.chaos.evidence import gather
from tests.chaos.faults import World
from tests.chaos.figures import figures, tell
from tests.chaos.jobs import Client, Users
from tests.chaos.platform import Platform, running_platform
from tests.chaos.schedule import inject
from tests.chaos.test_chaos import look, report, sizes
from tests.chaos.witness import ClusterWitness, the_cluster_agrees
from tests.stack import eventually
from tests.system.cluster import Ground, ground

USERS = 6
USUAL_SECONDS = 40


@pytest.fixture(scope="module")
def field() -> Iterator[Ground]:
    with ground() as chosen:
        yield chosen


@pytest.fixture(scope="module")
def platform(field: Ground) -> Iterator[Platform]:
    with running_platform("kubernetes", None, field.environment) as running:
        yield running


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.timeout(0)
def test_no_pod_is_lost_and_none_runs_twice(
    pytestconfig: pytest.Config, field: Ground, platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = float(pytestconfig.getoption("--chaos-seconds") or USUAL_SECONDS)
    least = int(pytestconfig.getoption("--chaos-faults") or 0)
    seed = int(pytestconfig.getoption("--chaos-seed") or random.SystemRandom().randrange(10**6))
    installation = platform.installation()
    offered = {"sqlite", "cluster"} | ({"emulated"} if field.emulated else set())
    platform.wanted = True
    client, witness = Client(platform), ClusterWitness(field, installation)
    users = Users(platform, client, ["kubernetes"], seed, USERS, field.image)
    eventually(lambda: sum(story.seen is not None for story in users.stories) >= USERS, 120)
    before = sizes(platform)
    world = World(platform, users, installation, ground=field, witness=witness)
    began = time.monotonic()
    faults = inject(world, seed, offered, seconds, least)
    lasted = time.monotonic() - began
    wrong, accounts = look(world, client, None, before)
    accounts = accounts or gather(client, [story for story in users.stories if story.id], platform.probes)
    wrong += the_cluster_agrees(accounts, installation, witness)
    witness.close()
    shown = figures(
        seed=seed, database="sqlite", runtimes="kubernetes", faults=faults, seconds=lasted, deaths=platform.deaths,
        accounts=accounts, statuses=client.statuses, answers=client.seconds,
    )  # fmt: skip
    tell(capsys, f"cluster chaos, --chaos-seed {seed}\n{shown.table()}")
    assert not wrong, report(seed, wrong, faults, accounts, platform)
    platform.wanted = False
