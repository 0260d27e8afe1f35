"""Celery's beat, for hints: one that can't be sent is one line in the log and no traceback, as the next is due in seconds."""

from __future__ import annotations

import logging
from typing import Any

from celery.beat import PersistentScheduler, ScheduleEntry, SchedulingError

log = logging.getLogger(__name__)


class Scheduler(PersistentScheduler):
    _closed = False

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        """A SIGTERM closes the file of the schedule wherever the tick stands, and the end it raises may be swallowed there."""
        try:
            return super().tick(*args, **kwargs)
        except ValueError:
            if self._closed:
                raise SystemExit from None
            raise

    def close(self) -> None:
        self._closed = True
        super().close()

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            log.warning("%s", error)
