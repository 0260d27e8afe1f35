"""Forgetting processes that wrote spans long ago, but not how many: sums over all writers are counters, and never fall."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet, Sum
from django.db.models.functions import Now

from .models import Writer

EARLIER = UUID(int=0)


def forget(writers: QuerySet[Writer]) -> int:
    """Fold their counters into one row that stays, and remove theirs. Any number at once: each row goes, and counts, once."""
    with transaction.atomic():
        keys = list(
            writers.exclude(pk=EARLIER).order_by().select_for_update(skip_locked=True).values_list("pk", flat=True)
        )
        rows = Writer.objects.filter(pk__in=keys)
        sums = rows.aggregate(written=Sum("written", default=0), dropped=Sum("dropped", default=0))
        if keys:
            Writer.objects.get_or_create(id=EARLIER, defaults={"process": "earlier", "stopped_at": Now()})
            Writer.objects.filter(pk=EARLIER).update(**{name: F(name) + n for name, n in sums.items()})
        return rows.delete()[0]
