"""What a container did when a time-out ended it: its processes and its last lines, kept before anything is signalled."""

from __future__ import annotations

from typing import Any

from jobs.logs.reader import read_lines, tail_start
from jobs.models import Attempt, Event
from jobs.secrets.mask import Mask

from .drivers.protocol import Driver, Handle, Inspectable, Unavailable

KIND = "stopping"  # of the event that keeps it
MOST_PROCESSES = 20
MOST_LINES = 5
WIDTH = 200


def scene(attempt: Attempt, driver: Driver, handle: Handle, mask: Mask) -> dict[str, Any]:
    """As JSON, bounded, without secrets: a command line may hold one."""
    return {
        "processes": [mask.hide_text(one)[:WIDTH] for one in _processes(driver, handle)],
        "last_lines": _last_lines(attempt),
    }


def sentences(attempt: Attempt) -> tuple[str, ...]:
    """What was kept, for a verdict."""
    kept = Event.objects.filter(attempt=attempt, kind=KIND).order_by("id").values_list("data", flat=True).first() or {}
    processes = [f"was running: {one}" for one in kept.get("processes", ())]
    return (*processes, *(f"last output: {line}" for line in kept.get("last_lines", ())))


def _processes(driver: Driver, handle: Handle) -> list[str]:
    """The busiest first: of many it is they that tell what it was at."""
    if not isinstance(driver, Inspectable):
        return []
    try:
        seen = driver.processes(handle)
    except Unavailable as error:
        return [f"unknown: {error}"]
    busiest = sorted(seen, key=lambda one: -one.cpu_seconds)[:MOST_PROCESSES]
    return [f"pid {one.pid} {one.state} cpu {one.cpu_seconds:g} s: {one.command}" for one in busiest]


def _last_lines(attempt: Attempt) -> list[str]:
    total = Attempt.objects.values_list("log_lines", flat=True).get(pk=attempt.pk)
    lines = read_lines(attempt.pk, start=tail_start(attempt.pk, total, MOST_LINES), limit=MOST_LINES)
    return [line.data[: 4 * WIDTH].decode("utf-8", "replace").rstrip("\n").replace("\0", "�")[:WIDTH] for line in lines]
