"""The second half of a run: the output stored as it comes, what is due done, until the container is over and read to its end."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime

from tracing.services import WORKER

from .collecting import Collector
from .drivers.protocol import Handle, Observation, Phase, Unavailable, Unreadable
from .grip import Grip, Left
from .pump import Pump
from .sampling import Sampler
from .steps import Steps
from .stopping import Stopper

log = logging.getLogger(__name__)
CHUNK_BYTES = 1024 * 1024
CHUNK_SECONDS = 0.05  # a lone line is stored at once; in a flood a chunk holds what came in this time
TICK_SECONDS = 0.5
UNREADABLE_MOST = 4


class Follower:
    def __init__(self, grip: Grip, handle: Handle, steps: Steps) -> None:
        self.grip = grip
        self.handle = handle
        self._steps = steps
        self.log = Collector(grip)
        self._stopper = Stopper(grip, handle)
        self._over = False  # it has ended by itself: nothing is left to be stopped
        self._unreadable = 0  # times in a row
        self._unreadable_since = time.monotonic()
        self._out_of_sight = False
        self._sampler = Sampler(grip, handle)

    def follow(self) -> Observation:
        """The last look at the container. The end of a stream says nothing; over is: seen exited, then read to the end.

        So a look comes before every reading, the first one too: a short job has exited by then, and is read once.
        """
        self._steps.begin("follow", WORKER)
        seen = self._follow()
        self._sampler.keep()
        return seen

    def _follow(self) -> Observation:
        while True:
            seen = self._look()
            if seen.phase is Phase.GONE:
                self.log.missing("removed")
                return seen
            self._note_phase(seen)
            self.log.begin()
            pump = Pump(self.grip.driver, self.handle, self.log.at.cursor or None)
            self.grip.on_wake = pump.wake
            try:
                self._drain(pump)
            finally:
                pump.stop()
            if self._over and pump.trouble is None:
                return seen
            if self._gives_up(pump.trouble):
                self.log.missing("unreadable")
                return seen
            self._tend()
            if pump.trouble:
                self.grip.pause(TICK_SECONDS)

    def _note_phase(self, seen: Observation) -> None:
        over = seen.phase is Phase.EXITED
        self.grip.attempt.node = seen.node or self.grip.attempt.node
        if over and not self._over:
            now = datetime.now(UTC)
            self.grip.attempt.exited_at = min(seen.finished_at or now, now)
            self._steps.begin("drain logs", WORKER)
        self._over = over

    def _drain(self, pump: Pump) -> None:
        stored_at = 0.0
        while not (pump.over and pump.empty):
            outputs = pump.take(TICK_SECONDS, CHUNK_BYTES)
            if outputs:
                self.log.collect(outputs)
                self.grip.deadlines.said_something()
                stored_at = time.monotonic()
            self._tend()
            pump.gather(stored_at + CHUNK_SECONDS - time.monotonic(), CHUNK_BYTES)
        if pump.trouble is None and self._over:
            self.log.flush()
        if pump.trouble is not None and not isinstance(pump.trouble, Unavailable):
            raise pump.trouble

    def _gives_up(self, trouble: Exception | None) -> bool:
        """Whether the runtime has said often enough, with the container over, that it can't read what is left."""
        if not self._over or not isinstance(trouble, Unreadable):
            self._unreadable, self._unreadable_since = 0, time.monotonic()
            return False
        self._unreadable += 1
        waited = time.monotonic() - self._unreadable_since
        return self._unreadable >= UNREADABLE_MOST and waited >= trouble.patience_seconds

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
                self._note_sight(seen)
                return seen
            self._tend()
            self.grip.pause(seconds)
            seconds = min(seconds * 2, 5.0)

    def _note_sight(self, seen: Observation) -> None:
        """Onto the time-line: what is shown is what was known last, while the runtime itself can't see the container."""
        if bool(seen.unreachable) == self._out_of_sight:
            return
        self._out_of_sight = bool(seen.unreachable)
        if self._out_of_sight:
            self.grip.record("out_of_sight", why=self.grip.mask.hide_text(seen.unreachable)[:300])
        else:
            self.grip.record("back_in_sight")

    def _tend(self) -> None:
        """What is due while it runs: leaving, stops, samples."""
        self.grip.woken.clear()
        if self.grip.leaving:
            raise Left
        if not self._over:
            self._stopper.tend()
        self._sampler.tend()
