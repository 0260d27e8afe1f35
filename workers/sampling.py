"""What a container uses, asked for now and then, beside the thread that stores its output: an engine takes its time to answer."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime

from django.db import Error

from jobs.models import UsageSeries
from jobs.usage import FEWEST, Series

from .drivers.protocol import Handle, Metered, Unavailable
from .grip import Grip

log = logging.getLogger(__name__)
FIRST_SAMPLE_SECONDS = 0.3  # soon: short jobs have peaks, too
SAMPLE_SECONDS = 2.0
KEEP_SECONDS = 30.0


class Sampler:
    """`tend` it often. Peaks are in `grip.usage` from when they are known."""

    def __init__(self, grip: Grip, handle: Handle) -> None:
        self._grip = grip
        self._handle = handle
        self._due_at = time.monotonic() + FIRST_SAMPLE_SECONDS
        self._thread: threading.Thread | None = None
        self._series = Series(self._kept())
        self._keep_at = time.monotonic() + KEEP_SECONDS

    def _kept(self) -> list[list[int]]:
        """By whoever had the attempt before."""
        if self._grip.fence > 1:
            with suppress(Error):
                kept = UsageSeries.objects.filter(attempt=self._grip.attempt)
                return next(iter(kept.values_list("rows", flat=True)), [])
        return []

    def keep(self) -> None:
        """What was measured so far, in the database. Losing it costs a curve, and no job."""
        rows = list(self._series.rows)
        if len(rows) >= FEWEST:
            with suppress(Error):
                UsageSeries.objects.update_or_create(attempt=self._grip.attempt, defaults={"rows": rows})

    def tend(self) -> None:
        """One question at a time, and none while the last one is not answered."""
        meter = self._grip.driver
        if time.monotonic() >= self._keep_at:
            self._keep_at = time.monotonic() + KEEP_SECONDS
            self.keep()
        if (
            not isinstance(meter, Metered)
            or time.monotonic() < self._due_at
            or (self._thread and self._thread.is_alive())
        ):
            return
        self._due_at = time.monotonic() + SAMPLE_SECONDS
        self._thread = threading.Thread(target=self._ask, args=(meter,), daemon=True, name="sample")
        self._thread.start()

    def _ask(self, meter: Metered) -> None:
        try:
            now = meter.usage(self._handle)
        except Unavailable:
            return
        except Exception as error:  # noqa: BLE001 - a thread's border; a peak less is no reason to end a job
            log.warning("%s was not measured: %r", self._grip.attempt, error)
            return
        if now:
            peak = max(now.memory_peak_bytes, self._grip.usage.get("memory_peak_bytes", 0))
            self._series.add(datetime.now(UTC), now.memory_bytes, now.cpu_seconds)
            self._grip.usage.update(memory_peak_bytes=peak, cpu_seconds=round(now.cpu_seconds, 3))
