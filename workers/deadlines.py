"""When a run's time-outs are over. Durations by this process's monotonic clock, their beginnings by the database's."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from django.db.models import DateTimeField

from jobs.clock import Now
from jobs.models import Attempt
from jobs.spec import Timeouts

KILL_AGAIN_SECONDS = 2.0
LISTEN_SECONDS = 10.0  # what it wrote while nobody followed it takes so long, at most, until it is read


@dataclass
class Deadlines:
    """Times are `time.monotonic()` values; None: not begun."""

    timeouts: Timeouts
    claimed_at: float | None = None
    started_at: float | None = None
    spoke_at: float | None = None
    listening_at: float = 0.0  # silence before then is ours, not the program's
    stop_at: float | None = None
    killed_at: float | None = None

    @classmethod
    def of(cls, attempt: Attempt, timeouts: Timeouts) -> Deadlines:
        """For an attempt that another process had before, with the time gone by since then."""
        clock: datetime = (
            Attempt.objects.filter(pk=attempt.pk)
            .annotate(clock=Now(output_field=DateTimeField()))
            .values_list("clock", flat=True)[0]
        )

        def then(at: datetime | None) -> float | None:
            return None if at is None else time.monotonic() - (clock - at).total_seconds()

        wrote_at = attempt.chunks.order_by("-first_line").values_list("created_at", flat=True).first()
        return cls(
            timeouts,
            claimed_at=then(attempt.claimed_at),
            started_at=then(attempt.started_at),
            spoke_at=then(wrote_at or attempt.started_at),
            listening_at=time.monotonic() + (LISTEN_SECONDS if attempt.started_at else 0.0),
            stop_at=then(attempt.stop_requested_at),
        )

    def started(self) -> None:
        self.started_at = self.spoke_at = time.monotonic()

    def said_something(self) -> None:
        self.spoke_at = time.monotonic()

    def cannot_hear(self) -> None:
        """Nothing can be read just now: when it last wrote is unknown."""
        self.spoke_at = time.monotonic()

    def queued(self) -> None:
        """It waits for others to end: the time to start has not begun."""
        self.claimed_at = time.monotonic()

    def stopping(self) -> None:
        self.stop_at = time.monotonic()

    def start_is_over(self) -> bool:
        return _over(self.claimed_at, self.timeouts.start)

    def due(self) -> tuple[str, str] | None:
        """The verdict code and sentence of the time-out that is over, if one is."""
        if _over(self.started_at, self.timeouts.run):
            return "timeout_run", f"It ran longer than its time-out of {self.timeouts.run:g} s."
        if time.monotonic() >= self.listening_at and _over(self.spoke_at, self.timeouts.idle):
            return "timeout_idle", f"It wrote nothing for its idle time-out of {self.timeouts.idle:g} s."
        return None

    def grace_left(self) -> float:
        return 0.0 if self.stop_at is None else self.stop_at + self.timeouts.grace - time.monotonic()

    def kill_is_due(self) -> bool:
        """Once the grace is over, and then every few seconds while it is still there."""
        now = time.monotonic()
        if self.grace_left() > 0 or (self.killed_at is not None and now - self.killed_at < KILL_AGAIN_SECONDS):
            return False
        self.killed_at = now
        return True


def _over(since: float | None, seconds: float | None) -> bool:
    return since is not None and seconds is not None and time.monotonic() - since >= seconds
