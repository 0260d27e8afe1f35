"""Who runs what next: a pure function from waiting jobs and workers to assignments, and a reason for all others.

Order: priority, then fair between projects (who has fewest jobs under way), then age. No database, no clock.
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

RUNTIME_PREFERENCE = ("docker", "process")
TOLD = 5  # workers named in a reason


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

    @property
    def sort(self) -> Needs:
        """The same without amounts."""
        return Needs(self.runtime, self.arch, self.region, self.requires, 0, 0, 0)


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

    def is_big_enough(self, needs: Needs) -> bool:
        return self.cpus >= needs.cpus and self.memory_bytes >= needs.memory_bytes and self.gpus >= needs.gpus


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
    choice = _Choice(sites, rooms)
    load: dict[int, int] = defaultdict(int, under_way)
    for job in _in_turn(waiting, load):
        if job.held:
            plan.reasons[job.id] = job.held
            continue
        site = choice.best(job.needs)
        if site is None:
            plan.reasons[job.id] = choice.why_none(job.needs)
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
    return next(_faults(site, needs), None)


def _faults(site: Site, needs: Needs) -> Iterator[str]:
    """One at a time, as mostly nobody needs the words."""
    if needs.runtime not in (None, site.runtime):
        yield f"runtime {site.runtime}, not {needs.runtime}"
    if needs.arch not in (None, site.arch):
        yield f"architecture {site.arch}, not {needs.arch}"
    if needs.region not in (None, site.region):
        yield f"region {site.region or 'none'}, not {needs.region}"
    if missing := sorted(f"{key}={value}" for key, value in needs.requires if site.labels.get(key) != value):
        yield f"no label {', '.join(missing)}"
    if needs.cpus > site.cpus:
        yield f"{site.cpus:g} cpus, not {needs.cpus:g}"
    if needs.memory_bytes > site.memory_bytes:
        yield f"{site.memory_bytes >> 20} MiB of memory, not {needs.memory_bytes >> 20}"
    if needs.gpus > site.gpus:
        yield f"{site.gpus} gpus, not {needs.gpus}"


class _Choice:
    """The best site for a job, in steps that do not grow with the number of sites, as long as jobs resemble each other.

    Jobs that differ in amounts alone share a ranking of sites. Only when the best site there has too little for a job
    do jobs of just these needs get one of their own, of those sites that have enough.
    """

    def __init__(self, sites: Sequence[Site], rooms: Mapping[str, Room]) -> None:
        self._sites = sites
        self._rooms = rooms
        self._shared: dict[Needs, _Ranking] = {}
        self._own: dict[Needs, _Ranking] = {}
        self._whys: dict[Needs, tuple[str, str]] = {}

    def best(self, needs: Needs) -> Site | None:
        """The least loaded worker that has room, on the runtime that comes first in preference."""
        if (own := self._own.get(needs)) is None:
            shared = self._ranking(needs.sort)
            site = shared.top()
            if site is None or self._has_room(site, needs):
                return site
            own = self._own[needs] = shared.where(lambda site: self._has_room(site, needs))
        while (site := own.top()) is not None and not self._has_room(site, needs):
            own.drop_top()
        return site

    def why_none(self, needs: Needs) -> tuple[str, str]:
        if needs not in self._whys:
            self._whys[needs] = _why(needs, self._sites)
        return self._whys[needs]

    def _ranking(self, sort: Needs) -> _Ranking:
        if sort not in self._shared:
            able = [site for site in self._sites if site.available and lacks(site, sort) is None]
            self._shared[sort] = _Ranking.of(able, self._rooms)
        return self._shared[sort]

    def _has_room(self, site: Site, needs: Needs) -> bool:
        return site.is_big_enough(needs) and self._rooms[site.worker].fits(needs)


Rank = tuple[int, int, float, str]


@dataclass(frozen=True)
class _Ranking:
    """Sites as a heap, the best on top.

    Rooms only shrink while jobs are placed: a rank that is out of date is too good, so only the top's has to be looked
    at again, and what was dropped never has to come back.
    """

    heap: list[tuple[Rank, int, Site]]
    rooms: Mapping[str, Room]

    @classmethod
    def of(cls, sites: Sequence[Site], rooms: Mapping[str, Room]) -> _Ranking:
        heap = [(_unattractive(site, rooms[site.worker]), number, site) for number, site in enumerate(sites)]
        heapq.heapify(heap)
        return cls(heap, rooms)

    def where(self, holds: Callable[[Site], bool]) -> _Ranking:
        heap = [entry for entry in self.heap if holds(entry[2])]
        heapq.heapify(heap)
        return _Ranking(heap, self.rooms)

    def top(self) -> Site | None:
        while self.heap:
            rank, number, site = self.heap[0]
            room = self.rooms[site.worker]
            if room.slots < 1:
                self.drop_top()
            elif (now := _unattractive(site, room)) != rank:
                heapq.heapreplace(self.heap, (now, number, site))
            else:
                return site
        return None

    def drop_top(self) -> None:
        heapq.heappop(self.heap)


def _unattractive(site: Site, room: Room) -> Rank:
    rank = RUNTIME_PREFERENCE.index(site.runtime) if site.runtime in RUNTIME_PREFERENCE else 99
    return rank, -room.slots, -room.cpus, site.worker


def _why(needs: Needs, sites: Sequence[Site]) -> tuple[str, str]:
    if not sites:
        return "no_worker", "No worker is registered: start one."
    able = (site for site in sites if site.is_big_enough(needs) and lacks(site, needs) is None)
    resting: list[Site] = []
    for site in able:
        if site.available:
            return "capacity", "All workers that could run it are full."
        resting.append(site)
    if resting:
        told = [f"{site.worker} is {site.why_not}" for site in resting[:TOLD]]
        return "capacity", "No worker that could run it is available: " + "; ".join(told) + "."
    told = [f"{site.worker} has {lacks(site, needs)}" for site in sites[:TOLD]]
    return "no_worker", "No registered worker could ever run it: " + "; ".join(told) + "."
