"""When lines were written, counted: the same of a log in the database and of one that is packed."""

from __future__ import annotations

import pytest

from jobs.logs.density import Bucket, Density, density
from jobs.logs.packing import pack
from jobs.models import Attempt

from .test_logs import Lines
from .test_packing import sealed

pytestmark = pytest.mark.django_db
MS = 10**6


def lines(*at_ms: int) -> Lines:
    return [(b"x\n", "stdout", ms * MS) for ms in at_ms]


@pytest.fixture
def attempt() -> Attempt:
    """Ten lines in the first 100 ms, two in the third, and one far behind."""
    return sealed(lines(*range(0, 100, 10), 200), lines(299, 5000))


EXPECTED = [Bucket(0, 10, 1), Bucket(2, 2, 11), Bucket(3, 1, 13)]


def test_lines_are_counted_by_when_they_were_written(attempt: Attempt) -> None:
    assert density(attempt.pk, 0, 100 * MS, 4) == Density(EXPECTED, whole=True)


def test_a_packed_log_tells_the_same(attempt: Attempt) -> None:
    pack(attempt)
    assert density(attempt.pk, 0, 100 * MS, 4) == Density(EXPECTED, whole=True)


def test_what_was_written_before_is_in_the_first_stretch(attempt: Attempt) -> None:
    found = density(attempt.pk, 250 * MS, 100 * MS, 3)
    assert [(bucket.place, bucket.lines) for bucket in found.buckets] == [(0, 12), (2, 1)]


def test_an_attempt_without_a_line_has_none(attempt: Attempt) -> None:
    attempt.chunks.all().delete()
    assert density(attempt.pk, 0, MS, 4) == Density([], whole=True)


def test_of_a_log_without_end_the_rest_is_left_out_and_said(attempt: Attempt) -> None:
    found = density(attempt.pk, 0, 100 * MS, 4, exact=5)
    assert (sum(bucket.lines for bucket in found.buckets), found.whole) == (11, False)
    pack(attempt)
    packed = density(attempt.pk, 0, 100 * MS, 4, exact=5)
    assert (sum(bucket.lines for bucket in packed.buckets), packed.whole) == (13, True)
