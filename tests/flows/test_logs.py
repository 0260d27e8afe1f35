"""The stored log: what was appended is read, by bytes and by line, whatever the chunks."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from rest_framework.test import APIClient

from jobs.logs.following import Lines as LinesStep
from jobs.logs.following import follow
from jobs.logs.reader import read_bytes, read_lines, tail_start
from jobs.logs.records import pack, unpack
from jobs.logs.store import Fenced, Position, append, sealing
from jobs.models import Attempt
from jobs.states import AttemptState
from jobs.verdicts import Verdict
from workers.ending import Ending, finish
from workers.placing import place_waiting

from .conftest import make_attempt

Lines = list[tuple[bytes, str, int]]
lines_strategy = st.lists(
    st.tuples(st.binary(min_size=1, max_size=20), st.sampled_from(["stdout", "stderr"]), st.integers(0, 2**62)),
    min_size=1,
)


@given(lines_strategy)
def test_packing_loses_nothing(lines: Lines) -> None:
    data, index, count = pack(lines)
    assert count == len(lines)
    assert [(line.data, line.stream, line.at_ns) for line in unpack(data, index, 1)] == lines


def write(attempt: Attempt, *chunks: Lines) -> Position:
    at = Position()
    for number, chunk in enumerate(chunks):
        at = append(attempt, attempt.fence, at, chunk, f"cursor-{number}")
    return at


def numbered(count: int, stream: str = "stdout") -> Lines:
    return [(f"line {n}\n".encode(), stream, n * 1_000_000) for n in range(1, count + 1)]


class AnyChunks(TestCase):
    @settings(max_examples=25, deadline=None)
    @given(st.lists(lines_strategy, min_size=1, max_size=30), st.integers(1, 40), st.integers(1, 10))
    def test_every_stretch_reads_as_it_was_written(self, chunks: list[Lines], start: int, limit: int) -> None:
        attempt = make_attempt()
        end = write(attempt, *chunks)
        flat = [line for chunk in chunks for line in chunk]
        assert end.lines == len(flat)
        assert b"".join(read_bytes(attempt.pk, start=start)) == b"".join(line[0] for line in flat[start - 1 :])
        found = list(read_lines(attempt.pk, start=start, limit=limit))
        assert [(line.n, line.data) for line in found] == [
            (n, line[0]) for n, line in enumerate(flat, 1) if start <= n < start + limit
        ]


def test_a_late_writer_is_fenced_off() -> None:
    attempt = make_attempt()
    at = write(attempt, numbered(3))
    with pytest.raises(Fenced):
        append(attempt, attempt.fence + 1, at, numbered(1), "x")
    with pytest.raises(Fenced):
        append(attempt, attempt.fence, Position(), numbered(1), "x")
    assert attempt.chunks.count() == 1


def test_cursor_and_counts_are_saved_with_the_chunk() -> None:
    attempt = make_attempt()
    write(attempt, numbered(3), numbered(2))
    attempt.refresh_from_db()
    assert (attempt.log_cursor, attempt.log_lines, attempt.log_bytes) == ("cursor-1", 5, 5 * 7)


def test_tail_counts_the_stream_that_is_asked_for() -> None:
    attempt = make_attempt()
    write(attempt, numbered(4), numbered(1, "stderr"), numbered(5))
    assert tail_start(attempt.pk, 10, 3) == 8
    assert tail_start(attempt.pk, 10, 1, "stderr") == 5
    assert tail_start(attempt.pk, 10, 9, "stderr") == 5


def sealed_attempt(alice: Any) -> Attempt:
    attempt = make_attempt(alice)
    write(attempt, numbered(3), [(b"\x00\xff \x1b[31m", "stderr", 5)])
    Attempt.objects.filter(pk=attempt.pk).update(**sealing(attempt)[1])
    return attempt


async def body_of(answer: Any) -> bytes:
    return b"".join([piece async for piece in answer.streaming_content])


def test_the_log_is_served_to_the_byte_with_its_digest(api: APIClient, alice: Any) -> None:
    attempt = sealed_attempt(alice)
    answer = api.get(f"/api/v1/jobs/{attempt.job_id}/logs/")
    body = async_to_sync(body_of)(answer)
    digest = hashlib.sha256(body).hexdigest()
    assert body == b"line 1\nline 2\nline 3\n\x00\xff \x1b[31m"
    assert (answer["Content-Length"], answer["ETag"]) == (str(len(body)), f'"{digest}"')
    assert api.get(f"/api/v1/jobs/{attempt.job_id}/logs/", HTTP_IF_NONE_MATCH=answer["ETag"]).status_code == 304


@pytest.mark.parametrize(
    ("query", "numbers", "following"),
    [({}, [1, 2, 3, 4], 5), ({"from": 2, "limit": 2}, [2, 3], 4), ({"tail": 1}, [4], 5), ({"stream": "stderr"}, [4], 5),
     ({"from": 9}, [], 9)],
)  # fmt: skip
def test_pages_of_lines(api: APIClient, alice: Any, query: dict[str, Any], numbers: list[int], following: int) -> None:
    attempt = sealed_attempt(alice)
    page = api.get(f"/api/v1/jobs/{attempt.job_id}/logs/", query, HTTP_ACCEPT="application/json").json()
    assert ([line["n"] for line in page["lines"]], page["next"]) == (numbers, following)
    assert set(page) == {"lines", "next", "final"}


@pytest.mark.parametrize("query", ["from=0", "from=x", "tail=-1", "limit=0", "stream=both", "attempt=1.5", "fro=1"])
def test_a_parameter_that_can_not_be_is_named(api: APIClient, alice: Any, query: str) -> None:
    attempt = sealed_attempt(alice)
    answer = api.get(f"/api/v1/jobs/{attempt.job_id}/logs/?{query}")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [query.partition("=")[0]])


def test_an_attempt_that_is_not_there_is_not_found(api: APIClient, alice: Any) -> None:
    attempt = sealed_attempt(alice)
    assert api.get(f"/api/v1/jobs/{attempt.job_id}/logs/", {"attempt": 7}).status_code == 404


def retried_attempt(alice: Any) -> tuple[Attempt, Attempt]:
    """A job's first attempt, failed with three lines, and its second with two."""
    first = make_attempt(alice, retry={"max_attempts": 2, "backoff": 0})
    write(first, numbered(3))
    finish(first, first.fence, Ending(AttemptState.LOST, None, Verdict("worker_lost", "gone")))
    place_waiting()
    second = Attempt.objects.select_related("job").get(job=first.job, number=2)
    write(second, numbered(2))
    return first, second


def test_lines_are_told_with_the_attempt_that_wrote_them(alice: Any) -> None:
    """A reader resumes by attempt and line: a wrong attempt would skip as many lines of the next one."""
    first, second = retried_attempt(alice)
    finish(second, second.fence, Ending(AttemptState.FAILED, 1, Verdict("exit_code", "")))

    async def told() -> list[tuple[int, int]]:
        steps = [step async for step in follow(first.job_id, attempt=1)]
        return [(step.attempt, line.n) for step in steps if isinstance(step, LinesStep) for line in step.lines]

    assert async_to_sync(told)() == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]


def test_long_lines_come_in_more_pages_rather_than_in_much_memory(api: APIClient, alice: Any) -> None:
    attempt = make_attempt(alice)
    at = Position()
    for number in range(12):
        at = append(attempt, attempt.fence, at, [(b"x" * 1024**2, "stdout", number)], f"cursor-{number}")
    numbers: list[int] = []
    pages, start = 0, 1
    while start <= 12:
        answer = api.get(f"/api/v1/jobs/{attempt.job_id}/logs/", {"from": start}, HTTP_ACCEPT="application/json")
        numbers += [line["n"] for line in answer.json()["lines"]]
        assert len(answer.content) < 6 * 1024**2
        pages, start = pages + 1, answer.json()["next"]
    assert (numbers, pages) == (list(range(1, 13)), 3)
