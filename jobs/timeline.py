"""From a job's events to the phases of its life, for a waterfall. Pure but for `phases`, which reads them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from jobs.models import Job
from jobs.states import FINAL_ATTEMPT, FINAL_JOB
from tracing.waterfall import Phase

# What an event begins. It ends the phase before it.
BEGINS = {
    "submitted": "waiting",
    "queued": "waiting",
    "attempt_assigned": "assigning",
    "starting": "starting",
    "attempt_running": "running",
}
ATTEMPT_ENDS = {f"attempt_{state}": state.value for state in FINAL_ATTEMPT}


@dataclass(frozen=True)
class Happened:
    """An event; `attempt` is its number, 0 where it has none."""

    kind: str
    at: datetime
    attempt: int = 0


def phases(job: Job) -> list[Phase]:
    """Waiting, assigning, starting (with the pull in it), running, finishing: of every attempt, by start."""
    rows = job.events.values_list("kind", "created_at", "attempt__number")
    return phases_of([Happened(kind, at, number or 0) for kind, at, number in rows], now=datetime.now(UTC))


def phases_of(events: Iterable[Happened], now: datetime) -> list[Phase]:
    """What is still under way ends `now`, with the status `open`."""
    life = _Life()
    for event in events:
        life.go_on(event)
    return life.all(now)


@dataclass
class _Life:
    """`current` is the phase under way; a pull goes on inside of one, and finishing behind one."""

    current: tuple[str, datetime, int] | None = None
    pulling: tuple[datetime, int] | None = None
    finishing: dict[int, datetime] = field(default_factory=dict)
    done: list[Phase] = field(default_factory=list)

    def go_on(self, event: Happened) -> None:
        if event.kind in BEGINS:
            self._end_current(event.at)
            self.current = (BEGINS[event.kind], event.at, event.attempt)
        elif event.kind == "image_pulling":
            self.pulling = (event.at, event.attempt)
        elif event.kind in ATTEMPT_ENDS:
            self._end_current(event.at, _status(ATTEMPT_ENDS[event.kind]))
            self.finishing[event.attempt] = event.at
        elif event.kind == "removed" and event.attempt in self.finishing:
            self._add("finishing", self.finishing.pop(event.attempt), event.at, event.attempt)
        elif event.kind in FINAL_JOB:
            self._end_current(event.at, _status(event.kind))

    def all(self, now: datetime) -> list[Phase]:
        self._end_current(now, "open")
        return sorted(self.done, key=lambda phase: (phase.start, phase.depth))

    def _end_current(self, at: datetime, status: str = "ok") -> None:
        if self.pulling:
            start, attempt = self.pulling
            self._add("pulling", start, at, attempt, status, depth=1)
        if self.current:
            name, start, attempt = self.current
            self._add(name, start, at, attempt, status)
        self.current = self.pulling = None

    def _add(self, name: str, start: datetime, end: datetime, attempt: int, status: str = "ok", depth: int = 0) -> None:
        shown = f"{name} #{attempt}" if attempt > 1 else name
        self.done.append(Phase(shown, start, end, depth, status))


def _status(ending: str) -> str:
    return "ok" if ending == "succeeded" else ending
