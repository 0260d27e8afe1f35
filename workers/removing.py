"""Removing a container until it is certain: the engine's own answer is the proof, and nothing else is."""

from __future__ import annotations

from jobs.clock import Now
from jobs.models import Attempt, installation_key
from jobs.moves import record

from .container import container_name
from .drivers.protocol import Driver, Handle, Observation, Phase, Unavailable


def find_container(attempt: Attempt, driver: Driver) -> Observation | None:
    """By its handle where that is known, as somebody may have renamed it; else by its name."""
    if attempt.handle:
        seen = driver.inspect(Handle.from_json(attempt.handle))
        return None if seen.phase is Phase.GONE else seen
    return driver.find(container_name(installation_key(), attempt.job_id, attempt.number))


def remove_container(attempt: Attempt, driver: Driver, actor: str) -> None:
    """Returns once the engine says that it is gone. Raises `Unavailable` when it can't be asked, or when it is still there."""
    seen = find_container(attempt, driver)
    if seen:
        driver.remove(seen.handle)
        if find_container(attempt, driver):
            raise Unavailable(f"{seen.handle.name} is still there")
    if Attempt.objects.filter(pk=attempt.pk, removed_at=None).update(removed_at=Now()) and seen:
        record(attempt, "removed", actor=actor)
