"""How alike sequences of operations are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracing.questions.similar import Failure, Shape, alikeness, closest, distance

SEQUENCES = st.lists(st.sampled_from("abcd"), max_size=12)


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [("", "", 0), ("abc", "abc", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("aab", "ab", 1), ("abcd", "badc", 3)],
)
def test_the_distance_is_the_fewest_edits(one: str, other: str, edits: int) -> None:
    assert distance(one, other) == edits


@given(SEQUENCES, SEQUENCES)
def test_alikeness_is_a_share_the_same_both_ways_and_one_for_the_same(one: list[str], other: list[str]) -> None:
    assert alikeness(one, other) == alikeness(other, one)
    assert 0 <= alikeness(one, other) <= 1
    assert (alikeness(one, other) == 1) == (one == other)


@given(SEQUENCES.filter(bool), st.lists(st.tuples(SEQUENCES, st.booleans()), max_size=20), st.integers(1, 5))
def test_leaving_early_never_changes_who_is_closest(
    mine: list[str], others: list[tuple[list[str], bool]], limit: int
) -> None:
    failure = Failure("worker: a", "Error")
    shapes = [Shape(number, tuple(each), failure if fails else None) for number, (each, fails) in enumerate(others)]
    every = [
        (alikeness(mine, shape.operations) * (0.5 if shape.failure else 1), shape.execution_id) for shape in shapes
    ]
    assert closest(Shape(99, tuple(mine)), shapes, limit) == sorted(every, reverse=True)[:limit]


def test_long_sequences_count_as_far_as_their_first_two_hundred_operations() -> None:
    mine, other = Shape(1, ("a",) * 200 + ("b",) * 50), Shape(2, ("a",) * 200 + ("c",) * 90)
    assert closest(mine, [other], 5) == [(1.0, 2)]
