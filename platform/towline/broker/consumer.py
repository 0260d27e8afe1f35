"""Celery's consumer, coming back soon after Redis does."""

from __future__ import annotations

from functools import partial
from typing import Any

from celery.worker import consumer

AGAIN_SECONDS = 5  # between two tries at the most; Celery's own 30 would leave a worker deaf for as long


class Consumer(consumer.Consumer):
    def ensure_connected(self, conn: Any) -> Any:
        conn.ensure_connection = partial(conn.ensure_connection, interval_start=1, interval_max=AGAIN_SECONDS)
        return super().ensure_connected(conn)
