from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from workers.drills.catalogue import DRILLS
from workers.drills.counting import counting, miscount
from workers.drills.drill import Refused
from workers.drills.of_disks import refuse_unless_small
from workers.drills.of_engine import StopEngine
from workers.drills.promise import Bounds, Finding, Promise
from workers.drills.running import Report

BOUNDS = Bounds(heartbeat=5, lease=15, grace=30, restart=60)


def test_a_counting_job_counts() -> None:
    ran = subprocess.run(["sh", "-c", counting(5)], capture_output=True, text=True, check=True)
    assert miscount(ran.stdout.splitlines(), 5) == ""


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["1", "2", "4"], "line 3 is '4'"),
        (["1", "2", "2", "3"], "line 3 is '2'"),
        (["1", "1", "2", "3"], "line 2 is '1'"),
        (["1", "2"], "ends with line 2 of 3"),
        (["1", "2", "3", "4"], "4 lines instead of 3"),
        ([], "ends with line 0 of 3"),
    ],
)
def test_a_gap_a_repetition_and_a_missing_end_are_seen(texts: list[str], said: str) -> None:
    assert miscount(texts, 3) == said


def test_bounds_follow_the_settings() -> None:
    assert (BOUNDS.notice, BOUNDS.lapse, BOUNDS.begin, BOUNDS.count) == (15, 30, 45, 270)
    faster = Bounds(heartbeat=0.5, lease=2, grace=10, restart=60)
    assert faster.lapse < faster.begin < BOUNDS.lapse


def test_a_counting_job_outlasts_a_lapse_but_for_its_spare_moment() -> None:
    assert BOUNDS.count / 10 > BOUNDS.lease + 2 * BOUNDS.heartbeat


def test_the_drills_that_were_promised_are_there() -> None:
    promised = "kill-worker restart-redis flush-redis stop-engine oom bad-image deaf-worker fill-disk"
    assert set(promised.split()) <= set(DRILLS)


@pytest.mark.parametrize("name", DRILLS)
def test_a_drill_says_what_it_does_and_what_must_hold(name: str) -> None:
    drill = DRILLS[name]()
    keys = [promise.key for promise in drill.promises(BOUNDS)]
    assert len(set(keys)) == len(keys) >= 3
    assert drill.about.endswith(".")


def test_with_live_restore_the_job_has_to_go_on_in_its_container() -> None:
    drill = StopEngine()
    drill.live_restore = True
    with_it = {promise.key for promise in drill.promises(BOUNDS)}
    drill.live_restore = False
    without = {promise.key for promise in drill.promises(BOUNDS)}
    assert ("container" in with_it, "retried" in with_it) == (True, False)
    assert ("container" in without, "retried" in without) == (False, True)


def test_one_broken_promise_fails_a_drill() -> None:
    held = Finding(Promise("a", "all is well", 5), held=True, seconds=1.2345)
    broken = Finding(Promise("b", "nothing is lost"), held=False, detail="a line")
    assert Report("oom", "run@a", "docker", [held], []).passed
    assert not Report("oom", "run@a", "docker", [held, broken], []).passed
    assert held.as_json() == {
        "promise": "all is well", "limit_seconds": 5, "held": True, "seconds": 1.23, "detail": "",
    }  # fmt: skip


def test_the_hosts_own_disk_is_never_filled(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no file system of its own"):
        refuse_unless_small(tmp_path)
    with pytest.raises(Refused, match="No such file"):
        refuse_unless_small(tmp_path / "nothing")


def test_a_large_file_system_is_never_filled() -> None:
    with pytest.raises(Refused, match="MiB are filled"):
        refuse_unless_small(Path("/dev/shm"), largest=1024**2)
