"""Between "told to start" and "begun": where a runtime starts containers when it can, why one has not begun is shown meanwhile.

How the waiting ends is here, too: it begins; or a cancel, the start time-out or a cause without hope ends it, and then the
container is taken back, so that it never begins unseen.
"""

from __future__ import annotations

import time
from typing import Any

from jobs.clock import Now
from jobs.hints import announce
from jobs.models import Job
from jobs.states import JobState
from jobs.verdicts import Verdict

from . import ending
from .drivers.protocol import Handle, Holdup, Observation, Phase, Withdrawable
from .grip import Ended, Grip, Left
from .masking import hide_verdict
from .patience import patiently

SOON_SECONDS, LATER_SECONDS = 0.05, 0.5  # between two looks, which cost little: the driver knows from its own watch
HURRY_SECONDS = 10.0


class Notice:
    """What the job is said to wait for while its attempt has not begun."""

    def __init__(self, grip: Grip) -> None:
        self.grip = grip
        self.attempt = grip.attempt
        self._shown = ("", "")

    def show(self, holdup: Holdup | None) -> None:
        """Nothing when nothing is wrong."""
        told = (holdup.reason, self.grip.mask.hide_text(holdup.detail)[:500]) if holdup else ("", "")
        if told == self._shown:
            return
        self._shown = told
        patiently(lambda: self._write_waiting(*told), self.grip.pause)
        if holdup:
            self.grip.record("held_up", reason=told[0], detail=told[1])
        announce(self.attempt.job_id)

    def _write_waiting(self, reason: str, detail: str) -> None:
        Job.objects.filter(pk=self.attempt.job_id, state=JobState.ASSIGNED, attempts_count=self.attempt.number).update(
            waiting_reason=reason, waiting_detail=detail
        )


class Beginning:
    def __init__(self, grip: Grip, handle: Handle) -> None:
        self.grip = grip
        self.attempt = grip.attempt
        self.handle = handle
        self._notice = Notice(grip)

    def wait(self) -> Observation:
        """What is seen of it once it is pending no more. Raises Ended when it was taken back, Left, or `Unavailable`."""
        hurry_until = time.monotonic() + HURRY_SECONDS
        while (seen := self.grip.driver.inspect(self.handle)).phase is Phase.PENDING:
            self._stop_if_due(seen.holdup)
            self._notice.show(seen.holdup)
            self.grip.pause(SOON_SECONDS if time.monotonic() < hurry_until else LATER_SECONDS)
        return seen

    def _stop_if_due(self, holdup: Holdup | None) -> None:
        if self.grip.leaving:
            raise Left
        if not self.attempt.stop_code:
            self._write_stop(holdup)
        if self.attempt.stop_code and self._is_withdrawn():
            raise Ended(ending.never_began(self.attempt))

    def _is_withdrawn(self) -> bool:
        self.grip.be_sure()
        driver = self.grip.driver
        return isinstance(driver, Withdrawable) and driver.withdraw(self.handle)

    def _write_stop(self, holdup: Holdup | None) -> None:
        """Durable before it is carried out, as any stop: whoever goes on with the attempt carries it out, too."""
        if self.grip.cancelled:
            self.attempt.job.refresh_from_db(fields=["cancel_requested_by"])
            by = self.attempt.job.cancel_requested_by or "somebody"
            stop: dict[str, Any] = {"stop_code": "cancelled", "stop_detail": f"cancelled by {by}"}
        elif holdup and (holdup.hopeless or self.grip.deadlines.start_is_over()):
            verdict = hide_verdict(self.grip.mask, holdup.verdict)
            stop = {"stop_code": verdict.code, "stop_detail": verdict.summary[:500], "stop_verdict": verdict.as_json()}
        elif self.grip.deadlines.start_is_over():
            verdict = self._too_late()
            stop = {"stop_code": verdict.code, "stop_detail": verdict.summary, "stop_verdict": verdict.as_json()}
        else:
            return
        self.grip.write(**stop, stop_requested_at=Now())
        for field, value in stop.items():
            setattr(self.attempt, field, value)
        self.grip.record("stopping", why=self.attempt.stop_detail)
        self.grip.deadlines.stopping()

    def _too_late(self) -> Verdict:
        limit = self.grip.spec.timeouts.start or 0
        return Verdict(
            "timeout_start",
            f"It did not begin within {limit:g} s of being taken up.",
            (f"container {self.handle.name} was still pending",),
            "Give it longer in timeouts.start, or use a smaller image.",
        )
