"""The picture of a trace: its time axis, its lines and their HTML. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from jobs.admin.traces.axis import TICKS_MOST, Axis, length, took
from jobs.admin.traces.drawing import Picture
from jobs.admin.traces.tree import FOLD_FROM, NEIGHBOURS, Fold, Line, lines, opened, tree
from tests.trace_builder import Built
from tracing.identity import span_hex
from tracing.models import Status
from tracing.questions.waterfall import waterfall
from tracing.rows import Row

NOW = datetime(2026, 1, 2, tzinfo=UTC)
BEGAN = NOW - timedelta(hours=1)
NASTY = "<img src=x onerror=alert(1)>"


def axis(seconds: float) -> Axis:
    return Axis.over([(BEGAN, BEGAN + timedelta(seconds=seconds))])


@pytest.mark.parametrize("seconds", [0.00002, 0.003, 0.9, 1, 59, 61, 3600, 5000, 86400, 3 * 86400, 400 * 86400])
def test_an_axis_of_any_length_has_a_handful_of_even_ticks(seconds: float) -> None:
    ticks = axis(seconds).ticks()
    assert 3 <= len(ticks) <= TICKS_MOST + 1
    steps = [after.x - before.x for before, after in pairwise(ticks)]
    assert max(steps) - min(steps) < 0.01
    assert ticks[0].x == 0 and ticks[-1].x <= 100
    assert len({tick.text for tick in ticks}) == len(ticks)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0"), (0.0002, "200 µs"), (0.003, "3 ms"), (1.5, "1.5 s"), (90, "1 min 30 s"), (129600, "1 d 12 h")],
)
def test_a_tick_says_its_length_in_units_of_its_size(seconds: float, said: str) -> None:
    assert length(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 ms"), (0.003, "3 ms"), (0.4123, "412 ms"), (12.34, "12.3 s"), (310, "5 min 10 s")]
)
def test_a_length_of_time_has_three_digits(seconds: float, said: str) -> None:
    assert took(seconds) == said


def test_a_trace_that_took_no_time_has_an_axis_all_the_same() -> None:
    assert Axis.over([(BEGAN, BEGAN)]).place(BEGAN) == 0
    assert axis(10).place(BEGAN + timedelta(seconds=99)) == 100


def flat(count: int, name: str = "step {}", **other: Row) -> Built:
    built = Built(began=BEGAN)
    root = built.span("execute", "container", 0, 60)
    for number in range(count):
        built.span(name.format(number), "trainer", number * 0.01, 0.01, root)
    return built


def drawn(built: Built, odd: dict[int, str] | None = None) -> list[Line | Fold]:
    return lines(tree(waterfall(built.rows, NOW), odd))


def test_a_few_siblings_are_shown_one_by_one() -> None:
    assert [line.level for line in drawn(flat(FOLD_FROM - 1)) if isinstance(line, Line)] == [1, *[2] * (FOLD_FROM - 1)]


def test_many_siblings_alike_are_one_line_that_holds_them_all() -> None:
    top, fold = drawn(flat(3000))
    assert isinstance(top, Line) and isinstance(fold, Fold)
    assert (fold.name, len(fold.members), fold.level) == ("step …", 3000, 2)
    assert [line.level for line in fold.lines] == [3] * 3000
    assert opened([top, fold], fold.key) is fold
    assert opened([top, fold], "0") is None


def test_what_failed_or_is_unusual_stands_outside_of_the_fold() -> None:
    built = flat(100)
    failed = built.span("step 7", "trainer", 2, 1, built.rows[0], ("Boom", "it went off"))
    slow = built.rows[50]
    shown = drawn(built, {slow.span_id.int: "took long"})
    alone = {line.node.step.row.span_id for line in shown if isinstance(line, Line)}
    assert {failed.span_id, slow.span_id} <= alone
    assert [len(line.members) for line in shown if isinstance(line, Fold)] == [99]


def test_very_many_siblings_unlike_are_folded_with_their_neighbours() -> None:
    built = Built(began=BEGAN)
    root = built.span("execute", "container", 0, 60)
    names = [chr(97 + n // 26 % 26) + chr(97 + n % 26) for n in range(300)]
    for number, name in enumerate(names):
        built.span(name, "trainer", number, 1, root)
    folds = [line for line in drawn(built) if isinstance(line, Fold)]
    assert [len(fold.members) for fold in folds] == [NEIGHBOURS] * 6
    assert folds[0].name == f"{names[0]} … {names[NEIGHBOURS - 1]}"


def test_a_chain_of_thousands_is_drawn_without_recursion() -> None:
    built = Built(began=BEGAN)
    row = built.span("first", "worker", 0, 60)
    for _ in range(3000):
        row = built.span("next", "worker", 0, 60, row)
    assert len(html(built).split('role="row"')) == 3002


def html(built: Built, odd: dict[int, str] | None = None) -> str:
    over = Axis.over([(row.started_at, row.end(NOW)) for row in built.rows])
    return Picture(over, NOW, {"worker": "worker"}).draw(drawn(built, odd))


def test_whatever_a_container_sends_is_text() -> None:
    built = Built(began=BEGAN)
    built.span(NASTY, NASTY, 0, 1, failed=(NASTY, NASTY), **{NASTY: NASTY})
    shown = html(built, {built.rows[0].span_id.int: f'"{NASTY}'})
    assert "<img" not in shown
    assert '"&quot;&lt;img' in shown


@pytest.mark.parametrize("status", [Status.FAILED, Status.TIMEOUT, Status.LOST, Status.STARTED])
def test_what_did_not_end_well_is_told_by_a_word_and_a_pattern(status: Status) -> None:
    built = Built(began=BEGAN)
    seconds = None if status is Status.STARTED else 1
    built.span("work", "worker", 0, seconds, failed=("" if seconds is None else "why", ""), status=status)
    shown = html(built)
    assert f'fill="url(#p-{status})"' in shown
    assert ("open" if status is Status.STARTED else status.value) in re.sub("<[^>]*>", "", shown)


def test_bars_are_where_they_were_in_time_and_the_critical_path_is_marked() -> None:
    built = Built(began=BEGAN)
    root = built.span("job", "worker", 0, 10)
    early = built.span("early", "worker", 1, 2, root)
    late = built.span("late", "worker", 2, 8, root)
    shown = {row.operation: html(built).split(f's-{span_hex(row.span_id)}"')[1] for row in (early, late)}
    assert 'class="bar" x="10.000%" y="3" width="20.000%"' in shown["early"]
    assert "critical" in shown["late"].split(">")[0]
    assert "critical" not in shown["early"].split(">")[0]


def test_no_style_is_written_which_the_policy_forbids() -> None:
    assert "style" not in html(flat(100))
