"""What is told of a log that retention removed, instead of an empty one."""

from __future__ import annotations

from jobs.models import Attempt, Event

KIND = "log_dropped"  # of the event that says by which rule


class LogDropped(Exception):
    """The log was there and is gone; the message is for users."""


def refuse_dropped(attempt: Attempt | None) -> None:
    """LogDropped if retention removed this attempt's log. For every reader, before it reads."""
    if attempt is not None and attempt.log_dropped_at is not None:
        raise LogDropped(farewell(attempt))


def farewell(attempt: Attempt) -> str:
    """When it went, by which rule, and what is still known of it."""
    said = Event.objects.filter(job_id=attempt.job_id, attempt=attempt, kind=KIND).values_list("data", flat=True).last()
    why = f" ({said['says']})" if said else ""
    facts = f"{attempt.log_lines:,} lines, {attempt.log_bytes:,} bytes, SHA-256 {attempt.log_sha256}"
    return (
        f"Retention removed the log of attempt {attempt.number} at {attempt.log_dropped_at:%Y-%m-%d %H:%M:%S} UTC{why}. "
        f"What stays: {facts}."
    )
