"""Records for tests of what writes them."""

from __future__ import annotations

import secrets
import time
from typing import Any

from tracing.models import Span, Status
from tracing.records import EXECUTION, JOB, MODEL, REGION, Record

SECOND = 1_000_000_000


def opened(**said: Any) -> Record:
    """With all that a column takes."""
    facts: dict[str, Any] = {"job_id": "0190-job", "execution_id": 7, "model_id": "bert", "region": "eu", **said}
    columns = {
        JOB: facts["job_id"],
        EXECUTION: facts["execution_id"],
        MODEL: facts["model_id"],
        REGION: facts["region"],
    }
    values: dict[str, Any] = {
        "trace_id": secrets.randbits(128), "span_id": secrets.randbits(64), "parent_span_id": secrets.randbits(64),
        "service": "engine", "operation": "pull", "started_ns": time.time_ns(),
        "metadata": {"attributes": {**columns, "bytes": 12345, "image": "busybox"}, "kind": "client"},
    }  # fmt: skip
    return Record(**{**values, **facts})


def closed(record: Record | None = None, milliseconds: int = 12, **said: Any) -> Record:
    """The same, later."""
    record = record or opened()
    values = {**vars(record), "ended_ns": record.started_ns + milliseconds * 1_000_000, "status": Status.COMPLETED}
    return Record(**{**values, **said})


def row_of(record: Record) -> Span:
    return Span.objects.get(trace_id=f"{record.trace_id:032x}", span_id=f"{record.span_id:032x}")
