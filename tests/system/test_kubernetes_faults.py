"""The API server goes away, forgets, stammers and forbids, while jobs run: pods go on, and nothing is said that is not so."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.stack import RunningStack, eventually, run_stack
from tests.system.cluster import (
    LOGS,
    PODS,
    Ground,
    begun,
    counted,
    counting,
    ground,
    passes,
    waiting,
)
from workers.drivers.kubernetes.connection import Cluster as Connection

pytestmark = [pytest.mark.filterwarnings("ignore::ResourceWarning"), pytest.mark.timeout(240)]
AWAY_SECONDS = 20
GRACE_SECONDS = 20  # of adoption: a worker that takes longer to start has lost what it had
DENIED_SECONDS = 12  # with the pod over by then
QUOTA = "for-tests"


@pytest.fixture(scope="module")
def field() -> Iterator[Ground]:
    with ground() as chosen:
        _ = chosen.breakable
        yield chosen


@pytest.fixture(scope="module")
def stack(field: Ground) -> Iterator[RunningStack]:
    grace = {"TOWLINE_ADOPTION_GRACE_SECONDS": str(GRACE_SECONDS)}
    with run_stack("kubernetes", TOWLINE_SLOTS="12", **grace, **field.environment) as running:
        running.image = field.image
        yield running


@pytest.fixture(autouse=True)
def calm(field: Ground) -> Iterator[None]:
    yield
    field.breakable.do("wake_api")
    field.breakable.calm()


def ran_once(stack: RunningStack, field: Ground, job: dict[str, Any], lines: int, seconds: float = 90) -> None:
    """It succeeded at its first try, in one pod that was started once, and every line is there, once."""
    ended = stack.wait(job, seconds)
    assert (ended["state"], ended["attempts_count"]) == ("succeeded", 1), ended["verdict"]
    assert stack.output(ended) == counted(lines)
    assert ended["log"]["complete"] is True
    assert [len(uids) for uids in field.begun(job).values()] == [1]
    eventually(lambda: not field.pods(job), 40)


def test_an_api_server_that_is_gone_for_long_ends_no_job(stack: RunningStack, field: Ground) -> None:
    """One ends while it is away, one after it is back, one is submitted meanwhile. That it was away is told, once."""
    short, long = begun(stack, *counting(50)), begun(stack, *counting(450))
    field.breakable.do("stop_api")
    late = stack.submit(*counting(3))
    try:
        eventually(lambda: "engine_away" in stack.events(long), 60)
        assert {stack.job(job["id"])["state"] for job in (short, long)} == {"running"}
        assert "engine_back" not in stack.events(long)
    finally:
        field.breakable.do("start_api")
    for job, lines in ((short, 50), (late, 3), (long, 450)):
        ran_once(stack, field, job, lines)
    kinds = [kind for kind in stack.events(long) if kind.startswith("engine_")]
    assert sorted(kinds) == ["engine_away", "engine_back"]


def test_an_api_server_that_hangs_ends_no_job(stack: RunningStack, field: Ground) -> None:
    short, long = begun(stack, *counting(50)), begun(stack, *counting(300))
    field.breakable.do("hang_api")
    late = stack.submit(*counting(3))
    eventually(passes(AWAY_SECONDS), AWAY_SECONDS + 5)
    assert {stack.job(job["id"])["state"] for job in (short, long)} == {"running"}
    field.breakable.do("wake_api")
    for job, lines in ((short, 50), (late, 3), (long, 300)):
        ran_once(stack, field, job, lines)
    for job in (short, long):
        kinds = stack.events(job)
        assert kinds.count("engine_away") == kinds.count("engine_back")


def test_a_worker_that_starts_while_the_api_server_hangs_adopts_what_it_had(stack: RunningStack, field: Ground) -> None:
    """One that refuses is the easier case: it is found out at once."""
    job = begun(stack, *counting(450))
    (pod,) = field.pods(job)
    field.breakable.do("hang_api")
    try:
        os.kill(stack.pid_of("run"), signal.SIGKILL)
        eventually(lambda: "adopted" in stack.events(job), GRACE_SECONDS + 15)
        eventually(passes(GRACE_SECONDS // 5), GRACE_SECONDS)
        assert stack.job(job["id"])["state"] == "running"
    finally:
        field.breakable.do("wake_api")
    ran_once(stack, field, job, 450)
    assert list(field.begun(job).values()) == [[pod["metadata"]["uid"]]]


def drop_again_and_again(field: Ground, seconds: float) -> None:
    passed = passes(seconds)

    def drop() -> bool:
        field.breakable.do("drop_streams")
        return passed()

    eventually(drop, seconds + 10)


FAULTS: dict[str, dict[str, Any]] = {
    "too_old": {"gone_watches": 10**6},
    "twice_and_out_of_order": {"twice": True, "reorder": True},
    "too_many_requests": {"too_many": 15, "retry_after": 1},
    "every_seventh_fails": {"error_every": 7},
    "slow": {"slow_seconds": 1.0},
    "silent": {"silent_watches": True},
    "dropped": {},
}


@pytest.mark.parametrize("name", FAULTS)
def test_whatever_a_watch_says_every_line_is_kept_once(name: str, stack: RunningStack, field: Ground) -> None:
    before = begun(stack, *counting(60))
    field.breakable.set(**FAULTS[name])
    field.breakable.do("drop_streams")
    if name == "too_old":
        field.breakable.do("forget_history")
    jobs = [(before, 60), (stack.submit(*counting(40)), 40), (stack.submit(*counting(1, 0)), 1)]
    if name == "dropped":
        drop_again_and_again(field, 6)
    for job, lines in jobs:
        ran_once(stack, field, job, lines, 120)
        assert not {"out_of_sight", "lost"} & set(stack.events(job))


def test_who_may_not_read_logs_for_a_while_reads_them_later(stack: RunningStack, field: Ground) -> None:
    job = begun(stack, *counting(40))
    field.breakable.set(denied=[LOGS])
    field.breakable.do("drop_streams")
    eventually(lambda: field.pods(job)[0]["status"]["phase"] == "Succeeded", 30)
    read = stack.job(job["id"])["log"]["lines"]
    eventually(passes(DENIED_SECONDS), 20)
    shown = stack.job(job["id"])
    assert (shown["state"], shown["log"]["lines"]) == ("running", read)
    assert read < 40
    field.breakable.set(denied=[])
    ran_once(stack, field, job, 40)


def test_who_may_not_look_at_pods_for_a_while_has_lost_none(stack: RunningStack, field: Ground) -> None:
    job = begun(stack, *counting(50))
    field.breakable.set(denied=[PODS])
    field.breakable.do("drop_streams")
    eventually(lambda: "engine_away" in stack.events(job), 60)
    assert stack.job(job["id"])["state"] == "running"
    field.breakable.set(denied=[])
    ran_once(stack, field, job, 50)
    assert "engine_back" in stack.events(job)


def test_what_the_quota_has_no_room_for_waits_until_it_has(stack: RunningStack, field: Ground) -> None:
    path = f"/api/v1/namespaces/{field.namespace}/resourcequotas"
    quota = {"metadata": {"name": QUOTA}, "spec": {"hard": {"pods": "1"}}}
    eventually(lambda: not field.listed("pods"), 40)
    Connection().request("POST", path, body=quota)
    try:
        first = begun(stack, *counting(60))
        second = stack.submit(*counting(2))
        assert QUOTA in waiting(stack, second, "quota")
        assert "attempt_running" not in stack.events(second)
        ran_once(stack, field, first, 60)
        ran_once(stack, field, second, 2)
        assert stack.job(second["id"])["waiting"] is None
    finally:
        Connection().request("DELETE", f"{path}/{QUOTA}")
