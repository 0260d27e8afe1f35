"""What a container uses, asked for now and then, beside the thread that stores its output: an engine takes its time to answer."""

from __future__ import annotations

import logging
import threading
import time

from .drivers.protocol import Handle, Metered, Unavailable
from .grip import Grip

log = logging.getLogger(__name__)
FIRST_SAMPLE_SECONDS = 0.3  # soon: short jobs have peaks, too
SAMPLE_SECONDS = 2.0


class Sampler:
    """`tend` it often. Peaks are in `grip.usage` from when they are known."""

    def __init__(self, grip: Grip, handle: Handle) -> None:
        self._grip = grip
        self._handle = handle
        self._due_at = time.monotonic() + FIRST_SAMPLE_SECONDS
        self._thread: threading.Thread | None = None

    def tend(self) -> None:
        """One question at a time, and none while the last one is not answered."""
        meter = self._grip.driver
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
            self._grip.usage.update(memory_peak_bytes=peak, cpu_seconds=round(now.cpu_seconds, 3))
