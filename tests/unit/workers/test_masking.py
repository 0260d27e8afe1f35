"""Masking by pieces: however output is cut, and wherever reading begins again, what is stored is what masking it whole gives."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.secrets.mask import Mask
from jobs.secrets.shapes import base64_shapes, plain_shapes
from workers import masking
from workers.drivers.output import Line
from workers.masking import Masking


def shapes_of(values: list[str]) -> set[bytes]:
    return set().union(*map(plain_shapes, values), *map(base64_shapes, values))


VALUES = st.lists(
    st.one_of(st.text("ab\n", min_size=2, max_size=7), st.sampled_from(["hush", "aaaa", "ab\nba\nab", "pä\"s/s", "hush\nhush",
                      "long enough to be broken"])),
    max_size=3,
)  # fmt: skip


@st.composite
def outputs(draw: Any) -> tuple[list[str], list[Line]]:
    """Secrets, and pieces of two streams in which they, their shapes and parts of them stand about."""
    values = draw(VALUES)
    known = sorted(shapes_of(values))
    words = st.one_of(
        st.sampled_from([b"a", b"b", b"\n", b" ", b"abab\n", b"h"]),
        *([st.sampled_from(known), st.sampled_from(known).map(lambda word: word[: len(word) // 2])] if known else []),
    )
    lines: list[Line] = []
    for stream in ("stdout", "stderr"):
        data = b"".join(draw(st.lists(words, max_size=12)))
        cuts = sorted({0, len(data), *draw(st.lists(st.integers(0, len(data)), max_size=8))})
        lines += [Line(data[a:b], stream, a, "") for a, b in pairwise(cuts)]  # type: ignore[arg-type]
    mixed = _mixed(lines, draw(st.randoms(use_true_random=False)))
    return values, [Line(line.data, line.stream, line.at_ns, str(n)) for n, line in enumerate(mixed, 1)]


def _mixed(lines: list[Line], random: Any) -> list[Line]:
    """The two streams one into the other, each in its order."""
    left = {name: [line for line in lines if line.stream == name] for name in ("stdout", "stderr")}
    return [left[name].pop(0) for name in random.sample([line.stream for line in lines], len(lines))]


def joined(lines: Iterable[Line], stream: str) -> bytes:
    return b"".join(line.data for line in lines if line.stream == stream)


def batches(draw: Any, lines: list[Line]) -> Iterable[list[Line]]:
    cuts = sorted({0, len(lines), *draw(st.lists(st.integers(0, len(lines)), max_size=5))})
    return [lines[a:b] for a, b in pairwise(cuts)]


def check_as_if_masked_whole(values: list[str], lines: list[Line], stored: list[Line]) -> None:
    mask = Mask(values)
    for stream in ("stdout", "stderr"):
        assert joined(stored, stream) == mask.hide(joined(lines, stream))
        assert not any(shape in joined(stored, stream) for shape in shapes_of(values))


@settings(max_examples=80, deadline=None)
@given(outputs(), st.data())
def test_any_cut_into_batches_gives_the_same(output: tuple[list[str], list[Line]], data: Any) -> None:
    values, lines = output
    stage, stored = Masking(Mask(values)), []
    for batch in batches(data.draw, lines):
        stored += stage.take(batch)
    stored += stage.flush()
    check_as_if_masked_whole(values, lines, stored)
    assert [line.at_ns for line in stored] == [line.at_ns for line in lines if line in stored or _of(stored, line)]


def _of(stored: list[Line], line: Line) -> bool:
    return any((one.stream, one.at_ns) == (line.stream, line.at_ns) for one in stored)


@settings(max_examples=80, deadline=None)
@given(outputs(), st.data())
def test_reading_on_from_any_stored_cursor_gives_the_same(output: tuple[list[str], list[Line]], data: Any) -> None:
    """The process dies after some batch was stored; the next one reads from its last cursor, with nothing in memory."""
    values, lines = output
    stored: list[Line] = []
    for _ in range(4):
        stage, at = Masking(Mask(values)), int(stored[-1].cursor) if stored else 0
        for batch in batches(data.draw, lines[at:]):
            stored += stage.take(batch)
            if data.draw(st.booleans()):
                break
    stage, at = Masking(Mask(values)), int(stored[-1].cursor) if stored else 0
    stored += stage.take(lines[at:]) + stage.flush()
    check_as_if_masked_whole(values, lines, stored)
    assert not stored or stored[-1].cursor == str(len(lines))


def line(data: bytes, stream: Any = "stdout", cursor: str = "c") -> Line:
    return Line(data, stream, 7, cursor)


def test_a_line_waits_only_for_what_could_be_a_secret() -> None:
    stage = Masking(Mask(["hush-hush", "six\nten"]))
    assert stage.take([line(b"one\n")]) == [line(b"one\n")]
    assert stage.take([line(b"no newline")]) == [line(b"no newline")]
    assert stage.take([line(b"at six\n"), line(b"err", "stderr")]) == []
    assert stage.take([line(b"two\n")]) == [line(b"at six\n"), line(b"err", "stderr"), line(b"two\n")]
    assert stage.take([line(b"at six\n")]) == []
    assert stage.take([line(b"ten\n")]) == [line(b"at ***\n"), line(b"***\n")]
    assert stage.take([line(b"hush-")]) == []
    assert stage.flush() == [line(b"hush-")]
    assert stage.flush() == []


def test_lines_that_hold_none_are_given_out_as_they_are() -> None:
    lines = [line(b"a\n"), line(b"b\n", "stderr")]
    assert Masking(Mask()).take(lines) is lines
    assert all(a is b for a, b in zip(Masking(Mask(["hush"])).take(lines), lines, strict=True))


def test_what_is_held_is_bounded() -> None:
    """One stream stops in the middle of what could be a secret, the other floods: what was not decided is masked."""
    stage = Masking(Mask(["hush-hush"]))
    assert stage.take([line(b"quiet hush-")]) == []
    flood, given = [line(b"x" * 1000 + b"\n", "stderr")] * 500, []
    for _ in range(masking.HELD_BYTES_MOST // 500_000 + 1):
        given += stage.take(flood)
    assert given[0] == line(b"quiet ***")
    assert joined(given, "stderr") == joined(flood, "stderr") * (len(given) // 500)


@pytest.mark.parametrize("cut", range(1, 10))
def test_a_secret_in_two_pieces_is_one_mark(cut: int) -> None:
    stage = Masking(Mask(["hush-money"]))
    assert stage.take([line(b"a " + b"hush-money"[:cut], cursor="1")]) == []
    assert stage.take([line(b"hush-money"[cut:] + b" b\n", cursor="2")]) == [
        line(b"a ***", cursor="1"),
        line(b" b\n", cursor="2"),
    ]
    assert stage.take([line(b"a " + b"hush-money"[:cut], cursor="3")]) == []
    assert stage.take([line(b"hush-money"[cut:], cursor="4")]) == [line(b"a ***", cursor="4")]
