"""The model that random life is held against: what jobs, attempts and workers must be, in plain Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from jobs.states import ACTIVE_ATTEMPT
from jobs.verdicts import Verdict

GIB = 1024**3
SLOTS = 2
MEMORY = 4 * GIB
PLACES = {"run@a": "engine-1", "run@b": "engine-1", "run@c": "engine-2"}


@dataclass(eq=False)
class Try:
    worker: str
    state: str = "assigned"
    fence: int = 0
    boot: str = ""
    stale: bool = False  # its lease is over
    grace_over: bool = False
    begun: bool = True

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE_ATTEMPT


@dataclass
class Known:
    """A job as it must be."""

    group: str
    limit: int
    memory: int
    after: list[UUID]
    max_attempts: int
    on: list[str]
    state: str = "queued"
    cancel: bool = False
    before: int = 0
    tries: list[Try] = field(default_factory=list)

    @property
    def attempt(self) -> Try:
        return self.tries[-1]


@dataclass
class Host:
    boot: str
    alive: bool = True
    draining: bool = False


class Model:
    def __init__(self) -> None:
        self.jobs: dict[UUID, Known] = {}
        self.hosts = {name: Host(f"boot-{name}") for name in PLACES}

    def job(self, number: int) -> tuple[UUID, Known]:
        pk = list(self.jobs)[number % len(self.jobs)]
        return pk, self.jobs[pk]

    def tries(self) -> list[tuple[UUID, Try]]:
        return [(pk, known) for pk, job in self.jobs.items() for known in job.tries]

    def active(self) -> list[tuple[UUID, Try]]:
        return [(pk, known) for pk, known in self.tries() if known.is_active]

    def is_orphan(self, known: Try) -> bool:
        host = self.hosts[known.worker]
        return known.is_active and (known.stale or (host.alive and known.boot not in ("", host.boot)))

    def may_be_kept(self, known: Try) -> bool:
        """Who has it lives, and renews it with its next beat, unless it did not for long."""
        host = self.hosts[known.worker]
        return host.alive and known.boot == host.boot and not known.grace_over

    def heirs(self, known: Try) -> list[str]:
        able = [name for name, host in self.hosts.items() if host.alive and PLACES[name] == PLACES[known.worker]]
        return [known.worker] if known.worker in able else able

    def ended(self, job: Known, state: str, verdict: Verdict | None, *, begun: bool = True) -> None:
        known = job.attempt
        unbegun = state == "lost" and not begun
        known.state, known.begun = state, begun
        known.fence += state == "lost"  # whoever still had it has it no longer
        tries = sum(one.begun for one in job.tries[job.before :])
        allowed = verdict is not None and verdict.kind.value in job.on and tries < job.max_attempts
        if (unbegun or allowed) and not job.cancel:
            job.state = "queued"
        elif state == "lost":
            job.state = "cancelled" if job.cancel else "failed"
        else:
            job.state = state

    def end_the_hopeless(self) -> None:
        for job in self.jobs.values():  # in the order of their submit: who is behind comes later
            if job.state == "queued" and any(self.jobs[pk].state in ("failed", "cancelled") for pk in job.after):
                job.state = "cancelled"

    def is_ready(self, job: Known) -> bool:
        return all(self.jobs[pk].state == "succeeded" for pk in job.after)

    def why(self, job: Known) -> str:
        if not self.is_ready(job):
            return "dependency"
        busy = [one for one in self.jobs.values() if one.group == job.group and one.state in ("assigned", "running")]
        if job.group and len(busy) >= job.limit:
            return "concurrency"
        assert not any(self.has_room(name, job) for name in PLACES)
        return "capacity"

    def has_room(self, name: str, job: Known) -> bool:
        host = self.hosts[name]
        active = [(one, known) for one in self.jobs.values() for known in one.tries if known.is_active]
        used = sum(known.worker == name for _, known in active)
        memory = sum(one.memory for one, known in active if PLACES[known.worker] == PLACES[name])
        return host.alive and not host.draining and used < SLOTS and memory + job.memory <= MEMORY
