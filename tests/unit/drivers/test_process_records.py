"""The output file of the process runtime: what is fed comes out, whole lines, from any position on."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from workers.drivers.process.records import HEADER, PIECE, LineJoiner, RecordWriter
from workers.drivers.process.tail import Tail

CHUNKS = st.lists(st.binary(max_size=40) | st.sampled_from([b"\n", b"a\nb", b"x" * PIECE, b"y" * 300_000]), max_size=12)


def write(path: Path, *records: tuple[int, bytes]) -> None:
    writer = RecordWriter(str(path))
    for at_ns, (stream, data) in enumerate(records):
        writer.append(stream, at_ns, data)
    writer.close()


def read(path: Path, after: str | None = None) -> list[tuple[bytes, str, str]]:
    tail = Tail(path, after)
    try:
        return [(line.data, line.stream, line.cursor) for batch in tail.batches() for line in batch]
    finally:
        tail.close()


@given(CHUNKS)
def test_what_is_fed_comes_out_in_whole_lines_or_full_pieces(chunks: list[bytes]) -> None:
    joiner = LineJoiner()
    pieces = [piece for chunk in chunks for piece in joiner.feed(chunk)]
    assert all(piece.endswith(b"\n") or len(piece) == PIECE for piece in pieces)
    assert len(joiner.held) < PIECE
    assert b"\n" not in joiner.held
    assert b"".join([*pieces, joiner.flush()]) == b"".join(chunks)


def test_lines_of_both_streams_come_in_stored_order(tmp_path: Path) -> None:
    write(tmp_path / "o", (1, b"a\nb\n"), (2, b"c\n"), (1, b"d"))
    assert [line[:2] for line in read(tmp_path / "o")] == [
        (b"a\n", "stdout"),
        (b"b\n", "stdout"),
        (b"c\n", "stderr"),
        (b"d", "stdout"),
    ]


def test_every_cursor_goes_on_right_behind_its_line(tmp_path: Path) -> None:
    write(tmp_path / "o", *((1 + n % 2, b"%d\n" % n * (n % 4 + 1)) for n in range(50)))
    whole = read(tmp_path / "o")
    for index, (_, _, cursor) in enumerate(whole):
        assert read(tmp_path / "o", cursor) == whole[index + 1 :]


def test_a_record_still_being_written_waits(tmp_path: Path) -> None:
    write(tmp_path / "o", (1, b"whole\n"))
    half = HEADER.pack(1, 0, 10) + b"half"
    with (tmp_path / "o").open("ab") as file:
        file.write(half)
    assert [line[0] for line in read(tmp_path / "o")] == [b"whole\n"]


def test_records_larger_than_one_read_are_read(tmp_path: Path) -> None:
    data = [b"%d" % n * (PIECE // 2) for n in range(9)] + [b"end\n"]
    write(tmp_path / "o", *((1, each) for each in data))
    assert [line[0] for line in read(tmp_path / "o")] == data


@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.sampled_from([b"a\nb\n", b"half", b"\n", b"x" * 99])), max_size=20),
    st.data(),
)
def test_a_file_that_grows_is_read_once_by_whoever_goes_on(
    records: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    """Cut at any byte, and each time another reader, which goes on behind any line that the one before has read."""
    raw = b"".join(HEADER.pack(stream, at_ns, len(each)) + each for at_ns, (stream, each) in enumerate(records))
    got: list[bytes] = []
    cursor: str | None = None
    with TemporaryDirectory() as folder:
        path = Path(folder) / "o"
        for cut in sorted({*data.draw(st.lists(st.integers(0, len(raw)), max_size=5)), len(raw)}):
            path.write_bytes(raw[:cut])
            seen = read(path, cursor)
            kept = seen[: data.draw(st.integers(0, len(seen)))] if cut < len(raw) else seen
            got += [line[0] for line in kept]
            cursor = kept[-1][2] if kept else cursor
    assert b"".join(got) == b"".join(each for _, each in records)
