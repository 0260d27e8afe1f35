"""What was unusual in an attempt, and why it failed: its verdict is the best witness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobs.models import Attempt, Job
from tracing.questions.anomalies import Finding
from tracing.questions.answers import examine_attempt
from tracing.questions.root_cause import RootCause, Witness

from .answers import opening
from .reading import NO_SPANS


@dataclass(frozen=True)
class Examined:
    """`findings`: every span by start, unusual or not."""

    findings: Sequence[Finding]
    cause: RootCause | None


def examine(job: Job, attempt: Attempt | None) -> Examined:
    """A job that failed without a trace, or an attempt, still has its verdict. What is under way has no cause yet."""
    row = attempt or job
    witness = Witness.of(row.state, row.verdict)
    return Examined(*examine_attempt(attempt.pk if attempt else 0, str(job.pk), witness))


def diagnosis(job: Job, attempt: Attempt | None, seen: Examined) -> dict[str, Any]:
    gone = NO_SPANS if attempt and job.trace_id and not seen.findings else ""
    return {
        **opening(job, attempt, gone),
        "anomalies": [_finding_shown(each) for each in seen.findings if each.is_anomaly],
        "root_cause": seen.cause and _cause_shown(seen.cause),
    }


def _finding_shown(each: Finding) -> dict[str, Any]:
    return {
        "service": each.service,
        "operation": each.operation,
        "started_at": each.started_at,
        "completed_at": each.completed_at,
        "duration_ms": each.duration_ms,
        "gap_after_ms": each.gap_after_ms,
        "status": each.status,
        "error_message": each.error_message,
        "reason": each.anomaly_reason or "",
    }


def _cause_shown(cause: RootCause) -> dict[str, Any]:
    return {
        "type": cause.root_cause_type,
        "service": cause.affected_service,
        "operation": cause.affected_operation,
        "evidence": cause.evidence,
        "recommendation": cause.recommendation,
    }
