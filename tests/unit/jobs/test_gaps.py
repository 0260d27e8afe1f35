"""Gaps as they are kept: at their place, once, and never more than so many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobs.logs.block import Block
from jobs.logs.gaps import GAPS_MOST, Gap, Gaps, added, cut_of, stamp, with_cut

STREAMS = st.sampled_from(["stdout", "stderr"])
LINES = st.lists(st.tuples(st.binary(min_size=1, max_size=9), STREAMS, st.integers(0, 2**62)), max_size=20)


def test_a_gap_said_twice_is_one() -> None:
    once = added((), Gap(5, "removed", since="a"))
    assert added(once, Gap(5, "removed")) == once
    assert len(added(once, Gap(5, "rotated"))) == 2


def test_of_very_many_the_last_takes_in_the_later_ones() -> None:
    gaps: Gaps = ()
    for number in range(1, GAPS_MOST + 3):
        gaps = added(gaps, Gap(number, "rotated", bytes=2, since=f"s{number}", until=f"u{number}"))
    assert len(gaps) == GAPS_MOST
    assert gaps[-1] == Gap(GAPS_MOST, "rotated", bytes=6, since=f"s{GAPS_MOST}", until=f"u{GAPS_MOST + 2}")


def test_a_cut_takes_in_the_gaps_within_it_and_stands_among_the_others() -> None:
    gaps = tuple(Gap(line, "rotated") for line in (3, 10, 20, 30))
    cut = with_cut(gaps, Gap(20, "capped", lines=15, bytes=99))
    assert [(gap.line, gap.reason) for gap in cut] == [(3, "rotated"), (20, "capped"), (20, "rotated"), (30, "rotated")]
    wider = with_cut(cut, Gap(25, "capped", lines=20, bytes=120))
    assert [gap.line for gap in wider] == [3, 25, 30]
    assert cut_of(wider) == Gap(25, "capped", 20, 120)


def test_a_gap_survives_being_stored() -> None:
    gap = Gap(7, "capped", 3, 40, stamp(1_795_304_628_000_001_000), None)
    assert Gap.of(gap.as_json()) == gap
    assert gap.since == "2026-11-21T23:43:48.000001Z"


@given(LINES, st.integers(0, 25), st.integers(1, 40))
def test_a_block_gives_back_its_lines_however_it_is_cut(
    lines: list[tuple[bytes, str, int]], count: int, most: int
) -> None:
    block = Block.of(lines)
    assert (list(block), block.lines) == (lines, len(lines))
    assert list(block.behind(min(count, len(lines)))) == lines[min(count, len(lines)) :]
    assert list(block.last(count)) == lines[max(0, len(lines) - count) :]
    pieces = list(block.pieces(most))
    assert Block.join(pieces) == block
    assert all(len(piece.data) <= most or piece.lines == 1 for piece in pieces)
    assert all(piece.lines for piece in pieces)
