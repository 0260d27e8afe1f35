"""Stdout and stderr told apart where the API server offers that, and never guessed, doubled or lost where it does not."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

import pytest

from tests.contract.kubelet_server import PodLog, served_over_http
from tests.contract.test_kubernetes_logs import Reader, last_cursor, numbered
from tests.unit.drivers.kubernetes.kubelet_log import Entry
from workers.drivers.output import Batch, Line, Missing
from workers.drivers.protocol import Unreadable


@pytest.fixture
def log() -> PodLog:
    log = PodLog()
    log.tells = "streams"
    return log


@pytest.fixture
def reader(log: PodLog) -> Iterator[Reader]:
    with served_over_http(log) as cluster:
        yield Reader(log, cluster)


def said(reader: Reader, stream: str) -> bytes:
    blocks = [batch.block for batch in reader.output if isinstance(batch, Batch)]
    return b"".join(data for block in blocks for data, of, _ in block if of == stream)


def restarted(reader: Reader, log: PodLog) -> Iterator[Reader]:
    """As a worker after its restart: nothing is remembered but the cursor."""
    with served_over_http(log) as cluster:
        again = Reader(log, cluster)
        again.after = reader.after
        yield again


def test_of_a_pod_that_is_over_lines_come_in_the_order_in_which_they_were_said(log: PodLog, reader: Reader) -> None:
    log.say(b"one\n")
    log.say(b"two\n", stream="Stderr")
    log.say(b"three\n", b"x" * 40_000 + b"\n")
    log.say(b"no newline", stream="Stderr")
    log.end()
    assert reader.to_the_end() == [b"one\n", b"two\n", b"three\n", b"x" * 40_000 + b"\n", b"no newline"]
    assert said(reader, "stderr") == b"two\nno newline"
    assert said(reader, "unknown") == b""
    assert reader.to_the_end() == []


@pytest.mark.parametrize("number", range(5))
def test_behind_any_cursor_comes_what_is_behind_it_in_both(log: PodLog, reader: Reader, number: int) -> None:
    for each in range(3):
        log.say(b"out %d\n" % each)
        log.say(b"err %d\n" % each, stream="Stderr")
    log.end()
    lines = [one for one in reader.once() if isinstance(one, Line)]
    assert max(len(line.cursor) for line in lines) <= 200
    reader.after = lines[number].cursor
    assert [one.data for one in reader.once() if isinstance(one, Line)] == [line.data for line in lines[number + 1 :]]


def test_both_streams_of_a_running_pod_come_at_once(log: PodLog, reader: Reader) -> None:
    log.say(b"0\n")
    lines = reader.once()
    next(lines)
    delays = []
    for number in range(1, 8):
        said_at = time.monotonic()
        log.say(b"%d\n" % number, stream="Stderr" if number % 2 else "Stdout")
        line = next(lines)
        delays.append(time.monotonic() - said_at)
        assert isinstance(line, Line)
        assert (line.data, line.stream) == (b"%d\n" % number, "stderr" if number % 2 else "stdout")
    assert sorted(delays)[3] < 0.4


def test_over_cut_connections_each_stream_comes_in_its_order_once(log: PodLog, reader: Reader) -> None:
    chance = random.Random(11)
    streams = ["Stdout", "Stderr"]
    wanted = {stream: bytearray() for stream in streams}

    def write() -> None:
        for number in range(300):
            stream, line = chance.choice(streams), chance.choice([b"%d\n" % number, b"same\n", b"y" * 20_000 + b"\n"])
            wanted[stream] += line
            log.say(line, stream=stream, step_ns=chance.choice([0, 1, 10**6]))
            if chance.random() < 0.02:
                log.cut()
            time.sleep(0.003)  # the writer's own pace
        log.end()

    threading.Thread(target=write, daemon=True).start()
    reader.to_the_end()
    assert said(reader, "stdout") == wanted["Stdout"]
    assert said(reader, "stderr") == wanted["Stderr"]
    assert log.cuts > 2


def test_a_silent_pod_costs_few_requests_with_two_streams_too(log: PodLog, reader: Reader) -> None:
    log.say(b"on\n")
    log.say(b"and on\n", stream="Stderr")
    assert len([*reader.once()]) == 2
    asked = len(log.asked)
    for _ in range(3):
        assert [*reader.once()] == []
    assert len(log.asked) == asked
    log.say(b"more\n", stream="Stderr")
    assert reader.next() == b"more\n"
    assert len(log.asked) == asked
    assert log.tried == 2


def test_a_stream_that_never_says_a_word_holds_nobody_up(log: PodLog, reader: Reader) -> None:
    log.say(b"0\n")
    lines = reader.once()
    for number in range(1, 20):
        assert next(lines).data == b"%d\n" % (number - 1)  # type: ignore[union-attr]
        log.say(b"%d\n" % number)
    log.end()
    began = time.monotonic()
    rest = [one.data for one in lines if isinstance(one, Line)]
    assert rest + reader.to_the_end() == [b"19\n"]
    assert time.monotonic() - began < 6


@pytest.mark.parametrize("tells", ["", "all", "half"])
@pytest.mark.parametrize("over", [False, True])
def test_where_streams_are_not_told_apart_all_comes_once_and_is_unknown(
    log: PodLog, reader: Reader, tells: str, over: bool
) -> None:
    log.tells = tells
    log.say(b"out\n")
    log.say(b"err\n", stream="Stderr")
    if not over:
        assert len([*reader.once()]) == 2
    log.end()
    reader.to_the_end()
    assert said(reader, "unknown") == b"out\nerr\n"
    assert said(reader, "stdout") + said(reader, "stderr") == b""
    tried = log.tried
    reader.to_the_end()
    assert log.tried == tried


def test_what_was_begun_as_one_goes_on_as_one(log: PodLog, reader: Reader) -> None:
    log.tells = ""
    log.say(b"out\n")
    log.say(b"err\n", stream="Stderr")
    assert reader.next() == b"out\n"
    log.tells = "streams"
    for again in restarted(reader, log):
        log.end()
        assert again.to_the_end() == [b"err\n"]
        assert said(again, "unknown") == b"err\n"


@pytest.mark.parametrize("over", [False, True])
def test_what_was_read_one_by_one_goes_on_as_one_when_that_is_not_offered_any_more(
    log: PodLog, reader: Reader, over: bool
) -> None:
    log.say(b"out\n")
    log.say(b"err\n", stream="Stderr")
    log.say(b"out again\n")
    assert [one.data for one in reader.once() if isinstance(one, Line)].count(b"err\n") == 1
    log.cut()
    log.tells = ""
    log.say(b"more\n", stream="Stderr")
    if over:
        log.end()
    for again in restarted(reader, log):
        assert again.next() == b"more\n"
        assert said(again, "unknown") == b"more\n"
        log.end()
        assert again.to_the_end() == []


def test_what_may_be_lost_when_streams_are_read_as_one_again_is_a_gap(log: PodLog, reader: Reader) -> None:
    log.say(b"out\n")
    log.say(b"not read\n")
    log.say(b"err\n", stream="Stderr")
    log.end()
    out, _, err = (one for one in reader.once() if isinstance(one, Line))
    reader.after = f"{out.cursor.partition('|')[0]}|{err.cursor.partition('|')[2]}"
    log.tells = ""
    log.say(b"more\n")
    for again in restarted(reader, log):
        assert again.to_the_end() == [Missing("rotated", out.at_ns, err.at_ns, 31 + len(b"not read\n")), b"more\n"]


def test_what_is_rotated_away_of_one_stream_is_a_gap(log: PodLog, reader: Reader) -> None:
    log.say(b"out\n")
    assert reader.next() == b"out\n"
    since = log.clock
    log.cut()
    log.say(b"lost\n")
    log.rotate()
    log.say(b"new\n")
    log.say(b"err\n", stream="Stderr")
    log.end()
    assert reader.to_the_end() == [Missing("rotated", since, since + 2000), b"new\n", b"err\n"]


def test_a_pod_that_is_gone_is_told_to_be_missing_once(log: PodLog, reader: Reader) -> None:
    log.say(b"out\n")
    assert reader.next() == b"out\n"
    log.cut()
    log.error = 404, 'pods "one" not found'
    log.end()
    assert [*reader.once()] == [Missing("removed")]


def test_a_flood_of_both_is_merged_whole(log: PodLog, reader: Reader) -> None:
    lines = numbered(0, 30_000)
    for first in range(0, 30_000, 100):
        log.say(*lines[first : first + 100], stream="Stderr" if first % 300 else "Stdout")
    log.end()
    assert reader.to_the_end() == lines
    assert last_cursor(reader).count("|") == 1


@pytest.mark.parametrize("read_before", [False, True])
def test_two_unfinished_last_lines_are_kept_as_they_lie(log: PodLog, reader: Reader, read_before: bool) -> None:
    """The second has no stamp of its own then: it looks like the kubelet's word."""
    log.say(b"whole\n")
    log.say(b"err\n", stream="Stderr")
    before = [one.data for one in reader.once() if isinstance(one, Line)] if read_before else []
    log.say(b"out")
    log.say(b"err", stream="Stderr")
    log.end()
    assert sorted([*before, *reader.to_the_end()]) == [b"err\n", b"outerr", b"whole\n"]


def test_a_line_that_the_other_stream_tore_is_kept_as_it_lies(log: PodLog, reader: Reader) -> None:
    """The kubelet puts a stamp between its parts; no stamp of it is taken for output."""
    long = b"x" * 20_000 + b"\n"
    log.say(long)
    log.file.insert(1, Entry(log.clock, b"err\n", "Stderr"))
    log.end()
    assert b"".join(one for one in reader.to_the_end() if isinstance(one, bytes)) == (
        long[:16_384] + b"err\n" + long[16_384:]
    )


def test_the_kubelets_word_is_not_output_of_one_stream_either(log: PodLog, reader: Reader) -> None:
    log.sentence = "rpc error: code = Unavailable desc = x"
    with pytest.raises(Unreadable, match="rpc error"):
        [*reader.once()]
    assert reader.output == []
