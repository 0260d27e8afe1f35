"""The engine's log stream taken apart, however it is cut on the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import pack

import pytest

from workers.drivers.chunks import Chunks
from workers.drivers.docker.cursor import Cursor
from workers.drivers.docker.frames import PIECE_BYTES, Frames
from workers.drivers.docker.joining import CursorNotFoundError, joined
from workers.drivers.output import Batch, Line, Missing, Output

SECOND = 1_795_304_628  # 2026-11-21T23:43:48Z
PART = b"x" * 16384


def frame(stream: int, nanoseconds: int, data: bytes) -> bytes:
    payload = b"2026-11-21T23:43:%02d.%09dZ " % (48 + nanoseconds // 10**9, nanoseconds % 10**9) + data
    return pack(">BxxxL", stream, len(payload)) + payload


def batches(raw: bytes, step: int = 0) -> Iterator[Batch]:
    frames = Frames(size=None)
    cuts = [raw[at : at + step] for at in range(0, len(raw), step)] if step else [raw]
    yield from filter(None, (frames.feed(cut) for cut in cuts))
    if (rest := frames.flush()) is not None:
        yield rest


def parsed(raw: bytes, step: int = 0) -> list[Line]:
    return lines_of(batches(raw, step))


def lines_of(outputs: Iterable[Output]) -> list[Line]:
    """None missing."""
    return [
        line for output in outputs if not isinstance(output, Missing) or pytest.fail(str(output)) for line in output
    ]


@pytest.mark.parametrize("step", [1, 7, 39, 1000])
def test_lines_are_the_same_however_the_stream_is_cut(step: int) -> None:
    raw = b"".join(frame(1 + n % 2, n, b"line %d\n" % n) for n in range(50))
    assert parsed(raw, step) == parsed(raw)


def test_a_line_keeps_its_bytes_stream_and_stamp() -> None:
    (line,) = parsed(frame(2, 7, b"\x00\xff\r\x1b[0m\n"))
    assert (line.data, line.stream, line.at_ns) == (b"\x00\xff\r\x1b[0m\n", "stderr", SECOND * 10**9 + 7)


def test_the_parts_of_a_long_line_are_glued_within_their_stream() -> None:
    raw = frame(1, 1, PART) + frame(2, 2, b"between\n") + frame(1, 1, PART) + frame(1, 1, b"end\n")
    assert [line.data for line in parsed(raw)] == [b"between\n", PART * 2 + b"end\n"]


def test_the_last_line_needs_no_newline() -> None:
    assert [line.data for line in parsed(frame(1, 1, b"a\n") + frame(2, 2, b"E") + frame(1, 3, b"b"))] == [
        b"a\n",
        b"E",
        b"b",
    ]


def test_an_unfinished_line_waits_for_its_rest() -> None:
    assert Frames().feed(frame(1, 1, b"half")) is None


def test_a_line_longer_than_a_piece_comes_in_pieces() -> None:
    raw = b"".join(frame(1, 1, PART) for _ in range(100)) + frame(1, 1, b"\n")
    pieces = [line.data for line in parsed(raw)]
    assert b"".join(pieces) == PART * 100 + b"\n"
    assert max(map(len, pieces)) <= PIECE_BYTES
    assert [piece.endswith(b"\n") for piece in pieces] == [False, True]


def test_an_old_engine_gets_the_newline_of_a_long_line_back() -> None:
    raw = frame(1, 1, PART) + frame(2, 1, b"e\n") + frame(1, 1, b"end") + frame(1, 2, PART) + frame(1, 2, b"")
    frames = Frames(loses_newlines=True)
    assert [line.data for line in frames.feed(raw) or ()] == [b"e\n", PART + b"end\n", PART + b"\n"]
    assert frames.feed(frame(1, 3, b"short")) is None
    assert [line.data for line in frames.flush() or ()] == [b"short"]


def test_what_the_engine_says_in_the_stream_is_not_output_and_what_it_said_before_is() -> None:
    frames = Frames()
    batch = frames.feed(frame(1, 1, b"read\n") + pack(">BxxxL", 3, 7) + b"no file")
    assert [line.data for line in batch or ()] == [b"read\n"]
    assert str(frames.trouble) == "no file"


@pytest.mark.parametrize("step", [1, 2, 5, 100])
def test_chunked_coding_is_undone_however_it_is_cut(step: int) -> None:
    raw, chunks = b"5\r\nab\r\nc\r\nA\r\n0123456789\r\n0\r\n\r\n", Chunks()
    payload = b"".join(chunks.feed(raw[at : at + step]) for at in range(0, len(raw), step))
    assert (payload, chunks.ended) == (b"ab\r\nc0123456789", True)


def messages() -> list[tuple[int, int, bytes]]:
    """Everything that makes resuming hard: equal stamps, streams out of order, long lines with old stamps."""
    return [
        (1, 5, b"a\n"),
        (1, 5, b"b\n"),
        (2, 4, b"late\n"),
        (1, 5, b"c\n"),
        (1, 9, PART),
        (2, 3_000_000_000, b"e1\n"),
        (2, 3_000_000_000, b"e2\n"),
        (1, 9, PART),
        (1, 9, b"old stamp\n"),
        (1, 9, b"twin of an old stamp\n"),
        (2, 9_000_000_000, b"end"),
    ]


def test_going_on_from_every_cursor_has_neither_gap_nor_duplicate() -> None:
    stored = messages()
    lines = parsed(b"".join(frame(*message) for message in stored))
    assert len(lines) == 9
    for number, line in enumerate(lines):
        after = Cursor.parse(line.cursor)
        since = round(float(after.since.partition(".")[0]) - SECOND) * 10**9 + int(after.since.partition(".")[2])
        answer = b"".join(frame(*message) for message in stored if message[1] >= since)
        assert lines_of(joined(after, batches(answer), cut=False, whole=True)) == lines[number + 1 :], line


def test_a_window_goes_on_or_says_that_it_does_not_reach() -> None:
    lines = parsed(b"".join(frame(1, n // 2, b"%d\n" % n) for n in range(40)))
    after = Cursor.parse(lines[20].cursor)
    for first in range(40):
        window = batches(b"".join(frame(1, n // 2, b"%d\n" % n) for n in range(first, 40)))
        if first < 20:
            assert [line.data for line in lines_of(joined(after, window, cut=True))] == [
                line.data for line in lines[21:]
            ]
        else:
            with pytest.raises(CursorNotFoundError):
                list(joined(after, window, cut=True))


def test_a_cursor_whose_line_was_rotated_away_goes_on_with_the_newer_ones_behind_a_gap() -> None:
    gone = Cursor.parse(parsed(frame(1, 1, b"gone\n"))[0].cursor)
    missing, *rest = joined(gone, batches(frame(1, 5, b"left\n")), cut=False, whole=True)
    assert missing == Missing("rotated", SECOND * 10**9 + 1, SECOND * 10**9 + 5)
    assert [line.data for line in lines_of(rest)] == [b"left\n"]


def test_a_log_that_was_emptied_lacks_the_cursors_line_but_silence_does_not_say_so() -> None:
    gone = Cursor(1, SECOND * 10**9, 1)
    assert list(joined(gone, iter(()), cut=False, whole=True)) == [Missing("rotated", gone.at_ns)]
    assert list(joined(gone, iter(()), cut=False, whole=True, ends=False)) == []


def test_a_twin_of_the_cursors_line_is_not_taken_for_it_where_older_twins_may_be_gone() -> None:
    """Ordinals are counted from what is there: of three of one stamp whose first is gone the second looks like it."""
    first = Cursor.parse(parsed(frame(1, 5, b"1\n"))[0].cursor)
    left = frame(1, 5, b"2\n") + frame(1, 5, b"3\n") + frame(1, 6, b"4\n")
    missing, *rest = joined(first, batches(left), cut=True, whole=True)
    assert isinstance(missing, Missing)
    assert [line.data for line in lines_of(rest)] == [b"4\n"]


def test_a_cursor_survives_being_written() -> None:
    for cursor in (Cursor(1, 17, 3), Cursor(2, 17, 3, 11), Cursor(1, 17, 3, None, 0), Cursor(1, 17, 3, 11, 10**12)):
        assert Cursor.parse(str(cursor)) == cursor
