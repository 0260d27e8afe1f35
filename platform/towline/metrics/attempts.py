"""Durations and output of attempts that are over, and the output so far of those under way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce, Greatest
from prometheus_client.core import CounterMetricFamily, Metric

from jobs.models import Attempt
from jobs.statistics.expressions import Seconds

from .buckets import Buckets
from .settled import Budget, settled_until

WAIT = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400)
RUN = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400)
OVERHEAD = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
BATCH = 5_000
ROW = ("number", "finished_at", "wait", "run", "overhead", "log_bytes", "log_lines", "job__traceparent")


@dataclass
class _Sums:
    """All is of an attempt's own row and of what never changes of its job, so that a retry by hand takes nothing back."""

    wait: Buckets = field(default_factory=lambda: Buckets(WAIT))
    run: Buckets = field(default_factory=lambda: Buckets(RUN))
    overhead: Buckets = field(default_factory=lambda: Buckets(OVERHEAD))
    log_bytes: int = 0
    log_lines: int = 0

    def copy(self) -> _Sums:
        return _Sums(self.wait.copy(), self.run.copy(), self.overhead.copy(), self.log_bytes, self.log_lines)

    def add(self, row: tuple[Any, ...]) -> None:
        number, finished_at, wait, run, overhead, log_bytes, log_lines, traceparent = row
        self.log_bytes += log_bytes
        self.log_lines += log_lines
        if finished_at is None or run is None:  # goes on, or has never begun
            return
        if number == 1:
            self.wait.add(max(0.0, wait), finished_at, traceparent)
        self.run.add(max(0.0, run), finished_at, traceparent)
        self.overhead.add(max(0.0, overhead), finished_at, traceparent)


class Ended:
    """Of this process: what it has summed up to a time, and never sums again."""

    def __init__(self, batch: int = BATCH) -> None:
        self._batch = batch
        self._sums = _Sums()
        self._upto = datetime(1970, 1, 1, tzinfo=UTC)
        self._lock = threading.Lock()

    def families(self, budget: Budget) -> Iterator[Metric]:
        """None until this process has caught up: figures that are missing alarm nobody, ones that jump do."""
        sums = self._with_the_latest(budget)
        if sums is None:
            return
        yield sums.wait.family("towline_job_wait_seconds", "From submit, or run_at, to the begin of the first attempt.")
        yield sums.run.family("towline_job_run_seconds", "How long attempts ran.")
        yield sums.overhead.family(
            "towline_job_overhead_seconds", "From an attempt's placement to its program's begin."
        )
        yield CounterMetricFamily("towline_log_bytes", "Output taken, in bytes.", value=sums.log_bytes)
        yield CounterMetricFamily("towline_log_lines", "Output taken, in lines.", value=sums.log_lines)

    def _with_the_latest(self, budget: Budget) -> _Sums | None:
        with self._lock:
            if not self._catch_up(budget):
                return None
            sums = self._sums.copy()
            # In one statement: an attempt that ends at this moment is in it, once.
            for row in _rows(Attempt.objects.filter(Q(finished_at__gt=self._upto) | Q(finished_at=None))):
                sums.add(row)
            return sums

    def _catch_up(self, budget: Budget) -> bool:
        edge = settled_until()
        while True:
            due = Attempt.objects.filter(finished_at__gt=self._upto, finished_at__lte=edge)
            last = due.order_by("finished_at").values_list("finished_at", flat=True)[self._batch :].first()
            for row in _rows(due.filter(finished_at__lte=last) if last else due):
                self._sums.add(row)
                self._upto = row[ROW.index("finished_at")]
            if last is None or budget.spent:
                return last is None


def _rows(attempts: QuerySet[Attempt]) -> list[tuple[Any, ...]]:
    submitted = F("job__created_at")
    timed = attempts.annotate(
        wait=Seconds(Greatest(submitted, Coalesce(F("job__run_at"), submitted)), F("started_at")),
        run=Seconds(F("started_at"), F("finished_at")),
        overhead=Seconds(F("created_at"), F("started_at")),
    )
    return list(timed.order_by("finished_at").values_list(*ROW))
