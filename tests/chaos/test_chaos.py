"""Whatever dies, hangs or is cut off meanwhile: no job is lost, none runs twice, no line is missing."""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from docker import APIClient

from tests.chaos import invariants
from tests.chaos.evidence import Account, EngineWitness, Size, Strangers, are_tidy, gather, size_of
from tests.chaos.faults import World
from tests.chaos.figures import figures, tell
from tests.chaos.jobs import Client, Users
from tests.chaos.platform import Platform
from tests.chaos.postgres import OwnPostgres
from tests.chaos.schedule import Injected, inject
from tests.chaos.traces import check_traces
from tests.stack import IMAGE, eventually

USERS = 9
QUIET_SECONDS = 120
GROWTH = Size(threads=24, files=24)  # a web process that was just started has fewer than one that answered nine users
# Faults, so many at least, and seconds; PostgreSQL gets the second, shorter run of a test run.
USUAL = {"sqlite": (64, 150), "postgres": (26, 60)}


@pytest.mark.timeout(0)
def test_nothing_is_lost_and_nothing_runs_twice(
    pytestconfig: pytest.Config,
    platform: Platform,
    client: Client,
    installation: str,
    runtimes: list[str],
    docker: APIClient | None,
    witness: EngineWitness | None,
    own_postgres: OwnPostgres | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    database = pytestconfig.getoption("--database")
    usual_faults, usual_seconds = USUAL[database]
    given = pytestconfig.getoption("--chaos-seconds")
    seconds = float(given or usual_seconds)
    least = int(pytestconfig.getoption("--chaos-faults") or (0 if given else usual_faults))
    seed = int(pytestconfig.getoption("--chaos-seed") or random.SystemRandom().randrange(10**6))
    offered = {database, *runtimes} | ({"own postgres"} if own_postgres else set())
    platform.wanted = True
    with strangers(docker) as others:
        users = Users(platform, client, runtimes, seed, USERS)
        eventually(lambda: sum(story.seen is not None for story in users.stories) >= USERS, 120)
        before = sizes(platform)
        world = World(platform, users, installation, docker, own_postgres)
        began = time.monotonic()
        faults = inject(world, seed, offered, seconds, least)
        lasted = time.monotonic() - began
        wrong, accounts = look(world, client, witness, before)
        wrong += others.changed() if others else []
    shown = figures(
        seed=seed, database=database, runtimes=",".join(runtimes), faults=faults, seconds=lasted, deaths=platform.deaths,
        accounts=accounts, statuses=client.statuses, answers=client.seconds,
    )  # fmt: skip
    tell(capsys, f"chaos, --chaos-seed {seed}\n{shown.table()}")
    if path := pytestconfig.getoption("--chaos-json"):
        Path(path).write_text(json.dumps(shown.as_json(), indent=1) + "\n")
    assert not wrong, report(seed, wrong, faults, accounts, platform)
    platform.wanted = False


@contextlib.contextmanager
def strangers(docker: APIClient | None) -> Iterator[Strangers | None]:
    if docker is None:
        yield None
        return
    with Strangers(docker, IMAGE) as others:
        yield others


def look(
    world: World, client: Client, witness: EngineWitness | None, before: dict[str, Size]
) -> tuple[list[str], list[Account]]:
    """Once it is quiet: everything that is wrong, and all that is known of each job."""
    platform, users = world.platform, world.users
    users.enough.set()
    world.later.shutdown(wait=True)
    platform.calm_down()
    with contextlib.suppress(AssertionError):
        eventually(users.done, QUIET_SECONDS)
    wrong = [f"a user: {trouble}" for trouble in users.troubles] + world.troubles
    wrong += [] if users.done() else [f"I1 {len(users.under_way())} jobs are not over after {QUIET_SECONDS} s"]
    if wrong:
        return wrong, []  # what a fault could not be undone for, or nobody answers: nothing else is to be known
    with contextlib.suppress(AssertionError):
        eventually(lambda: not invariants.containers_left(world), 20)
    wrong += [f"I4 left behind: {names}" for names in invariants.containers_left(world)]
    sent = [story for story in users.stories if story.id]
    with contextlib.suppress(AssertionError):
        eventually(lambda: are_tidy(client, sent), 60)
    accounts = gather(client, sent, platform.probes)
    wrong += invariants.check_probes(accounts, world)
    for account in accounts:
        wrong += invariants.check_job(account, world, witness)
    wrong += check_traces(client, sent)
    wrong += invariants.check_answers(client.statuses, client.seconds)
    return wrong + growth(platform, before) + mistakes(platform), accounts


def sizes(platform: Platform) -> dict[str, Size]:
    return {name: size_of(service.pid) for name, service in platform.services.items()}


def growth(platform: Platform, before: dict[str, Size]) -> list[str]:
    """I10, once readers that wait for silence are gone."""

    def grown() -> list[str]:
        now = sizes(platform)
        return [
            f"I10 {name} grew from {before[name]} to {now[name]}"
            for name in now
            if now[name].threads > before[name].threads + GROWTH.threads
            or now[name].files > before[name].files + GROWTH.files
        ] + [f"I10 {text}" for text in (*_redis_left(platform), *_sessions_left(platform))]

    with contextlib.suppress(AssertionError):
        eventually(lambda: not grown(), 30)
    return grown()


def _redis_left(platform: Platform) -> list[str]:
    keys = sorted(key.decode() for key in platform.redis().scan_iter())
    return [f"Redis has {len(keys)} keys: {keys}"] if len(keys) > 30 else []


def _sessions_left(platform: Platform) -> list[str]:
    if not platform.database_url:
        return []
    with psycopg.connect(platform.database_url) as session:
        row = session.execute(
            "SELECT count(*), count(*) FILTER (WHERE state LIKE 'idle in%') FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    assert row
    return [f"{row[0]} database sessions, {row[1]} of them in a transaction"] if row[1] or row[0] > 60 else []


def mistakes(platform: Platform) -> list[str]:
    """What the platform itself calls a mistake of its own."""
    found = []
    for path in (platform.folder / "logs").glob("*.log"):
        lines = path.read_text(errors="replace").splitlines()
        found += [
            f"{path.name}: " + "\n    ".join(lines[n : n + 40]) for n, line in enumerate(lines) if "a mistake" in line
        ]
    return found[:5]


def report(seed: int, wrong: list[str], faults: list[Injected], accounts: list[Account], platform: Platform) -> str:
    """All that is needed to understand it: the faults, and of each job concerned its time-line and what the logs say."""
    parts = [
        f"--chaos-seed {seed}; logs and probes in {platform.folder}",
        *wrong[:30],
        "",
        "faults:",
        *map(str, faults),
    ]
    concerned = [account for account in accounts if any(account.story.id in text for text in wrong)]
    for account in concerned[:5]:
        parts += ["", f"job {account.story.id}, {account.story.kind}, {account.job['verdict']}"]
        parts += [f"  {each['at']} {each['kind']} {each['actor']} {each['data']}" for each in account.events]
        parts += [f"  {attempt['number']}: {attempt}" for attempt in account.attempts]
        for path in sorted((platform.folder / "logs").glob("*.log")):
            lines = path.read_text(errors="replace").splitlines()
            parts += [f"  {path.name}: {line}" for line in lines if account.story.id in line]
    return "\n".join(parts)
