"""One attempt in the hands of this process, from the claim to the container's removal.

`Run` is the supervisor: one thread, which starts or finds the container, stores its output, carries out stops, judges and
finishes. What it learns of cancels and of losing the attempt comes from the keeper. It may be left at any point: whoever
claims the attempt next goes on from the database and the container.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from jobs.hints import announce
from jobs.logs.store import Fenced, append, position
from jobs.models import Attempt, installation_key
from jobs.moves import move, record
from jobs.states import AttemptState, JobState
from jobs.verdicts import Verdict

from . import ending
from .container import container_name, container_spec
from .deadlines import Deadlines
from .drivers.protocol import Driver, Handle, Images, Line, Metered, Observation, Phase, PullProgress, Refused, Unavailable
from .ending import Ending
from .patience import patiently
from .pump import Pump

log = logging.getLogger(__name__)
CHUNK_BYTES = 512 * 1024
CHUNK_SECONDS = 0.05  # a lone line is stored at once; in a flood a chunk holds what came in this time
TICK_SECONDS = 0.5
SAMPLE_SECONDS = 2.0
PROGRESS_SECONDS = 0.5


class Left(Exception):
    """This process has, or wants, the attempt no longer. The container is left alone."""


class Ended(Exception):
    """It is over before there was a container to judge."""

    def __init__(self, how: Ending) -> None:
        super().__init__(how.state)
        self.how = how


class Run:
    """Follow one claimed attempt to its end. Public: `go`, and for the keeper `leave`, `cancel`."""

    def __init__(self, attempt: Attempt, driver: Driver) -> None:
        self.attempt = attempt
        self.fence = attempt.fence
        self.driver = driver
        self.spec = attempt.job.wanted
        self.at = position(attempt)
        self.last_lines: deque[str] = deque(maxlen=20)
        self.usage: dict[str, Any] = dict(attempt.usage)
        self.deadlines = Deadlines.of(attempt, self.spec.timeouts)
        self.leaving = False
        self._cancelled = attempt.job.cancel_requested_at is not None
        self._woken = threading.Event()
        self._pump: Pump | None = None
        self._signalled = False
        self._sampled_at = time.monotonic() - SAMPLE_SECONDS + 0.3  # the first sample soon: short jobs have peaks too
        self._reported_at = 0.0

    # --- told by the keeper ---------------------------------------------------------------------------------------

    def leave(self) -> None:
        """Give the attempt up, or notice that it was taken: the supervisor stops at its next step."""
        self.leaving = True
        self._wake()

    def cancel(self) -> None:
        self._cancelled = True
        self._wake()

    def _wake(self) -> None:
        self._woken.set()
        if self._pump:
            self._pump.wake()

    # --- the supervisor -------------------------------------------------------------------------------------------

    def go(self) -> Ending:
        """To the end, the container's removal included. Raises Left when it is not ours to end."""
        try:
            handle: Handle | None = self._start()
            assert handle is not None  # noqa: S101 - for the type checker
            how = ending.judge(self.attempt, self._follow(handle), self.driver)
        except Ended as early:
            handle, how = None, early.how
        except Fenced as error:
            raise Left from error
        self._finish(how)
        self.remove(handle)
        return how

    def fail(self, error: Exception) -> Ending:
        """A mistake of ours: the job ends and says so, nothing runs on unseen."""
        how = Ending(
            AttemptState.FAILED,
            None,
            Verdict(
                "internal_error",
                "Towline made a mistake while running the job.",
                (f"{type(error).__name__}: {str(error)[:500]}",),
                "Report it with the worker's log; submit the job again.",
            ),
        )
        self._finish(how)
        self.remove(None)
        return how

    # --- start or find --------------------------------------------------------------------------------------------

    def _start(self) -> Handle:
        """The running, or already ended, container. An engine that does not answer is asked until the start time-out."""
        seconds, trouble = 0.2, None
        while True:
            self._may_start(trouble)
            try:
                return self._start_once(known=self.fence > 1 or trouble is not None)
            except Unavailable as error:
                trouble = error
                log.warning("%s: the engine does not answer: %s", self.attempt, error)
                self._pause(seconds)
                seconds = min(seconds * 2, 5.0)
            except Refused as refused:
                raise Ended(Ending(AttemptState.FAILED, None, refused.verdict)) from refused

    def _may_start(self, trouble: Unavailable | None = None) -> None:
        """Raises what keeps the container from being started."""
        if self.leaving:
            raise Left
        if self.attempt.state == AttemptState.RUNNING:
            return
        if self._cancelled:
            verdict = ending.cancelled_by(self.attempt.job.cancel_requested_by)
            raise Ended(Ending(AttemptState.CANCELLED, None, verdict))
        if self.deadlines.start_is_over():
            raise Ended(Ending(AttemptState.FAILED, None, self._start_verdict(trouble)))

    def _start_verdict(self, trouble: Unavailable | None) -> Verdict:
        if trouble:
            return Verdict(
                "engine_unavailable",
                f"The {self.attempt.runtime} engine did not answer for {self.spec.timeouts.start:g} s.",
                (str(trouble)[:500],),
                f"See to the engine of worker {self.attempt.worker}: `manage.py doctor` there says what it sees.",
            )
        return Verdict(
            "timeout_start",
            f"It did not start within {self.spec.timeouts.start:g} s of being assigned.",
            (f"last progress: {self.attempt.progress}",) if self.attempt.progress else (),
            "Give it longer in timeouts.start, or use a smaller image.",
        )

    def _start_once(self, *, known: bool) -> Handle:
        """`known`: somebody may have been here before, so the container is looked for first."""
        name = container_name(installation_key(), self.attempt.job_id, self.attempt.number)
        seen = self.driver.find(name) if known else None
        if seen is None and self.attempt.state == AttemptState.RUNNING:
            raise Ended(Ending(AttemptState.FAILED, None, ending.vanished(self.attempt)))
        if seen is None or seen.phase is Phase.CREATED:
            handle = self._start_container()
        else:
            handle = seen.handle
        self._mark_running(handle)
        return handle

    def _start_container(self) -> Handle:
        image = self._resolve_image()
        self._may_start()
        spec = container_spec(self.spec, installation_key(), self.attempt.job_id, self.attempt.number, image)
        return self.driver.start(spec)

    def _resolve_image(self) -> str:
        if not isinstance(self.driver, Images):
            return self.spec.image
        image = self.driver.resolve(self.spec.image, self.spec.arch, self._report)
        self.attempt.image_digest = image.digest
        return image.digest

    def _report(self, progress: PullProgress) -> None:
        """Show how far the pull is; and, as this is where a start may take long, see whether it is still wanted."""
        self._may_start()
        now = time.monotonic()
        if now - self._reported_at < PROGRESS_SECONDS:
            return
        shown = {"what": "pull", "done": progress.done_bytes, "total": progress.total_bytes, "status": progress.status}
        if not self._reported_at:
            record(self.attempt, "image_pulling", actor=self.attempt.worker, data={"image": self.spec.image})
        self._reported_at = now
        self.attempt.progress = shown
        Attempt.objects.filter(pk=self.attempt.pk, fence=self.fence).update(progress=shown)
        announce(self.attempt.job_id)

    def _mark_running(self, handle: Handle) -> None:
        if self.attempt.state == AttemptState.RUNNING:
            return
        patiently(lambda: self._write_running(handle), self._pause)
        self.attempt.refresh_from_db(fields=["state", "handle", "started_at"])
        self.deadlines.started()

    def _write_running(self, handle: Handle) -> None:
        with transaction.atomic():
            won = move(
                self.attempt,
                AttemptState.RUNNING,
                where={"fence": self.fence},
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
        return Attempt.objects.filter(pk=self.attempt.pk, fence=self.fence, state=AttemptState.RUNNING).exists()

    # --- follow ---------------------------------------------------------------------------------------------------

    def _follow(self, handle: Handle) -> Observation:
        """Store the output until the container is over and read to its end; the last look at it."""
        seen: Observation | None = None
        while True:
            # The end of a stream says nothing. Over is: seen exited, and then read to the end once more.
            self._pump = Pump(self.driver, handle, self.at.cursor or None)
            try:
                self._drain(self._pump, handle)
            finally:
                self._pump.stop()
            if seen is not None and self._pump.trouble is None:
                return seen
            found = self._look(handle)
            if found.phase is Phase.GONE:
                return found
            if found.phase is Phase.EXITED:
                seen = found
            if self._pump.trouble:
                self._tend(handle)
                self._pause(TICK_SECONDS)

    def _drain(self, pump: Pump, handle: Handle) -> None:
        stored_at = 0.0
        while not (pump.over and pump.empty):
            lines = pump.take(TICK_SECONDS, CHUNK_BYTES)
            if lines:
                patiently(lambda batch=lines: self._store(batch), self._pause)  # type: ignore[misc]
                self.deadlines.said_something()
                stored_at = time.monotonic()
            self._tend(handle)
            if not pump.over and (rest := stored_at + CHUNK_SECONDS - time.monotonic()) > 0:
                self._woken.wait(rest)
        if pump.trouble is not None and not isinstance(pump.trouble, Unavailable):
            raise pump.trouble

    def _store(self, lines: list[Line]) -> None:
        fresh = position(Attempt.objects.only("log_lines", "log_bytes", "log_cursor").get(pk=self.attempt.pk)) if self._unsure else self.at
        if fresh.lines == self.at.lines + len(lines):
            self.at, self._unsure = fresh, False  # it was committed, only the answer got lost
            return
        self._unsure = True
        batch = [(line.data, line.stream, line.at_ns) for line in lines]
        self.at = append(self.attempt, self.fence, self.at, batch, lines[-1].cursor)
        self._unsure = False
        self.last_lines.extend(line.data.rstrip(b"\n")[:500].decode("utf-8", "replace") for line in lines[-20:])

    _unsure = False

    def _look(self, handle: Handle) -> Observation:
        """What the runtime says now. An engine that does not answer says nothing about the container: ask on."""
        seconds = 0.2
        while True:
            try:
                return self.driver.inspect(handle)
            except Unavailable as error:
                log.warning("%s: the engine does not answer: %s", self.attempt, error)
            self._tend(handle)
            self._pause(seconds)
            seconds = min(seconds * 2, 5.0)

    # --- stops ----------------------------------------------------------------------------------------------------

    def _tend(self, handle: Handle) -> None:
        """What is due while it runs: leaving, stops, samples."""
        self._woken.clear()
        if self.leaving:
            raise Left
        if self._cancelled:
            self._ask_to_stop("cancelled", f"cancelled by {self.attempt.job.cancel_requested_by or 'somebody'}")
        elif due := self.deadlines.due():
            self._ask_to_stop(*due)
        if self.attempt.stop_code:
            self._carry_out_stop(handle)
        if isinstance(self.driver, Metered) and time.monotonic() - self._sampled_at >= SAMPLE_SECONDS:
            self._sample(handle, self.driver)

    def _ask_to_stop(self, code: str, detail: str) -> None:
        """Durable before it is carried out: whoever goes on with the attempt carries it out, too."""
        if self.attempt.stop_code:
            return
        self.attempt.job.refresh_from_db(fields=["cancel_requested_by"])
        self._write(stop_code=code, stop_detail=detail, stop_requested_at=Now())
        self.attempt.stop_code, self.attempt.stop_detail = code, detail
        self.deadlines.stopping()

    def _carry_out_stop(self, handle: Handle) -> None:
        """Ask once, kill when the grace is over, and again while it is still there."""
        try:
            if not self._signalled and self.deadlines.grace_left() > 0:
                self.driver.stop(handle, self.spec.timeouts.grace)
                self._signalled = True
                record(self.attempt, "signalled", actor=self.attempt.worker, data={"signal": "TERM"})
            elif self.deadlines.kill_is_due():
                if self.attempt.killed_at is None:
                    self._write(killed_at=Now())
                    self.attempt.refresh_from_db(fields=["killed_at"])
                    record(self.attempt, "killed", actor=self.attempt.worker, data={"signal": "KILL"})
                self.driver.stop(handle, 0)
        except Unavailable as error:
            log.warning("%s: can't be stopped just now: %s", self.attempt, error)

    def _write(self, **changes: Any) -> None:
        """Change the attempt if it is still ours."""
        ours = Attempt.objects.filter(pk=self.attempt.pk, fence=self.fence)
        if not patiently(lambda: ours.update(**changes), self._pause):
            raise Left

    def _sample(self, handle: Handle, meter: Metered) -> None:
        self._sampled_at = time.monotonic()
        try:
            now = meter.usage(handle)
        except Unavailable:
            return
        if now:
            peak = max(now.memory_peak_bytes, self.usage.get("memory_peak_bytes", 0))
            self.usage.update(memory_peak_bytes=peak, cpu_seconds=round(now.cpu_seconds, 3))

    # --- the end --------------------------------------------------------------------------------------------------

    def _finish(self, how: Ending) -> None:
        def write() -> None:
            if ending.finish(self.attempt, self.fence, how, self.usage):
                return
            if not Attempt.objects.filter(pk=self.attempt.pk, fence=self.fence, finished_at__isnull=False).exists():
                raise Left

        patiently(write, self._pause)

    def remove(self, handle: Handle | None) -> None:
        """The container, once nothing in it is needed any more. What fails here is made good by the keeper's tidying."""
        try:
            if handle is None:
                name = container_name(installation_key(), self.attempt.job_id, self.attempt.number)
                left = self.driver.find(name)
                handle = left.handle if left else None
            if handle:
                self.driver.remove(handle)
        except (Unavailable, Refused) as error:
            log.warning("%s: its container is removed later: %s", self.attempt, error)
            return
        Attempt.objects.filter(pk=self.attempt.pk).update(removed_at=Now())
        if handle:
            record(self.attempt, "removed", actor=self.attempt.worker)

    def _pause(self, seconds: float) -> None:
        """Wait, unless woken; raises Left when the attempt is to be left."""
        self._woken.wait(seconds)
        if self.leaving:
            raise Left
