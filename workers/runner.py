"""One attempt in the hands of this process, from the claim to the container's removal.

It may be left at any point: whoever claims the attempt next goes on from the database and the container.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from jobs.failpoints import reach
from jobs.logs.store import Fenced, Tally
from jobs.models import Attempt
from tracing.services import WORKER
from tracing.spans import under

from . import ending
from .drivers.protocol import Driver, Observation, Refused, Unavailable
from .ending import Ending
from .following import Follower
from .grip import Ended, Grip, Left
from .patience import DATABASE_TROUBLE, patiently
from .removing import remove_container
from .starting import Starter
from .steps import Steps

log = logging.getLogger(__name__)


class Run:
    """The supervisor: one thread that starts or finds the container, stores its output, judges and finishes."""

    def __init__(self, attempt: Attempt, driver: Driver) -> None:
        self.grip = Grip(attempt, driver)
        self.attempt = attempt
        self.fence = attempt.fence
        self.last_lines: Sequence[str] = ()
        self.tally: Tally | None = None
        self.ending = False  # from here on the attempt may be final by our own hand

    def go(self) -> Ending:
        """To the end, the container's removal included. Raises Left when it is not ours to end."""
        with under(None, hide=lambda text: self.grip.mask.hide_text(text)), Steps() as steps:
            try:
                handle = Starter(self.grip).start()
                seen = self._follow(Follower(self.grip, handle, steps))
                steps.begin("collect", WORKER)
                how = ending.judge(self.attempt, seen, self.grip.driver, self.grip.mask)
            except Ended as early:
                steps.begin("collect", WORKER)
                how = early.how
            except Fenced as error:
                raise Left from error
            reach("exited")
            self._finish(how)
        reach("finished")
        self._remove()
        return how

    def _follow(self, follower: Follower) -> Observation:
        seen = follower.follow()
        self.last_lines, self.tally = list(follower.log.last_lines), follower.log.tally
        return seen

    def fail(self, error: Exception) -> Ending:
        """A mistake of ours: the job ends and says so, nothing runs on unseen."""
        how = ending.mistake(error, self.grip.mask)
        self._finish(how)
        self._remove()
        return how

    def _finish(self, how: Ending) -> None:
        self.ending = True

        def write() -> None:
            if ending.finish(self.attempt, self.fence, how, self.grip.usage, self.tally):
                return
            # Not written: fenced off; or it was, and only the answer of that commit got lost.
            if not Attempt.objects.filter(pk=self.attempt.pk, fence=self.fence, finished_at__isnull=False).exists():
                raise Left

        patiently(write, self.grip.pause)

    def _remove(self) -> None:
        """The container, once nothing in it is needed any more. What fails here is made good by the keeper's tidying."""
        try:
            remove_container(self.attempt, self.grip.driver, self.attempt.worker)
        except (Unavailable, Refused, *DATABASE_TROUBLE) as error:
            log.warning("%s: its container is removed later: %s", self.attempt, error)
