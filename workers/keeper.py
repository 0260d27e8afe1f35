"""The keeper: one thread of a run worker that keeps its row and all its leases, and tells the runs what it learns.

A second thread lets `reconcile` run as often and tidies up, so that recovery hangs on no single process, and no lease on
an engine that takes its time.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping

from django.conf import settings
from django.db import connection, transaction

from jobs.clock import Now
from jobs.models import Attempt
from jobs.states import FINAL_ATTEMPT

from . import claims, naming
from .drivers.protocol import Engine, Unavailable
from .engines import as_json, driver, from_json
from .launching import launch
from .models import Worker
from .patience import DATABASE_TROUBLE
from .reconcile import reconcile
from .removing import remove_container
from .runner import Run
from .sweeping import sweep_and_note

log = logging.getLogger(__name__)
VERSION = "0.1.0"
SWEEP_SECONDS = 60.0
LEAVE_SECONDS = 10.0
TIDY_SECONDS = 10.0
Launch = Callable[[int, uuid.UUID, str], object]


def _terminate() -> None:
    """As an operator would: Celery ends, and with it everything here."""
    os.kill(os.getpid(), signal.SIGTERM)


class Keeper(threading.Thread):
    """Of this process. `boot` names this very start of it. `launch` runs an attempt whose hint did not come."""

    def __init__(
        self,
        name: str,
        engines: Mapping[str, Engine],
        *,
        launch: Launch = launch,
        end_process: Callable[[], None] = _terminate,
    ) -> None:
        super().__init__(name="keeper", daemon=True)
        self.worker = name
        self.boot = uuid.uuid4().hex
        self.engines = engines
        self._end_process = end_process
        self._runs: dict[int, Run] = {}
        self._launch = launch
        self._idle_since: dict[int, float] = {}  # of attempts that are ours and that no run has
        self._offered_since: dict[int, float] = {}  # of attempts that are meant for us and not claimed
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._sweep_at = time.monotonic() + SWEEP_SECONDS

    # --- the runs of this process ---------------------------------------------------------------------------------

    def take_on(self, run: Run) -> None:
        with self._lock:
            self._runs[run.attempt.pk] = run
        if self._stopping.is_set():
            run.grip.leave()

    def let_go(self, run: Run) -> None:
        with self._lock:
            if self._runs.get(run.attempt.pk) is run:
                del self._runs[run.attempt.pk]

    def look(self) -> None:
        """Somebody says that there is something to learn, e.g. a cancel: look now rather than at the next beat."""
        self._wake.set()

    def detach(self) -> None:
        """The process ends: every run is left, containers go on, the row says that we are gone."""
        self._stopping.set()
        with self._lock:
            runs = list(self._runs.values())
        for run in runs:
            run.grip.leave()
        self._wake.set()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def leave_all(self) -> None:
        """Detach, and wait until every lease is let go; not for ever, as the leases end by themselves."""
        self.detach()
        until = time.monotonic() + LEAVE_SECONDS
        while self._runs and time.monotonic() < until:
            time.sleep(0.05)
        self.join(max(0.0, until - time.monotonic()))

    def note_hearing(self, *, deaf: bool) -> None:
        """In the worker's row: whether this process is suspected not to hear its queue."""
        Worker.objects.filter(name=self.worker, boot=self.boot).update(suspect_since=Now() if deaf else None)

    # --- the thread -----------------------------------------------------------------------------------------------

    def register(self) -> None:
        """Make or renew the worker's row. What an earlier start of it had is offered for adoption at once."""
        environment = settings.TOWLINE
        Worker.objects.update_or_create(
            name=self.worker,
            defaults={
                "boot": self.boot,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "version": VERSION,
                "slots": environment.TOWLINE_SLOTS,
                "engines": [as_json(name, engine) for name, engine in self.engines.items()],
                "region": environment.TOWLINE_REGION,
                "labels": environment.TOWLINE_LABELS,
                "suspect_since": None,
                "started_at": Now(),
                "last_heartbeat_at": Now(),
                "stopped_at": None,
            },
        )
        log.info("registered %s with %s", self.worker, ", ".join(self.engines))

    def run(self) -> None:
        threading.Thread(
            target=self._repeat, args=(self._keep_house, self._stopping.wait), name="housekeeper", daemon=True
        ).start()
        self._repeat(self._beat, self._until_woken)
        self._sign_off()

    def _repeat(self, step: Callable[[], None], pause: Callable[[float], object]) -> None:
        while not self._stopping.is_set():
            try:
                step()
            except DATABASE_TROUBLE as error:
                log.warning("the keeper tries again, the database does not answer: %s", error)
                connection.close()
            except Exception:
                log.exception("a mistake in the keeper; it goes on")
            pause(settings.TOWLINE.TOWLINE_HEARTBEAT_SECONDS)

    def _until_woken(self, seconds: float) -> None:
        self._wake.wait(seconds)
        self._wake.clear()

    def _beat(self) -> None:
        with self._lock:
            # Before the leases are read: of a run that begins in between we would see none, and take it for lost.
            runs = dict(self._runs)
        asked_at = time.monotonic()
        with transaction.atomic():
            known = Worker.objects.filter(name=self.worker, boot=self.boot).update(last_heartbeat_at=Now())
            claims.renew(self.worker, self.boot)
            mine = claims.held(self.worker, self.boot)
        if not known:
            self._see_who_has_the_name()
        self._tell(runs, mine, asked_at)
        self._give_back(mine)
        self.begin_unhinted(time.monotonic())

    def _keep_house(self) -> None:
        reconcile()
        self._tidy()
        self._sweep()

    def _see_who_has_the_name(self) -> None:
        """Our row is gone, or another process has it: we were away for so long that it was taken for free."""
        if not Worker.objects.filter(name=self.worker).exists():
            self.register()
            return
        log.error("another process is %s by now: this one ends. %s", self.worker, naming.REMEDY)
        self.detach()
        self._end_process()

    def _tell(self, runs: dict[int, Run], mine: dict[int, tuple[int, bool]], asked_at: float) -> None:
        """Each run whether it is still ours, and whether its end was asked for. Who ends its attempt itself knows."""
        for pk, run in runs.items():
            fence, cancelled = mine.get(pk, (None, False))
            if cancelled:
                run.grip.cancel()
            if fence == run.fence:
                run.grip.renewed(asked_at)
            elif not run.ending:
                run.grip.leave()

    def _give_back(self, mine: dict[int, tuple[int, bool]]) -> None:
        """What is ours and no run has, e.g. as the answer to its claim got lost: our lease would keep it so for ever."""
        with self._lock:
            idle = mine.keys() - self._runs.keys()
        now = time.monotonic()
        self._idle_since = {pk: self._idle_since.get(pk, now) for pk in idle}
        for pk, since in self._idle_since.items():
            if now - since > settings.TOWLINE.TOWLINE_LEASE_SECONDS:
                claims.let_go(Attempt.objects.get(pk=pk), mine[pk][0])

    def begin_unhinted(self, now: float) -> None:
        """The hint to run it may be lost, or Redis away, or we deaf: what waited for a heartbeat is begun without one."""
        offered = claims.offered(self.worker)
        self._offered_since = {pk: self._offered_since.get(pk, now) for pk in offered}
        for pk, since in self._offered_since.items():
            # Half of one: two beats in a row must do, and they may come a little early.
            if now - since > settings.TOWLINE.TOWLINE_HEARTBEAT_SECONDS / 2 and not self.stopping:
                self._launch(pk, offered[pk], self.worker)

    def _tidy(self) -> None:
        """Remove containers of ended attempts that whoever ended them could not: in turn, as some may be stuck for long."""
        until = time.monotonic() + TIDY_SECONDS
        for name, engine in self.engines.items():
            left = Attempt.objects.filter(
                engine=engine.id, state__in=FINAL_ATTEMPT, claimed_at__isnull=False, removed_at=None
            ).exclude(pk__in=list(self._runs))
            for attempt in left.order_by("?")[:100]:
                if time.monotonic() < until:
                    self._remove(attempt, name)

    def _sweep(self) -> None:
        """Now and then, containers that no attempt stands behind. One that can't be swept now is swept later."""
        if time.monotonic() < self._sweep_at:
            return
        self._sweep_at = time.monotonic() + SWEEP_SECONDS
        for name in self.engines:
            sweep_and_note(self.worker, self.boot, name, driver(name))

    def _remove(self, attempt: Attempt, engine: str) -> None:
        try:
            remove_container(attempt, driver(engine), self.worker)
        except Unavailable as error:
            log.warning("%s: its container is removed later: %s", attempt, error)

    def _sign_off(self) -> None:
        try:
            Worker.objects.filter(name=self.worker, boot=self.boot).update(stopped_at=Now())
        except DATABASE_TROUBLE as error:
            log.warning("could not sign off, the lease will: %s", error)


def engines_before(worker: str) -> dict[str, Engine]:
    """What an earlier start of the worker reached, by name; nothing of one that never was, or while nobody can say."""
    try:
        rows = Worker.objects.filter(name=worker).values_list("engines", flat=True)
        return {one["name"]: from_json(one) for one in next(iter(rows), []) if "name" in one}
    except DATABASE_TROUBLE:
        return {}


_current: Keeper | None = None


def install(keeper: Keeper) -> None:
    global _current
    _current = keeper


def current() -> Keeper | None:
    """The keeper of this process; None in one that runs no jobs."""
    return _current
