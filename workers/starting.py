"""The first half of a run: the container started, or found where somebody before us had started it."""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext

from django.conf import settings
from django.db import transaction

from jobs.clock import Now
from jobs.failpoints import reach
from jobs.hints import announce
from jobs.models import Attempt, Job, installation_key
from jobs.moves import move
from jobs.services import cancelled_by
from jobs.states import AttemptState, JobState
from jobs.verdicts import Verdict
from tracing.spans import NOT_TRACED

from . import secrets
from .beginning import Beginning, Line, Notice
from .calling_back import told
from .container import container_spec
from .drivers.protocol import Handle, HeldUp, Holdup, Images, Phase, PullProgress, Refused, Unavailable, Withdrawable
from .ending import Ending, judge, vanished
from .grip import Ended, Grip, Left
from .masking import hide_verdict
from .patience import patiently
from .removing import find_container, remove_container
from .steps import Steps, step
from .volumes import mounts_of

log = logging.getLogger(__name__)
PROGRESS_SECONDS = 0.5
HELD_UP_SECONDS = 2.0
TRIES_TRACED = 20  # what waits for hours is tried all the while, and its trace is to stay readable


class Starter:
    def __init__(self, grip: Grip) -> None:
        self.grip = grip
        self.attempt = grip.attempt
        self._reported_at = 0.0
        self._trouble: Unavailable | None = None  # what kept the engine from answering, when it was last asked
        self._held: Holdup | None = None  # what it had no room for, when it was last asked
        self._notice = Notice(grip)
        self._line = Line(grip)
        self._steps = Steps()
        self._pull = NOT_TRACED
        self._tries = 0

    def start(self) -> Handle:
        """Of the running, or already ended, container. An engine that does not answer is asked until the start time-out.

        It is looked for before anything is said of it: what has run keeps its end, however late or unwanted by now.
        """
        seconds = 0.2
        while True:
            self._tries += 1
            try:
                self.grip.know(secrets.given(self.attempt))
                return self._start_once(known=self.grip.fence > 1 or self._trouble is not None)
            except HeldUp as held:
                self._held = held.holdup
                self._line.look(held.holdup)
                self._notice.show(held.holdup)
                self._may_start()
                self.grip.pause(HELD_UP_SECONDS)
            except Unavailable as error:
                self._trouble = error
                log.warning("%s: the engine does not answer: %s", self.attempt, self.grip.mask.hide_text(str(error)))
                if self.attempt.handle is None:  # else it may run there, and nothing may be said of it unseen
                    self._may_start()
                self.grip.pause(seconds)
                seconds = min(seconds * 2, 5.0)
            except Refused as refused:
                patiently(self._hear_of_cancel, self.grip.pause)
                self._may_start()  # a cancel or a time-out that came while it was asked for comes first
                verdict = hide_verdict(self.grip.mask, refused.verdict)
                unread = self.attempt.state == AttemptState.RUNNING
                raise Ended(Ending(AttemptState.FAILED, None, verdict, log_complete=not unread)) from refused

    def _may_start(self) -> None:
        """Raises what keeps the container from being started."""
        if self.grip.leaving:
            raise Left
        if self.attempt.state == AttemptState.RUNNING:
            return
        if self.grip.cancelled:
            self.attempt.job.refresh_from_db(fields=["cancel_requested_by"])
            raise Ended(Ending(AttemptState.CANCELLED, None, cancelled_by(self.attempt.job.cancel_requested_by)))
        if (verdict := self._line.too_long()) is not None:
            raise Ended(Ending(AttemptState.FAILED, None, verdict))
        if not self._line.is_in and self.grip.deadlines.start_is_over():
            raise Ended(Ending(AttemptState.FAILED, None, self._too_late()))

    def _too_late(self) -> Verdict:
        limit = self.grip.spec.timeouts.start or 0
        if self._held:
            return self._held.verdict
        if self._trouble:
            return Verdict(
                "engine_unavailable",
                f"The {self.attempt.runtime} engine did not answer for {limit:g} s.",
                (self.grip.mask.hide_text(str(self._trouble))[:500],),
                f"See to the engine of worker {self.attempt.worker}: `manage.py doctor` there says what it sees.",
            )
        return Verdict(
            "timeout_start",
            f"It did not start within {limit:g} s of being taken up.",
            (f"last progress: {self.attempt.progress}",) if self.attempt.progress else (),
            "Give it longer in timeouts.start, or use a smaller image.",
        )

    def _start_once(self, *, known: bool) -> Handle:
        """`known`: somebody may have been here before, so the container is looked for first."""
        seen = find_container(self.attempt, self.grip.driver) if known else None
        if seen is None and (self.attempt.handle or self.attempt.state == AttemptState.RUNNING):
            raise Ended(self._gone())
        fresh = seen is None or seen.phase is Phase.CREATED
        handle = self._start_container() if fresh or seen is None else seen.handle
        reach("started")
        if not isinstance(self.grip.driver, Withdrawable) or self._has_begun(handle):
            self._mark_running(handle)
            reach("running")
        return handle

    def _has_begun(self, handle: Handle) -> bool:
        """Waits until it has, or never will: then it is over, or gone, and what follows finds out why."""
        with step("schedule"):
            seen = Beginning(self.grip, handle, self._notice, self._line).wait()
        self.attempt.image_digest = self.attempt.image_digest or seen.image_digest
        return seen.phase is Phase.RUNNING or seen.started_at is not None

    def _gone(self) -> Ending:
        if not self.attempt.handle:
            return Ending(AttemptState.FAILED, None, vanished(self.attempt), log_complete=False)
        seen = self.grip.driver.inspect(Handle.from_json(self.attempt.handle))
        return judge(self.attempt, seen, self.grip.driver, self.grip.mask)

    def _start_container(self) -> Handle:
        self._may_start()
        image = self._resolve_image()
        self._end_earlier()
        attempt = self.attempt
        wanted = self.grip.spec
        mounts = mounts_of(wanted.volumes, settings.TOWLINE.TOWLINE_VOLUMES)
        self._give_secrets()
        spec = container_spec(
            wanted,
            installation_key(),
            attempt.job_id,
            attempt.number,
            image,
            mounts,
            self.grip.secrets,
            settings.TOWLINE.TOWLINE_LABELS,
            settings.TOWLINE.TOWLINE_REGION,
            told(attempt, wanted.network, {*wanted.env, *self.grip.secrets}),
        )
        with self._steps:
            handle = self.grip.driver.start(spec, self._consent)
        self._held = None
        self._line.look(None)
        return handle

    def _give_secrets(self) -> None:
        """Once an attempt: a container that somebody before us made has the values that were written down then."""
        if self.grip.spec.secrets and not self.attempt.secrets:
            values, sealed = patiently(lambda: secrets.look_up(self.attempt), self.grip.pause)
            self.grip.write(secrets=sealed)
            self.attempt.secrets = sealed
            self.grip.know(values)

    def _end_earlier(self) -> None:
        """Two attempts of one job never run at once on one engine: those before are proven gone first."""
        earlier = Attempt.objects.filter(
            job_id=self.attempt.job_id, number__lt=self.attempt.number, engine=self.attempt.engine, removed_at=None
        )
        for attempt in earlier.exclude(claimed_at=None):
            self._may_start()
            try:
                remove_container(attempt, self.grip.driver, self.attempt.worker)
            except Unavailable as error:
                if not isinstance(self.grip.driver, Withdrawable):
                    raise
                raise HeldUp(_not_gone(attempt, error)) from error

    def _consent(self, handle: Handle | None) -> None:
        """At the last moment, with the driver's lock held, from the database: what is cancelled, or not ours, must not start.

        From here on `handle` may have run: should it be gone when somebody looks, nobody makes it anew.
        """
        patiently(self._hear_of_cancel, self.grip.pause)
        self._may_start()
        known = handle.as_json() if handle else None
        self.grip.renew(handle=known)
        self.attempt.handle = known
        if handle or self._tries <= TRIES_TRACED:
            self._steps.begin("start" if handle else "create")

    def _hear_of_cancel(self) -> None:
        if Job.objects.filter(pk=self.attempt.job_id, cancel_requested_at__isnull=False).exists():
            self.grip.cancelled = True

    def _resolve_image(self) -> str:
        if not isinstance(self.grip.driver, Images):
            return self._tried_before() or self.grip.spec.image
        reach("image_before")
        self._pull = NOT_TRACED
        again = self._tries > TRIES_TRACED
        with (
            nullcontext(NOT_TRACED) if again else step("resolve image", image=self.grip.spec.image) as doing,
            self._steps,
        ):
            image = self.grip.driver.resolve(self.grip.spec.image, self.grip.spec.arch, self._report)
            doing.set(cache_hit=not image.pulled, digest=image.digest, bytes=image.size_bytes)
        self.attempt.image_digest = image.digest
        reach("image_after")
        return image.digest

    def _tried_before(self) -> str | None:
        """What an earlier attempt ran, pinned: a tag may name another image by now, and a retry runs the same."""
        earlier = Attempt.objects.filter(job_id=self.attempt.job_id, image_digest__contains="@sha256:")
        return earlier.order_by("-number").values_list("image_digest", flat=True).first()

    def _report(self, progress: PullProgress) -> None:
        """Show how far the pull is; and, as this is where a start may take long, see whether it is still wanted."""
        self._trouble = None
        self._may_start()
        if self._pull is NOT_TRACED:
            self._pull = self._steps.begin("pull", image=self.grip.spec.image)
        self._pull.set(bytes=progress.done_bytes, total_bytes=progress.total_bytes)
        now = time.monotonic()
        if now - self._reported_at < PROGRESS_SECONDS:
            return
        shown = {"what": "pull", "done": progress.done_bytes, "total": progress.total_bytes, "status": progress.status}
        if not self._reported_at:
            self.grip.record("image_pulling", image=self.grip.spec.image)
        self._reported_at = now
        self.attempt.progress = shown
        self.grip.write(progress=shown)
        announce(self.attempt.job_id)

    def _mark_running(self, handle: Handle) -> None:
        if self.attempt.state == AttemptState.RUNNING:
            return
        patiently(lambda: self._write_running(handle), self.grip.pause)
        self.attempt.refresh_from_db(fields=["state", "handle", "started_at"])
        self.grip.deadlines.started()

    def _write_running(self, handle: Handle) -> None:
        with transaction.atomic():
            won = move(
                self.attempt,
                AttemptState.RUNNING,
                where={"fence": self.grip.fence},
                actor=self.attempt.worker,
                data={"container": handle.name, "image": self.attempt.image_digest},
                handle=handle.as_json(),
                image_digest=self.attempt.image_digest,
                progress=None,
                started_at=Now(),
            )
            if not won and not self._is_running():
                raise Left
            move(self.attempt.job, JobState.RUNNING, where={"attempts_count": self.attempt.number}, started_at=Now())

    def _is_running(self) -> bool:
        """An earlier write of ours was committed though its answer got lost."""
        ours = Attempt.objects.filter(pk=self.attempt.pk, fence=self.grip.fence)
        return ours.filter(state=AttemptState.RUNNING).exists()


def _not_gone(earlier: Attempt, error: Unavailable) -> Holdup:
    """A container that a cluster can't prove to be gone: the next one waits, for as long as it takes."""
    detail = f"The container of attempt {earlier.number} is not certain to be gone: {error}."
    remedy = "See to the node; once it is off for good, delete its node object, or taint it node.kubernetes.io/out-of-service."
    return Holdup("unschedulable", detail, Verdict("engine_unavailable", detail, (), remedy), for_room=True)
