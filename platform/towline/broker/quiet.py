"""Filters for Celery's own log."""

from __future__ import annotations

import logging


class Brief(logging.Filter):
    """Of strangers' messages the line says it all; the traceback is only of Celery's own look-up."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = None
        return True


class WithoutProbes(logging.Filter):
    """Two lines a heartbeat that say nothing: what a probe finds out, `workers.hearing` says."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (isinstance(record.args, dict) and record.args.get("name") == "workers.probe")
