"""Faults that jobs bring along: memory, an image that is not there, a full disk, deaf ears, a hint sent too often.

Each has to end by itself with its own verdict, and to leave its worker and the job beside it alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from celery import current_app
from celery.utils.nodenames import worker_direct

from jobs.models import Job
from jobs.services import cancel

from .drill import Drill
from .ground import choose_worker
from .promise import Bounds, Promise
from .scene import Scene
from .witness import (
    STEADY,
    begun,
    call_witness,
    count,
    is_removed,
    online,
    see_it_survive,
    see_workers_steady,
    standing,
    survives,
)

GRACE_SECONDS = 2.0
HINTS = 100
END_SECONDS = 30.0
REFUSED_SECONDS = 30.0
NOWHERE = "localhost:1/towline/no-such-image:1"


class _BadJob(Drill):
    """One job that goes wrong beside one that counts."""

    def look(self, scene: Scene) -> None:
        choose_worker(scene)

    def spec(self) -> dict[str, Any]:
        raise NotImplementedError

    def judge(self, scene: Scene, job: Job) -> None:
        raise NotImplementedError

    def run(self, scene: Scene) -> None:
        before = online()
        witness = call_witness(scene)
        scene.tell("the job is submitted")
        job = scene.submit(**self.spec())
        self.judge(scene, job)
        see_it_survive(scene, witness)
        see_workers_steady(scene, before)


class OutOfMemory(_BadJob):
    name = "oom"
    about = "A job with 64 MiB asks for memory without end."

    def spec(self) -> dict[str, Any]:
        return {"command": ["tail", "/dev/zero"], "resources": {"cpus": 0.5, "memory": "64Mi"}}

    def promises(self, bounds: Bounds) -> Iterable[Promise]:
        return (
            Promise("verdict", "the job fails as `oom_killed`, at its first attempt", END_SECONDS + bounds.notice),
            *survives(bounds),
            STEADY,
        )

    def judge(self, scene: Scene, job: Job) -> None:
        scene.watch("verdict", lambda: failed_as(job, "oom_killed"), otherwise=lambda: standing(job))


class BadImage(_BadJob):
    name = "bad-image"
    about = f"A job whose image is not to be had: {NOWHERE}."

    def look(self, scene: Scene) -> None:
        choose_worker(scene, only="docker")

    def spec(self) -> dict[str, Any]:
        return {"image": NOWHERE, "command": ["true"], "retry": {"max_attempts": 3, "on": ["platform"]}}

    def promises(self, bounds: Bounds) -> Iterable[Promise]:
        return (
            Promise("verdict", "the job fails with an `image_…` verdict, and is not tried again", REFUSED_SECONDS),
            *survives(bounds),
            STEADY,
        )

    def judge(self, scene: Scene, job: Job) -> None:
        scene.watch("verdict", lambda: failed_as(job, "image_"), otherwise=lambda: standing(job))


def failed_as(job: Job, code: str) -> bool:
    """Or as any code that begins so."""
    job.refresh_from_db()
    return job.state == "failed" and job.verdict_code.startswith(code) and job.attempts_count == 1


class CancelStubborn(Drill):
    name = "cancel-stubborn"
    about = "A job that ignores SIGTERM is cancelled."

    def look(self, scene: Scene) -> None:
        choose_worker(scene)

    def promises(self, bounds: Bounds) -> Iterable[Promise]:
        return (
            Promise("cancelled", "the job is cancelled", GRACE_SECONDS + bounds.notice),
            Promise("killed", f"killed (exit code 137), and not before its grace of {GRACE_SECONDS:g} s was over"),
            Promise("removed", "its container is removed", bounds.notice + 10),
            STEADY,
        )

    def run(self, scene: Scene) -> None:
        before = online()
        lines = scene.bounds.count * 10
        job = count(scene, lines, before="trap '' TERM", timeouts={"grace": GRACE_SECONDS})
        attempt = begun(scene, job)
        scene.tell("the job is cancelled")
        cancel(job, f"drill {self.name}")
        scene.watch("cancelled", lambda: is_cancelled(job), otherwise=lambda: standing(job))
        attempt.refresh_from_db()
        asked, killed = attempt.stop_requested_at, attempt.killed_at
        waited = (killed - asked).total_seconds() if killed and asked else None
        held = attempt.exit_code == 137 and waited is not None and waited >= GRACE_SECONDS - 0.1
        seen = f"exit code {attempt.exit_code}, killed after {waited} s"
        scene.judge("killed", held, seconds=waited if held else None, detail="" if held else seen)

        def gone() -> bool:
            attempt.refresh_from_db()
            return is_removed(scene, attempt)

        scene.watch("removed", gone)
        see_workers_steady(scene, before)


def is_cancelled(job: Job) -> bool:
    job.refresh_from_db()
    return job.state == "cancelled"


class DuplicateHint(Drill):
    name = "duplicate-hint"
    about = f"The message that starts a job is sent {HINTS} times more, while it runs."

    def look(self, scene: Scene) -> None:
        choose_worker(scene)

    def promises(self, bounds: Bounds) -> Iterable[Promise]:
        return (*survives(bounds), Promise("fence", "nobody else claimed the job's attempt meanwhile"), STEADY)

    def run(self, scene: Scene) -> None:
        before = online()
        witness = call_witness(scene)
        attempt = witness.attempt
        fence = attempt.fence
        scene.tell(f"{HINTS} hints to {attempt.worker}")
        for _ in range(HINTS):
            current_app.send_task(
                "workers.run",
                args=(attempt.pk, str(attempt.job_id)),
                queue=worker_direct(attempt.worker),  # type: ignore[arg-type]  # the stubs know names alone
                ignore_result=True,
                retry=False,
            )
        see_it_survive(scene, witness)
        now = witness.attempt.fence
        scene.judge("fence", now == fence, detail="" if now == fence else f"fence {fence} became {now}")
        see_workers_steady(scene, before)
