from __future__ import annotations

from typing import Any

import pytest

from jobs.terminal.following import exit_code_of, what_it_waits_for
from jobs.terminal.words import age, duration, safe
from workers.terminal.workers import slots_bar


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.25, "0.2 s"), (42, "42 s"), (75, "1 m 15 s"), (3700, "1 h 01 m"), (200_000, "2 d 7 h")],
)
def test_durations_read_well(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(None, "–"), (5, "5 s"), (90, "2 m"), (7200, "2 h"), (400_000, "5 d")])
def test_ages_have_one_unit(seconds: float | None, text: str) -> None:
    assert age(seconds) == text


def test_a_name_cannot_move_the_cursor() -> None:
    assert "\x1b" not in safe("evil\x1b[2J\r\nname")


@pytest.mark.parametrize(
    ("state", "exit_code", "kind", "code"),
    [
        ("succeeded", 0, None, 0),
        ("failed", 42, "user", 42),
        ("failed", 143, "timeout", 124),
        ("failed", None, "timeout", 124),
        ("cancelled", 143, "cancelled", 130),
        ("cancelled", None, "cancelled", 130),
        ("failed", None, "image", 1),
        ("failed", 0, "resource", 1),  # a child ran out of memory, and the shell went on
        ("failed", 137, "resource", 137),
    ],
)
def test_the_exit_code_says_how_the_job_ended(state: str, exit_code: int | None, kind: str | None, code: int) -> None:
    end = {"state": state, "exit_code": exit_code, "verdict": {"kind": kind} if kind else None}
    assert exit_code_of(end) == code


NEWS: dict[str, Any] = {
    "state": "assigned",
    "attempt_state": "starting",
    "worker": "run@a",
    "waiting_reason": None,
    "waiting_detail": None,
    "progress": None,
}


def test_the_status_line_tells_of_waiting_pulling_and_starting() -> None:
    waiting = {**NEWS, "state": "queued", "waiting_reason": "capacity", "waiting_detail": "all slots are taken"}
    pull = {"what": "pull", "done": 5 * 1024**2, "total": 10 * 1024**2, "status": "Downloading"}
    assert what_it_waits_for(waiting) == "waiting (capacity): all slots are taken"
    assert what_it_waits_for({**NEWS, "progress": pull}) == "pulling the image on run@a: 50 % of 10.0 MiB Downloading"
    assert what_it_waits_for(NEWS) == "starting on run@a"
    assert what_it_waits_for({**NEWS, "state": "running", "attempt_state": "running"}) == ""


@pytest.mark.parametrize(
    ("used", "slots", "shown"),
    [(0, 8, "░░░░░░░░ 0/8"), (1, 100, "█░░░░░░░ 1/100"), (99, 100, "███████░ 99/100"), (8, 8, "████████ 8/8")],
)
def test_a_slots_bar_is_never_full_while_one_is_free(used: int, slots: int, shown: str) -> None:
    assert slots_bar(used, slots).plain == shown
