"""Running examples as jobs: scaled to what a worker has, submitted together, each checked when it is over."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jobs.logs.reader import read_lines
from jobs.models import Job
from jobs.quantities import MIB, human_bytes, to_bytes
from jobs.services import cancel, submit
from jobs.spec import parse_spec
from jobs.states import JobState
from workers.models import Worker

from .example import Example, Seen, complaints

DEMO_IMAGE = "towline/demo:1"
POLL_SECONDS = 0.25
LABEL = "suite"


class NoWorkerError(Exception):
    """Nobody who is alive offers the runtime."""


@dataclass(frozen=True)
class Room:
    """What the biggest engine of a runtime has."""

    cpus: float
    memory_bytes: int
    whose: str = "the worker"


@dataclass(frozen=True)
class Result:
    """An example and its job. `problems` empty and `over`: as it should be. `waited`: what for, where that was all right."""

    example: Example
    job: Job
    scaled: str = ""
    over: bool = False
    waited: str = ""
    problems: Sequence[str] = ()
    seconds: float | None = None
    lines: int = 0
    peak_bytes: int | None = None

    @property
    def passed(self) -> bool:
        return self.over and not self.problems


UNKNOWN = Room(1, 1024 * MIB)  # of a cluster that does not let us see its nodes


def room_for(runtime: str) -> Room:
    engines = [engine for worker in Worker.objects.alive() for engine in worker.engines if engine["runtime"] == runtime]
    if not engines:
        raise NoWorkerError(runtime)
    cpus, memory = (max(engine[amount] for engine in engines) for amount in ("cpus", "memory_bytes"))
    if not any(engine.get("elastic") for engine in engines):
        return Room(cpus, memory)
    # Others have pods on its machines, too: half of the largest one is what most clusters find room for.
    return Room(cpus / 2 or UNKNOWN.cpus, memory // 2 or UNKNOWN.memory_bytes, "half of the largest node")


def start(example: Example, runtime: str, room: Room, image: str = DEMO_IMAGE) -> Result:
    """Submit it. Raises pydantic's ValidationError for a spec that is none."""
    body: dict[str, Any] = {
        "name": example.name,
        "image": image,
        "runtime": runtime,
        "labels": {LABEL: runtime},
        "env": {"RUNTIME": runtime},
        **example.spec,
    }
    body["resources"], said = scaled(body.get("resources", {}), room)
    job, _ = submit(parse_spec(body), None)
    return Result(example, job, f"{room.whose}: {said}" if said else "")


def scaled(resources: dict[str, Any], room: Room) -> tuple[dict[str, Any], str]:
    """The resources, no larger than the room, and what was cut; "" for nothing."""
    cut, said = dict(resources), []
    if cut.get("cpus", 1) > room.cpus:
        said.append(f"cpus {cut['cpus']:g} → {room.cpus:g}")
        cut["cpus"] = room.cpus
    if to_bytes(cut.get("memory", "512Mi")) > room.memory_bytes:
        said.append(f"memory {cut['memory']} → {human_bytes(room.memory_bytes)}")
        cut["memory"] = room.memory_bytes // MIB * MIB
    return cut, ", ".join(said)


def until_all_are_over(results: Sequence[Result], limit_seconds: float) -> Iterator[list[Result]]:
    """The results as they stand, again and again, until all are over. What is not after the limit is cancelled."""
    deadline = time.monotonic() + limit_seconds
    now = list(results)
    while not all(result.over for result in now):
        late = time.monotonic() > deadline
        now = [_given_up(result, limit_seconds) if late and not result.over else look(result) for result in now]
        yield now
        if not all(result.over for result in now):
            time.sleep(POLL_SECONDS)


def look(result: Result) -> Result:
    """As it is now. A job is over when its container is removed, too."""
    if result.over:
        return result
    job = Job.objects.get(pk=result.job.pk)
    if not job.is_final and result.example.expect.may_wait_for(job.waiting_reason, job.waiting_detail):
        cancel(job, "suite")
        return replace(result, job=job, waited=f"{job.waiting_reason}: {job.waiting_detail}")
    if not job.is_final or _container_is_left(job):
        return replace(result, job=job)
    return _judged(result, job)


def _judged(result: Result, job: Job) -> Result:
    attempt = job.current_attempt
    output = [line.text for line in read_lines(attempt.pk)] if attempt else []
    seconds = (job.finished_at - job.started_at).total_seconds() if job.finished_at and job.started_at else None
    peak = attempt.usage.get("memory_peak_bytes") if attempt else None
    why = f"{job.verdict_code}: {job.verdict['summary']}" if job.verdict else ""
    problems = complaints(result.example.expect, Seen(job.state, why, output, seconds, peak))
    if result.waited:
        problems = [] if job.state == JobState.CANCELLED and not output else ["waited, and ran all the same"]
    if _container_is_left(job):
        problems.append("its container was not removed")
    return replace(result, job=job, over=True, problems=problems, seconds=seconds, lines=len(output), peak_bytes=peak)


def _container_is_left(job: Job) -> bool:
    attempt = job.current_attempt
    return attempt is not None and attempt.claimed_at is not None and attempt.removed_at is None


def _given_up(result: Result, limit_seconds: float) -> Result:
    """Cancelled, so that the suite leaves nothing behind."""
    job = result.job
    job.refresh_from_db()
    if job.is_final:
        return _judged(result, job)
    where = f"{job.waiting_reason}: {job.waiting_detail}" if job.waiting_reason else f"it is {job.state}"
    cancel(job, "suite")
    return replace(result, job=job, over=True, problems=[f"not over after {limit_seconds:g} s; {where}"])


def abandon(results: Sequence[Result]) -> None:
    for result in results:
        if not result.over:
            cancel(result.job, "suite")
