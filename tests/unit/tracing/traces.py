"""Spans as a test writes them down: `span("run", 0, 5, under=job)`, in seconds after one moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from tracing.models import Status
from tracing.rows import Row

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
TRACE = UUID(int=7)
_numbers = count(1)


def span(
    operation: str,
    start: float,
    end: float | None = None,
    under: Row | UUID | None = None,
    service: str = "worker",
    status: str = "",
    **more: Any,
) -> Row:
    """Open without an end. The status follows from that, unless given."""
    done = None if end is None else NOON + timedelta(seconds=end)
    return Row(
        more.pop("trace_id", under.trace_id if isinstance(under, Row) else TRACE),
        more.pop("span_id", UUID(int=next(_numbers))),
        under.span_id if isinstance(under, Row) else under,
        service,
        operation,
        NOON + timedelta(seconds=start),
        done,
        None if end is None else int((end - start) * 1000),
        status or (Status.STARTED if end is None else Status.COMPLETED),
        **more,
    )
