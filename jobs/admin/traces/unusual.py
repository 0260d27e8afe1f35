"""What is unusual in a trace, and why an attempt failed, as `tracing.questions` finds it, for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jobs.models import Attempt
from tracing.questions.anomalies import Judged, judge
from tracing.questions.lookups import history
from tracing.questions.root_cause import RootCause, Witness, root_cause
from tracing.questions.rules import GAP_MS
from tracing.rows import Row

PHASES_MOST = 60  # whose history is asked for, those that took longest: a query each
ATTEMPTS_MOST = 20


@dataclass
class Unusual:
    """`odd`: by the number of a span's id, in words. `causes`: of attempts that failed."""

    odd: dict[int, str] = field(default_factory=dict)
    causes: list[tuple[Attempt, RootCause]] = field(default_factory=list)


def unusual(rows: Sequence[Row], attempts: Sequence[Attempt], now: datetime) -> Unusual:
    """Of each of the last attempts."""
    found = Unusual()
    for attempt in attempts[-ATTEMPTS_MOST:]:
        its = [row for row in rows if row.execution_id == attempt.pk]
        judged = judge(its, history(_longest(its, now), attempt.pk), now)
        found.odd |= {each.row.span_id.int: said for each in judged if (said := _said(each))}
        if cause := root_cause(judged, Witness.of(attempt.state, attempt.verdict)):
            found.causes.append((attempt, cause))
    return found


def _longest(rows: Sequence[Row], now: datetime) -> list[tuple[str, str]]:
    by_length = sorted(rows, key=lambda row: row.seconds(now), reverse=True)
    return list(dict.fromkeys((row.service, row.operation) for row in by_length))[:PHASES_MOST]


def _said(judged: Judged) -> str:
    """Empty: nothing. What failed is told by its status already."""
    words = []
    if (judged.gap_ms or 0) > GAP_MS:
        words.append(f"nothing for {judged.gap_ms:,} ms after it")
    if judged.is_slow:
        words.append(
            f"took {judged.took_ms:,} ms, its normal is {judged.normal.milliseconds:,} ms, "
            f"the median of {judged.normal.known}"
        )
    return "; ".join(words)
