"""The stored log: what was appended is read, by bytes and by line, whatever the chunks."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.test import override_settings
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from rest_framework.test import APIClient

from jobs.logs.block import Block
from jobs.logs.following import Lines as LinesStep
from jobs.logs.following import follow
from jobs.logs.gaps import Gap
from jobs.logs.reader import read_bytes, read_lines, tail_start
from jobs.logs.records import pack, unpack
from jobs.logs.store import Fenced, Position, Tally, append, position, sealing
from jobs.models import Attempt
from jobs.states import AttemptState
from jobs.verdicts import Verdict
from workers.ending import Ending, finish
from workers.placing import place_waiting

from .conftest import make_attempt

Lines = list[tuple[bytes, str, int]]
CHUNK_LONGEST = 7 * len(b"39:6\n")
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
    @hypothesis_settings(max_examples=25, deadline=None)
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


def capped(settings: Any, most: int) -> None:
    settings.TOWLINE = settings.TOWLINE.model_copy(update={"TOWLINE_LOG_BYTES_MOST": most})


class AnyCap(TestCase):
    @hypothesis_settings(max_examples=25, deadline=None)
    @given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.integers(64, 2000), st.integers(0, 39))
    def test_of_too_much_the_head_and_the_tail_are_kept_and_the_cut_is_named(
        self, sizes: list[int], most: int, adopted_at: int
    ) -> None:
        """Whatever the chunks, and whoever goes on with it in the middle."""
        attempt, at, tally, lines = make_attempt(), Position(), Tally(), []
        small = settings.TOWLINE.model_copy(update={"TOWLINE_LOG_BYTES_MOST": most})
        with override_settings(TOWLINE=small):
            for number, size in enumerate(sizes):
                chunk = [(b"%d:%d\n" % (number, n), "stdout", n) for n in range(size % 7 + 1)]
                if number == adopted_at:
                    at = position(Attempt.objects.get(pk=attempt.pk))
                at = append(attempt, attempt.fence, at, chunk, f"cursor-{number}")
                tally.add(Block.of(chunk))
                lines += chunk
        stored = Attempt.objects.get(pk=attempt.pk)
        found = list(read_lines(attempt.pk))
        size = sum(len(line.data) for line in found)
        assert all(line.data == lines[line.n - 1][0] for line in found)
        assert (stored.log_facts()["lines"], stored.log_facts()["bytes"]) == (len(found), size)
        assert (stored.log_lines, stored.log_bytes) == (len(lines), sum(len(line[0]) for line in lines))
        numbers = {line.n for line in found}
        missing = [n for n in range(1, len(lines) + 1) if n not in numbers]
        gaps = stored.log_gaps
        assert [n for gap in gaps for n in range(gap["line"] - gap["lines"], gap["line"])] == missing
        assert len(gaps) == (1 if missing else 0)
        assert size <= most + 2 * CHUNK_LONGEST
        if missing:
            assert size > most - CHUNK_LONGEST
            head = sum(len(line[0]) for line in lines[: missing[0] - 1])
            assert most // 2 <= head <= most // 2 + CHUNK_LONGEST
        seal = sealing(attempt, tally)[1]
        assert seal["log_sha256"] == hashlib.sha256(b"".join(line.data for line in found)).hexdigest()
        assert seal.get("log_complete", True) is (not missing)


def test_a_seal_is_made_from_what_was_counted_on_the_way_or_from_what_is_stored() -> None:
    attempt, tally = make_attempt(), Tally()
    write(attempt, numbered(3))
    tally.add(Block.of(numbered(3)))
    lines, seal = sealing(attempt, tally)
    assert (lines, seal["log_sha256"]) == (3, hashlib.sha256(b"line 1\nline 2\nline 3\n").hexdigest())
    adopted = Tally()
    adopted.add(Block.of(numbered(1)))
    assert sealing(attempt, adopted)[1]["log_sha256"] == seal["log_sha256"] == sealing(attempt)[1]["log_sha256"]


def test_a_gap_is_stored_with_the_lines_behind_it_or_alone_at_the_end() -> None:
    attempt = make_attempt()
    at = write(attempt, numbered(3))
    at = append(attempt, attempt.fence, at, numbered(2), "cursor-1", [Gap(4, "rotated", since="a", until="b")])
    at = append(attempt, attempt.fence, at, [], at.cursor, [Gap(6, "removed")])
    stored = Attempt.objects.get(pk=attempt.pk)
    assert position(stored) == at
    assert [(gap["line"], gap["reason"]) for gap in stored.log_gaps] == [(4, "rotated"), (6, "removed")]
    with pytest.raises(Fenced):
        append(attempt, attempt.fence + 1, at, [], at.cursor, [Gap(6, "unreadable")])
    assert not finish_incomplete(stored).log_complete


def finish_incomplete(attempt: Attempt) -> Attempt:
    """Ended well, as far as its end is known."""
    assert finish(attempt, attempt.fence, Ending(AttemptState.FAILED, 1, Verdict("exit_code", "")))
    return Attempt.objects.get(pk=attempt.pk)


def test_an_append_to_a_capped_log_asks_the_database_as_often_however_long_it_is(
    settings: Any, django_assert_max_num_queries: Any
) -> None:
    capped(settings, 64 * 1024)
    attempt = make_attempt()
    chunk = [(b"x" * 4096, "stdout", 1)]
    at = Position()
    for number in range(60):
        at = append(attempt, attempt.fence, at, chunk, f"cursor-{number}")
    with django_assert_max_num_queries(7):  # two of them the savepoint
        append(attempt, attempt.fence, at, chunk, "cursor")
    assert attempt.chunks.count() <= 16
