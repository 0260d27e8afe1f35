"""Durations and output of attempts that are over, and the output so far of those under way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce, Greatest
from prometheus_client.core import CounterMetricFamily, Metric

from jobs.logs import delivery
from jobs.models import Attempt
from jobs.statistics.expressions import Seconds

from .buckets import Buckets
from .kept import Kept
from .settled import Budget, settled_until

# By name, after `towline_`: what it says, and the upper ends of its buckets in seconds.
HISTOGRAMS = {
    "job_wait_seconds": (
        "From submit, or run_at, to the begin of the first attempt.",
        (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400),
    ),
    "job_run_seconds": (
        "How long attempts ran.",
        (0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400),
    ),
    "job_overhead_seconds": (
        "From an attempt's placement to its program's begin.",
        (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
    ),
    "log_delivery_seconds": (
        "From the time that the runtime gave a line of output to its being stored.",
        delivery.BOUNDS,
    ),
}
BOUNDS = {name: list(bounds) for name, (_, bounds) in HISTOGRAMS.items()}
BATCH = 5_000
FROM_THE_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
ROW = ("number", "finished_at", "wait", "run", "overhead", "log_bytes", "log_lines", "log_delays", "job__traceparent")


class _Sums:
    """All is of an attempt's own row and of what never changes of its job, so that a retry by hand takes nothing back."""

    def __init__(self, histograms: dict[str, Buckets], log_bytes: int = 0, log_lines: int = 0) -> None:
        self.histograms = histograms
        self.log_bytes = log_bytes
        self.log_lines = log_lines

    @classmethod
    def none(cls) -> _Sums:
        return cls({name: Buckets(bounds) for name, (_, bounds) in HISTOGRAMS.items()})

    @classmethod
    def of(cls, kept: dict[str, Any]) -> _Sums:
        """From what `as_json` gave."""
        histograms = {name: Buckets.of(bounds, kept[name]) for name, (_, bounds) in HISTOGRAMS.items()}
        return cls(histograms, kept["log_bytes"], kept["log_lines"])

    def as_json(self) -> dict[str, Any]:
        histograms = {name: buckets.as_json() for name, buckets in self.histograms.items()}
        return {**histograms, "log_bytes": self.log_bytes, "log_lines": self.log_lines}

    def copy(self) -> _Sums:
        copied = {name: buckets.copy() for name, buckets in self.histograms.items()}
        return _Sums(copied, self.log_bytes, self.log_lines)

    def add(self, row: tuple[Any, ...]) -> None:
        number, finished_at, wait, run, overhead, log_bytes, log_lines, log_delays, traceparent = row
        self.log_bytes += log_bytes
        self.log_lines += log_lines
        *lines, milliseconds = delivery.delays_of(log_delays)
        self.histograms["log_delivery_seconds"].add_counted(lines, milliseconds / 1000)
        if finished_at is None or run is None:  # goes on, or has never begun
            return
        times = {"job_run_seconds": run, "job_overhead_seconds": overhead}
        if number == 1:
            times["job_wait_seconds"] = wait
        for name, seconds in times.items():
            self.histograms[name].add(max(0.0, seconds), finished_at, traceparent)


class Ended:
    """Of this process: what it has summed up to a time, and never sums again."""

    def __init__(self, batch: int = BATCH) -> None:
        self._batch = batch
        self._sums = _Sums.none()
        self._upto: datetime | None = None
        self._kept = Kept("attempts", BOUNDS, lambda: {"upto": str(self._upto), **self._sums.as_json()})
        self._lock = threading.Lock()

    def families(self, budget: Budget) -> Iterator[Metric]:
        """None until this process has caught up: figures that are missing alarm nobody, ones that jump do."""
        sums = self._with_the_latest(budget)
        if sums is None:
            return
        for name, (text, _) in HISTOGRAMS.items():
            yield sums.histograms[name].family(f"towline_{name}", text)
        yield CounterMetricFamily("towline_log_bytes", "Output taken, in bytes.", value=sums.log_bytes)
        yield CounterMetricFamily("towline_log_lines", "Output taken, in lines.", value=sums.log_lines)

    def _with_the_latest(self, budget: Budget) -> _Sums | None:
        with self._lock:
            upto = self._catch_up(self._upto or self._begin(), budget)
            if upto is None:
                return None
            sums = self._sums.copy()
            # In one statement: an attempt that ends at this moment is in it, once.
            for row in _rows(Attempt.objects.filter(Q(finished_at__gt=upto) | Q(finished_at=None))):
                sums.add(row)
            return sums

    def _begin(self) -> datetime:
        kept = self._kept.read()
        if kept is None:
            return FROM_THE_FIRST
        self._sums = _Sums.of(kept)
        return datetime.fromisoformat(kept["upto"])

    def _catch_up(self, upto: datetime, budget: Budget) -> datetime | None:
        """Up to when all is in the sums; None where the time did not do."""
        edge, self._upto = settled_until(), upto
        if edge < upto:  # the database's clock was set back: what ends now would lie before what is summed up
            self._sums, self._upto = _Sums.none(), FROM_THE_FIRST
        while True:
            due = Attempt.objects.filter(finished_at__gt=self._upto, finished_at__lte=edge)
            last = due.order_by("finished_at").values_list("finished_at", flat=True)[self._batch :].first()
            rows = _rows(due.filter(finished_at__lte=last) if last else due)
            for row in rows:
                self._sums.add(row)
                self._upto = row[ROW.index("finished_at")]
            if last is None or budget.spent:
                self._kept.grown(len(rows), behind=last is not None)
                return self._upto if last is None else None
            self._kept.grown(len(rows), behind=False)


def _rows(attempts: QuerySet[Attempt]) -> list[tuple[Any, ...]]:
    submitted = F("job__created_at")
    timed = attempts.annotate(
        wait=Seconds(Greatest(submitted, Coalesce(F("job__run_at"), submitted)), F("started_at")),
        run=Seconds(F("started_at"), F("finished_at")),
        overhead=Seconds(F("created_at"), F("started_at")),
    )
    return list(timed.order_by("finished_at").values_list(*ROW))
