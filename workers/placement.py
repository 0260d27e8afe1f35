"""Who runs what next: a pure function from waiting jobs and workers to assignments, and a reason for all others.

Order: priority, then fair between projects (who has fewest jobs under way), then age. No database, no clock.
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

RUNTIME_PREFERENCE = ("docker", "process")


@dataclass(frozen=True)
class Needs:
    """What a worker must have for a job; jobs with the same needs are looked at once."""

    runtime: str | None = None
    arch: str | None = None
    region: str | None = None
    requires: frozenset[tuple[str, str]] = frozenset()
    cpus: float = 1.0
    memory_bytes: int = 0
    gpus: int = 0


@dataclass(frozen=True)
class Waiting:
    """A waiting job. `held` is why it may not start yet at all, as (reason, sentence)."""

    id: UUID
    project: int
    priority: int
    needs: Needs
    held: tuple[str, str] | None = None


@dataclass(frozen=True)
class Site:
    """One engine as one worker reaches it."""

    worker: str
    engine: str
    runtime: str
    arch: str
    cpus: float
    memory_bytes: int
    gpus: int
    region: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    available: bool = True  # alive, not draining, not suspect
    why_not: str = ""


@dataclass
class Room:
    """What a worker still has. `cpus` may be overcommitted, memory never is."""

    slots: int
    cpus: float
    memory_bytes: int
    gpus: int

    def fits(self, needs: Needs) -> bool:
        return (
            self.slots >= 1
            and self.cpus >= needs.cpus
            and self.memory_bytes >= needs.memory_bytes
            and self.gpus >= needs.gpus
        )

    def take(self, needs: Needs) -> None:
        self.slots -= 1
        self.cpus -= needs.cpus
        self.memory_bytes -= needs.memory_bytes
        self.gpus -= needs.gpus


@dataclass(frozen=True)
class Assignment:
    job: UUID
    site: Site


@dataclass(frozen=True)
class Plan:
    assignments: list[Assignment]
    reasons: dict[UUID, tuple[str, str]]  # of every job that stays: token and sentence


def place(
    waiting: Sequence[Waiting], sites: Sequence[Site], rooms: Mapping[str, Room], under_way: Mapping[int, int]
) -> Plan:
    """`waiting` in order of age; `rooms` by worker, consumed; `under_way` jobs by project."""
    plan = Plan([], {})
    able: dict[Needs, list[Site]] = {}
    load: dict[int, int] = defaultdict(int, under_way)
    for job in _in_turn(waiting, load):
        if job.held:
            plan.reasons[job.id] = job.held
            continue
        if job.needs not in able:
            able[job.needs] = [site for site in sites if lacks(site, job.needs) is None]
        site = _roomiest(able[job.needs], rooms, job.needs)
        if site is None:
            plan.reasons[job.id] = _why(job.needs, sites, able[job.needs])
            continue
        rooms[site.worker].take(job.needs)
        load[job.project] += 1
        plan.assignments.append(Assignment(job.id, site))
    return plan


def _in_turn(waiting: Sequence[Waiting], load: Mapping[int, int]) -> Iterator[Waiting]:
    """By priority; within one, from the project with fewest jobs under way now, its oldest job first."""
    by_priority: dict[int, dict[int, deque[tuple[int, Waiting]]]] = defaultdict(lambda: defaultdict(deque))
    for age, job in enumerate(waiting):
        by_priority[job.priority][job.project].append((age, job))
    for priority in sorted(by_priority, reverse=True):
        queues = by_priority[priority]
        turns = [(load[project], queue[0][0], project) for project, queue in queues.items()]
        heapq.heapify(turns)
        while turns:
            _, _, project = heapq.heappop(turns)
            yield queues[project].popleft()[1]
            # The caller has counted the job by now, if it was placed.
            if queues[project]:
                heapq.heappush(turns, (load[project], queues[project][0][0], project))


def lacks(site: Site, needs: Needs) -> str | None:
    """What keeps this site from ever running such a job, in words; None when it could."""
    missing = sorted(f"{key}={value}" for key, value in needs.requires if site.labels.get(key) != value)
    checks: Iterable[tuple[bool, str]] = (
        (needs.runtime not in (None, site.runtime), f"runtime {site.runtime}, not {needs.runtime}"),
        (needs.arch not in (None, site.arch), f"architecture {site.arch}, not {needs.arch}"),
        (needs.region not in (None, site.region), f"region {site.region or 'none'}, not {needs.region}"),
        (bool(missing), f"no label {', '.join(missing)}"),
        (needs.cpus > site.cpus, f"{site.cpus:g} cpus, not {needs.cpus:g}"),
        (
            needs.memory_bytes > site.memory_bytes,
            f"{site.memory_bytes >> 20} MiB of memory, not {needs.memory_bytes >> 20}",
        ),
        (needs.gpus > site.gpus, f"{site.gpus} gpus, not {needs.gpus}"),
    )
    return next((text for wrong, text in checks if wrong), None)


def _roomiest(able: Sequence[Site], rooms: Mapping[str, Room], needs: Needs) -> Site | None:
    """The least loaded worker that has room, on the runtime that comes first in preference."""
    fitting = [site for site in able if site.available and rooms[site.worker].fits(needs)]
    return min(fitting, key=lambda site: _unattractive(site, rooms[site.worker]), default=None)


def _unattractive(site: Site, room: Room) -> tuple[int, int, float, str]:
    rank = RUNTIME_PREFERENCE.index(site.runtime) if site.runtime in RUNTIME_PREFERENCE else 99
    return rank, -room.slots, -room.cpus, site.worker


def _why(needs: Needs, sites: Sequence[Site], able: Sequence[Site]) -> tuple[str, str]:
    if not sites:
        return "no_worker", "No worker is registered: start one."
    if not able:
        told = sorted({f"{site.worker} has {lacks(site, needs)}" for site in sites})
        return "no_worker", "No registered worker could ever run it: " + "; ".join(told[:5]) + "."
    if not any(site.available for site in able):
        told = sorted({f"{site.worker} is {site.why_not}" for site in able})
        return "capacity", "No worker that could run it is available: " + "; ".join(told[:5]) + "."
    return "capacity", "All workers that could run it are full."
