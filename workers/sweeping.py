"""Strays: containers of ours that no live attempt stands behind. Found by comparing the engine with the database.

The database is read before the engine is asked, so that a container started in between is never taken for a stray; the
young are left alone for the same reason; and a sweep that would remove most of what runs, as after the restore of an old
backup, is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from jobs.clock import Now
from jobs.models import Attempt, installation_key
from jobs.moves import record
from jobs.states import ACTIVE_ATTEMPT

from .drivers.protocol import LABEL_ATTEMPT, LABEL_JOB, Driver, Observation, Phase, Unavailable
from .models import Worker

log = logging.getLogger(__name__)
YOUNG = timedelta(seconds=60)
MOST_OF = 0.5
FEW = 20
NO_ATTEMPT = "no such attempt"


class TooManyStrays(Exception):
    """More than half of many containers look like strays: more likely the database is an old one.

    `unknown`: how many have no attempt at all, so that nothing in the database tells of them.
    """

    def __init__(self, text: str, unknown: int) -> None:
        super().__init__(text)
        self.unknown = unknown


@dataclass(frozen=True)
class Stray:
    seen: Observation
    why: str


def find_strays(driver: Driver, *, force: bool = False) -> list[Stray]:
    """Raises `Unavailable` when the engine can't be asked, and TooManyStrays unless forced."""
    tracked = _live_attempts()
    listed = list(driver.survey(installation_key()))
    strays = [Stray(seen, why) for seen in listed if (why := _why_stray(seen, tracked))]
    running = sum(seen.phase is Phase.RUNNING for seen in listed)
    doomed = sum(stray.seen.phase is Phase.RUNNING for stray in strays)
    if not force and doomed > max(FEW, MOST_OF * running):
        text = f"{doomed} of {running} running containers have no live attempt: nothing is removed"
        raise TooManyStrays(text, sum(stray.why == NO_ATTEMPT for stray in strays))
    return strays


def sweep(driver: Driver, *, force: bool = False) -> list[Stray]:
    """Remove them; returns which."""
    strays = find_strays(driver, force=force)
    for stray in strays:
        driver.remove(stray.seen.handle)
        log.warning("removed stray %s: %s", stray.seen.handle.name, stray.why)
        _note(stray.seen)
    return strays


def sweep_and_note(worker: str, boot: str, engine: str, driver: Driver) -> None:
    """A run worker's round on one of its engines, by name. What stays for now is noted in its row: `/metrics` tells of it."""
    try:
        sweep(driver)
        left = 0
    except Unavailable as error:
        log.warning("strays on %s stay for now: %s", engine, error)
        return
    except TooManyStrays as error:
        log.warning("strays on %s stay for now: %s", engine, error)
        left = error.unknown
    row = Worker.objects.filter(name=worker, boot=boot).first()
    if row is not None and left != next((one.get("strays", 0) for one in row.engines if one["name"] == engine), left):
        noted = [{**one, "strays": left} if one["name"] == engine else one for one in row.engines]
        Worker.objects.filter(pk=row.pk, boot=boot).update(engines=noted)


def _live_attempts() -> set[tuple[str, str]]:
    rows = Attempt.objects.filter(state__in=ACTIVE_ATTEMPT).values_list("job_id", "number")
    return {(str(job), str(number)) for job, number in rows}


def _why_stray(seen: Observation, tracked: Iterable[tuple[str, str]]) -> str:
    """In words; empty when it is none."""
    mine = (seen.labels.get(LABEL_JOB, ""), seen.labels.get(LABEL_ATTEMPT, ""))
    if mine in tracked or _is_young(seen):
        return ""
    attempt = _attempt_of(*mine)
    if attempt is None:
        return NO_ATTEMPT
    # It may have come to life since the first look.
    return f"its attempt is {attempt.state}" if attempt.is_final else ""


def _is_young(seen: Observation) -> bool:
    return seen.created_at is not None and datetime.now(UTC) - seen.created_at < YOUNG


def _attempt_of(job: str, number: str) -> Attempt | None:
    try:
        return Attempt.objects.filter(job_id=UUID(job), number=int(number)).first()
    except ValueError:
        return None


def _note(seen: Observation) -> None:
    attempt = _attempt_of(seen.labels.get(LABEL_JOB, ""), seen.labels.get(LABEL_ATTEMPT, ""))
    if attempt and Attempt.objects.filter(pk=attempt.pk, removed_at=None).update(removed_at=Now()):
        record(attempt, "removed", actor="sweep")
