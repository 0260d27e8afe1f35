"""Samples of what a container used: all of a short run, and of a long one evenly so many that they fit on a page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from jobs.usage import MOST, Series, as_samples

START = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def series(count: int, apart: float = 2.0, before: Series | None = None) -> Series:
    grown = before or Series()
    for number in range(1, count + 1):
        grown.add(START + timedelta(seconds=number * apart), 1000 + number, number * apart / 2)
    return grown


def test_a_short_run_keeps_every_sample() -> None:
    told = as_samples(series(3).rows, START)
    assert [(each.time - START).total_seconds() for each in told] == [2, 4, 6]
    assert [(each.memory_bytes, each.cpu_seconds, each.cpus) for each in told] == [
        (1001, 1, 0.5),
        (1002, 2, 0.5),
        (1003, 3, 0.5),
    ]


@pytest.mark.parametrize("count", [MOST + 1, 5 * MOST, 43_200])
def test_a_long_run_is_thinned_out_evenly_from_its_beginning_to_its_end(count: int) -> None:
    rows = series(count).rows
    assert MOST // 2 - 1 <= len(rows) <= MOST
    gaps = [after[0] - before[0] for before, after in pairwise(rows)]
    assert max(gaps) <= 2.1 * min(gaps)
    first, last = ((each[0] / 1000 - START.timestamp()) / (2 * count) for each in (rows[0], rows[-1]))
    assert first < 0.02 and last > 0.98


def test_who_goes_on_with_it_takes_samples_as_far_apart() -> None:
    first = series(5 * MOST)
    second = Series(first.rows)
    second.add(datetime.fromtimestamp(first.rows[-1][0] / 1000, UTC) + timedelta(seconds=2), 1, 1e6)
    assert len(second.rows) == len(first.rows), "too soon after the last one"


def test_a_clock_that_was_put_back_makes_no_nonsense() -> None:
    rows = [[10_000, 5, 100], [10_000, 5, 50]]
    assert [each.cpus for each in as_samples(rows, None)] == [0.0, 0.0]


def test_a_sample_of_the_past_is_left_out() -> None:
    grown = series(2)
    grown.add(START, 1, 1)
    assert len(grown.rows) == 2
