"""Counters of what happened, from the time-lines of jobs: entries are never changed and never removed, so that none falls."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.db.models import Count, F, Q, QuerySet, TextField
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce
from prometheus_client.core import CounterMetricFamily

from jobs.logs import retention
from jobs.models import Event
from jobs.states import FINAL_JOB

from .kept import Kept
from .settled import Budget, settled_until

OF_ATTEMPTS = "entries of attempts"  # counted beside the kinds, of which none has a space
ENDS = tuple(sorted(state.value for state in FINAL_JOB))
PLAIN = {
    "submitted": ("towline_jobs_submitted", "Jobs submitted."),
    "attempt_lost": ("towline_attempts_lost", "Attempts that were lost, with their worker or their container."),
    "adopted": ("towline_attempts_adopted", "Attempts that another worker, or one started anew, took up."),
    "removed": ("towline_containers_removed", "Containers removed."),
    OF_ATTEMPTS: (
        "towline_worker_events_processed",
        "Entries on time-lines of attempts: what workers have taken up, done, seen and ended.",
    ),
}
BATCH = 40_000
Counts = Counter[tuple[str, str]]  # by kind, and by verdict of those that are ends


class Happenings:
    """Of this process: what it has counted up to one entry, and never counts again."""

    def __init__(self, batch: int = BATCH) -> None:
        self._batch = batch
        self._counts: Counts = Counter()
        self._upto: int | None = None
        self._kept = Kept("happenings", list(PLAIN), self._as_json)
        self._lock = threading.Lock()

    def families(self, budget: Budget) -> Iterator[CounterMetricFamily]:
        """None until this process has caught up: figures that are missing alarm nobody, ones that jump do."""
        counts = self.counts(budget)
        if counts is None:
            return
        for kind, (name, text) in PLAIN.items():
            yield CounterMetricFamily(name, text, value=counts[kind, ""])
        finished = CounterMetricFamily(
            "towline_jobs_finished", "Jobs that ended; one tried again by hand ends again.", labels=["state", "verdict"]
        )
        for state in ENDS:
            for (_, verdict), n in sorted(item for item in counts.items() if item[0][0] == state) or [((state, ""), 0)]:
                finished.add_metric([state, verdict], n)
        yield finished

    def counts(self, budget: Budget) -> Counts | None:
        with self._lock:
            upto = self._catch_up(self._begin() if self._upto is None else self._upto, budget)
            return None if upto is None else self._counts + _count(Event.objects.filter(pk__gt=upto))

    def _begin(self) -> int:
        kept = self._kept.read()
        if kept is None:
            return 0
        self._counts = Counter({(kind, verdict): n for kind, verdict, n in kept["counts"]})
        return int(kept["upto"])

    def _as_json(self) -> dict[str, Any]:
        return {"upto": self._upto, "counts": [(*what, n) for what, n in self._counts.items()]}

    def _catch_up(self, upto: int, budget: Budget) -> int | None:
        """Up to which entry all are counted; None where the time did not do."""
        old = Event.objects.filter(created_at__lt=settled_until()).order_by("-pk").values_list("pk", flat=True)
        edge = old.filter(pk__gt=upto).first() or upto
        self._upto = upto
        while self._upto < edge:
            # Ids may begin anywhere, and have gaps as large as what was deleted.
            following = Event.objects.filter(pk__gt=self._upto).order_by("pk").values_list("pk", flat=True).first()
            end = min(edge, (following or edge) - 1 + self._batch)
            self._counts += _count(Event.objects.filter(pk__gt=self._upto, pk__lte=end))
            entries, self._upto = end - self._upto, end
            self._kept.grown(entries, behind=end < edge and budget.spent)
            if budget.spent:
                break
        return self._upto if self._upto >= edge else None


def _count(events: QuerySet[Event]) -> Counts:
    # Entries of before verdicts were among their data have the verdict that the job has.
    verdict = Coalesce(KT("data__verdict"), Cast(F("job__verdict_code"), TextField()))
    ends = events.filter(kind__in=ENDS, attempt=None).order_by().values_list("kind").annotate(code=verdict)
    counts: Counts = Counter()
    by_workers = Count("attempt", filter=~Q(actor=retention.ACTOR))
    for kind, n, of_attempts in events.order_by().values_list("kind").annotate(n=Count("pk"), of=by_workers):
        counts[OF_ATTEMPTS, ""] += of_attempts
        if kind in PLAIN:
            counts[kind, ""] = n
    counts.update({(kind, code): n for kind, code, n in ends.annotate(n=Count("pk")).values_list("kind", "code", "n")})
    return counts
