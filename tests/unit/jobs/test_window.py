"""Pages of a log in memory: cut where lines are missing, found by number, no more than fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.logs.following import missing
from jobs.logs.gaps import Gap
from jobs.logs.records import StoredLine
from jobs.logs.window import PAGE_BYTES, PAGE_LINES, Window, cost, cut


def stored(*numbers: int, size: int = 8) -> list[StoredLine]:
    return [StoredLine(n, n, "stdout", b"x" * size) for n in numbers]


@pytest.mark.parametrize(
    ("numbers", "before", "pages"),
    [
        ([1, 2, 3], set(), [(1, 3)]),
        ([1, 2, 3], {3}, [(1, 2), (3, 3)]),
        ([1, 2, 3], {1, 9}, [(1, 3)]),
        ([1, 2, 7, 8], set(), [(1, 2), (7, 8)]),
        ([1, 2, 7, 8], {7}, [(1, 2), (7, 8)]),
        ([], set(), []),
    ],
)
def test_a_page_begins_where_lines_are_missing(
    numbers: list[int], before: set[int], pages: list[tuple[int, int]]
) -> None:
    assert [(page.first, page.last) for page in cut(1, stored(*numbers), before)] == pages


def test_pages_are_bounded_by_lines_and_by_bytes() -> None:
    assert max(len(page.lines) for page in cut(1, stored(*range(5000)), ())) == PAGE_LINES
    long = list(cut(1, stored(*range(8), size=PAGE_BYTES // 2), ()))
    assert [len(page.lines) for page in long] == [2, 2, 2, 2]


@given(st.sets(st.integers(1, 60), min_size=1), st.integers(1, 70), st.integers(0, 5000))
def test_a_window_gives_what_it_claims_to_hold(numbers: set[int], n: int, most: int) -> None:
    window = Window(1, 1)
    for number in sorted(numbers):
        window.add(cut(1, stored(number), ()), number + 1, most)
    held = [number for number in sorted(numbers) if number >= max(n, window.first)]
    if n >= window.first:
        page = window.page(n)
        assert (page.first if page else None) == (held[0] if held else None)
    assert sum(map(cost, window._pages)) <= max(most, cost(window._pages[0]))


CUT = Gap(31, "capped", 20, 400)
ROTATED = Gap(7, "rotated", since="a", until="b")


@pytest.mark.parametrize(
    ("expected", "first", "gaps", "told"),
    [
        (1, 1, [], []),
        (7, 7, [ROTATED], [ROTATED]),
        (1, 7, [ROTATED], [ROTATED, Gap(7, "capped", 6)]),
        (8, 8, [ROTATED], []),
        (1, 1, [ROTATED], []),
        (11, 31, [CUT], [CUT]),
        (15, 31, [CUT], [Gap(31, "capped", 16)]),  # it saw four of them while they were there
        (11, 35, [CUT], [Gap(35, "capped", 24)]),  # the cut has moved on since
        (31, 31, [CUT], []),  # it saw all of them
        (40, 40, [CUT], []),
    ],
)
def test_a_reader_is_told_what_it_misses(expected: int, first: int, gaps: list[Gap], told: list[Gap]) -> None:
    assert missing(expected, first, gaps) == told
