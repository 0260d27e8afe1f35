"""The second half of a run: the output stored as it comes, what is due done, until the container is over and read to its end."""

from __future__ import annotations

import logging
import time
from collections import deque

from jobs.logs.store import append, position
from jobs.models import Attempt

from .drivers.protocol import Handle, Line, Metered, Observation, Phase, Unavailable
from .grip import Grip, Left
from .masking import Masking
from .patience import patiently
from .pump import Pump
from .stopping import Stopper

log = logging.getLogger(__name__)
CHUNK_BYTES = 512 * 1024
CHUNK_SECONDS = 0.05  # a lone line is stored at once; in a flood a chunk holds what came in this time
TICK_SECONDS = 0.5
FIRST_SAMPLE_SECONDS = 0.3  # soon: short jobs have peaks, too
SAMPLE_SECONDS = 2.0


class Follower:
    def __init__(self, grip: Grip, handle: Handle) -> None:
        self.grip = grip
        self.handle = handle
        self.at = position(grip.attempt)
        self._masking = Masking(grip.mask)
        self.last_lines: deque[str] = deque(maxlen=20)
        self._stopper = Stopper(grip, handle)
        self._over = False  # it has ended by itself: nothing is left to be stopped
        self._unsure = False  # whether the last chunk was committed: its answer got lost
        self._sample_at = time.monotonic() + FIRST_SAMPLE_SECONDS

    def follow(self) -> Observation:
        """The last look at the container. The end of a stream says nothing; over is: seen exited, then read to the end.

        So a look comes before every reading, the first one too: a short job has exited by then, and is read once.
        """
        while True:
            seen = self._look()
            if seen.phase is Phase.GONE:
                self._store_patiently(self._masking.flush())
                return seen
            self._over = seen.phase is Phase.EXITED
            self._masking = Masking(self.grip.mask)  # what the last one held back is read again
            pump = Pump(self.grip.driver, self.handle, self.at.cursor or None)
            self.grip.on_wake = pump.wake
            try:
                self._drain(pump)
            finally:
                pump.stop()
            if self._over and pump.trouble is None:
                return seen
            self._tend()
            if pump.trouble:
                self.grip.pause(TICK_SECONDS)

    def _drain(self, pump: Pump) -> None:
        stored_at = 0.0
        while not (pump.over and pump.empty):
            lines = pump.take(TICK_SECONDS, CHUNK_BYTES)
            if lines:
                self._hear(lines)
                stored_at = time.monotonic()
            self._tend()
            pump.gather(stored_at + CHUNK_SECONDS - time.monotonic())
        if pump.trouble is None and self._over:
            self._store_patiently(self._masking.flush())
        if pump.trouble is not None and not isinstance(pump.trouble, Unavailable):
            raise pump.trouble

    def _hear(self, lines: list[Line]) -> None:
        self.grip.deadlines.said_something()
        self._store_patiently(self._masking.take(lines))

    def _store_patiently(self, lines: list[Line]) -> None:
        if not lines:
            return
        patiently(lambda: self._store(lines), self.grip.pause)
        self.last_lines.extend(line.data.rstrip(b"\n")[:500].decode("utf-8", "replace") for line in lines[-20:])

    def _store(self, lines: list[Line]) -> None:
        if self._unsure:
            fresh = position(Attempt.objects.get(pk=self.grip.attempt.pk))
            if fresh.cursor == lines[-1].cursor:
                self.at, self._unsure = fresh, False
                return
        self._unsure = True
        batch = [(line.data, line.stream, line.at_ns) for line in lines]
        self.at = append(self.grip.attempt, self.grip.fence, self.at, batch, lines[-1].cursor)
        self._unsure = False

    def _look(self) -> Observation:
        """What the runtime says now. An engine that does not answer says nothing about the container: ask on."""
        seconds = 0.2
        away = False
        while True:
            try:
                seen = self.grip.driver.inspect(self.handle)
            except Unavailable as error:
                said = self.grip.mask.hide_text(str(error))
                log.warning("%s: the engine does not answer: %s", self.grip.attempt, said)
                if not away:
                    self.grip.record("engine_away", error=said[:300])
                away = True
                self.grip.deadlines.cannot_hear()
            else:
                if away:
                    self.grip.record("engine_back")
                return seen
            self._tend()
            self.grip.pause(seconds)
            seconds = min(seconds * 2, 5.0)

    def _tend(self) -> None:
        """What is due while it runs: leaving, stops, samples."""
        self.grip.woken.clear()
        if self.grip.leaving:
            raise Left
        if not self._over:
            self._stopper.tend()
        if isinstance(self.grip.driver, Metered) and time.monotonic() >= self._sample_at:
            self._sample(self.grip.driver)

    def _sample(self, meter: Metered) -> None:
        self._sample_at = time.monotonic() + SAMPLE_SECONDS
        try:
            now = meter.usage(self.handle)
        except Unavailable:
            return
        if now:
            peak = max(now.memory_peak_bytes, self.grip.usage.get("memory_peak_bytes", 0))
            self.grip.usage.update(memory_peak_bytes=peak, cpu_seconds=round(now.cpu_seconds, 3))
