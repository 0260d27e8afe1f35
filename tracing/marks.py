"""How far something has been looked through, kept over crashes: in a row of its own among the writers, by the database's clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import NAMESPACE_OID, uuid5

from django.db.models.functions import Now

from .models import Span, Writer


class Mark:
    """By name. The first time it is where the oldest span is."""

    def __init__(self, name: str) -> None:
        self.id = uuid5(NAMESPACE_OID, f"towline {name}")
        self._name = name

    def slices(self, longest: timedelta, settled: timedelta) -> Iterator[tuple[datetime, datetime]]:
        """From the mark to `settled` ago, in order. The mark goes on when the caller comes back for the next one."""
        self._make()
        row = Writer.objects.annotate(clock=Now()).get(pk=self.id)
        since, end = row.seen_at, row.clock - settled
        while since < end:
            until = min(since + longest, end)
            yield since, until
            Writer.objects.filter(pk=self.id, seen_at__lt=until).update(seen_at=until)
            since = until

    def _make(self) -> None:
        if not Writer.objects.filter(pk=self.id).exists():
            oldest = Span.objects.order_by("created_at").values_list("created_at", flat=True).first()
            first = {"started_at": oldest, "seen_at": oldest, "stopped_at": oldest} if oldest else {"stopped_at": Now()}
            Writer.objects.get_or_create(id=self.id, defaults={"process": self._name, **first})
