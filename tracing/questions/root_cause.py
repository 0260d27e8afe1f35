"""Why an execution failed: by the platform's verdict if there is one, else by the patterns of its trace. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tracing.rows import ATTEMPT, Row
from tracing.services import CONTAINER, SERVICES

from .anomalies import Judged
from .rules import (
    CAUSE_OF_VERDICT,
    CAUSES,
    CONNECTION,
    DEGRADED_MS,
    FAILED,
    LABELS,
    MODEL,
    MODEL_ATTRIBUTE,
    NETWORK_GAP_MS,
    OTHERWISE,
    OUR_ATTRIBUTES,
    RECOMMENDATIONS,
    SAYS_LITTLE,
    TIME_OUT,
)

PROGRAM = (CONTAINER, "execute")
EVIDENCE_MOST = 3
NO_FAILURE = frozenset({"succeeded", "assigned", "starting", "running"})  # it has not failed, or not yet


@dataclass(frozen=True)
class RootCause:
    root_cause_type: str
    affected_service: str
    affected_operation: str
    evidence: str
    recommendation: str


@dataclass(frozen=True)
class Witness:
    """What the platform knows of the attempt: its state and, if it did not succeed, its verdict."""

    state: str
    code: str = ""
    summary: str = ""
    evidence: Sequence[str] = ()
    remedy: str = ""

    @classmethod
    def of(cls, state: str, verdict: Mapping[str, Any] | None) -> Witness:
        told = verdict or {}
        code, summary, remedy = (str(told.get(key) or "") for key in ("code", "summary", "remedy"))
        return cls(state, code, summary, tuple(map(str, told.get("evidence") or ())), remedy)

    @property
    def said(self) -> str:
        evidence = "; ".join(self.evidence[:EVIDENCE_MOST])
        return f"{self.summary} ({evidence})" if evidence else self.summary


def root_cause(judged: Sequence[Judged], witness: Witness | None = None) -> RootCause | None:
    """None of an execution that is healthy, or that the platform knows to have succeeded."""
    told = witness or _told_by(judged)
    if told and told.state in NO_FAILURE:
        return None
    return _by_verdict(judged, told) if told and told.code else _by_pattern(judged)


def first_failure(rows: Sequence[Row], code: str = "") -> Row | None:
    """The first to end, which is where it began; of those that failed with this code, if any did."""
    failed = [row for row in rows if row.status in FAILED]
    return min(failed, key=lambda row: (bool(code) and row.error_type != code, *ended(row)), default=None)


def ended(row: Row) -> tuple[bool, datetime, float, int]:
    """To sort by: the first to end, and of those that ended together the innermost."""
    completed = row.completed_at
    return (
        completed is None,
        completed or datetime.max.replace(tzinfo=UTC),
        -row.started_at.timestamp(),
        row.span_id.int,
    )


def _told_by(judged: Sequence[Judged]) -> Witness | None:
    """An attempt's own span, wherever the platform's tables are."""
    row = next((each.row for each in judged if (each.row.service, each.row.operation) == ATTEMPT), None)
    if row is None:
        return None
    code = (row.error_type or "") if row.status in FAILED else ""
    return Witness("succeeded" if row.status == "completed" else row.status, code, row.error_message or code)


def _by_verdict(judged: Sequence[Judged], told: Witness) -> RootCause:
    where = first_failure([each.row for each in judged], told.code)
    service, operation = (where.service, where.operation) if where else ATTEMPT
    kind = CAUSE_OF_VERDICT.get(told.code, told.code.upper())
    remedy = told.remedy or RECOMMENDATIONS.get(kind, OTHERWISE)
    evidence = f"{told.code}: {told.said}"
    if told.code == SAYS_LITTLE and (own := _told_by_program(judged)):
        evidence += f"; {own.row.service}: {own.row.operation} {own.said}"
    return RootCause(kind, service, operation, evidence, remedy)


def _told_by_program(judged: Sequence[Judged]) -> Judged | None:
    """The first to end of the spans that it sent itself, and that say what went wrong."""
    own = (each for each in judged if each.row.service not in SERVICES or each.row.service == CONTAINER)
    told = [each for each in own if (each.row.service, each.row.operation) != PROGRAM and each.said != each.row.status]
    return min((each for each in told if each.row.status in FAILED), key=lambda each: ended(each.row), default=None)


def _by_pattern(judged: Sequence[Judged]) -> RootCause | None:
    ranked = [(rank, each) for each in judged if (rank := _rank(each)) is not None]
    if not ranked:
        return None
    rank, first = min(ranked, key=lambda pair: (pair[0], *ended(pair[1].row)))
    kind = CAUSES[rank]
    return RootCause(kind, first.row.service, first.row.operation, _evidence(rank, first), RECOMMENDATIONS[kind])


def _rank(judged: Judged) -> int | None:
    """The place in CAUSES of the first that fits."""
    row, words = judged.row, _words(judged.row)
    failed = row.status == "failed"
    fits = (
        (judged.gap_ms or 0) > NETWORK_GAP_MS,
        failed and CONNECTION.search(words),
        row.status == "timeout" or (failed and TIME_OUT.search(words)),
        (judged.took_ms or 0) > DEGRADED_MS and not _always_takes_so_long(judged),
        failed and is_model(row),
        failed or row.status == "lost",
    )
    return next((rank for rank, fit in enumerate(fits) if fit), None)


def _always_takes_so_long(judged: Judged) -> bool:
    normal = judged.normal
    return not normal.is_thin and normal.twice_ms > 2 * DEGRADED_MS and not judged.is_slow


def _words(row: Row) -> str:
    """All that is said of what went wrong: exceptions are events in OpenTelemetry."""
    events = (row.metadata or {}).get("events")
    told = [row.error_type, row.error_message]
    for event in events if isinstance(events, list) else ():
        attributes = (event.get("attributes") if isinstance(event, dict) else None) or {}
        told += [attributes.get("exception.type"), attributes.get("exception.message")]
    return " ".join(str(each) for each in told if each)


def is_model(row: Row) -> bool:
    """Whether it is the model's own, or the program's: by name, by an attribute that names a model, or by service."""
    named = MODEL.search(f"{row.service} {row.operation}")
    keys = (key for key in row.attributes if not key.startswith(OUR_ATTRIBUTES) and key not in LABELS)
    return row.service == CONTAINER or bool(named) or any(MODEL_ATTRIBUTE.search(key) for key in keys)


def _evidence(rank: int, judged: Judged) -> str:
    match CAUSES[rank]:
        case "NETWORK_TIMEOUT":
            return f"nothing for {judged.gap_ms} ms after it"
        case "PERFORMANCE_DEGRADATION":
            normal = judged.normal.milliseconds
            return f"took {judged.took_ms} ms" + (f", its normal is {normal} ms" if normal is not None else "")
    return judged.said
