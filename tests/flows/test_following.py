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


@pytest.mark.parametrize("stream", [None, "stderr"])
def test_hundreds_follow_with_the_looks_of_one(alice: Any, stream: str | None) -> None:
    def looks(followers: int) -> int:
        attempt = make_attempt(alice)
        at = write(attempt, numbered(30))
        append(attempt, attempt.fence, at, numbered(30, "stderr"), "more")
        finished(attempt)

        async def crowd() -> list[list[Step]]:
            return await asyncio.gather(*(steps_of(attempt, stream=stream) for _ in range(followers)))

        with CaptureQueriesContext(
            connection,
        ) as asked:
            told = async_to_sync(crowd)()
        assert {len(steps) for steps in told} == {3}
        assert len({id(steps[1]) for steps in told}) == 1, "pages are shared"
        return len(asked)

    assert looks(300) <= looks(1) + 3
