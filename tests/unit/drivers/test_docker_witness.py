"""Whether it was the engine that ended a container, from when it came up and when the container was over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from workers.drivers.docker.top import processes_of, seconds_of
from workers.drivers.docker.witness import Witness
from workers.drivers.protocol import Handle, Observation, Phase, RunningProcess

UP = datetime(2026, 11, 22, 12, tzinfo=UTC)
HANDLE = Handle("docker", "one", "1", "here")


def ended(code: int, seconds_before: float, *, began_before: float = 7200) -> Observation:
    """`seconds_before` the engine's start."""
    began, over = UP - timedelta(seconds=began_before), UP - timedelta(seconds=seconds_before)
    return Observation(HANDLE, Phase.EXITED, exit_code=code, started_at=began, finished_at=over)


@pytest.mark.parametrize(
    ("seen", "taken"),
    [
        (ended(143, 12), True),
        (ended(137, 3000), True),
        (ended(255, 0.2), True),
        (ended(3, 14), True),  # it caught the TERM
        (ended(3, 60), False),
        (ended(137, 3700), False),
        (ended(137, -5, began_before=-1), False),  # it began on this engine
    ],
)
def test_without_live_restore_it_takes_containers_along(seen: Observation, taken: bool) -> None:
    assert Witness(UP, saw_start=False, live_restore=False).took_along(seen) is taken


def test_with_live_restore_only_what_it_found_dead() -> None:
    witness = Witness(UP, saw_start=False, live_restore=True)
    assert not witness.took_along(ended(137, 5))
    assert not witness.took_along(ended(255, 60))
    assert witness.took_along(ended(255, 0.2))


def test_an_engine_that_saw_the_container_start_was_there_all_the_time() -> None:
    assert not Witness(UP, saw_start=True, live_restore=False).took_along(ended(137, 5))


def test_an_engine_of_unknown_age_is_not_blamed() -> None:
    assert not Witness(None, saw_start=False, live_restore=False).took_along(ended(137, 5))


def test_processes_are_read_from_what_ps_says() -> None:
    answer = {"Titles": ["PID", "STAT", "TIME", "COMMAND"], "Processes": [["7", "Ss", "1-00:01:02", "sleep 9"]]}
    assert processes_of(answer) == [RunningProcess(7, "S", 86_462.0, "sleep 9")]
    assert processes_of({"Processes": None}) == []
    assert seconds_of("3:04") == 184.0
