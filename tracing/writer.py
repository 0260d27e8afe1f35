"""The way of records into the table: a bounded buffer and one thread that writes batches. Never blocks, never fails who traces."""

from __future__ import annotations

import logging
import threading
import uuid
from collections import deque
from datetime import UTC, datetime
from typing import Any

from django.db import DatabaseError, connection, transaction

from .identity import as_uuid
from .models import Span, Status
from .records import Record

log = logging.getLogger(__name__)
FLUSH_SECONDS = 0.2
BATCH = 1000


class Writer(threading.Thread):
    """Of this process. `most`: records that wait at most; more are counted and dropped."""

    def __init__(self, process: str, most: int = 50_000) -> None:
        super().__init__(name="span-writer", daemon=True)
        self.process = process
        self.id = uuid.uuid4()
        self.written = self.dropped = 0
        self._most = most
        self._waiting: deque[Record] = deque()
        self._wake = threading.Event()
        self._stopping = threading.Event()

    def put(self, record: Record) -> None:
        if len(self._waiting) >= self._most:
            self.dropped += 1
            return
        self._waiting.append(record)

    def run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(FLUSH_SECONDS)
            self._wake.clear()
            self.flush()
        connection.close()

    def stop(self) -> None:
        """What waits is still written."""
        self._stopping.set()
        self._wake.set()
        self.join(5)

    def flush(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                with transaction.atomic():
                    for record in batch:
                        _write(record)
            except DatabaseError as error:
                self.dropped += len(batch)
                log.warning("spans could not be written: %s", error)
            else:
                self.written += sum(record.ended_ns is not None for record in batch)


def _write(record: Record) -> None:
    values = _columns(record)
    known = Span.objects.filter(trace_id=values["trace_id"], span_id=values["span_id"])
    if record.ended_ns is None:
        if not known.exists():
            Span.objects.create(**values)
    elif not known.update(**values):
        Span.objects.create(**values)


def _columns(record: Record) -> dict[str, Any]:
    return {
        "trace_id": as_uuid(record.trace_id),
        "span_id": as_uuid(record.span_id),
        "parent_span_id": as_uuid(record.parent_span_id) if record.parent_span_id else None,
        "service": record.service,
        "operation": record.operation,
        "started_at": _moment(record.started_ns),
        "completed_at": _moment(record.ended_ns) if record.ended_ns is not None else None,
        "duration_ms": record.duration_ms,
        "status": Status(record.status),
        "job_id": record.job_id,
        "execution_id": record.execution_id,
        "model_id": record.model_id,
        "region": record.region,
        "metadata": record.metadata,
        "error_message": record.error_message,
        "error_type": record.error_type,
    }


def _moment(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).replace(microsecond=ns // 1000 % 1_000_000)
