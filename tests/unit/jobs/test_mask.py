"""What of a secret is found in output, whatever stands around it, and that nothing else is touched."""

from __future__ import annotations

import base64
import json
import re
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobs.secrets.mask import MARK, Mask
from jobs.secrets.shapes import base64_shapes, is_masked, plain_shapes

PEM = "-----BEGIN KEY-----\n" + "\n".join(f"{n}abcDEF/+{n * 7919:048d}" for n in range(8)) + "\n-----END KEY-----\n"


def shapes_of(values: list[str]) -> set[bytes]:
    return set().union(*map(plain_shapes, values), *map(base64_shapes, values))


VALUES = st.one_of(
    st.text("ab", min_size=2, max_size=8),
    st.text(st.characters(exclude_categories=["Cs", "Z", "Cc"], exclude_characters="*"), min_size=2, max_size=40),
    st.sampled_from(['s3cr3t/+=&<pä\\"ss>', "aaaa", "abab", "two\nlines of it", "x\n\ny" * 4, PEM]),
)
AROUND = st.one_of(st.binary(max_size=20), st.text("ab\n", max_size=12).map(str.encode))


@given(VALUES, AROUND, AROUND)
def test_the_value_never_shows(value: str, before: bytes, behind: bytes) -> None:
    hidden = Mask([value]).hide(before + value.encode() + behind)
    assert value.encode() not in hidden
    assert MARK in hidden


@given(VALUES, AROUND, AROUND)
@example("sub?ject>s", b"", b"")
def test_its_base64_does_not_show_wherever_it_stands(value: str, before: bytes, behind: bytes) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(before + value.encode() + behind)
        for shown in re.split(rb"\*+", Mask([value]).hide(text)):
            if len(value.encode()) >= 6:
                assert value.encode()[1:-1] not in _decodings(shown), (text, shown)


def _decodings(text: bytes) -> bytes:
    """All that the pieces of it could be read as."""
    plain = text.translate(bytes.maketrans(b"-_", b"+/"))
    starts = [plain[start:].replace(b"=", b"") for start in range(4)]
    return b" ".join(base64.b64decode(each[: len(each) // 4 * 4]) for each in starts)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("width", [64, 76])
@pytest.mark.parametrize("value", ["a-token/of+usual length 0123456789", PEM])
def test_base64_in_lines_is_masked_wherever_it_is_broken(value: str, width: int, end: str) -> None:
    mask = Mask([value])
    for before in range(width + 3):
        text = base64.b64encode(b"." * before + value.encode() + b".").decode()
        broken = end.join(text[at : at + width] for at in range(0, len(text), width))
        shown = mask.hide(broken.encode()).decode()
        own = base64.b64encode(b"." * before).decode()
        left = re.sub(r"[*\r\n=]", "", shown)
        assert len(left) <= len(own) + 8, (before, shown)


@pytest.mark.parametrize(
    "written",
    [
        json.dumps, lambda value: json.dumps(value, ensure_ascii=False), lambda value: json.dumps(value).replace("/", "\\/"),
        quote, lambda value: quote(value, safe=""), quote_plus, lambda value: re.sub("%..", lambda m: m[0].lower(), quote(value)),
        lambda value: value.replace("\n", "\r\n"), lambda value: f"> {value}".replace("\n", "\n> "),
        lambda value: base64.b64encode(value.encode()).decode(), lambda value: base64.encodebytes(value.encode()).decode(),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", ['pä"ss/w=r&d <1>', "tok-en_+/ 7", PEM])
def test_what_usual_encoders_write_is_masked(written: object, value: str) -> None:
    text = f'{{"key": "{written(value)}"}}'  # type: ignore[operator]
    hidden = Mask([value]).hide(text.encode()).decode()
    left = hidden.removeprefix('{"key": "').removesuffix('"}')
    assert not re.search(r"\w{4}", left), hidden


@given(st.lists(VALUES, max_size=3), st.binary(max_size=200))
def test_output_without_secrets_stays_as_it_is(values: list[str], data: bytes) -> None:
    if not any(shape in data for shape in shapes_of(values)):
        assert Mask(values).hide(data) == data


@given(st.lists(st.text("abc", min_size=2, max_size=6), min_size=1, max_size=4), st.text("abc\n", max_size=60))
def test_what_overlaps_is_masked_as_one(values: list[str], text: str) -> None:
    """By plain search, as a reader would write it: which bytes belong to any occurrence."""
    data = text.encode()
    covered = {
        place + n
        for shape in shapes_of(values)
        for place in range(len(data))
        if data.startswith(shape, place)
        for n in range(len(shape))
    }
    shown = Mask(values).hide(data).replace(b"*", b"")
    assert shown == bytes(byte for n, byte in enumerate(data) if n not in covered)


def test_values_that_are_too_short_mask_nothing() -> None:
    assert not is_masked("x")
    assert not Mask(["x"])
    assert Mask(["x"]).hide(b"xx x") == b"xx x"
    assert Mask(["xy"]).hide(b"-xy- x eA== eHk=") == b"-***- x eA== ***"


def test_lines_of_a_value_are_masked_by_themselves_but_short_ones() -> None:
    mask = Mask(['{\n  "key": "hush"\n}\n'])
    assert mask.hide(b'a }\n+  "key": "hush" {') == b"a }\n+  *** {"
    assert mask.hide(b'{\n  "key": "hush"\n}\n;') == b"***\n***\n***\n;"


def test_nothing_tells_the_values() -> None:
    assert "hush" not in repr(Mask(["hush-hush"])) + str(Mask(["hush-hush"]))


def test_usual_output_is_looked_through_fast() -> None:
    mask = Mask([f"secret-{n}-value/{n * 7919}" for n in range(5)])
    data = b"2030-01-31 12:00:00 INFO module: handled item 12345 in 0.23 s (ok)\n" * 8000
    began, turns = time.process_time(), 0
    while (seconds := time.process_time() - began) < 0.2:
        assert mask.settled(data) == ([], len(data))
        turns += 1
    assert turns * len(data) / seconds > 50e6  # several hundred MB/s on a machine with nothing else to do


@pytest.mark.timeout(20)
def test_a_flood_of_what_overlaps_itself_ends() -> None:
    data = b"a" * 2_500_000
    assert Mask(["a" * 40]).hide(data) == MARK * 3
