"""Whatever the engine's log holds, however it comes in, wherever a reader goes on: nothing lost unsaid, nothing twice."""

from __future__ import annotations

from dataclasses import dataclass
from struct import pack

from hypothesis import given, settings
from hypothesis import strategies as st

from workers.drivers.chunks import Chunks
from workers.drivers.docker.cursor import NS, RACE_NS, Cursor
from workers.drivers.docker.frames import Frames
from workers.drivers.docker.joining import CursorNotFoundError, joined
from workers.drivers.output import Batch, Line, Missing

SECOND = 1_795_304_628  # 2026-11-21T23:43:48Z
OFTEN = settings(max_examples=80, deadline=None)


@dataclass(frozen=True)
class Message:
    """As the engine stores it."""

    stream: int
    at_ns: int  # behind SECOND
    data: bytes

    @property
    def frame(self) -> bytes:
        payload = b"2026-11-21T23:43:%02d.%09dZ " % (48 + self.at_ns // NS, self.at_ns % NS) + self.data
        return pack(">BxxxL", self.stream, len(payload)) + payload


def logs(*, parts: bool) -> st.SearchStrategy[list[Message]]:
    """Stamps that never fall within a stream and are often equal; the second stream lags; with `parts`, long lines."""
    steps = st.tuples(st.sampled_from([1, 1, 2]), st.sampled_from([0, 0, 1, 5, RACE_NS // 16]), st.integers(0, 9))
    return st.builds(
        lambda lag, steps: _messages(lag, steps, parts=parts),
        st.sampled_from([0, 3, RACE_NS // 2]),
        st.lists(steps, min_size=1, max_size=60),
    )


def _messages(lag: int, steps: list[tuple[int, int, int]], *, parts: bool) -> list[Message]:
    found, last, clock = [], 0, lag
    for number, (stream, step, kind) in enumerate(steps):
        clock += step
        at_ns = clock if stream == 1 else clock - lag
        last = max(last, at_ns)
        found.append(Message(stream, at_ns, b"part" if parts and kind == 0 else b"%d\n" % number))
    assert last < 12 * NS
    return found


def read(messages: list[Message], *, steps: list[int] | None = None) -> list[Batch]:
    """Through both codings, in pieces of these sizes, again and again."""
    chunks, frames, batches = Chunks(), Frames(size=None), []
    raw = b"".join(b"%x\r\n%s\r\n" % (len(one.frame), one.frame) for one in messages) + b"0\r\n\r\n"
    sizes = steps or [len(raw)]
    at = number = 0
    while at < len(raw):
        end = at + sizes[number % len(sizes)]
        batches.append(frames.feed(chunks.feed(raw[at:end])))
        at, number = end, number + 1
    return [batch for batch in [*batches, frames.flush()] if batch is not None]


def lines_of(batches: list[Batch]) -> list[Line]:
    return [line for batch in batches for line in batch]


def since(messages: list[Message], cursor: Cursor) -> list[Message]:
    second, _, nanos = cursor.since.partition(".")
    return [one for one in messages if one.at_ns >= (int(second) - SECOND) * NS + int(nanos)]


@OFTEN
@given(logs(parts=True), st.lists(st.integers(1, 3000), min_size=1, max_size=5))
def test_lines_and_cursors_are_the_same_however_the_stream_is_cut(messages: list[Message], steps: list[int]) -> None:
    whole, cut = lines_of(read(messages)), lines_of(read(messages, steps=steps))
    assert [(line, line.cursor) for line in cut] == [(line, line.cursor) for line in whole]
    assert {line.stream for line in whole} <= {"stdout", "stderr"}
    for stream, name in ((1, "stdout"), (2, "stderr")):
        written = b"".join(one.data for one in messages if one.stream == stream)
        assert b"".join(line.data for line in whole if line.stream == name) == written


@OFTEN
@given(logs(parts=True), st.data())
def test_going_on_from_any_line_gives_the_rest(messages: list[Message], data: st.DataObject) -> None:
    lines = lines_of(read(messages))
    at = data.draw(st.integers(0, len(lines) - 1))
    cursor = Cursor.parse(lines[at].cursor)
    rest = list(joined(cursor, iter(read(since(messages, cursor))), cut=False, whole=True))
    assert not any(isinstance(output, Missing) for output in rest)
    assert [line for batch in rest for line in batch] == lines[at + 1 :]  # type: ignore[union-attr]


@OFTEN
@given(logs(parts=False), st.data())
def test_a_window_gives_the_rest_or_says_that_it_does_not_reach(messages: list[Message], data: st.DataObject) -> None:
    lines = lines_of(read(messages))
    at, first = data.draw(st.integers(0, len(lines) - 1)), data.draw(st.integers(0, len(messages)))
    try:
        rest = list(joined(Cursor.parse(lines[at].cursor), iter(read(messages[first:])), cut=True))
    except CursorNotFoundError:
        return
    assert [line for batch in rest for line in batch] == lines[at + 1 :]  # type: ignore[union-attr]


@OFTEN
@given(logs(parts=False), st.data())
def test_what_was_rotated_away_is_never_passed_over_and_nothing_comes_twice(
    messages: list[Message], data: st.DataObject
) -> None:
    lines = lines_of(read(messages))
    at, first = data.draw(st.integers(0, len(lines) - 1)), data.draw(st.integers(0, len(messages)))
    cursor, left = Cursor.parse(lines[at].cursor), messages[first:]
    outputs = list(joined(cursor, iter(read(since(left, cursor))), cut=first > 0, whole=True))
    gaps = [number for number, output in enumerate(outputs) if isinstance(output, Missing)]
    got = [line for output in outputs if isinstance(output, Batch) for line in output]
    rest = lines[at + 1 :]
    assert gaps in ([], [0])
    if not gaps:
        assert got == rest
        return
    assert got == rest[len(rest) - len(got) :]
    # The cursor's line is gone; or nobody can tell, as its stream begins right there.
    assert first > at or not any(one.stream == cursor.stream and one.at_ns < messages[at].at_ns for one in left)
