"""How much room finished logs take: compressed, in the log storage or still in the database."""

from __future__ import annotations

from typing import Any

from django.db.models import BigIntegerField, Case, F, Func, IntegerField, OuterRef, Subquery, Sum, When
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Coalesce

from jobs.models import LogChunk


def stored_bytes() -> Case:
    """Of an attempt's log, for `annotate`: its object once it is packed, before that its chunks."""
    return Case(
        When(log_object__gt="", then=F("log_object_bytes")),
        default=Coalesce(Subquery(_of_chunks(), output_field=BigIntegerField()), 0),
        output_field=BigIntegerField(),
    )


def _of_chunks() -> Any:
    chunks = LogChunk.objects.filter(attempt=OuterRef("pk")).order_by().values("attempt")
    return chunks.annotate(size=Sum(chunk_bytes())).values("size")


def chunk_bytes() -> CombinedExpression:
    """Of a chunk in the database."""
    return _length("data") + _length("index")


def _length(column: str) -> Func:
    """Of the bytes. Neither database reads them for it."""
    return Func(F(column), function="LENGTH", output_field=IntegerField())
