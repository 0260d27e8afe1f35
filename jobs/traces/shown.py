"""Spans as REST and `--json` show them: ids in hexadecimal, the waterfall's order, the critical path marked. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from tracing.identity import span_hex, trace_hex
from tracing.models import Status
from tracing.questions.waterfall import Step, waterfall
from tracing.rows import Row

from .reading import Trace

FAILED = (Status.FAILED, Status.TIMEOUT, Status.LOST)


def trace_shown(trace: Trace, now: datetime) -> dict[str, Any]:
    """`trace_id`, `note`, `more`, `summary` (null without spans), `spans`."""
    return {
        "trace_id": hex_or_none(trace.trace_id),
        "note": trace.note,
        "more": trace.more,
        "summary": summary(trace.rows) if trace.rows else None,
        "spans": [step_shown(step) for step in waterfall(trace.rows, now)],
    }


def hex_or_none(trace_id: UUID | None) -> str | None:
    return None if trace_id is None else trace_hex(trace_id)


def step_shown(step: Step) -> dict[str, Any]:
    return {**row_shown(step.row), "depth": step.depth, "critical": step.critical}


def row_shown(row: Row) -> dict[str, Any]:
    """`completed_at` and `duration_ms` are null while it is open."""
    return {
        "span_id": span_hex(row.span_id),
        "parent_span_id": None if row.parent_span_id is None else span_hex(row.parent_span_id),
        "service": row.service,
        "operation": row.operation,
        "started_at": row.started_at,
        "completed_at": row.completed_at,
        "duration_ms": row.duration_ms,
        "status": row.status,
        "job_id": row.job_id,
        "execution_id": row.execution_id,
        "model_id": row.model_id,
        "region": row.region,
        "metadata": row.metadata,
        "error_message": row.error_message,
        "error_type": row.error_type,
    }


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Of a trace that has spans. It is over when all of them are."""
    first = min(rows, key=lambda row: (row.started_at, row.parent_span_id is not None))
    ends = [row.completed_at for row in rows if row.completed_at]
    is_open = len(ends) < len(rows)
    return {
        "operation": first.operation,
        "service": first.service,
        "job_id": next((row.job_id for row in rows if row.job_id), None),
        "started_at": first.started_at,
        "completed_at": None if is_open else max(ends),
        "duration_ms": None if is_open else (max(ends) - first.started_at) // timedelta(milliseconds=1),
        "status": status_of(rows),
        "spans": len(rows),
        "failed": sum(row.status in FAILED for row in rows),
    }


def status_of(rows: Sequence[Row]) -> str:
    """Of the whole: open while a span is, else as the job ended; as the first span did where there is no job."""
    if any(row.completed_at is None for row in rows):
        return Status.STARTED
    lives = [row for row in rows if (row.service, row.operation) == ("job", "job")]
    return (lives or rows)[0].status
