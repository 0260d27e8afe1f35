"""A run beside earlier ones, phase by phase: what took longer or shorter than usual, what is new, what is missing. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tracing.rows import Row

Phase = tuple[str, str]  # service, operation


@dataclass(frozen=True)
class PhaseDifference:
    """Seconds during which spans of that service and operation were under way; overlapping ones count once.

    `seconds` None: this run lacks it. `usual_seconds` None: no earlier run had it; else the median of the `runs` that did.
    """

    service: str
    operation: str
    seconds: float | None
    usual_seconds: float | None
    runs: int

    @property
    def difference_seconds(self) -> float:
        """More than usual, or less."""
        return (self.seconds or 0.0) - (self.usual_seconds or 0.0)

    @property
    def ratio(self) -> float | None:
        """To the usual; None where there is none to compare with."""
        return self.seconds / self.usual_seconds if self.seconds is not None and self.usual_seconds else None

    @property
    def is_new(self) -> bool:
        return self.usual_seconds is None

    @property
    def is_missing(self) -> bool:
        return self.seconds is None


def compare(rows: Sequence[Row], histories: Sequence[Sequence[Row]], now: datetime) -> list[PhaseDifference]:
    """The greatest difference first. What most of the histories lack is not missed. Without histories, all is new."""
    this = _phases(rows, now)
    usual = [_phases(history, now) for history in histories]
    found = []
    for phase in this.keys() | {phase for run in usual for phase in run}:
        took = [run[phase] for run in usual if phase in run]
        if phase in this or 2 * len(took) > len(usual):
            median = statistics.median(took) if took else None
            found.append(PhaseDifference(*phase, this.get(phase), median, len(took)))
    return sorted(found, key=lambda each: (-abs(each.difference_seconds), each.service, each.operation))


def _phases(rows: Sequence[Row], now: datetime) -> dict[Phase, float]:
    stretches: dict[Phase, list[tuple[float, float]]] = {}
    for row in rows:
        stretch = row.started_at.timestamp(), row.end(now).timestamp()
        stretches.setdefault((row.service, row.operation), []).append(stretch)
    return {phase: _covered(found) for phase, found in stretches.items()}


def _covered(stretches: list[tuple[float, float]]) -> float:
    covered, until = 0.0, float("-inf")
    for start, end in sorted(stretches):
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return covered
