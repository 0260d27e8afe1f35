"""Removing finished logs that were kept for long enough. Jobs, attempts, verdicts, events and the facts of a log stay.

An attempt is marked first, and its chunks go in the same transaction. Its object goes then, and at last the object's
name: so a log that is gone is never claimed, and an object is never forgotten. Killed in between, the next round goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate, takewhile
from typing import Any

from django.db import transaction
from django.db.models import Count, Min, QuerySet, Sum

from jobs.clock import Now
from jobs.models import Attempt, Event, LogChunk

from . import vault
from .dropped import KIND
from .rules import Rule, rules
from .sizes import stored_bytes

log = logging.getLogger(__name__)
ACTOR = "retention"  # who removed it, on the job's time-line
BATCH = 200  # attempts in a transaction
BATCH_CHUNKS = 2_000  # or so many chunks, but one attempt at least
REFUSALS_MOST = 3
Tell = Callable[[int], None]


@dataclass
class Row:
    """What goes of one project by one rule. `oldest`: the earliest end of an attempt among them."""

    project: str
    rule: str
    says: str
    attempts: int
    bytes: int
    oldest: datetime


@dataclass
class Round:
    """`objects_left`: objects that the storage did not let go of; the next round tries again."""

    rows: list[Row] = field(default_factory=list)
    objects_left: int = 0

    @property
    def attempts(self) -> int:
        return sum(row.attempts for row in self.rows)

    @property
    def bytes(self) -> int:
        return sum(row.bytes for row in self.rows)

    def add(self, rule: Rule, attempt: Any) -> None:
        project, at = attempt.job.project.name, attempt.finished_at
        for row in self.rows:
            if (row.project, row.says) == (project, rule.says):
                row.attempts, row.bytes, row.oldest = row.attempts + 1, row.bytes + attempt.size, min(row.oldest, at)
                return
        self.rows.append(Row(project, rule.name, rule.says, 1, attempt.size, at))


def what_is_due() -> Round:
    """What a round would do now. Nothing is changed."""
    found = Round()
    for rule in rules():
        counted = rule.attempts().order_by().annotate(size=stored_bytes()).values("job__project__name")
        summed = counted.annotate(n=Count("pk"), total=Sum("size"), oldest=Min("finished_at"))
        for name, n, total, oldest in summed.order_by("job__project__name").values_list(
            "job__project__name", "n", "total", "oldest"
        ):
            found.rows.append(Row(name, rule.name, rule.says, n, total, oldest))
    return found


def retention_round(tell: Tell = lambda attempts: None) -> Round:
    """Drop whatever is due, in short transactions. `tell` hears of each batch how many attempts it had."""
    did = Round()
    for rule in rules():
        while dropped := drop_some(rule):
            for attempt in dropped:
                did.add(rule, attempt)
            tell(len(dropped))
    did.objects_left = remove_objects(to_remove())
    return did


def drop_some(rule: Rule, attempts: int = BATCH, chunks: int = BATCH_CHUNKS) -> list[Attempt]:
    """The oldest that are due: marked, told on their time-lines, their chunks gone. Their objects are still there."""
    with transaction.atomic():
        # Whoever else is at a row just now, packing it or dropping it too, keeps it: it is there in the next round.
        found = rule.attempts().select_related("job__project").defer("job__spec").annotate(size=stored_bytes())
        batch = found.order_by("finished_at", "pk").select_for_update(of=("self",), skip_locked=True, no_key=True)
        some = _with_few_chunks(list(batch[:attempts]), chunks)
        ids = [attempt.pk for attempt in some]
        if Attempt.objects.filter(pk__in=ids, log_dropped_at=None).update(log_dropped_at=Now()) != len(ids):
            raise RuntimeError("a log was dropped under a lock of ours")
        LogChunk.objects.filter(attempt__in=ids).delete()
        told = {"rule": rule.name, "says": rule.says}
        Event.objects.bulk_create(
            Event(job_id=attempt.job_id, attempt=attempt, kind=KIND, actor=ACTOR, data=told) for attempt in some
        )
    return some


def _with_few_chunks(attempts: list[Attempt], most: int) -> list[Attempt]:
    """The first of them, so that one transaction does not delete for minutes."""
    counted = LogChunk.objects.filter(attempt__in=attempts).order_by().values_list("attempt")
    chunks = dict(counted.annotate(n=Count("pk")))
    so_far = accumulate(chunks.get(attempt.pk, 0) for attempt in attempts)
    return attempts[: max(1, len(list(takewhile(lambda n: n <= most, so_far))))]


def to_remove() -> QuerySet[Attempt]:
    """Dropped, and the object is still named: just now, or by somebody who was killed or whom the storage failed."""
    found = Attempt.objects.filter(log_dropped_at__isnull=False, log_object__gt="")
    return found.order_by("-log_dropped_at", "pk").only("log_object")


def remove_objects(attempts: Iterable[Attempt]) -> int:
    """Remove from the storage what dropped attempts name; answers how many objects stay.

    A storage that refuses REFUSALS_MOST in a row is not asked further: each answer may take it a minute.
    """
    stay = in_a_row = 0
    for attempt in attempts:
        name = attempt.log_object
        if not name:
            continue
        if in_a_row < REFUSALS_MOST and _removed(name):
            Attempt.objects.filter(pk=attempt.pk, log_object=name).update(log_object="", log_object_bytes=0)
            in_a_row = 0
        else:
            stay += 1
            in_a_row += 1
    return stay


def _removed(name: str) -> bool:
    try:
        vault.remove(name)
    except Exception as error:  # noqa: BLE001 - any storage may stand behind the name, with errors of its own
        log.warning("the log %s stays in the storage until the next round: %s", name, error)
        return False
    return True
