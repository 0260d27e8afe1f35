"""Removing spans that were kept for long enough, oldest first, in short transactions. Interruptible, any number at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Min, QuerySet
from django.db.models.functions import Now

from .earlier import EARLIER, forget
from .models import Span, Writer

BATCH = 5000
WRITER_DAYS = 30  # who ended so long ago is of no interest, although spans are kept for ever
Tell = Callable[[int], None]


@dataclass
class Round:
    """`oldest`: when the first of them was stored."""

    days: int
    spans: int = 0
    writers: int = 0
    oldest: datetime | None = None


def what_is_due() -> Round:
    """What a round would remove now. Nothing is changed."""
    found = Round(_days(), writers=_writers().count())
    if found.days:
        spans = _spans(found.days)
        found.spans, found.oldest = spans.count(), spans.aggregate(oldest=Min("created_at"))["oldest"]
    return found


def retention_round(tell: Tell = lambda spans: None) -> Round:
    """Remove whatever is due. `tell` hears of each batch how many spans it had."""
    did = Round(_days(), writers=forget(_writers()))
    if did.days:
        did.oldest = _spans(did.days).aggregate(oldest=Min("created_at"))["oldest"]
        while dropped := drop_some(did.days):
            did.spans += dropped
            tell(dropped)
    return did


def drop_some(days: int, most: int = BATCH) -> int:
    """The oldest of those that were stored so long ago."""
    with transaction.atomic():
        # What somebody else removes just now, or closes, is left to the next one.
        some = _spans(days).order_by("created_at").select_for_update(skip_locked=True)
        ids = list(some.values_list("pk", flat=True)[:most])
        return Span.objects.filter(pk__in=ids).delete()[0]


def _days() -> int:
    days: int = settings.TOWLINE.TOWLINE_TRACE_KEEP_DAYS
    return days


def _spans(days: int) -> QuerySet[Span]:
    return Span.objects.filter(created_at__lt=Now() - timedelta(days=days))


def _writers() -> QuerySet[Writer]:
    """Those that ended; of one that was killed, not before what it left open was closed."""
    longest = timedelta(days=max(_days(), WRITER_DAYS))
    return Writer.objects.filter(stopped_at__isnull=False, seen_at__lt=Now() - longest).exclude(pk=EARLIER)
