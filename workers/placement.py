"""Who runs what next: a pure function from waiting jobs and workers to assignments, and a reason for all others.

Order: priority, then fair between projects (who has fewest jobs under way), then age. No database, no clock.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from jobs.needs import Needs

RUNTIME_PREFERENCE = ("docker", "kubernetes", "process")
TOLD = 5  # workers named in a reason


@dataclass(frozen=True)
class Waiting:
    """A job that may start. Of those with the same `group`, `limit` at most are under way at once."""

    id: UUID
    project: int
    priority: int
    needs: Needs
    group: str = ""
    limit: int = 1


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
    pool: str = ""  # what its amounts are taken from; engines of one machine share theirs
    available: bool = True  # alive, not draining, not suspect
    why_not: str = ""
    elastic: bool = (
        False  # a cluster: its amounts are its largest machine's, or 0 for unknown, and it has its own queue
    )

    def is_big_enough(self, needs: Needs) -> bool:
        return self.decides(needs) or (self.elastic and not self.cpus) or self.has_amounts(needs)

    def has_amounts(self, needs: Needs) -> bool:
        return self.cpus >= needs.cpus and self.memory_bytes >= needs.memory_bytes and self.gpus >= needs.gpus

    def decides(self, needs: Needs) -> bool:
        """Whether it is for the cluster to say if it has, or gets, machines for it: who asks for it by name trusts it so."""
        return self.elastic and needs.runtime == self.runtime


@dataclass
class Pool:
    """What a machine still has. `cpus` may be overcommitted, memory never is."""

    cpus: float
    memory_bytes: int
    gpus: int

    def fits(self, needs: Needs) -> bool:
        return self.cpus >= needs.cpus and self.memory_bytes >= needs.memory_bytes and self.gpus >= needs.gpus

    def take(self, needs: Needs) -> None:
        self.cpus -= needs.cpus
        self.memory_bytes -= needs.memory_bytes
        self.gpus -= needs.gpus


@dataclass
class Floor:
    """What there is to give, and what is under way. Placing takes from it."""

    sites: Sequence[Site]
    slots: dict[str, int]  # free ones, by worker
    pools: dict[str, Pool]
    under_way: Counter[int] = field(default_factory=Counter)  # jobs by project
    groups: Counter[str] = field(default_factory=Counter)  # jobs by concurrency group
    given: Counter[str] = field(default_factory=Counter)  # jobs by cluster

    @property
    def free_slots(self) -> int:
        return sum(max(slots, 0) for slots in self.slots.values())

    def has_room(self, site: Site, needs: Needs) -> bool:
        fits = site.elastic or self.pools[site.pool].fits(needs)
        return self.slots[site.worker] >= 1 and site.is_big_enough(needs) and fits

    def take(self, site: Site, job: Waiting) -> None:
        self.slots[site.worker] -= 1
        if site.elastic:
            self.given[site.engine] += 1
        else:
            self.pools[site.pool].take(job.needs)
        self.under_way[job.project] += 1
        if job.group:
            self.groups[job.group] += 1

    def why_held(self, group: str, limit: int) -> tuple[str, str] | None:
        busy = self.groups[group] if group else 0
        if not group or busy < limit:
            return None
        key = group.partition(":")[2]
        return "concurrency", f"{busy} with the key {key!r} under way, {limit} at once allowed."


@dataclass(frozen=True)
class Assignment:
    job: UUID
    site: Site


@dataclass(frozen=True)
class Plan:
    assignments: list[Assignment]
    reasons: dict[UUID, tuple[str, str]]  # of every job that stays: token and sentence


def place(waiting: Sequence[Waiting], floor: Floor) -> Plan:
    """`waiting` in order of age; `floor` is what is left afterwards."""
    plan = Plan([], {})
    choice = _Choice(floor)
    for job in _in_turn(waiting, floor.under_way):
        if held := floor.why_held(job.group, job.limit):
            plan.reasons[job.id] = held
            continue
        site = choice.best(job.needs)
        if site is None:
            plan.reasons[job.id] = choice.why_none(job.needs)
            continue
        floor.take(site, job)
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
    if site.decides(needs):
        wrong = site.region and needs.region not in (None, site.region)
        return f"region {site.region}, not {needs.region}" if wrong else None
    return next(_faults(site, needs), None)


def is_able(site: Site, needs: Needs) -> bool:
    """Whether it could run such a job once it has room."""
    return site.is_big_enough(needs) and lacks(site, needs) is None


def _faults(site: Site, needs: Needs) -> Iterator[str]:
    """One at a time, as mostly nobody needs the words."""
    if needs.runtime not in (None, site.runtime):
        yield f"runtime {site.runtime}, not {needs.runtime}"
    if needs.arch not in (None, site.arch) and not (site.elastic and not site.arch):
        yield f"architecture {site.arch}, not {needs.arch}"
    if needs.region not in (None, site.region):
        yield f"region {site.region or 'none'}, not {needs.region}"
    if missing := sorted(f"{key}={value}" for key, value in needs.requires if site.labels.get(key) != value):
        yield f"no label {', '.join(missing)}"
    if needs.volumes and site.elastic:
        yield "no folders of a host"
    if not site.is_big_enough(needs):
        yield from _shortages(site, needs)


def _shortages(site: Site, needs: Needs) -> Iterator[str]:
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

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._shared: dict[Needs, _Ranking] = {}
        self._own: dict[Needs, _Ranking] = {}
        self._whys: dict[Needs, tuple[str, str]] = {}

    def best(self, needs: Needs) -> Site | None:
        """The least loaded worker that has room, on the runtime that comes first in preference."""
        if (own := self._own.get(needs)) is None:
            shared = self._ranking(needs.sort)
            site = shared.top()
            if site is None or self._floor.has_room(site, needs):
                return site
            own = self._own[needs] = shared.where(lambda site: self._floor.has_room(site, needs))
        while (site := own.top()) is not None and not self._floor.has_room(site, needs):
            own.drop_top()
        return site

    def why_none(self, needs: Needs) -> tuple[str, str]:
        if needs not in self._whys:
            self._whys[needs] = why_none(needs, self._floor.sites)
        return self._whys[needs]

    def _ranking(self, sort: Needs) -> _Ranking:
        if sort not in self._shared:
            able = [site for site in self._floor.sites if site.available and lacks(site, sort) is None]
            self._shared[sort] = _Ranking.of(able, self._floor)
        return self._shared[sort]


Rank = tuple[int, int, float, str]


@dataclass(frozen=True)
class _Ranking:
    """Sites as a heap, the best on top.

    The floor only shrinks while jobs are placed: a rank that is out of date is too good, so only the top's has to be looked
    at again, and what was dropped never has to come back.
    """

    heap: list[tuple[Rank, int, Site]]
    floor: Floor

    @classmethod
    def of(cls, sites: Sequence[Site], floor: Floor) -> _Ranking:
        heap = [(_unattractive(site, floor), number, site) for number, site in enumerate(sites)]
        heapq.heapify(heap)
        return cls(heap, floor)

    def where(self, holds: Callable[[Site], bool]) -> _Ranking:
        heap = [entry for entry in self.heap if holds(entry[2])]
        heapq.heapify(heap)
        return _Ranking(heap, self.floor)

    def top(self) -> Site | None:
        while self.heap:
            rank, number, site = self.heap[0]
            if self.floor.slots[site.worker] < 1:
                self.drop_top()
            elif (now := _unattractive(site, self.floor)) != rank:
                heapq.heapreplace(self.heap, (now, number, site))
            else:
                return site
        return None

    def drop_top(self) -> None:
        heapq.heappop(self.heap)


def _unattractive(site: Site, floor: Floor) -> Rank:
    rank = RUNTIME_PREFERENCE.index(site.runtime) if site.runtime in RUNTIME_PREFERENCE else 99
    load = floor.given[site.engine] if site.elastic else -floor.pools[site.pool].cpus
    return rank, -floor.slots[site.worker], load, site.worker


def why_none(needs: Needs, sites: Sequence[Site]) -> tuple[str, str]:
    if not sites:
        return "no_worker", "No worker is registered: start one."
    able = (site for site in sites if is_able(site, needs))
    resting: list[Site] = []
    for site in able:
        if site.available:
            return "capacity", "All workers that could run it are full."
        resting.append(site)
    if resting:
        told = dict.fromkeys(f"{site.worker} is {site.why_not}" for site in resting[:TOLD])
        return "capacity", "No worker that could run it is available: " + "; ".join(told) + "."
    told = dict.fromkeys(f"{site.worker} has {lacks(site, needs)}" for site in sites[:TOLD])
    return "no_worker", "No registered worker could ever run it: " + "; ".join(told) + "."
