"""Ending a container on purpose: a cancel or a time-out, written down first, then asked, then forced."""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction

from jobs.clock import Now
from jobs.failpoints import reach
from jobs.moves import record

from . import evidence
from .drivers.protocol import Handle, Unavailable
from .grip import Grip, Left
from .patience import patiently

log = logging.getLogger(__name__)


class Stopper:
    def __init__(self, grip: Grip, handle: Handle) -> None:
        self.grip = grip
        self.handle = handle
        self._asked = False

    def tend(self) -> None:
        """Called often: notices that it is to end, and takes the next step when that is due."""
        if not self.grip.attempt.stop_code:
            self._notice()
        if self.grip.attempt.stop_code:
            try:
                self._take_step()
            except Unavailable as error:
                log.warning("%s: can't be stopped just now: %s", self.grip.attempt, error)

    def _notice(self) -> None:
        if self.grip.cancelled:
            self.grip.attempt.job.refresh_from_db(fields=["cancel_requested_by"])
            self._write_down("cancelled", f"cancelled by {self.grip.attempt.job.cancel_requested_by or 'somebody'}")
        elif due := self.grip.deadlines.due():
            self._write_down(*due)

    def _write_down(self, code: str, detail: str) -> None:
        """Durable before it is carried out: whoever goes on with the attempt carries it out, too."""
        attempt = self.grip.attempt
        timed_out = code.startswith("timeout_")
        scene = evidence.scene(attempt, self.grip.driver, self.handle, self.grip.mask) if timed_out else None
        patiently(lambda: self._write(code, detail, scene), self.grip.pause)
        attempt.stop_code, attempt.stop_detail = code, detail
        self.grip.deadlines.stopping()
        reach("stop_written")

    def _write(self, code: str, detail: str, scene: dict[str, Any] | None) -> None:
        with transaction.atomic():
            if not self.grip.ours().update(stop_code=code, stop_detail=detail, stop_requested_at=Now()):
                raise Left
            if scene is not None:
                record(self.grip.attempt, evidence.KIND, actor=self.grip.attempt.worker, data={"why": detail, **scene})

    def _take_step(self) -> None:
        """Ask once; kill when the grace is over, and again while it is still there."""
        grip = self.grip
        grip.be_sure()
        if grip.deadlines.grace_left() > 0:
            if not self._asked:
                grip.driver.stop(self.handle, grip.spec.timeouts.grace)
                self._asked = True
                grip.record("signalled", signal="TERM")
        elif grip.deadlines.kill_is_due():
            if grip.attempt.killed_at is None:
                grip.write(killed_at=Now())
                grip.attempt.refresh_from_db(fields=["killed_at"])
                grip.record("killed", signal="KILL")
            grip.driver.stop(self.handle, 0)
