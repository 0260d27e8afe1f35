"""A run beside earlier ones."""

from __future__ import annotations

import pytest

from tracing.questions.compare import PhaseDifference, compare
from tracing.rows import Row

from .traces import LATER, span


def run(pull: float, execute: float) -> list[Row]:
    return [span("pull", 0, pull, service="engine"), span("execute", pull, pull + execute, service="container")]


def test_the_greatest_difference_comes_first_beside_the_median() -> None:
    histories = [run(1, 10), run(2, 11), run(3, 900)]
    pull, execute = compare(run(32, 10.5), histories, LATER)
    assert (pull.operation, pull.seconds, pull.usual_seconds, pull.ratio, pull.runs) == ("pull", 32, 2, 16, 3)
    assert (execute.difference_seconds, execute.usual_seconds) == (-0.5, 11)


def test_a_new_phase_and_a_missing_one_are_named() -> None:
    found = compare([span("new", 0, 3)], [[span("old", 0, 4)]] * 3, LATER)
    assert [(each.operation, each.is_new, each.is_missing, each.difference_seconds) for each in found] == [
        ("old", False, True, -4),
        ("new", True, False, 3),
    ]
    assert [each.ratio for each in found] == [None, None]


def test_what_most_runs_lack_is_not_missed() -> None:
    histories = [[span("run", 0, 1)]] * 3 + [[span("run", 0, 1), span("pull", 0, 9)]]
    assert [each.operation for each in compare([span("run", 0, 1)], histories, LATER)] == ["run"]


def test_a_phase_counts_each_moment_once() -> None:
    rows = [span("queue", 0, 4), span("queue", 1, 2), span("queue", 3, 5), span("queue", 10, 11)]
    assert compare(rows, [], LATER) == [PhaseDifference("worker", "queue", 6, None, 0)]


def test_what_took_no_time_has_no_ratio() -> None:
    (found,) = compare([span("tick", 0, 1)], [[span("tick", 0, 0)]], LATER)
    assert (found.ratio, found.difference_seconds, found.is_new) == (None, pytest.approx(1), False)
