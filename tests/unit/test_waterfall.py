from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tracing.waterfall import Phase, axis, draw

START = datetime(2030, 1, 1, tzinfo=UTC)


def phase(name: str, start: float, end: float, depth: int = 0, status: str = "ok") -> Phase:
    return Phase(name, START + timedelta(seconds=start), START + timedelta(seconds=end), depth, status)


def test_bars_lie_where_their_phases_lie_in_time() -> None:
    drawn = draw([phase("waiting", 0, 5), phase("running", 5, 10)], width=36)
    assert drawn.splitlines() == [
        "waiting ██████████" + " " * 13 + "5.0 s",
        "running           ██████████   5.0 s",
    ]


def test_no_line_is_wider_than_asked_for() -> None:
    phases = [phase("starting", 0, 1), phase("pulling", 0.2, 0.9, depth=1), phase("running", 1, 3000, status="failed")]
    assert max(map(len, draw(phases, width=60).splitlines())) == 60


def test_what_took_no_time_still_shows() -> None:
    assert "▏" in draw([phase("waiting", 0, 0), phase("running", 0, 10)], width=60).splitlines()[0]
    assert "▏" in draw([phase("running", 0, 10), phase("finishing", 10, 10)], width=60).splitlines()[1]
    assert draw([phase("waiting", 0, 0)], width=60)


def test_a_phase_within_another_is_indented() -> None:
    assert draw([phase("starting", 0, 2), phase("pulling", 0, 1, depth=1)], 60).splitlines()[1].startswith("  pulling")


def test_what_is_not_over_and_what_failed_say_so() -> None:
    lines = draw([phase("waiting", 0, 1, status="lost"), phase("running", 1, 2, status="open")], 60).splitlines()
    assert lines[0].endswith("lost")
    assert lines[1].endswith("open")
    assert "░" in lines[1]


def test_no_phases_draw_nothing() -> None:
    assert draw([], 80) == ""


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [(10, {0: "│0", 20: "│5 s"}), (2.5, {0: "│0", 32: "│2 s"}), (0.004, {0: "│0", 20: "│2 ms"}), (0, {0: "│0"})],
)
def test_the_axis_has_round_times_where_they_are(seconds: float, labels: dict[int, str]) -> None:
    drawn = axis([phase("all", 0, seconds)], 40)
    assert {at: label for at, label in labels.items() if drawn.startswith(label, at)} == labels
    assert drawn.count("│") == len(labels)


@pytest.mark.parametrize("columns", [10, 11, 40, 200])
@pytest.mark.parametrize("seconds", [0, 1e-6, 0.3, 59.9, 61, 86_400 * 400])
def test_the_axis_is_as_wide_as_the_bars(seconds: float, columns: int) -> None:
    assert len(axis([phase("all", 0, seconds)], columns)) == columns
