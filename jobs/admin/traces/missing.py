"""Why there is no trace to be seen, and what to do about it. Pure."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import DatabaseError
from django.utils import timezone

from jobs.models import Job

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Missing:
    """A heading and what to do."""

    what: str
    remedy: str


def why(job: Job | None, wanted: Any) -> Missing:
    """Of a trace without a span; `wanted`: the settings."""
    if job is not None and job.trace_id is None:
        return _untraced(wanted)
    kept = timedelta(days=wanted.TOWLINE_TRACE_KEEP_DAYS)
    if job is not None and kept and timezone.now() - job.created_at > kept:
        return Missing(
            f"Its trace was removed: spans are kept for {kept.days} days.",
            "Raise TOWLINE_TRACE_KEEP_DAYS to keep those to come for longer, or export them over OTLP.",
        )
    if not wanted.ENABLE_DB_TRACING:
        return Missing(
            "Its trace is not in this database: spans are not written to it.",
            "Look where OTEL_EXPORTER_OTLP_ENDPOINT sends them, or set ENABLE_DB_TRACING=true to keep those to come here, too.",
        )
    return Missing(
        "No span of this trace is in the database.",
        "Within a second of a job's submit they may still be on their way: load the page again. Otherwise they were dropped "
        "or not sampled; the trace store's health tells.",
    )


def unreadable(error: DatabaseError) -> Missing:
    """The store does not answer. The rest of the platform goes on without it."""
    log.warning("the trace store can't be read: %s", error)
    return Missing(
        "The trace store can't be read just now.",
        "Jobs are not touched by this. The log of the web process has the database's words, and manage.py doctor checks "
        "the store; a missing table is made by manage.py migrate.",
    )


def _untraced(wanted: Any) -> Missing:
    if not wanted.ENABLE_DB_TRACING and not wanted.OTEL_EXPORTER_OTLP_ENDPOINT:
        return Missing(
            "This job is not traced: tracing is off.",
            "Set ENABLE_DB_TRACING=true for all processes and start them again. Jobs submitted from then on are traced.",
        )
    return Missing(
        "This job is not traced.",
        "Tracing was off when it was submitted, or it was not sampled (OTEL_TRACES_SAMPLER). Submit it again to trace it.",
    )
