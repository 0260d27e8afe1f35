"""Every byte of output, in order, once, from a real engine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.docker_yard import SILENCE_SECONDS, Yard, open_yard
from tests.contract.following import read
from workers.drivers.docker.logs import WINDOWS
from workers.drivers.protocol import Phase

pytestmark = pytest.mark.docker
NUMBERS = b"".join(b"%d\n" % number for number in range(1, 20_001))


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with open_yard(tmp_path / "locks") as opened:
        yield opened


@pytest.mark.parametrize("_again", range(4))
def test_a_flood_is_read_exactly_and_goes_on_from_anywhere(yard: Yard, _again: int) -> None:
    ran = yard.run("seq", "1", "20000", cpus=2)
    assert ran.output == NUMBERS
    last = len(ran.lines) - 1
    for number in (0, 1, 7777, last - WINDOWS[0], last - 1, last):
        rest = list(read(yard.driver, ran.seen.handle, ran.lines[number].cursor))
        assert rest == ran.lines[number + 1 :]


def test_a_reader_that_comes_and_goes_misses_nothing(yard: Yard) -> None:
    handle = yard.start("sh", "-c", "for i in $(seq 1 300); do echo out $i; echo err $i >&2; usleep 2000; done")
    lines, after, over = [], None, False
    while not over:
        over = yard.driver.inspect(handle).phase is not Phase.RUNNING
        for count, line in enumerate(read(yard.driver, handle, after), start=1):
            lines.append(line)
            after = line.cursor
            if count == 37 and not over:
                break
    for stream, word in (("stdout", b"out"), ("stderr", b"err")):
        assert [line.data for line in lines if line.stream == stream] == [b"%s %d\n" % (word, n) for n in range(1, 301)]


def test_bytes_are_exact(yard: Yard) -> None:
    ran = yard.run("sh", "-c", r"printf '\000\001\377\376\r\033[31mred\n\303'; printf '\n\nlast'")
    assert ran.output == b"\x00\x01\xff\xfe\r\x1b[31mred\n\xc3\n\nlast"


def test_a_long_line_is_one_line_and_a_longer_one_comes_in_pieces(yard: Yard) -> None:
    long = yard.run("sh", "-c", "head -c 200000 /dev/zero | tr '\\0' x; echo")
    assert [len(line.data) for line in long.lines] == [200_001]
    full = yard.run("sh", "-c", "head -c 32768 /dev/zero | tr '\\0' x; echo; echo next; head -c 32768 /dev/zero")
    assert full.output == b"x" * 32768 + b"\nnext\n" + bytes(32768)
    longer = yard.run("sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo")
    assert longer.output == b"x" * 3_000_000 + b"\n"
    assert max(len(line.data) for line in longer.lines) <= 1024**2
    for number, line in enumerate(longer.lines):
        assert list(read(yard.driver, longer.seen.handle, line.cursor)) == longer.lines[number + 1 :]


def test_streams_are_told_apart(yard: Yard) -> None:
    ran = yard.run("sh", "-c", "echo out; echo err >&2; printf o; printf e >&2")
    assert {line.data: line.stream for line in ran.lines} == {
        b"out\n": "stdout",
        b"err\n": "stderr",
        b"o": "stdout",
        b"e": "stderr",
    }


def test_a_line_comes_at_once(yard: Yard) -> None:
    handle = yard.start("sh", "-c", "for i in 1 2 3 4 5; do echo $i; sleep 0.2; done")
    delays = [time.time() - line.at_ns / 1e9 for line in read(yard.driver, handle, None)]
    assert len(delays) == 5
    assert sorted(delays)[2] < 0.3  # all at the end would be 0.4


def test_silence_gives_the_caller_a_look_around(yard: Yard) -> None:
    handle = yard.start("sh", "-c", "echo on; sleep 60")
    asked_at = time.monotonic()
    (line,) = read(yard.driver, handle, None)
    assert time.monotonic() - asked_at < SILENCE_SECONDS + 3
    assert list(read(yard.driver, handle, line.cursor)) == []


def test_a_container_that_never_says_a_word_does_not_hold_its_reader(yard: Yard) -> None:
    handle = yard.start("sleep", "60")
    asked_at = time.monotonic()
    assert list(read(yard.driver, handle, None)) == []
    assert time.monotonic() - asked_at < SILENCE_SECONDS + 3


def test_what_is_gone_or_never_ran_has_no_output(yard: Yard) -> None:
    failed = yard.start("id", user="nosuch")
    assert list(read(yard.driver, failed, None)) == []
    yard.driver.remove(failed)
    assert list(read(yard.driver, failed, None)) == []


def test_a_terminal_keeps_every_byte_of_its_one_stream(yard: Yard) -> None:
    script = r"test -t 1 && test -t 2 && printf 'ABCDEFGHIJ\n\033[31mred\n10%%\r20%%\r\n'; echo err >&2; printf last"
    ran = yard.run("sh", "-c", script, tty=True)
    assert ran.output == b"ABCDEFGHIJ\r\n\x1b[31mred\r\n10%\r20%\r\r\nerr\r\nlast"
    assert {line.stream for line in ran.lines} == {"stdout"}
    long = yard.run("sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; echo; echo next", tty=True)
    assert long.output == b"x" * 100_000 + b"\r\nnext\r\n"


def test_a_flood_on_a_terminal_goes_on_from_anywhere(yard: Yard) -> None:
    ran = yard.run("seq", "1", "20000", tty=True, cpus=2)
    assert ran.output == NUMBERS.replace(b"\n", b"\r\n")
    for number in (0, 7777, len(ran.lines) - 2):
        assert list(read(yard.driver, ran.seen.handle, ran.lines[number].cursor)) == ran.lines[number + 1 :]
