"""What gone processes left open is closed here, so that no span stays `started`. Any process, any number at once.

A span of one process has its writer in its metadata while it is open. What processes share, lives, has none: whoever knows
how such a thing ended says so, see `workers.reaping`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import F, Max, QuerySet
from django.db.models.functions import Now

from . import running, table
from .columns import values_of
from .models import Span, Status, Writer
from .presence import BEAT_SECONDS
from .records import ERROR_TYPE, STATUS, Record
from .spans import _ns

_doubted: dict[tuple[UUID, datetime], float] = {}  # since when this process has seen a writer silent
GONE_AFTER = timedelta(seconds=4 * BEAT_SECONDS)
WINDOW = 20_000  # rows looked through in one transaction
MOST = 1000
SLACK_IDS = 1000  # ids are given a moment before the time is
SLACK = timedelta(seconds=1)  # two clocks of SQLite's: one has three digits behind the second


@dataclass(frozen=True)
class Ending:
    """When and how a span ended that nobody closed."""

    at: datetime
    status: Status = Status.LOST
    error_type: str = Status.LOST
    message: str = ""


def reap(gone_after: timedelta = GONE_AFTER, window: int = WINDOW, certain_seconds: float = 0.0) -> int:
    """Close what writers left open of whom nothing was heard for so long. How many spans.

    `certain_seconds`: and that this process has seen to be silent for that long. When a database was away for everybody, all
    look gone at first.
    """
    silent = dict(_gone(gone_after).values_list("pk", "seen_at"))
    return sum(_reap_of(pk, gone_after, window) for pk in _certain(silent, certain_seconds))


def _certain(silent: Mapping[UUID, datetime], seconds: float) -> list[UUID]:
    now = time.monotonic()
    doubted = {pk: _doubted.get((pk, seen_at), now) for pk, seen_at in silent.items()}
    _doubted.clear()
    _doubted.update({(pk, seen_at): doubted[pk] for pk, seen_at in silent.items()})
    return [pk for pk, since in doubted.items() if now - since >= seconds]


def _gone(gone_after: timedelta) -> QuerySet[Writer]:
    return Writer.objects.filter(stopped_at=None, seen_at__lt=Now() - gone_after)


def _reap_of(pk: UUID, gone_after: timedelta, window: int) -> int:
    """Each window in a transaction of its own; whoever comes later begins anew, and finds less."""
    last = Span.objects.aggregate(last=Max("pk"))["last"] or 0
    closed, after = 0, _id_before(pk, last)
    while True:
        with transaction.atomic():
            # Somebody else may be at it, or it may be heard of again.
            writer = _gone(gone_after).filter(pk=pk).select_for_update(skip_locked=True).first()
            if writer is None:
                return closed
            ending = Ending(writer.seen_at, message=f"{writer.process} was not heard of any more")
            mine = Span.objects.filter(
                status=Status.STARTED, pk__gt=after, pk__lte=after + window, metadata__writer=str(pk)
            )
            closed += _close_open(mine, lambda _: ending)  # noqa: B023 - called at once
            after += window
            if after >= last:
                Writer.objects.filter(pk=pk).update(stopped_at=F("seen_at"))
                return closed


def _id_before(pk: UUID, last: int) -> int:
    """Of all that this writer wrote, if it wrote anything. There is an index on the time, and none on the status."""
    began = Writer.objects.get(pk=pk).started_at - SLACK
    first = Span.objects.filter(created_at__gte=began).order_by("created_at").values_list("pk", flat=True).first()
    return last if first is None else max(0, first - 1 - SLACK_IDS)


def close_lives(lives: QuerySet[Span], ending: Callable[[Span], Ending]) -> int:
    """Of these, those that are still open. How many; MOST of them at once."""
    closed = 0
    still_open = lives.filter(status=Status.STARTED, metadata__writer__isnull=True)
    while True:
        with transaction.atomic():
            some = _close_open(still_open[:MOST], ending)
        closed += some
        if some < MOST:
            return closed


def _close_open(spans: QuerySet[Span], ending: Callable[[Span], Ending]) -> int:
    """In the caller's transaction. Each by one only: locked rows are somebody else's."""
    found = list(spans.select_for_update(skip_locked=True))
    records = [_ended(span, ending(span)) for span in found]
    table.write([{"id": span.pk, **values_of(record)} for span, record in zip(found, records, strict=True)])
    transaction.on_commit(partial(_export, records))
    return len(found)


def _export(records: Sequence[Record]) -> None:
    if (backend := running.backend()) is not None:
        backend.export(records)


def _ended(span: Span, ending: Ending) -> Record:
    said = {key: value for key, value in (span.metadata or {}).items() if key != "writer"}
    attributes = dict(said.get("attributes", {}))
    if ending.status is not Status.COMPLETED:
        attributes.update({STATUS: ending.status.value, ERROR_TYPE: ending.error_type})
    return Record(
        span.trace_id.int,
        span.span_id.int,
        span.parent_span_id.int if span.parent_span_id else None,
        span.service,
        span.operation,
        _ns(span.started_at),
        max(_ns(ending.at), _ns(span.started_at)),
        ending.status,
        span.job_id,
        span.execution_id,
        span.model_id,
        span.region,
        {**said, "attributes": attributes},
        ending.message or None,
        ending.error_type or None,
    )
