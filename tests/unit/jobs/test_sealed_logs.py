"""The file of a finished log: what went in comes out, by line and by byte; and its filters never deny what is there."""

from __future__ import annotations

import io
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.logs import grams
from jobs.logs.records import STREAMS, StoredLine, pack, unpack
from jobs.logs.sealed import Broken, Sealed, Writer

Lines = list[tuple[bytes, str, int]]
LINES = st.lists(
    st.tuples(
        st.binary(min_size=1, max_size=30), st.sampled_from(STREAMS), st.integers(0, 2**51).map(lambda us: us * 1000)
    ),
    min_size=1,
    max_size=40,
)  # fmt: skip


def written(blocks: list[Lines]) -> Sealed:
    file = io.BytesIO()
    writer, line = Writer(file), 1
    for block in blocks:
        data, index, count = pack(block)
        writer.add(line, data, index)
        line += count
    size = writer.finish()
    content = file.getvalue()
    assert len(content) == size
    return Sealed(lambda start, length: content[start : start + length], size)


@given(st.lists(LINES, min_size=1, max_size=6), st.integers(1, 60))
def test_what_went_in_comes_out_from_any_line_on(blocks: list[Lines], start: int) -> None:
    sealed = written(blocks)
    flat = [StoredLine(n, at, stream, data) for n, (data, stream, at) in enumerate(chain(*blocks), 1)]
    found = [line for row in sealed.from_line(start) for line in unpack(*sealed.read(row), row.first_line, start)]
    assert found == flat[start - 1 :]


@given(st.lists(LINES, min_size=1, max_size=6), st.integers(0, 3000))
def test_any_byte_lies_in_the_first_block_from_its_offset(blocks: list[Lines], offset: int) -> None:
    sealed = written(blocks)
    whole = b"".join(line[0] for block in blocks for line in block)
    first, *_ = rows = sealed.from_offset(offset)
    assert first.first_offset <= offset
    assert b"".join(sealed.data(row) for row in rows)[offset - first.first_offset :] == whole[offset:]


@pytest.mark.parametrize("size", [0, 1, 20, 40, 60])
def test_what_is_cut_off_is_no_sealed_log(size: int) -> None:
    file = io.BytesIO()
    Writer(file).finish()
    content = file.getvalue()[:size]
    with pytest.raises(Broken):
        Sealed(lambda start, length: content[max(0, start) :][:length], size)


@given(st.binary(max_size=300), st.integers(0, 300), st.integers(0, 40))
def test_a_filter_never_denies_what_is_there(data: bytes, start: int, length: int) -> None:
    text = data[start : start + length]
    assert grams.may_hold([memoryview(grams.filter_of(data))], [text, text.upper()]) == [True]


def test_a_filter_mostly_denies_what_is_not() -> None:
    data = b"".join(b"%06d request %d took %d ms\n" % (n, n * 7919, n % 977) for n in range(30_000))
    known = memoryview(grams.filter_of(data))
    rare = [b"connection reset", b"Traceback", b"OutOfMemory", b"segfault at", b"no space left"]
    assert [grams.may_hold([known], [text])[0] for text in rare] == [False] * 5
