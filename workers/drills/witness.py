"""The counting job that sees a fault through, and how it must come out of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobs.clock import Now
from jobs.logs.reader import read_lines
from jobs.models import Attempt, Event, Job
from jobs.states import FINAL_ATTEMPT
from workers.drivers.protocol import Unavailable
from workers.engines import driver_of
from workers.models import Worker, WorkerState
from workers.removing import find_container

from .counting import counting, miscount
from .drill import CutShort, Refused
from .ground import reaches
from .promise import Bounds, Promise
from .scene import Scene, newest

START_SECONDS = 60.0
TRIES = 12
REMOVE_SECONDS = 10.0


@dataclass(frozen=True)
class Witness:
    """`uid`: of its container, as it was before the fault."""

    job: Job
    lines: int
    uid: str
    adoptions: int

    @property
    def attempt(self) -> Attempt:
        return Attempt.objects.get(job=self.job, number=1)


def survives(bounds: Bounds) -> tuple[Promise, ...]:
    return (
        Promise("ends", "the job that runs on through it succeeds, at its first attempt", bounds.end),
        Promise("container", "in the container that it had before"),
        Promise("log", f"with every line from 1 to {bounds.count} once and in order"),
        Promise("removed", "and its container is removed", REMOVE_SECONDS + bounds.notice),
    )


def see_it_survive(scene: Scene, witness: Witness) -> None:
    """Judges the promises of `survives`. Raises CutShort for a job that does not end."""
    if not see_success(scene, "ends", witness.job):
        raise CutShort
    attempt = witness.attempt
    uid = (attempt.handle or {}).get("uid")
    scene.judge("container", uid == witness.uid, detail="" if uid == witness.uid else f"{uid}, not {witness.uid}")
    wrong = miscount(texts(attempt), witness.lines)
    scene.judge("log", not wrong, detail=wrong)
    scene.watch("removed", lambda: is_removed(scene, witness.attempt))


def see_success(scene: Scene, key: str, *jobs: Job) -> bool:
    """Judges whether all succeed at their first attempt. One that is over otherwise ends the wait."""

    def those_wanting() -> list[Job]:
        return [job for job in jobs if not succeeded_at_once(job)]

    return scene.watch(
        key,
        lambda: not those_wanting(),
        otherwise=lambda: "; ".join(map(standing, those_wanting())),
        hopeless=lambda: any(job.is_final for job in those_wanting()),
    )


def call_witness(scene: Scene, **spec: Any) -> Witness:
    """A counting job that has begun to count, on the scene's worker."""
    job = _on_the_worker(scene, lambda: count(scene, scene.bounds.count, **spec))
    scene.worker.refresh_from_db()  # the operator may have taken a while to say yes
    attempt = begun(scene, job)
    return Witness(job, scene.bounds.count, (attempt.handle or {}).get("uid", ""), adoptions(job))


def count(scene: Scene, lines: int, *, before: str = "", **spec: Any) -> Job:
    return scene.submit(command=["sh", "-c", counting(lines, before)], **spec)


def _on_the_worker(scene: Scene, make: Callable[[], Job]) -> Job:
    """Placement goes by what is free: jobs that came elsewhere count on there, until one comes to the worker."""
    elsewhere: list[Job] = []
    for _ in range(TRIES):
        job = make()
        if begun(scene, job).worker == scene.worker.name:
            return job
        elsewhere.append(job)
    raise Refused(f"none of {TRIES} jobs came to {scene.worker}: drain the other workers meanwhile")


def begun(scene: Scene, job: Job) -> Attempt:
    """Its attempt, once it has written a few lines."""
    scene.until(lambda: bool((tried := newest(job)) and tried.log_lines > 2), START_SECONDS)
    attempt = newest(job)
    if attempt is None or attempt.log_lines <= 2:
        raise Refused(f"a job of the drill does not begin within {START_SECONDS:g} s: {standing(job)}")
    return attempt


def standing(job: Job) -> str:
    """How it stands, for who expected something else."""
    job.refresh_from_db()
    if job.verdict_code == "worker_lost":
        return "it is lost: no worker was there all through the grace. Raise TOWLINE_ADOPTION_GRACE_SECONDS"
    why = job.verdict_code or (f"{job.waiting_reason} {job.waiting_detail}".strip())
    return f"it is {job.state}, attempt {job.attempts_count}" + (f": {why}" if why else "")


def succeeded_at_once(job: Job) -> bool:
    job.refresh_from_db()
    return job.state == "succeeded" and job.attempts_count == 1


def texts(attempt: Attempt) -> list[str]:
    return [line.text for line in read_lines(attempt.pk)]


def adoptions(job: Job) -> int:
    return Event.objects.filter(job=job, kind="adopted").count()


def is_followed(attempt: Attempt) -> bool:
    """Somebody holds its lease; or it is over."""
    held = Attempt.objects.filter(pk=attempt.pk, lease_until__gt=Now()).exclude(boot="")
    return held.exists() or Attempt.objects.filter(pk=attempt.pk, state__in=FINAL_ATTEMPT).exists()


def is_removed(scene: Scene, attempt: Attempt) -> bool:
    """By the database; and by the engine itself, where it is reached from here."""
    if attempt.removed_at is None:
        return False
    if not reaches(scene):
        return True
    try:
        return find_container(attempt, driver_of(attempt)) is None
    except Unavailable:
        return True


# --- the workers beside it ---------------------------------------------------------------------------------------------

STEADY = Promise("workers", "every worker is online as before, and none was started anew")


def online() -> dict[str, str]:
    """Boots by name."""
    workers = Worker.objects.with_clock()
    return {worker.name: worker.boot for worker in workers if worker.state == WorkerState.ONLINE}


def see_workers_steady(scene: Scene, before: dict[str, str]) -> None:
    now = online()
    changed = sorted(name for name, boot in before.items() if now.get(name) != boot)
    scene.judge("workers", not changed, detail=", ".join(changed))
