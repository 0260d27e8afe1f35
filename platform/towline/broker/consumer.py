"""Celery's consumer, coming back soon after Redis does."""

from __future__ import annotations

from functools import partial
from typing import Any

from celery.worker import consumer
from django.conf import settings


class Consumer(consumer.Consumer):
    def ensure_connected(self, conn: Any) -> Any:
        """Tries once in a heartbeat at the least. Celery's own pause grows to 30 seconds, in which the worker is deaf."""
        step = settings.TOWLINE.TOWLINE_HEARTBEAT_SECONDS / 4
        intervals = {"interval_start": step, "interval_step": step, "interval_max": 3 * step}  # the start comes on top
        conn.ensure_connection = partial(conn.ensure_connection, **intervals)
        return super().ensure_connected(conn)
