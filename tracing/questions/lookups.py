"""What is looked up in the table to answer: what spans took of late, and which executions may be like one.

Row comparisons instead of equality, with LIMIT, make both databases walk the index (service, operation) from its end: what is
of late comes first, and nothing is sorted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from django.db import connection

from tracing.models import Span
from tracing.rows import Row

from .anomalies import Phase
from .root_cause import first_failure
from .rules import (
    ALIKE_MOST,
    FAILED,
    FAILURES_LOOKED_AT,
    HISTORY_MOST,
    SPANS_LOOKED_AT,
    UNUSUAL_FEWER_THAN,
    UNUSUAL_PHASES,
)
from .similar import Failure, Shape

PHASE = "(service, operation) >= (%s, %s) AND (service, operation) <= (%s, %s)"
LATEST = "ORDER BY service DESC, operation DESC LIMIT %s"
HISTORY = f"""SELECT duration_ms FROM trace_spans WHERE {PHASE} AND status = 'completed' AND duration_ms IS NOT NULL
    AND (execution_id IS NULL OR execution_id <> %s) {LATEST}"""  # noqa: S608 - texts of ours
EXECUTIONS = f"SELECT execution_id FROM trace_spans WHERE {PHASE} {LATEST}"  # noqa: S608
FAILURES = f"SELECT execution_id, status, error_type FROM trace_spans WHERE {PHASE} {LATEST}"  # noqa: S608
# PostgreSQL: all in one request.
HISTORIES = f"""SELECT p.service, p.operation, ARRAY(
        SELECT s.duration_ms FROM trace_spans s
        WHERE (s.service, s.operation) >= (p.service, p.operation) AND (s.service, s.operation) <= (p.service, p.operation)
            AND s.status = 'completed' AND s.duration_ms IS NOT NULL AND s.execution_id IS DISTINCT FROM %s
        ORDER BY s.service DESC, s.operation DESC LIMIT {HISTORY_MOST}
    ) FROM unnest(%s::text[], %s::text[]) p (service, operation)"""  # noqa: S608
CHUNK = 900

# execution, span, service, operation, status, error type, start, end
Found = tuple[int, Any, str, str, str, str | None, Any, Any]
SPANS = """SELECT execution_id, span_id, service, operation, status, error_type, started_at, completed_at FROM trace_spans
    WHERE {which} ORDER BY execution_id, started_at, operation, span_id, completed_at IS NULL, id"""


def history(phases: Iterable[Phase], execution_id: int) -> dict[Phase, list[int]]:
    """What those of other executions took, in ms, the latest of each."""
    known = list(phases)
    if connection.vendor == "postgresql":
        found = _fetch(HISTORIES, execution_id, [phase[0] for phase in known], [phase[1] for phase in known])
        return {(service, operation): took for service, operation, took in found}
    return {phase: _column(HISTORY, *phase, *phase, execution_id, HISTORY_MOST) for phase in known}


def shape_of(rows: list[Row]) -> Shape:
    """Of an execution that there is."""
    by_start = sorted(rows, key=lambda row: (row.started_at, row.operation, row.span_id))
    return Shape(by_start[0].execution_id or 0, tuple(row.operation for row in by_start), failure_of(rows))


def failure_of(rows: list[Row]) -> Failure | None:
    where = first_failure(rows)
    return Failure(f"{where.service}: {where.operation}", where.error_type) if where else None


def candidates(rows: list[Row]) -> Iterator[Shape]:
    """All executions of late, and of those before the ones that failed alike or did something as unusual."""
    own, floor = rows[0].execution_id, _floor()
    yield from _shapes(SPANS.format(which="execution_id >= %s AND execution_id <> %s"), floor, own)
    older = sorted(each for each in {*_unusual(rows), *_failed_alike(rows)} if each is not None and each < floor)
    for start in range(0, len(older), CHUNK):
        chunk = [each for each in older[start : start + CHUNK] if each != own]
        if chunk:
            yield from _shapes(SPANS.format(which=f"execution_id IN ({', '.join(['%s'] * len(chunk))})"), *chunk)


def _floor() -> int:
    """The execution from which on all are looked at."""
    known = Span.objects.exclude(execution_id=None).order_by("-execution_id").values_list("execution_id", flat=True)
    return next((each for each in known[SPANS_LOOKED_AT - 1 : SPANS_LOOKED_AT] if each is not None), -(2**63))


def _unusual(rows: list[Row]) -> Iterator[int]:
    for phase in sorted({(row.service, row.operation) for row in rows})[:UNUSUAL_PHASES]:
        found = _column(EXECUTIONS, *phase, *phase, UNUSUAL_FEWER_THAN)
        if len(found) < UNUSUAL_FEWER_THAN:
            yield from found


def _failed_alike(rows: list[Row]) -> list[int]:
    where = first_failure(rows)
    if where is None:
        return []
    phase = where.service, where.operation
    found = _fetch(FAILURES, *phase, *phase, FAILURES_LOOKED_AT)
    return [each for each, *how in found if how == [where.status, where.error_type]][:ALIKE_MOST]


def _shapes(query: str, *values: str | int | list[str] | None) -> Iterator[Shape]:
    """Times stay as the database has them: they are only compared."""
    for execution_id, spans in groupby(_fetch(query, *values), key=lambda found: found[0]):
        once: dict[Any, Found] = {}
        for span in spans:
            before = once.get(span[1])
            if before is None or before[-1] is None:
                once[span[1]] = span
        yield Shape(execution_id, tuple(span[3] for span in once.values()), _failure(once.values()))


def _failure(spans: Iterable[Found]) -> Failure | None:
    """The first to end, and of those that ended together the innermost, as `root_cause.first_failure` has it."""
    failed = sorted((span for span in spans if span[4] in FAILED), key=lambda span: span[6], reverse=True)
    first = min(failed, key=lambda span: (span[7] is None, span[7] or ""), default=None)
    return Failure(f"{first[2]}: {first[3]}", first[5]) if first else None


def _column(query: str, *values: str | int | list[str] | None) -> list[int]:
    return [found for (found,) in _fetch(query, *values)]


def _fetch(query: str, *values: str | int | list[str] | None) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())
