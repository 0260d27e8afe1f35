"""What is searched for: no match is missed for the sake of a filter, and what can't be understood is said so."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.logs.query import BadQuery, Query


@pytest.mark.parametrize(
    ("pattern", "needles"),
    [
        ("abc(def)?ghi+xyz[0-9]", [b"abc", b"xyz"]),
        ("foo|bar", []),
        (r"\bworker_lost\b.*timeout", [b"worker_lost", b"timeout"]),
        (r"(took) {1,3}long", [b"took", b"long"]),
        ("(?i)error", []),
        ("[unclosed|in re2 too]", []),
        (r"\pN+", []),
        ("x*yes", [b"yes"]),
    ],
)
def test_what_a_match_must_hold(pattern: str, needles: list[bytes]) -> None:
    assert Query(pattern, regex=True).needles == needles


@pytest.mark.parametrize("text", ["", "x" * 1001, "a\nb", "a\0b"])
def test_a_text_that_no_line_has(text: str) -> None:
    with pytest.raises(BadQuery):
        Query(text)


@pytest.mark.parametrize("pattern", ["(", r"\1", "a{99999}", "(?=a)", "\ud800"])
def test_an_expression_that_re2_does_not_know(pattern: str) -> None:
    with pytest.raises(BadQuery):
        Query(pattern, regex=True)


LINES = st.lists(st.text("abAB.ksü \u212a", max_size=8), max_size=6)


@given(LINES, st.text("abABks.ü", min_size=1, max_size=4), st.booleans())
def test_a_text_is_found_in_every_line_that_has_it_and_no_other(lines: list[str], text: str, ignore_case: bool) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    found = {data.count(b"\n", 0, place) for place in Query(text, ignore_case=ignore_case).places(data)}
    flags = re.IGNORECASE | (re.ASCII if text.isascii() else 0) if ignore_case else 0
    assert found == {n for n, line in enumerate(lines) if re.search(re.escape(text).encode(), line.encode(), flags & ~re.ASCII)
                     or (not text.isascii() and re.search(re.escape(text), line, flags))}  # fmt: skip


@given(LINES, st.sampled_from(["a+b", "[^x]+$", "^ab?", "(ab|ba)s", r"b\s*", "a.b"]))
def test_no_match_goes_over_the_end_of_a_line(lines: list[str], pattern: str) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    found = {data.count(b"\n", 0, place) for place in Query(pattern, regex=True).places(data)}
    assert found == {n for n, line in enumerate(lines) if re.search(pattern, line)}


def test_what_is_wrong_is_said_in_words() -> None:
    with pytest.raises(BadQuery, match=r"RE2 knows them: missing \): \("):
        Query("(", regex=True)


def test_an_evil_expression_takes_no_longer() -> None:
    assert not list(Query("(a+)+$b", regex=True).places(b"a" * 50_000 + b"\n"))
