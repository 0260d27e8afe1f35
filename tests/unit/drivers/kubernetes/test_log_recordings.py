"""What a real cluster served as the logs of 21 pods, read as output, or as what it is instead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.drivers.kubernetes.test_log_lines import read
from workers.drivers.kubernetes.answers import EndedError, meaning_of, says_gone
from workers.drivers.kubernetes.cursor import Cursor
from workers.drivers.kubernetes.lines import Lines
from workers.drivers.output import Missing
from workers.drivers.protocol import Unreadable

FOLDER = Path(__file__).parents[3] / "cluster" / "recordings"
LOGS = {path.stem: json.loads(path.read_text()).get("log") or "" for path in sorted(FOLDER.glob("*.json"))}
REFUSED = [name for name, log in LOGS.items() if log.startswith("ERR ")]
SAID = [name for name, log in LOGS.items() if log.startswith("unable to retrieve")]
READ = [name for name in LOGS if name not in (*REFUSED, *SAID)]


def output(log: str) -> bytes:
    """Taken apart another way: a stamp and a blank before each line."""
    return b"".join(line.partition(b" ")[2] for line in log.encode().splitlines(keepends=True))


class Answer(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def test_all_recordings_are_here() -> None:
    assert len(LOGS) == 21
    assert "pipe-noise" in READ
    assert len(REFUSED) > 2


@pytest.mark.parametrize("size", [7, 4096, 10**6])
@pytest.mark.parametrize("name", READ)
def test_a_recorded_log_is_read_byte_by_byte(name: str, size: int) -> None:
    lines = Lines("unknown")
    got = read(lines, LOGS[name].encode(), [size])
    assert b"".join(line.data for line in got) == output(LOGS[name])
    assert lines.last_word() == ""
    assert [line.at_ns for line in got] == sorted(line.at_ns for line in got)


@pytest.mark.parametrize("name", READ)
def test_a_recorded_log_is_gone_on_with_behind_any_of_its_lines(name: str) -> None:
    data = LOGS[name].encode()
    lines = read(Lines("unknown"), data)
    for number in range(0, len(lines), max(1, len(lines) // 20)):
        behind = read(Lines("unknown", Cursor.parse(lines[number].cursor)), data)
        assert behind == lines[number + 1 :]


def test_pipe_noise_is_three_thousand_lines() -> None:
    assert [line.data for line in read(Lines("unknown"), LOGS["pipe-noise"].encode())] == [
        b"line %d\n" % number for number in range(3000)
    ]


def test_a_long_line_is_one_line_with_one_stamp() -> None:
    first, *_ = read(Lines("unknown"), LOGS["long-line"].encode())
    assert first.data == b"x" * 40_000 + b"\n"


@pytest.mark.parametrize("name", SAID)
def test_what_the_kubelet_says_instead_is_no_output(name: str) -> None:
    lines = Lines("unknown")
    assert lines.feed(LOGS[name].encode()) is None
    assert says_gone(lines.last_word())
    assert lines.finish() is None


@pytest.mark.parametrize("name", REFUSED)
def test_an_answer_that_is_an_error_is_told_as_what_it_is(name: str) -> None:
    status = json.loads(LOGS[name].removeprefix("ERR "))
    meaning = meaning_of(Answer(status["code"], status["message"]))
    if status["code"] == 404:
        assert isinstance(meaning, EndedError)
        assert meaning.missing == Missing("removed")
    elif status["code"] == 400:
        assert isinstance(meaning, EndedError)
        assert meaning.missing is None
    else:
        assert isinstance(meaning, Unreadable)
        assert meaning.patience_seconds > 0
