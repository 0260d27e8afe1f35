"""Jobs as rows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from rich.box import SIMPLE_HEAD
from rich.table import Column, Table
from rich.text import Text

from jobs.models import Job
from jobs.states import JobState

from .badges import badge
from .words import age, duration, safe, seconds_between, short_id


def new_table(*columns: Column) -> Table:
    """As wide as the screen: `elastic` columns share what the others leave, and are cut rather than wrapped."""
    return Table(*columns, box=SIMPLE_HEAD, pad_edge=False, show_edge=False, expand=True)


def fixed(heading: str) -> Column:
    return Column(heading, no_wrap=True)


def number(heading: str) -> Column:
    return Column(heading, no_wrap=True, justify="right")


def elastic(heading: str, share: int = 1) -> Column:
    return Column(heading, no_wrap=True, overflow="ellipsis", ratio=share)


def folded(heading: str, share: int = 1) -> Column:
    """Elastic, and wrapped where the whole text matters more than one line a row."""
    return Column(heading, overflow="fold", ratio=share)


def jobs_table(jobs: Iterable[Job], now: datetime) -> Table:
    table = new_table(
        fixed("ID"),
        fixed("STATE"),
        elastic("NAME", 3),
        number("AGE"),
        number("TOOK"),
        elastic("WHERE", 2),
        elastic("WHY", 5),
    )
    for job in jobs:
        table.add_row(
            short_id(job.pk),
            badge(job.state),
            Text(safe(job.name or job.image)),
            age(seconds_between(job.created_at, now)),
            duration(seconds_between(job.started_at, job.finished_at or now)),
            where(job),
            Text(safe(why(job))),
        )
    return table


def where(job: Job) -> str:
    attempt = job.current_attempt
    return safe(attempt.worker.removeprefix("run@")) if attempt else job.runtime or "–"


def why(job: Job) -> str:
    """What it waits for, or why it ended as it did; empty while all is well."""
    if job.state == JobState.QUEUED or job.waiting_reason:
        return f"{job.waiting_reason}: {job.waiting_detail}" if job.waiting_reason else "not yet seen"
    if job.verdict:
        return f"{job.verdict_code}: {job.verdict['summary']}"
    if job.cancel_requested_at and not job.is_final:
        return "cancel asked for"
    return f"attempt {job.attempts_count}" if job.attempts_count > 1 else ""
