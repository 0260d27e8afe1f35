"""What this process holds of an attempt while it runs: the row, the fence, the driver, and what the keeper tells it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from jobs.clock import Now
from jobs.models import Attempt
from jobs.moves import record
from jobs.secrets.mask import Mask
from jobs.spec import JobSpec
from jobs.states import ACTIVE_ATTEMPT

from . import calling_back
from .deadlines import Deadlines
from .drivers.protocol import Driver
from .ending import Ending
from .models import lease
from .patience import patiently


class Left(Exception):
    """This process has, or wants, the attempt no longer. The container is left alone."""


class Ended(Exception):
    """It is over before there was a container to judge."""

    def __init__(self, how: Ending) -> None:
        super().__init__(how.state)
        self.how = how


def _as_tried(attempt: Attempt) -> JobSpec:
    """The job's spec, with the memory of this try: after running out of it, a try may have more than was asked for."""
    spec = attempt.job.wanted
    if attempt.memory_bytes is None:
        return spec
    resources = spec.resources.model_copy(update={"memory": attempt.memory_bytes})
    return spec.model_copy(update={"resources": resources})


class Grip:
    """Any thread may call `leave` and `cancel`; the rest belongs to the supervisor's thread."""

    def __init__(self, attempt: Attempt, driver: Driver) -> None:
        self.attempt = attempt
        self.fence = attempt.fence
        self.driver = driver
        self.spec = _as_tried(attempt)
        self.deadlines = Deadlines.of(attempt, self.spec.timeouts)
        self.usage: dict[str, Any] = dict(attempt.usage)
        self.secrets: Mapping[str, str] = {}
        self.mask = Mask()
        self.leaving = False
        self.cancelled = attempt.job.cancel_requested_at is not None
        self.sure_until = 0.0  # by the monotonic clock
        self.renewed(time.monotonic())
        self.woken = threading.Event()
        self.on_wake: Callable[[], None] = lambda: None

    def know(self, secrets: Mapping[str, str]) -> None:
        """What the container has, or will have, as secrets, by variable: from here on nothing of theirs is stored, nor of its
        token.
        """
        tokens = calling_back.masked(self.attempt, self.spec.network)
        self.secrets, self.mask = secrets, Mask([*secrets.values(), *tokens])

    def leave(self) -> None:
        """Give the attempt up, or notice that it was taken: the supervisor stops at its next step."""
        self.leaving = True
        self._wake()

    def cancel(self) -> None:
        self.cancelled = True
        self._wake()

    def _wake(self) -> None:
        self.woken.set()
        self.on_wake()

    def pause(self, seconds: float) -> None:
        """Wait, unless woken; raises Left when the attempt is to be left."""
        self.woken.wait(seconds)
        self.woken.clear()  # what it was woken for is in the flags; left set, the next pause would be none
        if self.leaving:
            raise Left

    def renewed(self, asked_at: float) -> None:
        """The database said at some time after `asked_at` (monotonic) that the attempt is ours for another lease."""
        settled = settings.TOWLINE
        self.sure_until = asked_at + settled.TOWLINE_LEASE_SECONDS - settled.TOWLINE_HEARTBEAT_SECONDS

    def be_sure(self) -> None:
        """Before anything is done to the container. Waits for the database if the lease may be over; raises Left if it is."""
        if time.monotonic() >= self.sure_until:
            self.renew()

    def renew(self, **changes: Any) -> None:
        """The lease, from the database's own mouth; `changes` are written with it."""
        asked_at = time.monotonic()
        self.write(lease_until=Now() + lease(), **changes)
        self.renewed(asked_at)

    def ours(self) -> QuerySet[Attempt]:
        """The attempt's row as long as it is under way and in our hands."""
        return Attempt.objects.filter(pk=self.attempt.pk, fence=self.fence, state__in=ACTIVE_ATTEMPT)

    def write(self, **changes: Any) -> None:
        """Change the attempt if it is still ours; raises Left otherwise."""
        if not patiently(lambda: self.ours().update(**changes), self.pause):
            raise Left

    def record(self, kind: str, **data: Any) -> None:
        """Onto the job's time-line."""
        patiently(lambda: record(self.attempt, kind, actor=self.attempt.worker, data=data), self.pause)
