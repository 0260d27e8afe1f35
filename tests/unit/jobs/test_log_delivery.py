"""How late lines were stored is counted line by line, in the bucket that it belongs to."""

from __future__ import annotations

from jobs.logs.block import Block
from jobs.logs.delivery import BOUNDS, NONE, delayed, delays_of

SECOND = 10**9


def lines(*seconds_before: float, now: int) -> Block:
    return Block.of((b"x\n", "stdout", now - int(seconds * SECOND)) for seconds in seconds_before)


def test_each_line_is_in_the_bucket_whose_end_it_reaches_at_most() -> None:
    now = 1_900_000_000 * SECOND
    found = delayed(NONE, lines(0.005, 0.01, 0.02, 400, now=now), now)
    assert found == (2, 1, *[0] * (len(BOUNDS) - 2), 1, 400_035)


def test_counts_go_on_where_they_were() -> None:
    now = 1_900_000_000 * SECOND
    once = delayed(NONE, lines(1, 2, now=now), now)
    assert delayed(once, lines(1, 2, now=now), now) == tuple(2 * count for count in once)


def test_a_clock_that_is_ahead_is_no_delay() -> None:
    assert delayed(NONE, lines(-60, now=0), 0) == (1, *NONE[1:])


def test_what_was_counted_in_other_buckets_is_left_out() -> None:
    assert delays_of([1, 2, 3]) == delays_of(None) == NONE
