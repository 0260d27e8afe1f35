"""Between "told to start" and "begun": where a runtime starts containers when it can, why one has not begun is shown meanwhile.

How the waiting ends is here, too: it begins; or a cancel, a time-out or a cause without hope ends it, and then the container
is taken back, so that it never begins unseen. Waiting for room that others have is queueing, for which `timeouts.queue` is;
the time to start begins behind it.
"""

from __future__ import annotations

import time
from typing import Any

from jobs.clock import Now
from jobs.hints import announce
from jobs.models import Job
from jobs.needs import Needs
from jobs.states import JobState
from jobs.verdicts import Verdict

from . import ending
from .drivers.protocol import Handle, Holdup, Observation, Phase, Withdrawable
from .floor import is_queue
from .grip import Ended, Grip, Left
from .masking import hide_verdict
from .patience import patiently
from .placing import queued_too_long

SOON_SECONDS, LATER_SECONDS = 0.05, 0.5  # between two looks, which cost little: the driver knows from its own watch
HURRY_SECONDS = 10.0
SIZE_SECONDS = 10.0  # how long a cluster keeps its size, as far as we care


class Notice:
    """What the job is said to wait for while its attempt has not begun."""

    def __init__(self, grip: Grip) -> None:
        self.grip = grip
        self.attempt = grip.attempt
        # Whoever had the attempt before may have left word.
        self._shown = (grip.attempt.job.waiting_reason, grip.attempt.job.waiting_detail)

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


class Line:
    """The cluster's own queue: whether the attempt stands in it (`is_in`), and for how long it may."""

    def __init__(self, grip: Grip) -> None:
        self.grip = grip
        self.is_in = False
        self._late_at = 0.0  # when to ask again whether it has waited for too long
        self._size_at = 0.0  # and how big the cluster is
        self._fits = False

    def look(self, holdup: Holdup | None) -> None:
        was_in, self.is_in = self.is_in, holdup is not None and holdup.for_room and self._is_the_clusters()
        if self.is_in:
            self.grip.deadlines.queued()
        elif was_in:  # for whoever goes on with it: only now has its worker really taken it up
            self.grip.write(claimed_at=Now())

    def too_long(self) -> Verdict | None:
        """The verdict on it, once its queue time-out is over."""
        if not self.is_in or time.monotonic() < self._late_at:
            return None
        self._late_at = time.monotonic() + LATER_SECONDS
        late = Job.objects.filter(pk=self.grip.attempt.job_id, queue_until__lt=Now())
        job: Job | None = patiently(late.first, self.grip.pause)
        return queued_too_long(job) if job else None

    def _is_the_clusters(self) -> bool:
        """Whether others have what it needs, as far as the cluster's size is known."""
        if time.monotonic() >= self._size_at:
            self._size_at = time.monotonic() + SIZE_SECONDS
            attempt = self.grip.attempt
            self._fits = patiently(
                lambda: is_queue(attempt.engine, Needs.from_json(attempt.job.needs)), self.grip.pause
            )
        return self._fits


class Beginning:
    """`notice` and `line` are those of what came before it: the runtime may have had no room even to take it."""

    def __init__(self, grip: Grip, handle: Handle, notice: Notice, line: Line) -> None:
        self.grip = grip
        self.attempt = grip.attempt
        self.handle = handle
        self._notice = notice
        self._line = line

    def wait(self) -> Observation:
        """What is seen of it once it is pending no more. Raises Ended when it was taken back, Left, or `Unavailable`."""
        hurry_until = time.monotonic() + HURRY_SECONDS
        while (seen := self.grip.driver.inspect(self.handle)).phase is Phase.PENDING:
            self._line.look(seen.holdup)
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
        elif verdict := self._verdict_due(holdup):
            stop = {"stop_code": verdict.code, "stop_detail": verdict.summary[:500], "stop_verdict": verdict.as_json()}
        else:
            return
        self.grip.write(**stop, stop_requested_at=Now())
        for field, value in stop.items():
            setattr(self.attempt, field, value)
        self.grip.record("stopping", why=self.attempt.stop_detail)
        self.grip.deadlines.stopping()

    def _verdict_due(self, holdup: Holdup | None) -> Verdict | None:
        """How it ends now, if it does."""
        if verdict := self._line.too_long():
            return verdict
        late = self.grip.deadlines.start_is_over()
        if holdup and (holdup.hopeless or late):
            return hide_verdict(self.grip.mask, holdup.verdict)
        return self._too_late() if late else None

    def _too_late(self) -> Verdict:
        limit = self.grip.spec.timeouts.start or 0
        return Verdict(
            "timeout_start",
            f"It did not begin within {limit:g} s of being taken up.",
            (f"container {self.handle.name} was still pending",),
            "Give it longer in timeouts.start, or use a smaller image.",
        )
