"""What was unusual in an execution: spans that took far longer than normal, holes between them, failures. Pure.

What normal is, and where history comes from: `tracing.questions.answers` looks it up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

from tracing.rows import Row

from .rules import FAILED, GAP_MS, HISTORY_LEAST, SLOW_LEAST_MS, SLOW_TIMES

INTEGER_MOST = 2**31 - 1
MESSAGE_MOST = 200

Phase = tuple[str, str]  # service, operation


@dataclass(frozen=True)
class Finding:
    """A span, and what is unusual about it. `gap_after_ms` None: no sibling follows.

    `anomaly_reason` may be given without an anomaly: the history is too thin to say.
    """

    service: str
    operation: str
    started_at: datetime
    completed_at: datetime | None
    duration_ms: int | None
    gap_after_ms: int | None
    status: str
    error_message: str | None
    is_anomaly: bool
    anomaly_reason: str | None


@dataclass(frozen=True)
class Normal:
    """What such a span takes: half of `twice_ms`, the median of `known` others. Too few of them, and nobody knows."""

    known: int
    twice_ms: int

    @property
    def is_thin(self) -> bool:
        return self.known < HISTORY_LEAST

    @property
    def milliseconds(self) -> int | None:
        return None if self.is_thin else self.twice_ms // 2

    def exceeded_by(self, took: int | None) -> bool:
        """Far."""
        if took is None or self.is_thin:
            return False
        return 2 * took > SLOW_TIMES * self.twice_ms and 2 * took >= self.twice_ms + 2 * SLOW_LEAST_MS


@dataclass(frozen=True)
class Judged:
    """A span beside its normal and its siblings."""

    row: Row
    took_ms: int | None
    gap_ms: int | None
    normal: Normal

    @property
    def is_slow(self) -> bool:
        return self.normal.exceeded_by(self.took_ms)

    @property
    def said(self) -> str:
        """How it ended, in its own words."""
        ended = ", ".join(filter(None, (self.row.status, self.row.error_type)))
        message = (self.row.error_message or "").split("\n")[0][:MESSAGE_MOST]
        return f"{ended}: {message}" if message else ended


def diagnose(judged: Iterable[Judged]) -> list[Finding]:
    return [_found(each) for each in judged]


def judge(rows: Sequence[Row], past: Mapping[Phase, Sequence[int]], now: datetime) -> list[Judged]:
    """`rows`: of one execution, by start. `past`: what such spans took, in ms, in other executions of late."""
    gaps = _gaps(rows, now)
    took = {row.span_id: _took(row) for row in rows}
    own: dict[Phase, list[int]] = {}
    for row in rows:
        if row.status == "completed" and (each := took[row.span_id]) is not None:
            own.setdefault((row.service, row.operation), []).append(each)
    known = {phase: _history(past.get(phase, ()), own.get(phase, ())) for phase in {_phase(row) for row in rows}}
    return [
        Judged(row, took[row.span_id], gaps.get(row.span_id), _normal(row, took[row.span_id], *known[_phase(row)]))
        for row in rows
    ]


def _phase(row: Row) -> Phase:
    return row.service, row.operation


def _history(past: Sequence[int], own: Sequence[int]) -> tuple[list[int], bool]:
    """Of other executions, if that is enough to go by; else this one's are counted too, which is the second value."""
    thin = len(past) < HISTORY_LEAST
    return sorted([*past, *own] if thin else past), thin


def _normal(row: Row, took: int | None, history: list[int], own_counted: bool) -> Normal:  # noqa: FBT001
    """Half the sum of the two in the middle, the span itself left out."""
    place = history.index(took) if own_counted and row.status == "completed" and took is not None else len(history)
    known = len(history) - (place < len(history))
    if not known:
        return Normal(0, 0)
    middle = ((known - 1) // 2, known // 2)
    return Normal(known, sum(history[each + (each >= place)] for each in middle))


def _took(row: Row) -> int | None:
    if row.duration_ms is not None or row.completed_at is None:
        return row.duration_ms
    return _milliseconds(row.completed_at - row.started_at)


def _milliseconds(length: timedelta) -> int:
    return min(length // timedelta(milliseconds=1), INTEGER_MOST)


def _gaps(rows: Sequence[Row], now: datetime) -> dict[UUID, int]:
    """From the end of a span, of all before it and all below them, to the start of the next of the same parent."""
    reach = _reach(rows, now)
    siblings: dict[tuple[UUID, UUID | None], list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row.started_at, row.span_id)):
        siblings.setdefault((row.trace_id, row.parent_span_id), []).append(row)
    gaps = {}
    for line in siblings.values():
        until = reach[line[0].span_id]
        for row, following in pairwise(line):
            until = max(until, reach[row.span_id])
            gaps[row.span_id] = max(0, _milliseconds(following.started_at - until))
    return gaps


def _reach(rows: Sequence[Row], now: datetime) -> dict[UUID, datetime]:
    """Until when a span and what is below it went on. The last to end first: where it has been, the others need not go."""
    known = {row.span_id: row for row in rows}
    reach: dict[UUID, datetime] = {}
    for row in sorted(rows, key=lambda row: row.end(now), reverse=True):
        until, at = row.end(now), row
        while at.span_id not in reach:
            reach[at.span_id] = until
            parent = known.get(at.parent_span_id) if at.parent_span_id else None
            if parent is None or until <= parent.end(now):
                break
            at = parent
    return reach


def _found(judged: Judged) -> Finding:
    row, gap = judged.row, judged.gap_ms or 0
    is_anomaly = row.status in FAILED or gap > GAP_MS or judged.is_slow
    return Finding(
        row.service,
        row.operation,
        row.started_at,
        row.completed_at,
        judged.took_ms,
        judged.gap_ms,
        row.status,
        row.error_message,
        is_anomaly,
        "; ".join(_reasons(judged, gap)) or None,
    )


def _reasons(judged: Judged, gap: int) -> Iterable[str]:
    normal = judged.normal
    if judged.row.status in FAILED:
        yield judged.said
    if gap > GAP_MS:
        yield f"nothing for {gap} ms after it"
    if judged.is_slow:
        yield f"took {judged.took_ms} ms, its normal is {normal.milliseconds} ms, the median of {normal.known}"
    elif judged.took_ms is not None and normal.is_thin:
        yield f"history too thin: {normal.known} of {HISTORY_LEAST} spans"
