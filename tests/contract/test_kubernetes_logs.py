"""A pod's output, over whatever happens to the answers that bring it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.kubelet_server import Cluster, PodLog, served_over_http
from workers.drivers.kubernetes.logs import follow
from workers.drivers.output import Batch, Line, Missing, Output
from workers.drivers.protocol import Phase, Unavailable, Unreadable

SILENCE_SECONDS = 1.0
LIMIT_SECONDS = 20.0
GONE = "unable to retrieve container logs for containerd://6f8778335b1c942d0d49e1ccb636efb7e9a732605291d4dbe409df1d176b0e09"


class Reader:
    """Reads as the runner does: looks, then reads, and from the last cursor on."""

    def __init__(self, log: PodLog, cluster: Cluster) -> None:
        self.log = log
        self.cluster = cluster
        self.after: str | None = None
        self.output: list[Output] = []

    def once(self) -> Iterator[Line | Missing]:
        for output in follow(
            self.cluster, "jobs", "one", self.after, self.log.look, self.log.wait, SILENCE_SECONDS, patience_seconds=1
        ):
            self.output.append(output)
            if isinstance(output, Missing):
                yield output
                continue
            for line in output:
                self.after = line.cursor
                yield line

    def to_the_end(self) -> list[bytes | Missing]:
        found: list[bytes | Missing] = []
        limit = time.monotonic() + LIMIT_SECONDS
        while True:
            over = self.log.look() is Phase.EXITED
            found += [one if isinstance(one, Missing) else one.data for one in self.once()]
            if over:
                return found
            assert time.monotonic() < limit, "it does not end"

    def next(self) -> bytes | Missing:
        limit = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < limit:
            for one in self.once():
                return one if isinstance(one, Missing) else one.data
        raise AssertionError("nothing came")


@pytest.fixture
def log() -> PodLog:
    return PodLog()


@pytest.fixture
def way() -> str:
    return "plain"


@pytest.fixture
def reader(log: PodLog, way: str, tmp_path: Path) -> Iterator[Reader]:
    with served_over_http(log, tmp_path if way == "tls" else None) as cluster:
        yield Reader(log, cluster)


both_ways = pytest.mark.parametrize("way", ["plain", "tls"])  # a real cluster is never asked in the clear


def numbered(first: int, last: int) -> list[bytes]:
    return [b"%d\n" % number for number in range(first, last)]


@both_ways
def test_a_pod_that_is_over_is_read_to_its_last_byte(log: PodLog, reader: Reader) -> None:
    log.say(b"out\n", b"err\n", b"x" * 40_000 + b"\n", b"\0\xff\r\n", b"no newline at end")
    log.end()
    assert reader.to_the_end() == [b"out\n", b"err\n", b"x" * 40_000 + b"\n", b"\0\xff\r\n", b"no newline at end"]
    assert reader.to_the_end() == []
    assert len(log.asked) == 2
    assert {stream for batch in reader.output if isinstance(batch, Batch) for _, stream, _ in batch.block} == {
        "unknown"
    }


def test_of_a_terminal_all_is_stdout(log: PodLog, reader: Reader) -> None:
    log.say(b"out\r\n")
    log.end()
    (batch,) = follow(reader.cluster, "jobs", "one", None, log.look, log.wait, terminal=True)
    assert isinstance(batch, Batch)
    assert list(batch.block) == [(b"out\r\n", "stdout", log.clock)]


@both_ways
def test_a_line_comes_at_once(log: PodLog, reader: Reader) -> None:
    log.say(b"0\n")
    lines = reader.once()
    next(lines)
    delays = []
    for number in range(1, 6):
        said_at = time.monotonic()
        log.say(b"%d\n" % number)
        line = next(lines)
        delays.append(time.monotonic() - said_at)
        assert isinstance(line, Line)
        assert line.data == b"%d\n" % number
    assert sorted(delays)[2] < 0.4


@both_ways
def test_an_unfinished_line_waits_until_the_pod_is_over(log: PodLog, reader: Reader) -> None:
    log.say(b"whole\n", b"begun")
    assert [one.data for one in reader.once() if isinstance(one, Line)] == [b"whole\n"]
    log.end()
    assert reader.to_the_end() == [b"begun"]


@both_ways
def test_over_cut_connections_nothing_is_lost_and_nothing_comes_twice(log: PodLog, reader: Reader) -> None:
    chance = random.Random(7)
    shapes = [b"%s\n", b"same%.0s\n", b"%s " + b"y" * 20_000 + b"\n"]
    lines = [chance.choice(shapes) % (b"%d" % number) for number in range(1500)]

    def write() -> None:
        for first in range(0, len(lines), 30):
            log.say(*lines[first : first + 30], step_ns=chance.choice([0, 1, 10**8]))
            if chance.random() < 0.4:
                log.cut()
            time.sleep(0.01)  # the writer's own pace
        log.end()

    threading.Thread(target=write, daemon=True).start()
    assert b"".join(one if isinstance(one, bytes) else b"MISSING" for one in reader.to_the_end()) == b"".join(lines)
    assert log.cuts > 5


@both_ways
def test_a_flood_between_two_answers_is_found_behind_the_cursor(log: PodLog, reader: Reader) -> None:
    log.say(*numbered(0, 30_000))
    assert reader.next() == b"0\n"
    for _ in range(3):
        got = reader.next()
    assert got == b"3\n"
    reader.after = last_cursor(reader)
    log.say(*numbered(30_000, 60_000))
    log.end()
    assert reader.to_the_end() == numbered(30_000, 60_000)


def last_cursor(reader: Reader) -> str:
    return [one for one in reader.output if isinstance(one, Batch)][-1].cursor


@pytest.mark.parametrize("long_before", [False, True])
def test_a_follow_that_goes_on_over_a_rotation_is_believed(log: PodLog, reader: Reader, long_before: bool) -> None:
    before = numbered(0, 20_000 if long_before else 3)
    log.say(*before)
    lines = reader.once()
    assert [next(lines) for _ in before][-1].data == before[-1]  # type: ignore[union-attr]
    log.rotate()
    log.say(b"new\n")
    assert next(lines).data == b"new\n"  # type: ignore[union-attr]
    log.end()
    assert [*lines] == []
    assert reader.to_the_end() == []


@pytest.mark.parametrize("lines_before", [1, 20_000])
@pytest.mark.parametrize("lines_behind", [1, 700])
@pytest.mark.parametrize("over", [False, True])
def test_what_was_rotated_away_unread_leaves_a_gap_that_says_so(
    log: PodLog, reader: Reader, lines_before: int, lines_behind: int, over: bool
) -> None:
    log.say(*numbered(0, lines_before))
    assert len([*reader.once()]) == lines_before
    since = log.clock
    log.cut()
    log.say(b"lost\n")
    log.rotate()
    log.say(*numbered(0, lines_behind))
    if over:
        log.end()
    expected = [Missing("rotated", since, since + 2000), *numbered(0, lines_behind)]
    if not over:
        first, *rest = expected
        assert reader.next() == first
        log.end()
        expected = [first, *rest]
    assert reader.to_the_end() == expected


def test_a_log_that_was_just_rotated_says_nothing_yet(log: PodLog, reader: Reader) -> None:
    log.say(b"read\n")
    assert reader.next() == b"read\n"
    log.cut()
    log.rotate()
    assert [*reader.once()] == []
    log.say(b"new\n")
    assert isinstance(reader.next(), Missing)


def test_a_clock_set_back_hides_nothing(log: PodLog, reader: Reader) -> None:
    log.say(*numbered(0, 3000))
    lines = reader.once()
    for _ in range(3000):
        next(lines)
    log.say(*numbered(3000, 3010), step_ns=-(10**12))
    assert next(lines).data == b"3000\n"  # type: ignore[union-attr]
    log.cut()
    log.say(*numbered(3010, 3020))
    log.end()
    rest = [one.data for one in lines if isinstance(one, Line)]
    assert rest + reader.to_the_end() == numbered(3001, 3020)


def test_a_file_that_the_kubelet_serves_twice_is_given_once(log: PodLog, reader: Reader) -> None:
    log.say(*numbered(0, 10), step_ns=10**8)
    lines = reader.once()
    for _ in range(10):
        next(lines)
    log.serve_again()
    log.say(b"more\n")
    log.end()
    rest = [one.data for one in lines if isinstance(one, Line)]
    assert rest + reader.to_the_end() == [b"more\n"]


@both_ways
def test_a_silent_pod_costs_no_request_and_gives_the_caller_his_turn(log: PodLog, reader: Reader) -> None:
    log.say(b"on\n")
    began = time.monotonic()
    assert len([*reader.once()]) == 1
    for _ in range(3):
        assert [*reader.once()] == []
    assert 3 < time.monotonic() - began < 8 * SILENCE_SECONDS
    assert len(log.asked) == 1
    log.say(b"more\n")
    assert reader.next() == b"more\n"
    assert len(log.asked) == 1


def test_an_answer_that_is_kept_is_only_for_who_goes_on_behind_it(log: PodLog, reader: Reader) -> None:
    log.say(b"one\n", b"two\n")
    first, _ = (one for one in reader.once() if isinstance(one, Line))
    reader.after = first.cursor
    assert reader.next() == b"two\n"
    assert len(log.asked) == 2


@both_ways
def test_a_pod_that_never_says_a_word_does_not_hold_its_reader(log: PodLog, reader: Reader) -> None:
    began = time.monotonic()
    assert [*reader.once()] == []
    assert time.monotonic() - began < SILENCE_SECONDS + 2
    log.end()
    assert reader.to_the_end() == []


@both_ways
def test_a_follow_that_hangs_when_the_pod_is_over_does_not_hold_its_reader(log: PodLog, reader: Reader) -> None:
    log.hangs = True
    log.say(b"on\n", b"unfinished")
    lines = reader.once()
    next(lines)
    log.end()
    began = time.monotonic()
    assert [*lines] == []
    assert time.monotonic() - began < 6
    assert reader.to_the_end() == [b"unfinished"]


def test_a_pod_that_has_not_begun_is_waited_for_without_a_request(log: PodLog, reader: Reader) -> None:
    log.phase = Phase.PENDING
    assert [*reader.once()] == []
    assert log.asked == []


@pytest.mark.parametrize("said", [GONE, "rpc error: code = Unavailable desc = x", 'failed to watch file "/var/log/x"'])
def test_what_the_kubelet_says_is_not_the_pods_output(log: PodLog, reader: Reader, said: str) -> None:
    log.sentence = said
    with pytest.raises(Unreadable, match=said.split(":")[0]):
        [*reader.once()]
    assert reader.output == []


def test_a_log_that_is_gone_is_told_to_be_missing(log: PodLog, reader: Reader) -> None:
    log.sentence = GONE
    log.end()
    assert reader.to_the_end() == [Missing("removed")]


def test_a_runtime_that_is_being_started_again_loses_nothing(log: PodLog, reader: Reader) -> None:
    log.say(b"out\n")
    log.sentence = GONE
    log.end()
    asked = log.wait

    def back_soon(seconds: float) -> None:
        asked(min(seconds, 0.1))
        log.sentence = ""

    log.wait = back_soon  # type: ignore[method-assign]
    assert reader.to_the_end() == [b"out\n"]


def test_a_sentence_that_a_pod_prints_itself_is_output(log: PodLog, reader: Reader) -> None:
    log.say(GONE.encode() + b"\n", b"2026-11-21T21:46:07.000000001Z fake\n")
    log.end()
    assert reader.to_the_end() == [GONE.encode() + b"\n", b"2026-11-21T21:46:07.000000001Z fake\n"]


@pytest.mark.parametrize("over", [False, True])
def test_a_pod_that_is_gone_is_told_to_be_missing(log: PodLog, reader: Reader, over: bool) -> None:
    log.error = 404, 'pods "one" not found'
    if over:
        log.end()
    assert [*reader.once()] == [Missing("removed")]


@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize(
    "said",
    [
        'container "job" in pod "one" is waiting to start: PodInitializing',
        "pod one does not have a host assigned",
    ],
)
def test_a_container_that_has_not_begun_has_no_output(log: PodLog, reader: Reader, over: bool, said: str) -> None:
    log.error = 400, said
    if over:
        log.end()
    assert [*reader.once()] == []


@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize("said", ["is not available", "is terminated"])
def test_what_a_container_that_is_not_known_any_more_said_is_missing_once_the_pod_is_over(
    log: PodLog, reader: Reader, over: bool, said: str
) -> None:
    log.error = 400, f'container "job" in pod "one" {said}'
    if over:
        log.end()
    assert [*reader.once()] == ([Missing("removed")] if over else [])


@pytest.mark.parametrize(
    ("status", "message", "raised"),
    [
        (404, 'pod "one" does not exist', Unreadable),
        (
            500,
            'Get "https://node1:10250/containerLogs/jobs/one/job": dial tcp: connect: connection refused',
            Unreadable,
        ),
        (403, 'pods "one" is forbidden: cannot get resource "pods/log"', Unavailable),
        (503, "apiserver is shutting down", Unavailable),
        (429, "too many requests", Unavailable),
    ],
)
def test_an_error_says_whose_trouble_it_is(
    log: PodLog, reader: Reader, status: int, message: str, raised: type[Exception]
) -> None:
    log.error = status, message
    with pytest.raises(raised, match=message[:12]) as caught:
        [*reader.once()]
    assert type(caught.value) is raised


@both_ways
def test_a_last_answer_that_is_cut_off_without_a_word_is_asked_for_again(log: PodLog, reader: Reader) -> None:
    log.say(*[b"%05d " % number + b"z" * 100 + b"\n" for number in range(3000)], b"the end")
    log.end()
    log.short = 300_001
    lines = reader.once()
    got = [next(lines)]
    log.short = None
    got += lines
    assert len(got) == 3001
    assert got[-1].data == b"the end"  # type: ignore[union-attr]
