"""Removing a container until it is certain: the engine's own answer is the proof, and nothing else is."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from jobs import traced
from jobs.clock import Now
from jobs.failpoints import reach
from jobs.models import Attempt, installation_key
from jobs.moves import record
from tracing import spans
from tracing.services import ENGINE

from .container import container_name
from .drivers.protocol import Driver, Handle, Observation, Phase, Unavailable


def find_container(attempt: Attempt, driver: Driver) -> Observation | None:
    """By its handle where that is known, as somebody may have renamed it; else by its name."""
    if attempt.handle:
        seen = driver.inspect(Handle.from_json(attempt.handle))
        return None if seen.phase is Phase.GONE else seen
    return driver.find(_name(attempt))


def remove_container(attempt: Attempt, driver: Driver, actor: str) -> None:
    """Returns once the engine says that it is gone. Raises `Unavailable` when it can't be asked, or when it is still there."""
    with _traced(attempt):
        _remove(attempt, driver, actor)


def _traced(attempt: Attempt) -> AbstractContextManager[object]:
    """Below the run that it belongs to; in the attempt itself when somebody does it later."""
    if not spans.on():
        return nullcontext()
    place = None if spans.here() else traced.place_of_attempt(attempt)
    return spans.span("remove", ENGINE, parent=place, subject=traced.subject_of_attempt(attempt))


def _remove(attempt: Attempt, driver: Driver, actor: str) -> None:
    handle = Handle.from_json(attempt.handle) if attempt.handle else None
    if handle is None and (seen := driver.find(_name(attempt))):
        handle = seen.handle
    if handle:
        driver.remove(handle)
        if driver.find(_name(attempt)):  # somebody else's removal may be under way
            raise Unavailable(f"{handle.name} is still there")
    reach("removed")
    if Attempt.objects.filter(pk=attempt.pk, removed_at=None).update(removed_at=Now()) and handle:
        record(attempt, "removed", actor=actor)


def _name(attempt: Attempt) -> str:
    return container_name(installation_key(), attempt.job_id, attempt.number)
