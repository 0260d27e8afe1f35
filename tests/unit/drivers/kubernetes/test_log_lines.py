"""Whatever a pod says, however the answer comes in, wherever a reader goes on: nothing lost unsaid, nothing twice."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.drivers.kubernetes.kubelet_log import NS, START, Entry, output, served, stamp, written
from workers.drivers.kubernetes.cursor import Cursor
from workers.drivers.kubernetes.lines import PIECE_BYTES, RACE_NS, Lines
from workers.drivers.output import Batch, Line

OFTEN = settings(max_examples=120, deadline=None)
FAKE = b"2026-11-21T21:46:07.000000001Z "
LINES = st.one_of(
    st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"") + b"\n"),
    st.sampled_from([
        b"\n", b"same\n", b"same\n", b"cr\r\n", b"\0\n", b"\xff\xfe\n", FAKE + b"\n", FAKE + FAKE + b"x\n",
        b"unable to retrieve container logs for containerd://1\n", b"x" * 40_000 + b"\n", b"y" * 16_384 + b"\n",
        FAKE * 1200 + b"\n",
    ]),
)  # fmt: skip
STEPS = st.sampled_from([0, 0, 0, 1, 7, NS // 10, NS, -5, -NS])
SIZES = st.lists(st.integers(1, 60_000), min_size=1, max_size=4)


@st.composite
def logs(draw: st.DrawFn) -> list[list[Entry]]:
    """Of each line its entries. Stamps are often equal, and fall where the node's clock is set back.

    A clock that was set back does not meet the very nanosecond of an earlier line again.
    """
    found, clock, met = [], START * NS, {START * NS}
    lines = draw(st.lists(LINES, min_size=1, max_size=60))
    for line in [*lines, *([b"no newline at the end"] if draw(st.booleans()) else [])]:
        clock = _later(clock, draw(STEPS), met)
        found.append(written(clock, line))
    return found


def _later(clock: int, step: int, met: set[int]) -> int:
    clock += step
    while step and clock in met:
        clock += 1
    met.add(clock)
    return clock


def flat(lines: list[list[Entry]]) -> list[Entry]:
    return [entry for line in lines for entry in line]


def read(lines: Lines, data: bytes, sizes: list[int] | None = None) -> list[Line]:
    sizes = sizes or [max(1, len(data))]
    batches: list[Batch | None] = []
    at = number = 0
    while at < len(data):
        size = sizes[number % len(sizes)]
        batches.append(lines.feed(data[at : at + size]))
        at, number = at + size, number + 1
    batches.append(lines.finish())
    return [line for batch in batches if batch is not None for line in batch]


def all_of(data: bytes) -> list[Line]:
    return read(Lines("unknown"), data)


@OFTEN
@given(logs(), SIZES, st.booleans())
def test_lines_and_cursors_are_the_same_however_the_answer_is_cut(
    log: list[list[Entry]], sizes: list[int], trimmed: bool
) -> None:
    data = served(flat(log), trimmed=trimmed)
    lines = read(Lines("unknown"), data, sizes)
    assert [line.data for line in lines] == [output(entries) for entries in log]
    assert [line.at_ns for line in lines] == [entries[0].at_ns for entries in log]
    assert [line.cursor for line in lines] == [line.cursor for line in all_of(data)]


@OFTEN
@given(logs(), SIZES, st.data())
def test_behind_any_cursor_comes_what_is_behind_it(
    log: list[list[Entry]], sizes: list[int], data: st.DataObject
) -> None:
    whole = served(flat(log))
    lines = all_of(whole)
    number = data.draw(st.integers(0, len(lines) - 1))
    rest = read(Lines("unknown", Cursor.parse(lines[number].cursor)), whole, sizes)
    assert rest == lines[number + 1 :]
    assert [line.cursor for line in rest] == [line.cursor for line in lines[number + 1 :]]


@OFTEN
@given(logs(), SIZES, st.data())
def test_in_the_last_lines_a_cursor_is_found_rightly_or_not_at_all(
    log: list[list[Entry]], sizes: list[int], data: st.DataObject
) -> None:
    """The window may begin amid a long line, whose rest then looks like a line, or amid lines with one stamp."""
    entries = flat(log)
    lines = all_of(served(entries))
    number = data.draw(st.integers(0, len(lines) - 1))
    window = Lines("unknown", Cursor.parse(lines[number].cursor), whole=False)
    rest = read(window, served(entries, data.draw(st.integers(1, len(entries)))), sizes)
    assert rest == (lines[number + 1 :] if window.found else [])


@OFTEN
@given(logs(), st.data())
def test_what_was_rotated_away_is_not_taken_for_found(log: list[list[Entry]], data: st.DataObject) -> None:
    before = served(written((START - 60) * NS, b"read before\n"))
    after = Cursor.parse(all_of(before)[-1].cursor)
    lines = Lines("unknown", after)
    assert read(lines, served(flat(log))) == []
    assert not lines.found


def test_a_line_in_a_flood_is_read_as_one_alone_is() -> None:
    entries = [Entry(START * NS + number // 3, b"%d\n" % number) for number in range(5000)]
    alone = [line for entry in entries for line in all_of(served([entry]))]
    flood = all_of(served(entries))
    assert flood == alone
    for number in (0, 1, 2, 3, 2500, 4998, 4999):
        assert read(Lines("unknown", Cursor.parse(flood[number].cursor)), served(entries)) == flood[number + 1 :]


def test_a_line_of_3_mb_comes_in_pieces_and_any_of_them_is_a_place_to_go_on_from() -> None:
    log = [
        *written(START * NS, b"begin\n"),
        *written(START * NS, b"x" * 3_000_000 + b"\n"),
        *written(START * NS, b"end\n"),
    ]
    data = served(log)
    for sizes in ([len(data)], [10_000], [PIECE_BYTES]):
        lines = read(Lines("unknown"), data, sizes)
        assert [len(line.data) for line in lines] == [6, PIECE_BYTES, PIECE_BYTES, 3_000_001 - 2 * PIECE_BYTES, 4]
        for number, line in enumerate(lines):
            assert read(Lines("unknown", Cursor.parse(line.cursor)), data, sizes) == lines[number + 1 :]


def test_a_cursor_is_short() -> None:
    assert len(str(Cursor(2**63 - 1, 10**9, "f" * 12, 2**50, 2**60))) < 100


def test_stamps_of_a_node_that_is_not_set_to_utc_are_the_same_moments() -> None:
    (utc,) = all_of(b"2026-11-21T21:46:07.371012464Z out\n")
    for zone in (b"2026-11-21T23:16:07.371012464+01:30 out\n", b"2026-11-21T20:46:07.371012464-01:00 out\n"):
        assert [line.at_ns for line in all_of(zone)] == [utc.at_ns]
        assert {line.at_ns for line in all_of(zone * 100)} == {utc.at_ns}
    assert utc.at_ns == START * NS + 371_012_464


def test_what_the_kubelet_says_in_the_answer_is_no_output() -> None:
    for said in (
        b"unable to retrieve container logs for containerd://6f87",
        b'failed to watch file "/var/log/pods/x/0.log": no space left on device',
        b"rpc error: code = Unavailable desc = connection error\n",
        b"2026-13-41T21:46:07Z is no time\n",
    ):
        lines = Lines("unknown")
        batch = lines.feed(served(written(START * NS, b"out\n")) + said)
        assert batch is not None
        assert [line.data for line in batch] == [b"out\n"]
        assert lines.last_word() == said.decode().strip()
        assert lines.feed(served(written(START * NS, b"more\n"))) is None
        assert lines.finish() is None


def test_the_kubelets_word_in_a_flood_is_no_output() -> None:
    lines = Lines("unknown")
    flood = served([Entry(START * NS + number, b"%d\n" % number) for number in range(100)])
    batch = lines.feed(flood + b"rpc error\n" + flood)
    assert batch is not None
    assert batch.block.lines == 100
    assert lines.last_word() == "rpc error"


def test_stamps_that_fall_in_a_live_answer_make_it_suspect_from_there_on() -> None:
    """So looks a file that is served a second time; two streams that race do not."""
    for count in (3, 300):
        begun = START * NS
        rising = [Entry(begun + number * RACE_NS, b"%d\n" % number) for number in range(count)]
        racing = [Entry(rising[-1].at_ns - RACE_NS // 2, b"raced\n")]
        lines = Lines("unknown", live=True)
        batch = lines.feed(served([*rising, *racing, *rising]))
        assert batch is not None
        assert [line.data for line in batch] == [entry.data for entry in [*rising, *racing]]
        assert lines.suspect
        assert lines.feed(stamp(begun) + b"again\n") is None
        assert [line.data for line in all_of(served([*rising, *rising]))] == [
            entry.data for entry in [*rising, *rising]
        ]


def test_a_stamp_between_the_parts_of_a_line_is_not_output_of_one_stream() -> None:
    """The kubelet puts it there when the other stream wrote a line between them."""
    for before in (1, 300):
        first, second = written(START * NS, b"x" * 20_000 + b"\n")
        torn = [first, Entry(START * NS, b"err\n", "Stderr"), second]
        data = served([*[Entry(START * NS, b"out\n")] * before, *torn], stream="Stdout")
        lines = Lines("stdout", alone=True)
        assert [line.data for line in read(lines, data)] == [b"out\n"] * before
        assert lines.trouble
        whole = served([*[Entry(START * NS, b"out\n")] * before, first, second])
        assert read(Lines("stdout", alone=True), whole)[-1].data == b"x" * 20_000 + b"\n"
