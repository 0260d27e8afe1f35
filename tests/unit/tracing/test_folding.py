"""A waterfall of thousands of spans fits on a screen, and nothing that went wrong is folded away."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.trace_builder import Built
from tracing.folding import Folded, fold
from tracing.questions.waterfall import waterfall

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def many(count: int, failing: int | None = None, below: int = 0) -> Built:
    built = Built(began=NOW)
    root = built.span("all", "container", 0, float(count))
    for number in range(count):
        wrong = ("E", "no") if number == failing and not below else ("", "")
        one = built.span("step", "container", number, 0.5 + number / 1000, root, failed=wrong)
        for inner in range(below):
            wrong = ("E", "no") if number == failing and inner == 0 else ("", "")
            built.span("inner", "container", number + inner / 10, 0.05, one, failed=wrong)
    return built


def lines(built: Built) -> list[str]:
    return [
        f"+{line.count}" if isinstance(line, Folded) else line.row.operation
        for line in fold(waterfall(built.rows, NOW))
    ]


def test_many_alike_become_two_and_a_line() -> None:
    assert lines(many(100)) == ["all", "step", "step", "+98"]
    assert lines(many(100, below=2)) == ["all", "step", "inner", "inner", "step", "inner", "inner", "+98"]


def test_a_few_stay_as_they_are() -> None:
    assert lines(many(4)) == ["all", *["step"] * 4]


def test_what_failed_is_shown_and_so_is_all_above_it() -> None:
    assert lines(many(11, failing=5)) == ["all", "step", "step", "+3", "step", "step", "step", "+3"]
    deep = lines(many(11, failing=5, below=1))
    assert deep.count("inner") == 5
    assert deep.count("+3") == 2


def test_a_folded_line_tells_how_long_they_took_and_from_when_to_when() -> None:
    line = next(line for line in fold(waterfall(many(100).rows, NOW)) if isinstance(line, Folded))
    assert [round(seconds, 3) for seconds in line.seconds(NOW)] == [0.502, 0.599]
    assert (line.start - NOW).total_seconds() == 2
    assert (line.end(NOW) - NOW).total_seconds() == 99.599


def test_nothing_folds_to_nothing() -> None:
    assert fold([]) == []


def test_every_span_is_on_one_line() -> None:
    built = many(50, failing=20, below=3)
    steps = waterfall(built.rows, NOW)
    folded = [line for line in fold(steps) if isinstance(line, Folded)]
    below = sum(3 * line.count for line in folded)
    assert len(fold(steps)) - len(folded) + sum(line.count for line in folded) + below == len(built.rows)
