"""For Celery's log of strangers' messages: the line says it all, the traceback is only of Celery's own look-up."""

from __future__ import annotations

import logging


class Brief(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = None
        return True
