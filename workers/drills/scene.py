"""Where a drill takes place: the worker, the drill's own jobs, what was found, and what is to be undone."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Protocol

from django.conf import settings
from django.db import connection

from jobs.models import Attempt, Job
from jobs.services import cancel, submit
from jobs.spec import parse_spec
from workers.models import Worker
from workers.patience import DATABASE_TROUBLE

from .drill import Drill, Refused, Ways
from .promise import Bounds, Finding, Promise

LABEL = "drill"
POLL_SECONDS = 0.1
COMMAND_SECONDS = 120.0
SMALL = {"cpus": 0.1, "memory": "32Mi"}


class Audience(Protocol):
    """Who is told what happens, as it happens."""

    def happens(self, text: str) -> None: ...

    def found(self, finding: Finding) -> None: ...


class Scene:
    """Use `undo` as a context around a drill's run. A drill's `look` settles which worker, runtime and image."""

    def __init__(self, drill: Drill, ways: Ways, audience: Audience) -> None:
        environment = settings.TOWLINE
        self.drill = drill
        self.ways = ways
        self.bounds = Bounds(
            environment.TOWLINE_HEARTBEAT_SECONDS,
            environment.TOWLINE_LEASE_SECONDS,
            environment.TOWLINE_ADOPTION_GRACE_SECONDS,
            ways.limit,
        )
        self._worker: Worker | None = None
        self.runtime = ""
        self.image = ""
        self.jobs: list[Job] = []
        self.findings: dict[str, Finding] = {}
        self.undo = ExitStack()
        self.undo.callback(self._cancel_jobs)
        self._audience = audience
        self._promises: dict[str, Promise] = {}

    @property
    def worker(self) -> Worker:
        if self._worker is None:
            raise LookupError("a drill's `look` chooses the worker")
        return self._worker

    def settle(self, worker: Worker, runtime: str, image: str) -> None:
        self._worker, self.runtime, self.image = worker, runtime, image

    # --- what is promised and found -------------------------------------------------------------------------------

    @property
    def promises(self) -> list[Promise]:
        return list(self._promises.values())

    def expect(self) -> None:
        self._promises = {promise.key: promise for promise in self.drill.promises(self.bounds)}

    def judge(self, key: str, held: bool, *, detail: str = "", seconds: float | None = None) -> bool:  # noqa: FBT001
        self.findings[key] = Finding(self._promises[key], held, seconds, detail)
        self._audience.found(self.findings[key])
        return held

    def watch(
        self,
        key: str,
        seen: Callable[[], bool],
        *,
        otherwise: Callable[[], str] = str,
        hopeless: Callable[[], bool] = bool,
    ) -> bool:
        """Judge whether it is seen within the promise's seconds from now; `otherwise` says what was seen instead.

        `hopeless`: it will not be seen any more.
        """
        taken = self.until(seen, self._promises[key].seconds or 0, hopeless)
        return self.judge(key, taken is not None, seconds=taken, detail="" if taken is not None else otherwise())

    def until(self, seen: Callable[[], bool], seconds: float, hopeless: Callable[[], bool] = bool) -> float | None:
        """How long it took; None: not within that time. A database that does not answer shows nothing."""
        began = time.monotonic()
        while time.monotonic() - began <= seconds:
            try:
                if seen():
                    return time.monotonic() - began
                if hopeless():
                    return None
            except DATABASE_TROUBLE:
                connection.close()
            time.sleep(POLL_SECONDS)
        return None

    def unseen(self) -> list[Finding]:
        missing = [promise for key, promise in self._promises.items() if key not in self.findings]
        return [Finding(promise, held=False, detail="not seen: the drill could not go on") for promise in missing]

    # --- the fault ------------------------------------------------------------------------------------------------

    def tell(self, text: str) -> None:
        self._audience.happens(text)

    def order(self, command: str) -> None:
        """The operator's own command. Raises Refused when it fails."""
        self.tell(command)
        try:
            done = subprocess.run(
                shlex.split(command), capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
            )
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            raise Refused(f"`{command}` can't be run: {error}") from error
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-500:]
            raise Refused(f"`{command}` fails with exit code {done.returncode}: {said or 'without a word'}")

    # --- jobs of our own ------------------------------------------------------------------------------------------

    def submit(self, **spec: Any) -> Job:
        body = {
            "name": f"drill {self.drill.name}",
            "image": self.image,
            "runtime": self.runtime,
            "labels": {LABEL: self.drill.name},
            "resources": SMALL,
            "timeouts": {"run": self.bounds.end + self.bounds.restart + 600},
            **({"network": "none"} if self.runtime == "docker" else {}),
            **spec,
        }
        job, _ = submit(parse_spec(body), None)
        self.jobs.append(job)
        return job

    def _cancel_jobs(self) -> None:
        """Whatever is not over by itself; a container goes as soon as a worker is there to remove it."""
        for job in self.jobs:
            try:
                job.refresh_from_db()
                if not job.is_final:
                    cancel(job, f"drill {self.drill.name}")
            except DATABASE_TROUBLE:
                self.tell(f"job {job.pk} could not be cancelled: do it with `manage.py cancel {job.pk}`")


def newest(job: Job) -> Attempt | None:
    return Attempt.objects.filter(job=job).order_by("-number").first()
