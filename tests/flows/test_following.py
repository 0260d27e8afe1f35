"""Many follow one job: one reads for all. And what is missing is told at its place."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from jobs.logs.following import Lines, Missing, Over, follow
from jobs.logs.gaps import Gap
from jobs.logs.steps import Step
from jobs.logs.store import append
from jobs.logs.tailing import Tail
from jobs.logs.watch import joined
from jobs.looks import look
from jobs.models import Attempt, Job
from jobs.services import cancel
from jobs.states import AttemptState
from jobs.verdicts import Verdict
from workers.ending import Ending, finish

from .conftest import make_attempt
from .test_logs import numbered, write


async def steps_of(attempt: Attempt, **where: Any) -> list[Step]:
    return [step async for step in follow(attempt.job_id, **where)]


def followed(attempt: Attempt, **where: Any) -> list[Any]:
    """Line numbers, and gaps."""
    steps: list[Step] = async_to_sync(steps_of)(attempt, **where)
    assert isinstance(steps[-1], Over)
    told: list[Any] = []
    for step in steps:
        told += [line.n for line in step.lines] if isinstance(step, Lines) else []
        told += [step.gap] if isinstance(step, Missing) else []
    return told


def finished(attempt: Attempt, *gaps: Gap) -> Attempt:
    finish(attempt, attempt.fence, Ending(AttemptState.FAILED, 1, Verdict("exit_code", "")))
    Attempt.objects.filter(pk=attempt.pk).update(log_gaps=[gap.as_json() for gap in gaps])
    return attempt


def capped(alice: Any) -> Attempt:
    """Ten lines, of which 4 to 8 were cut out."""
    attempt = make_attempt(alice)
    write(attempt, numbered(3), numbered(5), numbered(2))
    finished(attempt, CUT)
    attempt.chunks.filter(first_line=4).delete()
    return attempt


CUT = Gap(9, "capped", 5, 35)
AT_THE_START, AT_THE_END = Gap(1, "rotated"), Gap(4, "removed")


def test_a_gap_is_told_before_the_line_behind_it(alice: Any) -> None:
    attempt = make_attempt(alice)
    write(attempt, numbered(4))
    finished(attempt, Gap(3, "rotated"))
    assert followed(attempt) == [1, 2, Gap(3, "rotated"), 3, 4]
    assert followed(attempt, start=3) == [Gap(3, "rotated"), 3, 4]
    assert followed(attempt, start=4) == [4]


def test_gaps_at_both_ends_are_told(alice: Any) -> None:
    attempt = make_attempt(alice)
    write(attempt, numbered(3))
    assert followed(finished(attempt, AT_THE_START, AT_THE_END)) == [AT_THE_START, 1, 2, 3, AT_THE_END]


def test_a_gap_in_a_log_without_a_line_is_told(alice: Any) -> None:
    assert followed(finished(make_attempt(alice), Gap(1, "removed"))) == [Gap(1, "removed")]


def test_a_cut_is_told_by_the_lines_that_the_reader_misses(alice: Any) -> None:
    attempt = capped(alice)
    assert followed(attempt) == [1, 2, 3, CUT, 9, 10]
    assert followed(attempt, start=6) == [Gap(9, "capped", 3), 9, 10]
    assert followed(attempt, start=9) == [9, 10]


def test_a_gap_at_the_end_of_a_try_is_told_once_while_the_next_is_waited_for(alice: Any) -> None:
    attempt = make_attempt(alice, retry={"max_attempts": 2, "backoff": 300})
    write(attempt, numbered(3))
    Attempt.objects.filter(pk=attempt.pk).update(log_gaps=[AT_THE_END.as_json()])
    finish(attempt, attempt.fence, Ending(AttemptState.LOST, None, Verdict("worker_lost", "gone")))

    async def told() -> int:
        found = 0
        async for step in follow(attempt.job_id):
            if isinstance(step, Missing):
                found += 1
                await look(lambda: cancel(Job.objects.get(pk=attempt.job_id), "alice"))
        return found

    assert async_to_sync(told)() == 1


def test_nothing_is_read_that_the_states_did_not_count(alice: Any) -> None:
    """Its gaps were not read either, and a line behind one would be told without it."""
    attempt = make_attempt(alice)
    at = write(attempt, [(b"x" * 10_000, "stdout", n) for n in range(20)])

    async def read() -> tuple[int, int]:
        async with joined(Tail, attempt.job_id) as tail:
            await look(lambda: append(attempt, attempt.fence, at, numbered(5), "more"))
            page, upto = await tail.page(1, 15)
            assert page
            return page.last, upto

    assert async_to_sync(read)() == (20, 21)


async def body_of(answer: Any) -> bytes:
    return b"".join([piece async for piece in answer.streaming_content])


def events(api: APIClient, attempt: Attempt, **headers: str) -> list[tuple[str, Any]]:
    answer = api.get(f"/api/v1/jobs/{attempt.job_id}/logs/", HTTP_ACCEPT="text/event-stream", **headers)
    frames = async_to_sync(body_of)(answer).decode().split("\n\n")
    fields = [dict(line.split(": ", 1) for line in frame.splitlines()) for frame in frames]
    return [(field["event"], json.loads(field["data"])) for field in fields if "event" in field]


def test_the_events_of_a_log_with_a_cut(api: APIClient, alice: Any) -> None:
    attempt = capped(alice)
    told = events(api, attempt)
    assert [event for event, _ in told] == ["state", "lines", "gap", "lines", "end"]
    assert (told[0][1]["log_lines"], told[2][1]) == (10, CUT.as_json())
    assert [event for event, _ in events(api, attempt, HTTP_LAST_EVENT_ID="9")] == ["state", "lines", "end"]
    assert [event for event, _ in events(api, attempt, HTTP_LAST_EVENT_ID="3")] == ["state", "gap", "lines", "end"]


def streams_of(attempt: Attempt, followers: int, **where: Any) -> tuple[list[list[Step]], int]:
    """What each was told, and how many queries that took."""

    async def crowd() -> list[list[Step]]:
        return await asyncio.gather(*(steps_of(attempt, **where) for _ in range(followers)))

    with CaptureQueriesContext(connection) as asked:
        told: list[list[Step]] = async_to_sync(crowd)()
    return told, len(asked)


@pytest.mark.parametrize("stream", [None, "stderr"])
@pytest.mark.parametrize("width", [10, 10_000])  # of the first, the window has all; of the second, nothing
def test_hundreds_follow_with_the_looks_of_one(alice: Any, stream: str | None, width: int) -> None:
    attempt = make_attempt(alice)
    at = write(attempt, [(b"x" * width, "stdout", n) for n in range(30)])
    append(attempt, attempt.fence, at, [(b"y" * width, "stderr", n) for n in range(30)], "more")
    finished(attempt)
    _, looks_of_one = streams_of(attempt, 1, stream=stream)
    told, looks = streams_of(attempt, 300, stream=stream)
    assert looks <= looks_of_one + 4
    for steps in zip(*told, strict=True):
        assert len({id(step) for step in steps if isinstance(step, Lines)}) <= 1, "pages are shared"
    lines = [line.n for step in told[0] if isinstance(step, Lines) for line in step.lines]
    assert lines == list(range(31 if stream else 1, 61))
