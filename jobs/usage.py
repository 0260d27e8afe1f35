"""Samples of what a container used: a series that grows with the run, and never beyond a page. Pure, but for `samples_of`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from .models import Attempt, UsageSeries

MOST = 240
FEWEST = 2  # less is no curve
Row = tuple[int, int, int]  # ms since 1970, bytes, ms of CPU time


@dataclass(frozen=True)
class Sample:
    """`cpus`: how many were busy on average since the sample before, or since the start for the first."""

    time: datetime
    memory_bytes: int
    cpu_seconds: float
    cpus: float


class Series:
    """Once it is full every second sample goes, and from then on they are taken half as often."""

    def __init__(self, rows: Iterable[Sequence[int]] = ()) -> None:
        self.rows: list[Row] = [(int(at), int(memory), int(cpu)) for at, memory, cpu in rows]
        self._apart_ms = (
            min((b[0] - a[0] for a, b in pairwise(self.rows)), default=0) if len(self.rows) > MOST // 2 else 0
        )

    def add(self, at: datetime, memory_bytes: int, cpu_seconds: float) -> None:
        row = (round(at.timestamp() * 1000), memory_bytes, round(cpu_seconds * 1000))
        if self.rows and row[0] - self.rows[-1][0] < max(1, self._apart_ms):
            return
        self.rows.append(row)
        if len(self.rows) > MOST:
            self.rows = self.rows[::2]
            self._apart_ms = (self.rows[-1][0] - self.rows[0][0]) // len(self.rows)


def samples_of(attempts: Iterable[Attempt]) -> dict[int, list[Sample]]:
    """By attempt, of those that have any."""
    starts = {attempt.pk: attempt.started_at for attempt in attempts}
    found = UsageSeries.objects.filter(attempt__in=starts)
    return {series.pk: as_samples(series.rows, starts[series.pk]) for series in found}


def as_samples(rows: Sequence[Sequence[int]], start: datetime | None) -> list[Sample]:
    before = (round(start.timestamp() * 1000), 0, 0) if start else None
    told = []
    for at, memory, cpu in rows:
        passed = at - before[0] if before else 0
        # A container that was restarted by nobody of ours would count anew; nothing is ever less than none.
        busy = max(0, cpu - before[2]) / passed if before and passed > 0 else 0.0
        told.append(Sample(datetime.fromtimestamp(at / 1000, UTC), memory, cpu / 1000, round(busy, 3)))
        before = (at, memory, cpu)
    return told
