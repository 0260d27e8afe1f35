"""A job's log from some line on, followed over its attempts until the job is over. Runs in an event loop."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from jobs.looks import look
from jobs.models import Attempt, Job

from .feed import feed
from .reader import read_page
from .records import StoredLine

PAGE_LINES = 2000
HEARTBEAT_SECONDS = 10.0


@dataclass(frozen=True)
class Lines:
    """The next stored lines, at least one."""

    attempt: int
    lines: list[StoredLine]


@dataclass(frozen=True)
class News:
    """The job's or the attempt's state is another than at the last look. `data` is for show."""

    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Silence:
    """Nothing came for a while: tell the reader that we are still here."""


@dataclass(frozen=True)
class Over:
    """The job is final and its log was read to the end."""

    data: dict[str, Any] = field(default_factory=dict)


Step = Lines | News | Silence | Over


async def follow(
    job_id: UUID, *, attempt: int | None = None, start: int = 1, stream: str | None = None, alone: bool = False
) -> AsyncGenerator[Step, None]:
    """Everything from line `start` of that attempt (None: the newest) on, then live, then of its retries; ends with Over.

    `alone`: of that attempt only. Ends without Over when the process shuts down: the client comes back with the last
    number it saw.
    """
    place = _Place(attempt, start, alone)
    ours = feed()
    shown: dict[str, Any] = {}
    quiet_since = time.monotonic()
    async with ours.follow(job_id) as news:
        while not ours.closing.is_set():
            news.clear()
            seen = await look(_look, job_id, place, stream)
            if seen.state != shown:
                shown = seen.state
                yield News(shown)
            if seen.lines:
                yield Lines(seen.attempt, seen.lines)
                quiet_since = time.monotonic()
            if seen.more:
                continue
            if seen.over is not None:
                yield Over(seen.over)
                return
            if time.monotonic() - quiet_since >= HEARTBEAT_SECONDS:
                quiet_since = time.monotonic()
                yield Silence()
            await ours.wait(news)


@dataclass
class _Place:
    """Where the follower is. `attempt` None: no attempt yet."""

    attempt: int | None
    next_line: int
    alone: bool


@dataclass(frozen=True)
class _Look:
    state: dict[str, Any]
    lines: list[StoredLine]
    more: bool
    over: dict[str, Any] | None
    attempt: int = 0  # whose lines they are


def _look(job_id: UUID, place: _Place, stream: str | None) -> _Look:
    """One look at the database. The states are read before the lines: what is final then has all its lines stored."""
    job = Job.objects.get(pk=job_id)
    if place.attempt is None and job.attempts_count:
        place.attempt = job.attempts_count
    attempt = Attempt.objects.filter(job_id=job_id, number=place.attempt).first() if place.attempt else None
    state = describe(job, attempt)
    if attempt is None:
        return _Look(state, [], more=False, over=ending(job, None) if job.is_final else None)
    lines, more = read_page(attempt.pk, start=place.next_line, limit=PAGE_LINES, stream=stream)
    # What the attempt counted before we read is read by now, though another stream's lines were passed over.
    seen = lines[-1].n if more else max([attempt.log_lines, *(line.n for line in lines)])
    place.next_line = max(place.next_line, seen + 1)
    if more or not attempt.is_final:
        return _Look(state, lines, more, None, attempt.number)
    if place.alone:
        return _Look(state, lines, more=False, over=ending(job, attempt), attempt=attempt.number)
    if job.attempts_count > attempt.number:
        place.attempt, place.next_line = attempt.number + 1, 1
        return _Look(state, lines, more=True, over=None, attempt=attempt.number)
    over = ending(job, attempt) if job.is_final else None
    return _Look(state, lines, more=False, over=over, attempt=attempt.number)


def describe(job: Job, attempt: Attempt | None) -> dict[str, Any]:
    """What a follower is shown of where the job stands."""
    return {
        "state": job.state,
        "attempt": attempt.number if attempt else None,
        "attempt_state": attempt.state if attempt else None,
        "worker": attempt.worker if attempt else None,
        "waiting_reason": job.waiting_reason or None,
        "waiting_detail": job.waiting_detail or None,
        "progress": attempt.progress if attempt else None,
    }


def ending(job: Job, attempt: Attempt | None) -> dict[str, Any]:
    facts = attempt.log_facts() if attempt else {"lines": 0, "bytes": 0, "sha256": None, "complete": None}
    return {
        "state": job.state,
        "exit_code": job.exit_code,
        "verdict": job.verdict,
        **{key: facts[key] for key in ("lines", "bytes", "sha256", "complete")},
    }
