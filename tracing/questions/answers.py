"""What the SQL functions answer, in Python and on either database: diagnosis, root cause, similar traces.

On PostgreSQL the search for similar traces is the SQL function itself: the database has what is to be compared at hand. The
others are answered here on both, by the same rules as in SQL.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import connection

from tracing.rows import of_attempt, of_execution

from .anomalies import Finding, Judged, diagnose, judge
from .lookups import candidates, failure_of, history, shape_of
from .root_cause import RootCause, Witness, first_failure, root_cause
from .similar import SimilarTrace, closest


def diagnose_execution_trace(execution_id: int) -> list[Finding]:
    """Each span by start, with what is unusual about it. Empty where there are none."""
    return diagnose(_judged(execution_id))


def examine_attempt(execution_id: int, job_id: str, witness: Witness) -> tuple[list[Finding], RootCause | None]:
    """Both of these in one look, of one that the platform knows."""
    judged = _judged(execution_id, job_id)
    return diagnose(judged), root_cause(judged, witness)


def identify_root_cause(execution_id: int, witness: Witness | None = None) -> RootCause | None:
    """None of a healthy execution. `witness`: what the platform knows; without, the span of the attempt is heard."""
    return root_cause(_judged(execution_id), witness)


def find_similar_traces(execution_id: int, limit: int = 5) -> list[SimilarTrace]:
    """The best first. Empty where there are no spans of it."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM find_similar_traces(%s, %s)", [execution_id, limit])
            return [SimilarTrace(*found) for found in cursor.fetchall()]
    return similar_by_python(execution_id, limit)


def similar_by_python(execution_id: int, limit: int = 5) -> list[SimilarTrace]:
    rows = of_execution(execution_id)
    if not rows or limit < 1:
        return []
    return [_similar(score, each) for score, each in closest(shape_of(rows), candidates(rows), limit)]


def _similar(score: float, execution_id: int) -> SimilarTrace:
    rows = of_execution(execution_id)
    where, failure = first_failure(rows), failure_of(rows)
    ends = [row.completed_at for row in rows if row.completed_at]
    took = (max(ends) - rows[0].started_at) // timedelta(milliseconds=1) if ends else None
    status = where.status if where else "completed" if len(ends) == len(rows) else "started"
    return SimilarTrace(execution_id, score, status, took, failure.point if failure else None)


def _judged(execution_id: int, job_id: str | None = None) -> list[Judged]:
    rows = of_attempt(execution_id, job_id)
    return judge(rows, history({(row.service, row.operation) for row in rows}, execution_id), datetime.now(UTC))
