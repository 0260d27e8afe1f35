"""The time-line of a job as a picture: its events in sentences, and its time as bars to scale. Pure, given the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.models import Attempt, Event, Job

PICTURE_WIDTH = 1000  # in units of the SVG's viewBox
# Said once: the attempt's own event of the same moment tells more.
_SAID_ELSEWHERE = frozenset({"assigned", "attempt_running"})

SENTENCES = {
    "submitted": "Submitted",
    "queued": "Queued again, the next try is due in {after_seconds} s",
    "attempt_assigned": "Attempt {attempt} was given to {worker} ({runtime})",
    "starting": "Its worker took it",
    "image_pulling": "Pulling {image}",
    "running": "Running",
    "adopted": "Adopted: the container ran on, its log goes on",
    "detached": "Its worker went; the container runs on",
    "heartbeat_missed": "Nothing is heard of {worker}",
    "handed_over": "Handed over from {from} to {to}",
    "cancel_requested": "Cancel was asked for",
    "engine_away": "The engine does not answer: {error}",
    "engine_back": "The engine answers again",
    "held_up": "Waits in the cluster ({reason}): {detail}",
    "out_of_sight": "The runtime has lost sight of it: {why}",
    "back_in_sight": "The runtime sees it again",
    "stopping": "It is to end: {why}",
    "signalled": "Asked to end ({signal})",
    "killed": "Killed ({signal})",
    "attempt_succeeded": "Attempt {attempt} succeeded",
    "attempt_failed": "Attempt {attempt} failed: {verdict}, exit code {exit_code}",
    "attempt_cancelled": "Attempt {attempt} was cancelled",
    "attempt_lost": "Attempt {attempt} was lost",
    "removed": "The container was removed",
    "log_dropped": "The log of attempt {attempt} was removed: {says}",
    "succeeded": "Succeeded",
    "failed": "Failed",
    "cancelled": "Cancelled",
}


@dataclass(frozen=True)
class Step:
    """One entry: when, how long after the submit, who and what."""

    kind: str
    text: str
    actor: str
    at: datetime
    after_seconds: float


@dataclass(frozen=True)
class Bar:
    """A stretch of the job's time. `x` and `width` in PICTURE_WIDTH units."""

    phase: str
    attempt: int
    seconds: float
    x: float
    width: float


class _Known(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


def steps(job: Job, events: Sequence[Event]) -> list[Step]:
    """The events in sentences; a kind nobody has written a sentence for is shown by its name."""
    return [
        Step(event.kind, _sentence(event), event.actor, event.created_at, _seconds(job.created_at, event.created_at))
        for event in events
        if event.kind not in _SAID_ELSEWHERE
    ]


def _sentence(event: Event) -> str:
    pattern = SENTENCES.get(event.kind, event.kind.replace("_", " ").capitalize())
    facts = {key: "none" if value is None else str(value)[:300] for key, value in event.data.items()}
    return pattern.format_map(_Known(facts, attempt=event.attempt.number if event.attempt else "?"))


def bars(job: Job, attempts: Sequence[Attempt], now: datetime) -> list[Bar]:
    """Waiting, starting and running of every attempt, to scale over the job's life until `now`."""
    stretches = [stretch for stretch in _stretches(job, attempts, job.finished_at or now) if stretch[3] > stretch[2]]
    if not stretches:
        return []
    begin, end = stretches[0][2], stretches[-1][3]
    scale = PICTURE_WIDTH / (end - begin).total_seconds()
    return [
        Bar(
            phase,
            number,
            _seconds(a, b),
            round(_seconds(begin, a) * scale, 1),
            round(max(2.0, _seconds(a, b) * scale), 1),
        )
        for phase, number, a, b in stretches
    ]


def _stretches(job: Job, attempts: Sequence[Attempt], end: datetime) -> Iterator[tuple[str, int, datetime, datetime]]:
    at = job.created_at
    for attempt in sorted(attempts, key=lambda attempt: attempt.number):
        yield "waiting", attempt.number, at, attempt.created_at
        over = attempt.finished_at or end
        started = attempt.started_at or over
        yield "starting", attempt.number, attempt.created_at, started
        yield "running", attempt.number, started, over
        at = over
    if not job.is_final or not attempts:
        active = bool(attempts) and not max(attempts, key=lambda attempt: attempt.number).is_final
        yield "waiting", len(attempts) + 1, end if active else at, end


def _seconds(begin: datetime, end: datetime) -> float:
    return (end - begin).total_seconds()
